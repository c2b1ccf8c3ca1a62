"""TLS between a transport and a connection. Hot path.

The event loops have TLS of their own. This one is used for what they cannot do:
the handshake has the server's limits and counts from the first byte, its failure
is explained, a PROXY header may stand before it, every connection takes the
certificates of its moment, and there is no buffer of 256 KiB for each.
`tls.core.TlsCore` is the part without I/O; this moves its bytes.

A connection has two directions, and close_notify ends one of them (RFC 8446
section 6.1): after the peer's we may still write, after ours we still read. In
TLS 1.2 it ends both (RFC 5246 section 7.2.1). An end of the TCP connection
without close_notify may be an attacker's: it is a loss with `TruncatedError`.

OpenSSL's memory buffers never shrink, so they are given little at a time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

from holdfast.core.errors import HoldfastError, Source
from holdfast.net.tls.core import TlsCore

_RECORD_BYTES_MAX: Final = 16 * 1024
"""A whole record (RFC 8446 section 5.1): after a read, OpenSSL holds nothing back."""
_SLICE_BYTES: Final = 17 * 1024
"""Given to OpenSSL at once: a record with what surrounds it."""


class TruncatedError(HoldfastError, ConnectionError):
    """The peer ended the connection without close_notify: what it sent may be incomplete."""

    source = Source.REMOTE
    retryable = True


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A protocol to the raw transport, and a transport to the protocol above it.

    `done` is called once: with `None` when the handshake is over, and then it sets
    the protocol; or with what ended it, and then the raw transport closes.
    """

    __slots__ = (
        "_at",
        "_cause",
        "_closing",
        "_core",
        "_done",
        "_ended",
        "_eof_sent",
        "_established",
        "_held",
        "_in",
        "_only_notifies",
        "_out",
        "_paused",
        "_plain_bytes",
        "_protocol",
        "_raw",
        "_raw_ended",
        "_tls",
        "_wire_bytes",
    )

    def __init__(
        self,
        raw: asyncio.Transport,
        context: ssl.SSLContext,
        done: Callable[[TlsTransport, Exception | None], None],
        *,
        server_side: bool,
        server_hostname: str | None = None,
        written: int = 0,
    ) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls = TlsCore(context, server_side=server_side, server_hostname=server_hostname)
        self._in, self._out, self._core = tls.incoming, tls.outgoing, tls.records
        self._done: Callable[[TlsTransport, Exception | None], None] | None = done
        self._protocol: asyncio.Protocol | None = None
        self._plain_bytes = self._wire_bytes = written  # in the clear, before TLS
        self._established = self._closing = self._paused = self._eof_sent = False
        self._ended = False
        """The protocol gets no more input: it got the end of the peer, or this end is closing."""
        self._raw_ended = False
        self._held: bytes | None = None
        """What has come and is not with OpenSSL yet, from `_at` on."""
        self._at = 0
        self._cause: Exception | None = None
        """What has ended the connection, if the raw transport knows of nothing."""
        self._only_notifies = False
        """Nothing is on its way to the peer but our close_notify, in answer to its own."""

    def start(self) -> None:
        """Take over the raw transport and begin the handshake."""
        self._raw.set_protocol(self)
        if not self._tls.object.server_side:
            self._shake_hands()

    # --- callbacks of the raw transport

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return  # "MUST be ignored" after the peer's close_notify (RFC 8446 section 6.1)
        if self._held is None and len(data) <= _SLICE_BYTES:
            self._in.write(data)
        else:
            self._hold(data)
        if self._established or self._shake_hands():
            self._pump()

    def eof_received(self) -> bool:
        if not self._established:
            self._fail(ConnectionError("the peer hung up during the handshake"))
            return False
        if not self._ended:
            self._raw_ended = True
            self._pump()
        return not self._closing

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._begin_closing()
        protocol, self._protocol = self._protocol, None
        if self._only_notifies and isinstance(exc, ConnectionError):
            exc = None  # nobody need wait for it (RFC 8446 section 6.1)
        if protocol is not None:
            protocol.connection_lost(exc or self._cause)
        self._finish(exc or ConnectionError("the peer hung up during the handshake"))

    # --- the handshake and the records

    def _shake_hands(self) -> bool:
        try:
            while not self._tls.shake_hands():
                if not self._feed():
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
        self._begin_closing()
        self._finish(error)
        self._raw.close()

    def _finish(self, error: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self, error)

    def _hold(self, data: bytes) -> None:
        self._held = self._held[self._at :] + data if self._held is not None else data
        self._at = 0

    def _feed(self) -> bool:
        """Give OpenSSL some more of what has come; false if there is no more."""
        held, at = self._held, self._at
        if held is None:
            return False
        self._in.write(memoryview(held)[at : at + _SLICE_BYTES])
        self._at = at + _SLICE_BYTES
        if self._at >= len(held):
            self._held = None
        return True

    def _pump(self) -> None:
        """Give the protocol what has come. A read that would find nothing is not tried."""
        core, incoming = self._core, self._in
        while not (self._paused or self._ended):
            try:
                data = core.read(_RECORD_BYTES_MAX)
            except ssl.SSLWantReadError:
                if self._feed():
                    continue
                if self._raw_ended:
                    self._truncated()
                return
            except ssl.SSLZeroReturnError:  # close_notify
                self._end()
                return
            except (ssl.SSLError, OSError) as error:
                self._break(error)
                return
            if not data:
                self._end()
                return
            self._protocol.data_received(data)  # type: ignore[union-attr]
            if not (incoming.pending or self._held is not None or self._raw_ended):
                return

    def _end(self) -> None:
        """The peer sends nothing more."""
        self._ended = True
        self._held = None
        assert self._protocol is not None
        if not self._protocol.eof_received():
            self.close()
        elif self._tls.object.version() != "TLSv1.3":
            self._close_soon()

    def _truncated(self) -> None:
        self._ended = True
        self._cause = TruncatedError("the peer ended the TLS connection without close_notify")
        self._close_soon()

    def _close_soon(self) -> None:
        """Close, once what the protocol has written in this tick is out."""
        asyncio.get_running_loop().call_soon(self.close)

    def _break(self, error: Exception) -> None:
        """What came is no TLS any more."""
        self._flush()  # the alert that tells the peer why
        self._cause = error
        self.abort()

    def _flush(self) -> None:
        if self._out.pending and not self._raw.is_closing():
            records = self._out.read()
            self._wire_bytes += len(records)
            self._raw.write(records)

    # --- what the protocol does

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._eof_sent:
            raise RuntimeError("expected no more to be written after write_eof()")
        size = len(data)
        if self._closing or not size:
            return
        try:
            written = self._core.write(data) if size <= _RECORD_BYTES_MAX else 0
            self._plain_bytes += written
            if written < size:  # OpenSSL may take less than it is given
                self._write_records(memoryview(data).cast("B")[written:])
                return
        except ssl.SSLError as error:
            self._break(error)
            return
        records = self._out.read()
        self._wire_bytes += len(records)
        self._raw.write(records)

    def _write_records(self, data: memoryview[Any]) -> None:
        pieces: list[bytes] = []
        while data:
            written = self._core.write(data[:_RECORD_BYTES_MAX])
            self._plain_bytes += written
            data = data[written:]
            records = self._out.read()
            self._wire_bytes += len(records)
            pieces.append(records)
        self._raw.writelines(pieces)

    def write_eof(self) -> None:
        """End our direction with close_notify; input is still read."""
        if self._eof_sent or self._closing:
            return
        self._eof_sent = True
        self._notify_close()

    def _notify_close(self) -> None:
        self._tls.notify_close()
        self._flush()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if self._closing:
            return
        self._only_notifies = self._ended and not self._raw.get_write_buffer_size()
        self._begin_closing()
        if not self._eof_sent:
            self._notify_close()
        self._raw.close()

    def abort(self) -> None:
        self._begin_closing()
        self._raw.abort()

    def _begin_closing(self) -> None:
        self._closing = self._ended = True

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if self._closing:
            return
        self._raw.resume_reading()
        # Not at once: the protocol may be in the middle of what came before.
        asyncio.get_running_loop().call_soon(self._pump)

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
                return self._tls.object
            case "sslcontext":
                return self._tls.object.context
            case "peercert":
                return self._tls.object.getpeercert()
            case "tls_bytes":  # written so far: plain ones, and those that they became
                return self._plain_bytes, self._wire_bytes
            case "cipher":
                return self._tls.object.cipher()
            case _:
                return self._raw.get_extra_info(name, default)

    @property
    def _sendfile_compatible(self) -> Any:
        # asyncio's sendfile() reads this. The error is uvloop's: the caller then reads the file.
        raise NotImplementedError("sendfile")
