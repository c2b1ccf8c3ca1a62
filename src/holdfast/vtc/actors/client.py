"""A client: connects and runs its specification."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from holdfast.protocols.proxy import ProxyError
from holdfast.vtc.actors.endpoint import Endpoint
from holdfast.vtc.io.proxy import proxy_header
from holdfast.vtc.io.socket_address import AddressError, resolve, why
from holdfast.vtc.io.stream_socket import StreamSocket, connect
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.position import Position

if TYPE_CHECKING:
    from holdfast.vtc.io.tls import ClientTlsOptions
    from holdfast.vtc.run.case import Case


BREATH_SECONDS = 0.0005
"""Before a connection is made.

A daemon that has just answered one client has still to tidy up after it. On a
small machine our answer to its answer can keep it from that: then the next
client comes before a connection is free to be used again, or a line is logged.
The reference's threads are slow enough by themselves.
"""


class Client(Endpoint):
    """A client by name. It keeps its settings for later starts."""

    kind: ClassVar[str] = "client"
    is_client: ClassVar[bool] = True

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.connect_to = "${v1_sock}"
        self.proxy: tuple[int, str] | None = None
        """The version of the PROXY header, and its addresses."""
        self.tls: ClientTlsOptions | None = None
        self._address = ""

    def start(self, position: Position | None) -> None:
        """Begin in the background. Raises `Failure` if the address has an unknown macro."""
        self.log.line(2, "Starting client")
        self._address = self.case.macros.expand_text(self.connect_to)
        self.task.start(partial(self.serve, self._address), position)

    async def wait(self) -> None:
        """Wait until the specification is done."""
        self.log.line(2, "Waiting for client")
        await self.task.wait()

    async def reset(self) -> None:
        if self.task.running:
            await self.wait()

    async def open(self) -> StreamSocket:
        await asyncio.sleep(BREATH_SECONDS)
        address = self._address
        # Before the connection: a peer may give the header a millisecond.
        header = await self._proxy_header()
        self.log.line(3, f"Connect to {address}")
        try:
            sock = await connect(await resolve(address, None, socket.SOCK_STREAM))
        except (AddressError, OSError) as error:
            raise Failure(f"Failed to open {address}: {why(error)}") from None
        try:
            self._log_connection(sock)
            await self._introduce(sock, header)
            return await self.tls.handshake(sock, self.log) if self.tls else sock
        except BaseException:
            sock.close()
            raise

    def _log_connection(self, sock: StreamSocket) -> None:
        own = sock.own
        origin = f"from {own.host} {own.port} " if own.path is None else ""
        self.log.line(3, f"connected fd {sock.fd} {origin}to {self._address}")

    async def _proxy_header(self) -> bytes:
        if self.proxy is None:
            return b""
        version, spec = self.proxy
        try:
            return await proxy_header(version, spec)
        except ProxyError as error:
            raise Failure(str(error)) from None

    async def _introduce(self, sock: StreamSocket, header: bytes) -> None:
        try:
            await sock.send(header)
        except OSError as error:
            raise Failure(str(error)) from None

    def end(self, sock: StreamSocket | None) -> None:
        self.log.line(3, f"closing fd {sock.fd if sock else -1}")
        if sock:
            sock.close()
