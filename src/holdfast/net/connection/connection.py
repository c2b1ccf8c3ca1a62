"""One accepted or dialled transport: the only I/O of connections. Hot path.

A `Connection` knows bytes and time, but no protocol. Its `Handler` gets bytes, the end and
deadlines, and writes through it. The writes of one tick leave in one piece (`Output`). A
connection is one failure domain: an exception in a handler ends this connection and no other.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, network_of, peer_name
from holdfast.net.connection.deadlines import FOREVER, Deadlines, Reached
from holdfast.net.connection.handler import Handler, NullHandler, Phase
from holdfast.net.connection.lingering import LingeringClose
from holdfast.net.connection.metering import METER_BYTES, Meter
from holdfast.net.connection.output import Output
from holdfast.net.connection.read_gate import Pause, ReadGate
from holdfast.net.log import RateLimitedLogger, log_failure, log_handler_failure
from holdfast.net.runtime.room import UNCOUNTED_BYTES, Reservation, Room
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.timers import UNSCHEDULED
from holdfast.net.runtime.turns import Turns
from holdfast.net.tls.describe import TlsInfo, describe
from holdfast.net.transport.tls import TlsTransport
from holdfast.protocols.proxy import ProxyHeader

_log: Final = RateLimitedLogger("holdfast.net")

_BURST_BYTES: Final = 256 * 1024
"""Written in one tick in answer to much input, before the transport gets it."""
_NO_HANDLER: Final[Handler] = NullHandler()


class Upgrade(NamedTuple):
    """How a connection goes on in TLS."""

    server_side: bool
    came: bytes
    """The first bytes of TLS, which have come already."""
    done: Callable[[], None]
    """Called when the handshake is over."""
    server_hostname: str | None = None
    """At the client's end: the name that the certificate must be for."""


class ConnectionOwner(Protocol):
    """The owner of a connection, which made it and counts it."""

    def opened(self, connection: Connection) -> bool:
        """Take it into account; false refuses it."""

    def closed(self, connection: Connection) -> None:
        """The connection is lost."""


class Connection(Output, asyncio.Protocol):
    """A transport, its handler, its coalesced writes and its limits of time."""

    __slots__ = (
        "_deadlines",
        "_eof",
        "_gate",
        "_limits",
        "_metered",
        "_owner",
        "_reserved",
        "_timers",
        "_until_meter",
        "answers",
        "cause",
        "full",
        "handler",
        "heard",
        "id",
        "listener",
        "meter",
        "opened_at",
        "output_room",
        "peer",
        "phase",
        "proxy",
        "timer_slot",
    )

    handler: Handler
    """The current handler. `attach` sets it."""
    id: int
    """Of this connection among its server's; 0 for one that no server counts."""
    opened_at: float
    """When its socket was accepted, in the runtime's time."""
    listener: Address | None
    """The listener's address."""
    proxy: ProxyHeader | None
    """The header of a trusted proxy. `peer` is then the proxy's client."""
    meter: Meter | None
    """The rates that its input counts against."""
    output_room: Room | None
    """Where the unsent output of all clients is counted."""
    answers: bool
    """Whether input is answered: then back-pressure applies to a peer that does not read."""
    cause: Exception | None
    """The error that ended it, if it was not an orderly end."""

    def __init__(
        self,
        runtime: Runtime,
        limits: ConnectionLimits,
        owner: ConnectionOwner,
        *,
        opened_at: float | None = None,
        peer: str = "",
    ) -> None:
        super().__init__(runtime)
        self.timer_slot = UNSCHEDULED
        self._timers = runtime.timers
        now = self._timers.now
        self._limits = limits
        self._owner = owner
        self.handler = _NO_HANDLER
        self._eof = False
        self._gate: ReadGate | None = None
        self._metered = self._until_meter = METER_BYTES
        self.opened_at = now if opened_at is None else opened_at
        self._deadlines = Deadlines(self.opened_at + limits.handshake_seconds_max)
        self.phase = Phase.HANDSHAKE
        self.full = False
        """Whether the write buffer is full: more should wait for the handler's `writable`."""
        self.heard = now
        """When the peer last gave a sign of life."""
        self.peer = peer
        self.id = 0
        self.listener = None
        self.proxy = None
        self.meter = None
        self.output_room = None
        self._reserved: Reservation | None = None
        self.answers = False
        self.cause = None

    # --- what the handler does

    def attach(self, handler: Handler) -> None:
        """Set the handler of this connection, in place of the one before."""
        self.handler = handler

    def established(self) -> None:
        """The handshake is over: from here on idleness and the whole life are limited."""
        if self.phase is Phase.HANDSHAKE:
            self.phase = Phase.ESTABLISHED
            self._deadlines.close = self.opened_at + self._limits.life_seconds_max
            self._reschedule()

    def begin_again(self) -> None:
        """A handshake has the time of a first one: another protocol's, or one that the server has
        put off."""
        if self.phase in (Phase.ESTABLISHED, Phase.HANDSHAKE):
            self.phase = Phase.HANDSHAKE
            self._deadlines.close = self.time() + self._limits.handshake_seconds_max
            self.wake_at(FOREVER)

    def start_tls(self, context: ssl.SSLContext, upgrade: Upgrade) -> None:
        """Continue in TLS, during a handshake, whose deadline stays.

        Queued output is sent in the clear first. Input that was received in the clear must not
        be used after this. If TLS fails, the handler's `lost` gets the cause.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self.flush()
        self._discard_output()
        if self._gate is not None:
            self._gate.forget()
            self._gate = None
        transport.resume_reading()
        tls = TlsTransport(
            transport,
            context,
            partial(self._secured, upgrade.done),
            server_side=upgrade.server_side,
            server_hostname=upgrade.server_hostname,
            written=self._flushed,
        )
        tls.start()
        if upgrade.came:
            tls.data_received(upgrade.came)

    def _secured(
        self, done: Callable[[], None], tls: TlsTransport, error: Exception | None
    ) -> None:
        if error is not None:
            self.connection_lost(error)
            return
        tls.set_protocol(self)
        self._begin_output(tls)
        self._guard(done)

    def wake_at(self, when: float) -> None:
        """Call the handler's `expired` once after `when`, as `time` gives it."""
        self._deadlines.wake = when
        self._reschedule()

    def end(self) -> None:
        """Send the written data, and nothing after it; the peer may go on sending."""
        self.flush()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        else:
            self.close()

    def close(self) -> None:
        """Send the written data, then close. After the time limit, drop the connection."""
        if self.phase in (Phase.CLOSING, Phase.LOST):
            return
        self._begin_closing()
        if self._transport is not None:
            self._transport.close()

    def close_on(self) -> None:
        """Close as `close` does, for a peer that may still be sending: a lingering close."""
        transport = self._transport
        if self.phase in (Phase.CLOSING, Phase.LOST) or transport is None:
            return
        if self._eof:
            self.close()
            return
        self._begin_closing()
        linger_seconds = self._limits.linger_seconds_max
        self.handler = LingeringClose(self, transport, self.handler, linger_seconds)
        if transport.can_write_eof():
            transport.write_eof()
        self.resume_reading()

    def _begin_closing(self) -> None:
        """Send the written data; from here on only the close deadline applies."""
        self.flush()
        self._discard_output()
        self.phase = Phase.CLOSING
        now, limits = self.time(), self._limits
        last = max(limits.close_seconds_max, limits.last_output_seconds_max)
        self._deadlines.begin_close(now + limits.close_seconds_max, now + last)
        if self.unsent:
            self._takes_output()  # from here on
        if self._gate is not None:
            self._gate.forget()
        self._reschedule()

    def fail(self, error: Exception, event: str = "a connection failed") -> None:
        """The root of this connection's failure domain: a defect ends it and it alone.

        `event` is what is logged, unless the error is the peer's fault.
        """
        log_handler_failure(_log, event, error, peer=self.peer)
        self.abort()

    def pause_reading(self) -> None:
        """Take no more bytes from the socket for now."""
        if self._transport is not None:
            self._get_gate(self._transport).pause()

    def resume_reading(self) -> None:
        """Take bytes from the socket again."""
        gate = self._gate
        if gate is not None:
            gate.resume()
            if self._gate is gate and not gate.needed:
                self._gate = None

    def drain(self) -> None:
        """Let the handler send a goodbye, because the server is stopping."""
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self.handler.drain)

    # --- what the handler asks

    @property
    def turns(self) -> Turns:
        """Where input waits that would take too long at once."""
        return self._runtime.turns

    @property
    def tls(self) -> TlsInfo | None:
        """The TLS parameters and the peer's identity; `None` without TLS."""
        found = self.extra("ssl_object")
        return describe(found) if found is not None else None

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
        return self._gate is not None and self._gate.until != FOREVER

    @property
    def bytes_in(self) -> int:
        """Bytes that have come."""
        return self._metered - self._until_meter

    def look_for_reading(self) -> None:
        """Take it for a sign of life if the peer has taken output since the last call."""
        if self._takes_output():
            self.heard = self._timers.now

    # --- callbacks of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._begin_output(transport)
        if not self.peer:
            self.peer = peer_name(transport.get_extra_info("peername"))
        if self.handler is _NO_HANDLER or not self._owner.opened(self):
            self.phase = Phase.LOST
            transport.abort()
            return
        high = self._limits.write_buffer_bytes_max
        if self.output_room is not None:
            high = min(high, UNCOUNTED_BYTES)
        transport.set_write_buffer_limits(high=high)
        self._reschedule()
        self._guard(self.handler.connected)

    def data_received(self, data: bytes) -> None:
        self._until_meter -= len(data)
        self.heard = self._timers.now
        try:
            self.handler.received(data)
        except Exception as error:
            self.fail(error)
        if self._until_meter <= 0:
            self._read_meter()

    def eof_received(self) -> bool:
        self._eof = True
        self._guard(self.handler.ended)
        return True  # the handler closes, once what it has to say is said

    def pause_writing(self) -> None:
        self._begin_looking()

    def resume_writing(self) -> None:
        self._end_looking()
        self._reserve(0)
        if not self.full:
            return
        self.full = False
        self._deadlines.end_stall()
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self._guard(self.handler.writable)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.cancel(self)
        self._reserve(0)
        if self._gate is not None:
            self._gate.forget()
            self._gate = None
        if self.phase is Phase.LOST:
            return
        self.phase = Phase.LOST
        self.cause = exc
        for end in (partial(self._owner.closed, self), partial(self.handler.lost, exc)):
            try:
                end()
            except Exception as error:
                log_failure(_log, "a connection's end failed", error, peer=self.peer)
        self._end_output()
        self.handler = _NO_HANDLER

    # --- unsent output

    def _look_at_unsent(self) -> None:
        unsent = self.unsent
        if not self.full and unsent > self._limits.write_buffer_bytes_max:
            self.full = True
            self._deadlines.stall(self.time() + self._limits.stalled_seconds_max, unsent)
            self._reschedule()
        self._reserve(unsent)

    def _reserve(self, size: int) -> None:
        """Keep `size` bytes of unsent output."""
        if self._reserved is None:
            if self.output_room is None or not size:
                return
            network = network_of(self.peer)
            self._reserved = Reservation(self.output_room, network, self._give_up_soon)
        elif not self._reserved.size:
            return  # the room was given to others, and the connection ends
        self._reserved.resize(size)
        if not size:
            self._reserved = None

    def _give_up_soon(self) -> None:
        """Others need the room of the unsent output. The transport may be in its `write` now."""
        self._runtime.loop.call_soon(self._guard, self._give_up)

    def _give_up(self) -> None:
        if self.phase in (Phase.HANDSHAKE, Phase.ESTABLISHED):
            self.handler.overdue(Reason.SLOW_CONSUMER)
        self.abort()

    # --- reading, or not

    def _get_gate(self, transport: asyncio.Transport) -> ReadGate:
        if self._gate is None:
            self._gate = ReadGate(self._runtime, transport, self._limits.stalled_seconds_max)
        return self._gate

    def _read_meter(self) -> None:
        """Count the input since the last call; if it came too fast, pause reading."""
        size = METER_BYTES - self._until_meter
        self._metered += size
        self._until_meter = METER_BYTES
        transport = self._transport
        if self.meter is None or transport is None or self.phase is Phase.CLOSING:
            return
        now = self.time()
        seconds = self.meter.spend(size, now)
        if transport.is_closing():
            return
        if seconds > 0.0:
            self._get_gate(transport).hold(now + seconds)
            self._reschedule()
        elif self.answers:
            gate = self._get_gate(transport)
            if gate.due(self._metered):
                self.flush()
                if gate.look(self._metered, now):
                    self._reschedule()
            elif self._pending >= _BURST_BYTES:
                self.flush()  # a tick may have many reads

    # --- time

    def expire(self, now: float) -> None:
        """A deadline is reached: the timers say so."""
        self._guard(lambda: self._expire(now))
        if self.phase is not Phase.LOST:
            self._reschedule()

    def _expire(self, now: float) -> None:
        handler, gate = self.handler, self._gate
        if gate is not None and now >= gate.until and gate.reach(now) is Pause.SLOW_CONSUMER:
            self._guard(lambda: handler.overdue(Reason.SLOW_CONSUMER))
        match self._deadlines.reach(now, self.heard, self._idle_seconds):
            case Reached.CLOSE if self.phase is Phase.CLOSING:
                if not self._puts_off_close(now):
                    self.abort()
            case Reached.CLOSE | Reached.IDLE:
                handler.overdue(Reason.TIMEOUT)
            case Reached.STALL:
                due = now + self._limits.stalled_seconds_max
                self._reserve(self.unsent)
                if self._deadlines.still_stalled(due, self.unsent):
                    handler.overdue(Reason.SLOW_CONSUMER)
            case Reached.WAKE:
                handler.expired(now)
            case Reached.NOTHING:
                pass

    def _puts_off_close(self, now: float) -> bool:
        """Whether the peer gets more time, as it takes what is left for it."""
        if not self.unsent or not self._takes_output():
            return False
        return self._deadlines.put_off_close(now, now + self._limits.close_seconds_max)

    @property
    def _idle_seconds(self) -> float:
        established = self.phase is Phase.ESTABLISHED
        return self._limits.idle_seconds_max if established else FOREVER

    def _reschedule(self) -> None:
        due = self._deadlines.next(self.heard, self._idle_seconds)
        if self._gate is not None:
            due = min(due, self._gate.until)
        if due != FOREVER:
            self._timers.schedule(self, due)

    # --- failure

    def _guard(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self.fail(error)
