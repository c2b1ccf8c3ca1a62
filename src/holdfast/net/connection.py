"""One accepted or dialled transport: the only I/O of the house. Hot path.

A `Connection` knows bytes and time, no protocol. What stands on it (its
`Handler`) is told of bytes, of the end and of deadlines, and writes through it.
Writes of one tick leave in one piece. It is one failure domain: what a handler
raises ends this connection and no other.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from enum import Enum, auto
from typing import Any, Final, Protocol

import structlog

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.clockwork import Clockwork, Timed
from holdfast.net.log import log_failure

_log = structlog.get_logger("holdfast.net")

# struct tcp_info, linux/tcp.h: tcpi_bytes_acked is a u64 at this offset since Linux 4.1.
_TCP_INFO_BYTES_ACKED: Final = 120
_TCP_INFO_SIZE: Final = 128
_FOREVER: Final = float("inf")
_LARGE_BYTES: Final = 64 * 1024


class Handler(Protocol):
    """What stands on a connection."""

    def connected(self) -> None:
        """The transport is there; writing may begin."""

    def received(self, data: bytes) -> None:
        """Bytes came. Hot path."""

    def ended(self) -> None:
        """The peer sends nothing more; it may still read."""

    def writable(self) -> None:
        """The write buffer has drained after `Connection.full` was true."""

    def expired(self, now: float) -> None:
        """The time asked for with `wake_at` has come."""

    def overdue(self, reason: Reason) -> None:
        """A limit of time was reached; the handler says goodbye and closes."""

    def drain(self) -> None:
        """The server is stopping; the handler says goodbye and closes."""

    def lost(self, cause: Exception | None) -> None:
        """The connection is gone. The last call; exactly one follows each `connected`."""


class Phase(Enum):
    """Where in its life a connection is."""

    HANDSHAKE = auto()
    """Accepted; the protocol is not established, and the handshake's limit runs."""
    ESTABLISHED = auto()
    CLOSING = auto()
    """Closed by us: what is buffered goes out, nothing comes in."""
    LOST = auto()


class Owner(Protocol):
    """Who made the connection, and counts it."""

    def opened(self, connection: Connection) -> bool:
        """Take it into account; false refuses it."""

    def closed(self, connection: Connection) -> None:
        """It is gone."""


class Connection(asyncio.Protocol, Timed):
    """A transport, its coalesced writes and its limits of time."""

    __slots__ = (
        "_buffered",
        "_clockwork",
        "_close_due",
        "_handler",
        "_idle_told",
        "_limits",
        "_out",
        "_owner",
        "_stall_due",
        "_transport",
        "_wake_due",
        "bytes_in",
        "bytes_out",
        "full",
        "heard",
        "peer",
        "phase",
    )

    def __init__(self, clockwork: Clockwork, limits: ConnectionLimits, owner: Owner) -> None:
        super().__init__()
        self._clockwork = clockwork
        self._limits = limits
        self._owner = owner
        self._handler: Handler | None = None
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._buffered = 0
        self._wake_due = self._stall_due = _FOREVER
        self._close_due = clockwork.wheel.now + limits.handshake_seconds_max
        self.phase = Phase.HANDSHAKE
        self.full = False
        self.heard = clockwork.wheel.now
        self._idle_told = -_FOREVER
        self.bytes_in = 0
        self.bytes_out = 0
        self.peer = ""

    # --- what the handler does

    def attach(self, handler: Handler) -> None:
        """Let `handler` stand on this connection, instead of any before it."""
        self._handler = handler

    def established(self) -> None:
        """The protocol's handshake is over: from here on only idleness is limited."""
        if self.phase is Phase.HANDSHAKE:
            self.phase = Phase.ESTABLISHED
            self._close_due = _FOREVER
            self._reschedule()

    def write(self, data: bytes) -> None:
        """Write `data` at the end of this tick, after what was written before."""
        out = self._out
        if not out:
            self._clockwork.tick.add(self.flush)
        out.append(data)
        self.bytes_out += len(data)

    def write_now(self, data: bytes) -> None:
        """Write `data` without waiting for the end of the tick.

        For a handler that knows that it has nothing to add to this: then there
        is nothing to collect. What was written before still goes first.
        """
        transport = self._transport
        if self._out or transport is None or transport.is_closing():
            self.write(data)
            return
        self.bytes_out += len(data)
        transport.write(data)

    def flush(self) -> None:
        """Give the transport what this tick has written."""
        out = self._out
        if not out:
            return
        self._out = []
        transport = self._transport
        if transport is None or transport.is_closing():
            self.full = True  # nothing more is taken; a writer that waits hears of the end
            return
        if len(out) == 1:
            transport.write(out[0])
        elif max(map(len, out)) >= _LARGE_BYTES:
            transport.writelines(out)  # joining would copy it
        else:
            transport.write(b"".join(out))

    def close(self) -> None:
        """Send what is written, then close. After the limit of time it is dropped instead."""
        if self.phase in (Phase.CLOSING, Phase.LOST):
            return
        self.flush()
        self.phase = Phase.CLOSING
        self._close_due = self._clockwork.loop.time() + self._limits.close_seconds_max
        self._wake_due = self._stall_due = _FOREVER
        self._reschedule()
        if self._transport is not None:
            self._transport.close()

    def close_on(self) -> None:
        """As `close`, for a peer that may still be sending: it gets to read what is written.

        A socket that is closed with unread bytes in it is reset, and with the
        reset the peer may lose our last words (RFC 9112 section 9.6). So what
        comes is thrown away until the peer closes, within the limit of time.
        """
        transport = self._transport
        if self.phase in (Phase.CLOSING, Phase.LOST) or transport is None:
            return
        self.flush()
        self.phase = Phase.CLOSING
        self._close_due = self._clockwork.loop.time() + self._limits.close_seconds_max
        self._wake_due = self._stall_due = _FOREVER
        self._reschedule()
        self._handler = _Leaver(transport, self._get_handler())
        if transport.can_write_eof():
            transport.write_eof()
        self.resume_reading()

    def abort(self) -> None:
        """Drop the connection at once, with whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Take no more bytes from the socket for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the socket again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def drain(self) -> None:
        """Let the handler say goodbye, because the server is stopping."""
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self._get_handler().drain)

    def wake_at(self, when: float) -> None:
        """Call the handler's `expired` once after `when` (loop time)."""
        self._wake_due = when
        self._reschedule()

    def hand_over(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Give the transport to another protocol, with the bytes that it has missed.

        The connection is still counted, drained and ended with `lost`, but its
        handler hears nothing before that.
        """
        assert self._transport is not None
        self.established()
        self.flush()
        self._clockwork.wheel.cancel(self)
        self._handler = _Lodger(self, self._get_handler())
        self._transport.set_protocol(_Relay(self, protocol))
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    # --- what the handler asks

    @property
    def secure(self) -> bool:
        """Whether TLS protects this connection."""
        return self.extra("ssl_object") is not None

    def extra(self, name: str) -> Any:
        """The transport's `get_extra_info(name)`."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return buffered + sum(map(len, self._out))

    def bytes_acked(self) -> int | None:
        """How many bytes of `bytes_out` the peer's kernel has acknowledged.

        Exact on accepted TCP sockets, also after a reset, when called from
        `lost`. `None` where it cannot be known: not TCP, through TLS, not Linux.
        """
        if sys.platform != "linux" or self.secure:
            return None
        sock = self.extra("socket")
        if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        try:
            with socket.socket(fileno=os.dup(sock.fileno())) as twin:
                info = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        except OSError:
            return None
        if len(info) < _TCP_INFO_SIZE:
            return None
        acked: int = struct.unpack_from("=Q", info, _TCP_INFO_BYTES_ACKED)[0]
        return acked

    # --- what the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.peer = _peer_name(transport)
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        if self._handler is None or not self._owner.opened(self):
            self.phase = Phase.LOST
            transport.abort()
            return
        self._reschedule()
        self._guard(self._get_handler().connected)

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        self.heard = self._clockwork.wheel.now
        try:
            self._handler.received(data)  # type: ignore[union-attr]
        except Exception as error:
            self._fail(error)

    def eof_received(self) -> bool:
        self._guard(self._get_handler().ended)
        # The handler closes, once what it has to say is said. TLS knows no half-close.
        return not self.secure

    def pause_writing(self) -> None:
        self.full = True
        self._buffered = self.unsent
        self._stall_due = self._clockwork.loop.time() + self._limits.stalled_seconds_max
        self._reschedule()

    def resume_writing(self) -> None:
        self.full = False
        self._stall_due = _FOREVER
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self._get_handler().writable)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clockwork.wheel.cancel(self)
        if self.phase is Phase.LOST:
            return
        self.phase = Phase.LOST
        self._owner.closed(self)
        try:
            self._get_handler().lost(exc)
        except Exception as error:
            log_failure(_log, "a connection's end failed", error, peer=self.peer)
        self._transport = None
        self._handler = None

    # --- time

    def expire(self, now: float) -> None:
        handler = self._get_handler()
        if now >= self._close_due:
            if self.phase is Phase.CLOSING:
                self.abort()
                return
            self._close_due = _FOREVER
            self._guard(lambda: handler.overdue(Reason.TIMEOUT))
        elif now >= self._stall_due:
            self._look_for_progress(now, handler)
        elif self.phase is Phase.ESTABLISHED and now >= self._idle_due:
            self._idle_told = self.heard
            self._guard(lambda: handler.overdue(Reason.TIMEOUT))
        elif now >= self._wake_due:
            self._wake_due = _FOREVER
            self._guard(lambda: handler.expired(now))
        if self.phase is not Phase.LOST:
            self._reschedule()

    @property
    def _idle_due(self) -> float:
        """Told once for each silence, so that a handler that says goodbye can be woken after it."""
        if self._idle_told == self.heard:
            return _FOREVER
        return self.heard + self._limits.idle_seconds_max

    def _look_for_progress(self, now: float, handler: Handler) -> None:
        buffered = self.unsent
        if buffered < self._buffered:
            self._buffered = buffered
            self._stall_due = now + self._limits.stalled_seconds_max
        else:
            self._stall_due = _FOREVER
            self._guard(lambda: handler.overdue(Reason.SLOW_CONSUMER))

    def _reschedule(self) -> None:
        due = min(self._close_due, self._stall_due, self._wake_due)
        if self.phase is Phase.ESTABLISHED:
            due = min(due, self._idle_due)
        if due != _FOREVER:
            self._clockwork.wheel.schedule(self, due)

    # --- failure

    def _get_handler(self) -> Handler:
        assert self._handler is not None, "a connection without a handler"
        return self._handler

    def _guard(self, call: Any) -> None:
        try:
            call()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """The root of this connection's failure domain: a defect ends it and it alone."""
        log_failure(_log, "a connection failed", error, peer=self.peer)
        self.abort()


class _Leaver:
    """The handler of a connection that is closed but still read: it waits for the peer's end."""

    def __init__(self, transport: asyncio.Transport, before: Handler) -> None:
        self._transport = transport
        self._before = before

    def connected(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def writable(self) -> None: ...
    def expired(self, now: float) -> None: ...
    def overdue(self, reason: Reason) -> None: ...
    def drain(self) -> None: ...

    def ended(self) -> None:
        self._transport.close()

    def lost(self, cause: Exception | None) -> None:
        self._before.lost(cause)


class _Lodger:
    """The handler of a connection that a foreign protocol serves: it waits for the end."""

    def __init__(self, connection: Connection, before: Handler) -> None:
        self._connection = connection
        self._before = before

    def connected(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...
    def writable(self) -> None: ...
    def expired(self, now: float) -> None: ...

    def overdue(self, reason: Reason) -> None:
        self._connection.close()

    def drain(self) -> None:
        self._connection.close()

    def lost(self, cause: Exception | None) -> None:
        self._before.lost(cause)


class _Relay(asyncio.Protocol):
    """Stands between a transport and a foreign protocol, so that the end is still counted."""

    def __init__(self, connection: Connection, protocol: asyncio.Protocol) -> None:
        self._connection = connection
        self._protocol = protocol
        self.data_received = protocol.data_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        except Exception as error:
            log_failure(_log, "a connection's end failed", error, peer=self._connection.peer)
        self._connection.connection_lost(exc)


def _peer_name(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        host, port, *_ = peer
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "unix"
