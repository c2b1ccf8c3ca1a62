"""The far end of a TLS connection on a socket that never blocks, as a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from types import TracebackType

from tests.net.helpers import patience


class TlsPeer:
    """A client. What a call can raise is what a socket raises that never blocks."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self._unsent = b""

    async def shake_hands(self) -> None:
        async with patience():
            while True:
                with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                    self._ssl.do_handshake()
                    self._flush()
                    return
                with contextlib.suppress(BlockingIOError):
                    self._flush()
                    self._fill()
                await asyncio.sleep(0)

    def send(self, data: bytes, flags: int = 0) -> int:
        self._flush()
        view = memoryview(data)
        while view:
            view = view[self._ssl.write(view) :]
        with contextlib.suppress(BlockingIOError):
            self._flush()
        return len(data)

    def send_records(self, *pieces: bytes) -> None:
        """Each as a record, all in one piece."""
        for piece in pieces:
            self._ssl.write(piece)
        self._flush()

    def recv(self, size: int) -> bytes:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._flush()
        while True:
            try:
                return self._ssl.read(size)
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError as error:
                raise ConnectionResetError("an end without close_notify") from error

    def shutdown(self, how: int) -> None:
        """Send close_notify (RFC 8446 section 6.1). Only `SHUT_WR` is known."""
        assert how == socket.SHUT_WR
        waiting = self._in.read()  # what unwrap() finds there it takes for an error
        with contextlib.suppress(ssl.SSLWantReadError):
            self._ssl.unwrap()
        self._in.write(waiting)
        self._flush()

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.shutdown(socket.SHUT_WR)
            self.sock.close()

    def _fill(self) -> None:
        data = self.sock.recv(64 * 1024)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _flush(self) -> None:
        """Send what was encrypted before. Raises `BlockingIOError` if some of it is left."""
        self._unsent += self._out.read()
        while self._unsent:
            self._unsent = self._unsent[self.sock.send(self._unsent) :]

    # --- what it has of its socket

    @property
    def family(self) -> int:
        return self.sock.family

    def getsockname(self) -> object:
        return self.sock.getsockname()

    def getpeername(self) -> object:
        return self.sock.getpeername()

    def __enter__(self) -> TlsPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
