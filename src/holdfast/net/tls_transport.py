"""TLS between a transport and a connection. Hot path.

The event loops have TLS of their own. This one is used for what they cannot do:
the handshake has the server's limits and counts from the first byte, its failure
is explained, a PROXY header may stand before it, every connection takes the
certificates of its moment, and there is no buffer of 256 KiB for each.
`ssl.SSLObject` is the core; this is the shell around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final

_READ_BYTES_MAX: Final = 16 * 1024
"""A whole record (RFC 8446 section 5.1): after a read, OpenSSL holds nothing back."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A protocol to the raw transport, and a transport to the protocol above it.

    `done` is called once: with `None` when the handshake is over, and then it sets
    the protocol; or with what ended it, and then the raw transport closes.
    """

    __slots__ = (
        "_closing",
        "_done",
        "_ended",
        "_established",
        "_in",
        "_out",
        "_paused",
        "_protocol",
        "_raw",
        "_ssl",
    )

    def __init__(
        self,
        raw: asyncio.Transport,
        context: ssl.SSLContext,
        done: Callable[[TlsTransport, Exception | None], None],
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__()
        self._raw = raw
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side, server_hostname)
        self._done: Callable[[TlsTransport, Exception | None], None] | None = done
        self._protocol: asyncio.Protocol | None = None
        self._established = self._ended = self._closing = self._paused = False

    def start(self) -> None:
        """Take over the raw transport and begin the handshake."""
        self._raw.set_protocol(self)
        if not self._ssl.server_side:
            self._shake_hands()

    # --- what the raw transport says

    def data_received(self, data: bytes) -> None:
        self._in.write(data)
        if not self._established and not self._shake_hands():
            return
        self._pump()

    def eof_received(self) -> bool:
        if not self._established:
            self._fail(ConnectionError("the peer hung up during the handshake"))
            return False
        self._end()  # a peer that says no close_notify; all before it has been read
        return not self._closing

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)
        self._finish(exc or ConnectionError("the peer hung up during the handshake"))

    # --- the handshake and the records

    def _shake_hands(self) -> bool:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, OSError) as error:
            self._flush()  # the alert that tells the peer why
            self._fail(error)
            return False
        self._established = True
        self._flush()
        self._finish(None)
        return not self._closing

    def _fail(self, error: Exception) -> None:
        self._closing = True
        self._finish(error)
        self._raw.close()

    def _finish(self, error: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self, error)

    def _pump(self) -> None:
        """Give the protocol what has come. A read that would find nothing is not tried."""
        connection, incoming = self._ssl, self._in
        try:
            while not self._paused and not self._ended:
                data = connection.read(_READ_BYTES_MAX)
                if not data:
                    self._end()
                    break
                self._protocol.data_received(data)  # type: ignore[union-attr]
                if not incoming.pending:
                    return
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # close_notify
            self._end()
        except (ssl.SSLError, OSError) as error:
            self._break(error)

    def _end(self) -> None:
        """The peer sends nothing more."""
        if self._ended:
            return
        self._ended = True
        if self._protocol is not None and not self._protocol.eof_received():
            self.close()

    def _break(self, error: Exception) -> None:
        """What came is no TLS any more."""
        self._flush()
        self._closing = True
        protocol, self._protocol = self._protocol, None
        self._raw.abort()
        if protocol is not None:
            protocol.connection_lost(error)

    def _flush(self) -> None:
        if self._out.pending and not self._raw.is_closing():
            self._raw.write(self._out.read())

    # --- what the protocol does

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or not data:
            return
        try:
            written = self._ssl.write(data)
            while written < len(data):  # OpenSSL may take less than it is given
                written += self._ssl.write(memoryview(data)[written:])
        except ssl.SSLError as error:
            self._break(error)
            return
        self._raw.write(self._out.read())

    def write_eof(self) -> None:
        """Say that nothing more will be written (close_notify, RFC 8446 section 6.1)."""
        with contextlib.suppress(ssl.SSLError, OSError):
            self._ssl.unwrap()  # it wants to wait for the peer's own, or the peer was quicker
        self._flush()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.write_eof()
            self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if not self._paused:
            return
        self._paused = False
        self._raw.resume_reading()
        self._pump()

    def is_reading(self) -> bool:
        return not self._paused and self._raw.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "ssl_object":
                return self._ssl
            case "sslcontext":
                return self._ssl.context
            case "peercert":
                return self._ssl.getpeercert()
            case "cipher":
                return self._ssl.cipher()
            case _:
                return self._raw.get_extra_info(name, default)

    @property
    def _sendfile_compatible(self) -> Any:
        # What asyncio's sendfile() asks, and uvloop's answer: whoever called it reads the file.
        raise NotImplementedError("sendfile")
