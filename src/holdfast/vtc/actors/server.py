"""A server: listens, and runs its specification for one connection after the other."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from holdfast.vtc.actors.endpoint import Endpoint
from holdfast.vtc.io.socket_address import Address, AddressError, is_unix, resolve, why
from holdfast.vtc.io.stream_socket import Listener, Wire, listen
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import Position

if TYPE_CHECKING:
    from holdfast.vtc.io.tls import ServerTls
    from holdfast.vtc.run.case import Case

BACKLOG = 10


class Server(Endpoint):
    """A server by name. The port that it was given once it keeps for later starts."""

    kind: ClassVar[str] = "server"
    is_client: ClassVar[bool] = False

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.listen_on = case.macros.expand_text("${listen_addr}")
        self.tls: ServerTls | None = None
        self._dispatched = False

    async def start(self, position: Position | None) -> None:
        """Listen, and begin in the background. Raises `Failure`."""
        self.log.line(2, "Starting server")
        await self._listen()
        self.log.line(1, f"Listen on {self.listen_on}")
        self.runner.start(partial(self.serve, self.listen_on), position)

    async def dispatch(self, position: Position | None) -> None:
        """Listen, and give each connection a server of its own. Raises `Failure`."""
        await self._listen()
        self.log.line(2, "Starting dispatch server")
        self.runner.start(partial(self._dispatch, position), position)

    async def wait(self) -> None:
        """Wait until the specification is done. Raises `Failure` if it was not started."""
        if not self.runner.running:
            raise Failure("Server not -started")
        self.log.line(2, f"Waiting for server ({self._fd}/-1)")
        await self.runner.wait()

    async def stop(self) -> None:
        """Stop in mid-specification and stop listening."""
        self.log.line(2, "Breaking for server")
        await self.runner.stop()
        self.release()

    async def reset(self) -> None:
        """A server that nobody came to is no failure: it is stopped wherever it is."""
        if self.runner.running:
            self.log.line(2, f"Waiting for server ({self._fd}/-1)")
            await self.runner.stop()
        self.release()
        self.case.undefine_address(self.log, self.name)

    def release(self) -> None:
        if self.listener:
            self.listener.close()
            self.listener = None

    @property
    def address(self) -> Address | None:
        """Where it listens, if it does."""
        return self.listener.address if self.listener else None

    @property
    def _fd(self) -> int:
        return self.listener.fd if self.listener else -1

    async def _listen(self) -> None:
        self.release()
        try:
            if is_unix(self.listen_on):
                self._unlink()
            addresses = await resolve(self.listen_on, "0", socket.SOCK_STREAM)
            sock = _listen_widely(addresses[0])
        except (AddressError, OSError) as error:
            text = f"Server listen address ({self.listen_on}) cannot be resolved: {why(error)}"
            raise Failure(text) from None
        self.listener = Listener(sock)
        if self.tls:
            self.listener.prepare = await self.tls.prepare(self.case, self.name, self.log)
        self.listen_on = self.listener.address.joined
        self.case.define_address(self.log, self.name, self.listener.address)

    def _unlink(self) -> None:
        if self.listen_on.startswith("/"):
            with suppress(FileNotFoundError):
                os.unlink(self.case.path(self.listen_on))

    async def open(self) -> Wire:
        assert self.listener is not None
        try:
            wire = await self.listener.accept()
        except OSError as error:
            raise Failure(f"Accept failed: {error.strerror or error}") from None
        self.log.line(3, f"accepted fd {wire.fd} {wire.peer.host} {wire.peer.port}")
        return wire

    def end(self, wire: Wire | None) -> None:
        self.log.line(3, f"shutting fd {wire.fd if wire else -1} (server run)")
        if wire is None:
            raise Failure("Shutdown(RD) failed: Bad file descriptor (the specification closed it)")
        with suppress(OSError):  # the peer may be gone
            wire.shutdown(socket.SHUT_WR)
        wire.close()

    async def _dispatch(self, position: Position | None) -> None:
        self.log.line(2, f"Dispatch started on {self.listen_on}")
        while True:
            wire = await self.open()
            server = self._next_dispatched(position)
            self.log.line(3, f"dispatch fd {wire.fd} -> {server.name}")
            server.take(wire, position)

    def _next_dispatched(self, position: Position | None) -> Server:
        number = 1 + sum(server._dispatched for server in self.case.actors(Server).values())
        server = self.case.actor(Server, f"s{number}", position)
        server._dispatched = True
        server.spec = self.spec
        server.listen_on = self.listen_on
        return server

    def take(self, wire: Wire, position: Position | None) -> None:
        """Run the specification on one connection that another server accepted."""
        # The task may be cancelled before its first step; then only this closes the socket.
        self.runner.start(partial(self._serve_one, wire), position, lambda _: wire.close())

    async def _serve_one(self, wire: Wire) -> None:
        self.log.line(3, f"start with fd {wire.fd}")
        left = await self.converse(wire)
        self.log.line(3, f"shutting fd {left.fd if left else -1} (server dispatch)")
        if left is None:
            raise Failure("Shutdown(WR) failed: Bad file descriptor (the specification closed it)")
        with suppress(OSError):
            left.shutdown(socket.SHUT_WR)
        left.close()
        self.log.line(2, "Ending")


def _listen_widely(address: Address) -> socket.socket:
    """A listening socket; a Unix one is open to all users, as the daemon under test may be any."""
    if address.family != socket.AF_UNIX:
        return listen(address, BACKLOG)
    before = os.umask(0)
    try:
        return listen(address, BACKLOG)
    finally:
        os.umask(before)
