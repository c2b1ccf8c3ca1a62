"""HAProxy's command line over TCP: one connection for each command, answered to its end."""

from __future__ import annotations

import asyncio
import socket

from holdfast.vtc.io.socket_address import AddressError, resolve, why
from holdfast.vtc.io.stream_socket import StreamSocket, connect
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.log import Logger
from holdfast.vtc.run.scope import Scope

ANSWER_BYTES_MAX = 2048 * 1024
RECEIVE_BYTES_MAX = 1 << 14


class HaproxyCli:
    """A client of the command line: of a process, or of its master."""

    def __init__(self, case: Case, log: Logger, macro: str) -> None:
        self._case = case
        self._log = log
        self._macro = macro
        self._sock: StreamSocket | None = None
        self._asked = False
        self.spec: Token | None = None
        """The specification to run when the process runs."""
        self.answer = ""

    async def run(self, position: Position | None) -> None:
        """Run the specification. A failure in it ends the test."""
        self._log.line(2, "CLI starting")
        task = self._case.spawn(self._log, self._run, position)
        self._log.line(2, "CLI waiting")
        await asyncio.wait({task})
        self.spec = None

    async def _run(self) -> None:
        scope = Scope(self._case, Context.CLI, self, self._log)
        try:
            await self._open()
            if self.spec is not None:
                await play(scope, self.spec)
            self._log.line(2, "CLI ending")
        finally:
            self._close()

    async def _open(self) -> StreamSocket:
        address = self._case.macros.expand_text(f"${{{self._macro}}}")
        try:
            self._sock = await connect(await resolve(address, None, socket.SOCK_STREAM))
        except (AddressError, OSError) as error:
            raise Failure(f"CLI failed to open {address}: {why(error)}") from None
        own = self._sock.own
        text = f"CLI connected fd {self._sock.fd} from {own.host} {own.port} to {address}"
        self._log.line(3, text)
        return self._sock

    def _close(self) -> None:
        self._asked = False
        if self._sock:
            self._sock.close()
            self._sock = None

    async def send(self, command: str) -> None:
        """Send a command; there will be no other on this connection. Raises `Failure`."""
        sock = self._sock or await self._open()
        self._asked = True
        line = command + "\n"
        self._log.dump(4, "CLI send", line)
        try:
            await sock.send(line.encode(ENCODING))
            # HAProxy closes after the answer only if nothing more can come.
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Failure(f"CLI fd {sock.fd} send error {error.strerror}") from None
        self._log.line(3, f"CLI shutting fd {sock.fd}")

    async def receive(self) -> str:
        """The whole answer. Raises `Failure`."""
        if self._sock is None or not self._asked:
            raise Failure("CLI: nothing was sent, so there is no answer")
        data = bytearray()
        while len(data) < ANSWER_BYTES_MAX:
            part = await self._receive_part(self._sock)
            if not part:
                if data and not data.endswith(b"\n"):
                    raise Failure("CLI rx: the answer is cut short")
                self._log.line(4, "CLI connection normally closed")
                self._close()
                break
            data += part
        self._log.dump(4, "CLI recv", bytes(data))
        self.answer = data.decode(ENCODING)
        return self.answer

    async def _receive_part(self, sock: StreamSocket) -> bytes:
        try:
            return await sock.recv(RECEIVE_BYTES_MAX, None)
        except OSError as error:
            raise Failure(f"CLI fd {sock.fd} recv() failed ({error.strerror})") from None
