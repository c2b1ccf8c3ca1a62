"""One accepted or dialled transport: the only I/O of the house. Hot path.

A `Connection` knows bytes and time, no protocol. What stands on it (its
`Handler`) is told of bytes, of the end and of deadlines, and writes through it.
Writes of one tick leave in one piece. It is one failure domain: what a handler
raises ends this connection and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, peer_name
from holdfast.net.connection.backpressure import BackPressure
from holdfast.net.connection.handler import Handler, Owner, Phase
from holdfast.net.connection.lingering import LingeringClose
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.timers import Timer
from holdfast.net.server.admission import METER_BYTES, Meter
from holdfast.net.tls.options import TlsInfo, describe
from holdfast.net.transport.tcp_info import Delivery, output_held, tcp_info, through_tls
from holdfast.protocols.proxy import ProxyHeader

_log: Final = RateLimitedLogger("holdfast.net")

_FOREVER: Final = float("inf")
_LARGE_BYTES: Final = 64 * 1024
_BURST_BYTES: Final = 256 * 1024
"""Written in one tick in answer to much input, before the transport gets it."""


def _discard(data: bytes) -> None:
    """Write where nobody reads."""


class Connection(asyncio.Protocol, Timer):
    """A transport, its coalesced writes and its limits of time."""

    __slots__ = (
        "_back_pressure",
        "_buffered",
        "_close_due",
        "_deliver",
        "_eof",
        "_flushed",
        "_handler",
        "_held_until",
        "_idle_told",
        "_limits",
        "_metered",
        "_out",
        "_owner",
        "_paused",
        "_runtime",
        "_stall_due",
        "_taken",
        "_timers",
        "_transport",
        "_until_meter",
        "_wake_due",
        "answers",
        "cause",
        "full",
        "heard",
        "id",
        "listener",
        "meter",
        "opened_at",
        "peer",
        "phase",
        "proxy",
    )

    id: int
    """Of this connection among its server's; 0 for one that no server counts."""
    opened_at: float
    """When its socket was accepted, in the runtime's time."""
    listener: Address | None
    """Where it came in."""
    proxy: ProxyHeader | None
    """What a trusted proxy said of it. `peer` is then whom it speaks for."""
    meter: Meter | None
    """What its input is counted against."""
    answers: bool
    """Whether what comes in is answered: then a peer that does not read is not read either."""
    cause: Exception | None
    """What ended it, if it was not an orderly end."""

    def __init__(
        self,
        runtime: Runtime,
        limits: ConnectionLimits,
        owner: Owner,
        *,
        opened_at: float | None = None,
        peer: str = "",
    ) -> None:
        super().__init__()
        self._runtime = runtime
        self._timers = runtime.timers
        self._limits = limits
        self._owner = owner
        self._handler: Handler | None = None
        self._transport: asyncio.Transport | None = None
        self._deliver: Callable[[bytes], None] = _discard
        """The transport's `write`, while it is there to be written to."""
        self._out: bytes | list[bytes] | None = None
        # One write a tick is the rule, and takes no list. All counters that a message moves
        # are as few as can be: with a thousand connections each costs a cache miss.
        self._buffered = 0
        self._wake_due = self._stall_due = self._held_until = _FOREVER
        self._paused = self._eof = False
        self.opened_at = runtime.timers.now if opened_at is None else opened_at
        self._close_due = self.opened_at + limits.handshake_seconds_max
        self.phase = Phase.HANDSHAKE
        self.full = False
        self.heard = runtime.timers.now
        self._idle_told = -_FOREVER
        self._flushed = self._taken = 0
        self._metered = self._until_meter = METER_BYTES
        self.peer = peer
        self.id = 0
        self.listener = None
        self.proxy = None
        self.meter = None
        self.answers = False
        self._back_pressure: BackPressure | None = None
        self.cause = None

    # --- what the handler does

    def attach(self, handler: Handler) -> None:
        """Let `handler` stand on this connection, instead of any before it."""
        self._handler = handler

    def established(self) -> None:
        """The handshake is over: from here on idleness and the whole life are limited."""
        if self.phase is Phase.HANDSHAKE:
            self.phase = Phase.ESTABLISHED
            self._close_due = self.opened_at + self._limits.life_seconds_max
            self._reschedule()

    def write(self, data: bytes) -> None:
        """Write `data` at the end of this tick, after what was written before."""
        out = self._out
        if out is None:
            self._out = data
            self._runtime.coalescer.flush_later(self)
        elif isinstance(out, list):
            out.append(data)
        else:
            self._out = [out, data]

    def flush(self) -> None:
        """Give the transport what this tick has written."""
        out = self._out
        if out is None:
            return
        self._out = None
        if isinstance(out, list) and max(map(len, out)) >= _LARGE_BYTES:
            self._flush_large(out)
            return
        data = b"".join(out) if isinstance(out, list) else out
        self._flushed += len(data)
        # A transport that has lost its peer takes this and throws it away, or says so.
        deliver = self._deliver  # called at once, it would be sought for as a method first
        try:  # noqa: SIM105 - costs nothing where nothing is raised
            deliver(data)
        except RuntimeError:
            pass

    def _flush_large(self, out: list[bytes]) -> None:
        """As `flush`, for pieces that are not worth the copy that joining them is."""
        self._flushed += sum(map(len, out))
        transport = self._transport
        if transport is None or transport.is_closing() or self.phase is Phase.CLOSING:
            return
        with contextlib.suppress(RuntimeError):
            # asyncio's transports send an empty last piece again and again (Python 3.12).
            transport.writelines([piece for piece in out if piece])

    @property
    def broken(self) -> bool:
        """Whether what is written goes nowhere any more; `lost` follows."""
        return self._transport is None or self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """As `write`, but at once, so that `full` is true of it: for whoever passes on a stream."""
        if self._out is not None:
            self.write(data)
            self.flush()
            return
        self._flushed += len(data)
        deliver = self._deliver
        try:  # noqa: SIM105 - as in `flush`
            deliver(data)
        except RuntimeError:
            pass

    def end(self) -> None:
        """Send what is written, and nothing after it; the peer may go on sending.

        Through TLS that is close_notify (RFC 8446 section 6.1). With TLS 1.2 the peer
        may take it for the end of both directions (RFC 5246 section 7.2.1).
        """
        self.flush()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            self.close()

    def close(self) -> None:
        """Send what is written, then close. After the limit of time it is dropped instead."""
        if self.phase in (Phase.CLOSING, Phase.LOST):
            return
        self._begin_closing()
        if self._transport is not None:
            self._transport.close()

    def close_on(self) -> None:
        """As `close`, for a peer that may still be sending: it gets to read what is written.

        A socket that is closed with unread bytes in it is reset, and with the
        reset the peer may lose our last words (RFC 9112 section 9.6). So what
        comes is thrown away until the peer closes or is silent, within the
        limits of time.
        """
        transport = self._transport
        if self.phase in (Phase.CLOSING, Phase.LOST) or transport is None:
            return
        if self._eof:
            self.close()
            return
        self._begin_closing()
        linger_seconds = self._limits.linger_seconds_max
        self._handler = LingeringClose(self, transport, self._get_handler(), linger_seconds)
        if transport.can_write_eof():
            transport.write_eof()
        self.resume_reading()

    def _begin_closing(self) -> None:
        """Send what is written; from here on only the limit of time for our close runs."""
        self.flush()
        self.phase = Phase.CLOSING
        self._deliver = _discard
        self._close_due = self._timers.time() + self._limits.close_seconds_max
        self._wake_due = self._stall_due = _FOREVER
        self._end_hold()
        self._reschedule()

    def abort(self) -> None:
        """Drop the connection at once, with whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, error: Exception) -> None:
        """The root of this connection's failure domain: a defect ends it and it alone."""
        log_failure(_log, "a connection failed", error, peer=self.peer)
        self.abort()

    def pause_reading(self) -> None:
        """Take no more bytes from the socket for now."""
        self._paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the socket again."""
        self._paused = False
        if (
            self._transport is not None
            and not self._transport.is_closing()
            and self._held_until == _FOREVER
        ):
            self._transport.resume_reading()

    def drain(self) -> None:
        """Let the handler say goodbye, because the server is stopping."""
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self._get_handler().drain)

    def wake_at(self, when: float) -> None:
        """Call the handler's `expired` once after `when`, as `time` gives it."""
        self._wake_due = when
        self._reschedule()

    def begin_again(self) -> None:
        """Another protocol begins here, with a handshake that has the time of a first one."""
        if self.phase is Phase.ESTABLISHED:
            self.phase = Phase.HANDSHAKE
            self._close_due = self._timers.time() + self._limits.handshake_seconds_max
            self._wake_due = _FOREVER
            self._reschedule()

    # --- what the handler asks

    @property
    def secure(self) -> bool:
        """Whether TLS protects this connection."""
        return self.extra("ssl_object") is not None

    @property
    def tls(self) -> TlsInfo | None:
        """What was agreed on, and who the peer proved to be; `None` without TLS."""
        found = self.extra("ssl_object")
        return describe(found) if found is not None else None

    def extra(self, name: str) -> Any:
        """The transport's `get_extra_info(name)`."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    @property
    def now(self) -> float:
        """The runtime's time as of the last slot, in seconds."""
        return self._timers.now

    def time(self) -> float:
        """The runtime's time to the moment, in seconds: what deadlines are reckoned in."""
        return self._timers.time()

    @property
    def held(self) -> bool:
        """Whether the peer is not read for now, as it sends too fast or does not read itself."""
        return self._held_until != _FOREVER

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return buffered + self._pending

    @property
    def bytes_in(self) -> int:
        """Bytes that have come."""
        return self._metered - self._until_meter

    @property
    def bytes_out(self) -> int:
        """Bytes written, this tick's too."""
        return self._flushed + self._pending

    @property
    def _pending(self) -> int:
        out = self._out
        if isinstance(out, list):
            return sum(map(len, out))
        return len(out) if out is not None else 0

    def delivery(self) -> Delivery | None:
        """How far `bytes_out` has come.

        Exact on accepted TCP sockets, also after a reset, when called from
        `lost`. Through TLS, of what is still on its way `acked` is the least that it can
        be. `None` where it cannot be known: not TCP, not Linux.
        """
        info = tcp_info(self.extra("socket"))
        if info is None:
            return None
        if not self.secure:
            return Delivery(info.acked, info.sent)
        counts = self.extra("tls_bytes")
        return through_tls(info, *counts) if counts is not None else None

    def look_for_reading(self) -> None:
        """Take it for a sign of life if the peer has taken output since the last call."""
        sock = self.extra("socket")
        info = tcp_info(sock)
        if info is not None:
            taken = info.acked
        elif sock is not None and sock.family == socket.AF_UNIX:
            taken = self.bytes_out - self.unsent - output_held(sock)
        else:
            return
        if taken > self._taken:
            self._taken = taken
            self.heard = self._timers.now

    # --- what the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._deliver = transport.write
        if not self.peer:
            self.peer = peer_name(transport.get_extra_info("peername"))
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes_max)
        if self._handler is None or not self._owner.opened(self):
            self.phase = Phase.LOST
            transport.abort()
            return
        self._reschedule()
        self._guard(self._get_handler().connected)

    def data_received(self, data: bytes) -> None:
        self._until_meter -= len(data)
        self.heard = self._timers.now
        try:
            self._handler.received(data)  # type: ignore[union-attr]
        except Exception as error:
            self.fail(error)
        if self._until_meter <= 0:
            self._read_meter()

    def eof_received(self) -> bool:
        self._eof = True
        self._guard(self._get_handler().ended)
        return True  # the handler closes, once what it has to say is said

    def pause_writing(self) -> None:
        self.full = True
        self._buffered = self.unsent
        self._stall_due = self._timers.time() + self._limits.stalled_seconds_max
        self._reschedule()

    def resume_writing(self) -> None:
        self.full = False
        self._stall_due = _FOREVER
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self._get_handler().writable)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.cancel(self)
        self._end_hold()
        if self.phase is Phase.LOST:
            return
        self.phase = Phase.LOST
        self.cause = exc
        for end in (partial(self._owner.closed, self), partial(self._get_handler().lost, exc)):
            try:
                end()
            except Exception as error:
                log_failure(_log, "a connection's end failed", error, peer=self.peer)
        self._transport = None
        self._deliver = _discard
        self._handler = None

    # --- time

    def _read_meter(self) -> None:
        """Count what came since the last time; if it came too fast, read no more for a while."""
        size = METER_BYTES - self._until_meter
        self._metered += size
        self._until_meter = METER_BYTES
        transport = self._transport
        if self.meter is None or transport is None or self.phase is Phase.CLOSING:
            return
        now = self._timers.time()
        seconds = self.meter.spend(size, now)
        if transport.is_closing():
            return
        if seconds > 0.0:
            self._hold_reading(now + seconds)
        elif self.answers:
            self._look_for_reader(now)

    def _look_for_reader(self, now: float) -> None:
        """If the peer does not read what it is answered, read no more until it does."""
        back_pressure = self._back_pressure
        if back_pressure is None:
            back_pressure = self._back_pressure = BackPressure(self._runtime)
        if back_pressure.due(self._metered):
            self.flush()
            if back_pressure.holds(self.extra("socket"), self._metered, self._let_go):
                self._hold_reading(now + self._limits.stalled_seconds_max)
        elif self._pending >= _BURST_BYTES:
            self.flush()  # many reads may come in one tick

    def _hold_reading(self, until: float) -> None:
        assert self._transport is not None
        self._held_until = until
        self._transport.pause_reading()
        self._reschedule()

    def _end_hold(self) -> None:
        self._held_until = _FOREVER
        if self._back_pressure is not None:
            self._back_pressure.end_pause()

    def _let_go(self) -> None:
        self._end_hold()
        if not self._paused:
            self.resume_reading()

    def _held_for_long(self, now: float, handler: Handler) -> None:
        """The peer is to be read again; but not before it has read, if that is what it waits for.

        If it has taken nothing at all meanwhile, it is a slow consumer.
        """
        progress_at = self._back_pressure.progress_at if self._back_pressure is not None else None
        if progress_at is not None:
            self._held_until = progress_at + self._limits.stalled_seconds_max
            if now < self._held_until:
                return
        self._let_go()
        if progress_at is not None:
            self._guard(lambda: handler.overdue(Reason.SLOW_CONSUMER))

    def expire(self, now: float) -> None:
        self._guard(lambda: self._expire(now))
        if self.phase is not Phase.LOST:
            self._reschedule()

    def _expire(self, now: float) -> None:
        handler = self._get_handler()
        if now >= self._held_until:
            self._held_for_long(now, handler)
        if now >= self._close_due:
            if self.phase is Phase.CLOSING:
                self._close_due = _FOREVER
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
        due = min(self._close_due, self._stall_due, self._wake_due, self._held_until)
        if self.phase is Phase.ESTABLISHED:
            due = min(due, self._idle_due)
        if due != _FOREVER:
            self._timers.schedule(self, due)

    # --- failure

    def _get_handler(self) -> Handler:
        assert self._handler is not None, "a connection without a handler"
        return self._handler

    def _guard(self, call: Any) -> None:
        try:
            call()
        except Exception as error:
            self.fail(error)
