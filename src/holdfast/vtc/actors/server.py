"""A server: listens, and runs its specification for one connection after the other."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from holdfast.vtc.actors.endpoint import Endpoint
from holdfast.vtc.io.socket_address import AddressError, SocketAddress, is_unix, resolve, why
from holdfast.vtc.io.stream_socket import Listener, StreamSocket, listen
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.position import Position

if TYPE_CHECKING:
    from holdfast.vtc.io.tls import ServerTlsOptions
    from holdfast.vtc.run.case import Case

BACKLOG = 10


class Server(Endpoint):
    """A server by name. The port that it was given once it keeps for later starts."""

    kind: ClassVar[str] = "server"
    is_client: ClassVar[bool] = False

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.listen_on = case.macros.expand_text("${listen_addr}")
        self.tls: ServerTlsOptions | None = None
        self._dispatched = False

    async def start(self, position: Position | None) -> None:
        """Listen, and begin in the background. Raises `Failure`."""
        self.log.line(2, "Starting server")
        await self._listen()
        self.log.line(1, f"Listen on {self.listen_on}")
        self.task.start(partial(self.serve, self.listen_on), position)

    async def dispatch(self, position: Position | None) -> None:
        """Listen, and start a server for each connection. Raises `Failure`."""
        await self._listen()
        self.log.line(2, "Starting dispatch server")
        self.task.start(partial(self._dispatch, position), position)

    async def wait(self) -> None:
        """Wait until the specification is done. Raises `Failure` if it was not started."""
        if not self.task.running:
            raise Failure("Server not -started")
        self.log.line(2, f"Waiting for server ({self._fd}/-1)")
        await self.task.wait()

    async def stop(self) -> None:
        """Stop in mid-specification and stop listening."""
        self.log.line(2, "Breaking for server")
        await self.task.stop()
        self.release()

    async def reset(self) -> None:
        """Stop. A server without a connection is no failure."""
        if self.task.running:
            self.log.line(2, f"Waiting for server ({self._fd}/-1)")
            await self.task.stop()
        self.release()
        self.case.undefine_address(self.log, self.name)

    def release(self) -> None:
        if self.listener:
            self.listener.close()
            self.listener = None

    @property
    def address(self) -> SocketAddress | None:
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

    async def open(self) -> StreamSocket:
        assert self.listener is not None
        try:
            sock = await self.listener.accept()
        except OSError as error:
            raise Failure(f"Accept failed: {error.strerror or error}") from None
        self.log.line(3, f"accepted fd {sock.fd} {sock.peer.host} {sock.peer.port}")
        return sock

    def end(self, sock: StreamSocket | None) -> None:
        self.log.line(3, f"shutting fd {sock.fd if sock else -1} (server run)")
        if sock is None:
            raise Failure("Shutdown(RD) failed: Bad file descriptor (the specification closed it)")
        with suppress(OSError):  # the peer may have closed
            sock.shutdown(socket.SHUT_WR)
        sock.close()

    async def _dispatch(self, position: Position | None) -> None:
        self.log.line(2, f"Dispatch started on {self.listen_on}")
        while True:
            sock = await self.open()
            server = self._next_dispatched(position)
            self.log.line(3, f"dispatch fd {sock.fd} -> {server.name}")
            server.take(sock, position)

    def _next_dispatched(self, position: Position | None) -> Server:
        number = 1 + sum(server._dispatched for server in self.case.actors(Server).values())
        server = self.case.actor(Server, f"s{number}", position)
        server._dispatched = True
        server.spec = self.spec
        server.listen_on = self.listen_on
        return server

    def take(self, sock: StreamSocket, position: Position | None) -> None:
        """Run the specification on one connection that another server accepted."""
        # A task that is cancelled before its first step closes nothing; this closes the socket.
        self.task.start(partial(self._serve_one, sock), position, lambda _: sock.close())

    async def _serve_one(self, sock: StreamSocket) -> None:
        self.log.line(3, f"start with fd {sock.fd}")
        left = await self.converse(sock)
        self.log.line(3, f"shutting fd {left.fd if left else -1} (server dispatch)")
        if left is None:
            raise Failure("Shutdown(WR) failed: Bad file descriptor (the specification closed it)")
        with suppress(OSError):
            left.shutdown(socket.SHUT_WR)
        left.close()
        self.log.line(2, "Ending")


def _listen_widely(address: SocketAddress) -> socket.socket:
    """Return a listening socket. A Unix socket is open to all users: the daemon may run as any."""
    if address.family != socket.AF_UNIX:
        return listen(address, BACKLOG)
    before = os.umask(0)
    try:
        return listen(address, BACKLOG)
    finally:
        os.umask(before)
