"""The common part of clients and servers: a specification, run once for each connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.io.stream_socket import Listener, StreamSocket
from holdfast.vtc.language.command import ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.scope import Scope

SESSION_OPTIONS = (
    option("-repeat NUMBER", "Run the specification so many times."),
    option("-keepalive", "Repeat on one connection."),
    option("-rcvbuf NUMBER", "The size of the socket's receive buffer."),
)


class Endpoint(Actor):
    """A client or a server."""

    is_client: ClassVar[bool]

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.spec: Token | None = None
        self.listener: Listener | None = None
        self.task = BackgroundTask(case, self.log)
        self._repeat = 1
        self._keep_alive = False
        self._receive_buffer = 0

    def set_option(self, given: ParsedOption) -> bool:
        """Apply one of `SESSION_OPTIONS`. Says whether it was one. Raises `Failure`."""
        match given.flag:
            case "-repeat":
                self._repeat = integer(given.values[0])
                if self._repeat < 1:
                    raise Failure("-repeat: 1 or more", given.values[0].position())
            case "-keepalive":
                self._keep_alive = True
            case "-rcvbuf":
                self._receive_buffer = integer(given.values[0])
            case _:
                return False
        return True

    @abstractmethod
    async def open(self) -> StreamSocket:
        """The next connection. Raises `Failure`."""

    @abstractmethod
    def end(self, sock: StreamSocket | None) -> None:
        """Close a connection after its specification. Raises `Failure`."""

    async def serve(self, address: str) -> None:
        """Run the specification on connections to `address`. Raises `Failure`."""
        keeping = " using keepalive" if self._keep_alive else ""
        self.log.line(2, f"Started on {address} ({self._repeat} iterations{keeping})")
        sock: StreamSocket | None = None
        try:
            for _ in range(self._repeat):
                sock = sock or await self.open()
                sock = await self.converse(sock)
                if not self._keep_alive:
                    self.end(sock)
                    sock = None
            if self._keep_alive:
                self.end(sock)
        finally:
            if sock:
                sock.close()
        self.log.line(2, "Ending")

    async def converse(self, sock: StreamSocket) -> StreamSocket | None:
        """Run the specification once on `wire`. Gives the connection that is open then."""
        if self.spec is None:
            raise Failure(f"{self.kind} {self.name} has no specification")
        if self._receive_buffer:
            self._set_receive_buffer(sock)
        connection = HttpConnection(
            self.name,
            sock,
            self.case.settings.io_seconds_max,
            is_client=self.is_client,
            listener=self.listener,
        )
        try:
            await self.play(connection, self.spec)
            if connection.h2:
                await connection.h2.stop()
        except BaseException:
            if connection.h2:
                connection.h2.release()
            if connection.sock:
                connection.sock.close()
            raise
        return connection.sock

    async def play(self, connection: HttpConnection, spec: Token) -> None:
        """Run the specification on a connection. Raises `Failure`."""
        await play(Scope(self.case, Context.HTTP, connection, self.log), spec)

    def _set_receive_buffer(self, sock: StreamSocket) -> None:
        before, after = sock.set_receive_buffer(self._receive_buffer)
        sizes = f"old={before} new={self._receive_buffer} actual={after}"
        self.log.line(3, f"-rcvbuf fd={sock.fd} {sizes}")
