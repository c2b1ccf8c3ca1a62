"""The part of Telnet that both roles share: tokens in, events and bytes out.

The core negotiates the options of its role's table and passes them their subnegotiations; it
knows no option by itself. It does no I/O: after each call the caller writes the result of
`data_to_send`, and calls `handle_timer` at `next_deadline`. `receive_data` never raises for
bytes of a peer; a fatal error is a `Violation`, the last event.

The path of a plain chunk, from `receive_data` to `Lines.receive`, is optimised: no token, no
table, no event object.
"""

from __future__ import annotations

from typing import ClassVar, Final

from holdfast.core.errors import SnapshotError
from holdfast.core.limits import TelnetLimits
from holdfast.protocols.sniffing import TLS_HANDSHAKE
from holdfast.protocols.telnet import codes, sniffing
from holdfast.protocols.telnet.charsets import Charsets
from holdfast.protocols.telnet.events import (
    CharsetHeard,
    Event,
    Fault,
    Interrupt,
    OutputAborted,
    Settled,
    Violation,
)
from holdfast.protocols.telnet.host import OptionHost
from holdfast.protocols.telnet.options.base import Options
from holdfast.protocols.telnet.options.mccp import Deflater, InflateError, Inflater, Inflation
from holdfast.protocols.telnet.parser import (
    Command,
    Malformed,
    Negotiation,
    Overflow,
    Parser,
    State,
    Subnegotiation,
    Token,
)
from holdfast.protocols.telnet.phases import PeerPhase
from holdfast.protocols.telnet.snapshot import CoreSnapshot

_NEVER: Final = float("-inf")
_DATA_MARK: Final = bytes((codes.IAC, codes.DM))


class TelnetCore(OptionHost):
    """One end of a Telnet connection. Use `TelnetServer` or `TelnetClient`."""

    _is_client_limited: ClassVar[bool] = False
    """Whether the peer is a client, whose decompressed input is held to a rate."""
    _compressing: ClassVar[int]
    """The option with which this end compresses its output."""

    __slots__ = ("_paid_until", "_parser", "_phase", "inflated", "overflows", "tokens")

    def __init__(self, limits: TelnetLimits, table: Options, charsets: Charsets) -> None:
        super().__init__(limits, table, charsets)
        self.overflows = 0
        """Subnegotiations that were too long."""
        self.tokens = 0
        """Commands, negotiations and subnegotiations that have come."""
        self.inflated = 0
        """Bytes that compressed input has become."""
        self._parser = Parser(limits, table.data_options)
        self._paid_until = _NEVER
        self._phase = PeerPhase.FRESH

    @property
    def undecodable(self) -> int:
        """Lines that were not in the character set that they should have been in."""
        return self._lines.undecodable

    @property
    def pending(self) -> int:
        """The bytes of a line or a subnegotiation that is incomplete."""
        return self._parser.pending + self._lines.pending

    def discard_input(self) -> None:
        """Drop them."""
        self._parser.abandon()
        self._lines.erase_line()

    # Moving to another process.

    def snapshot(self, now: float) -> CoreSnapshot:
        """All that this end is, with what is queued, which stays queued.

        Raises `SnapshotError` while input comes compressed: the state of a zlib stream that is
        read cannot be written down.
        """
        if self._inflater is not None:
            raise SnapshotError("the input is compressed: its zlib stream cannot be written down")
        return CoreSnapshot(
            phase=self._phase.name,
            parser=self._parser.snapshot(now),
            lines=self._lines.snapshot(),
            options=self._options.snapshot(now),
            capabilities=self.capabilities,
            timers=tuple((when - now, code) for when, code in self._timers),
            settle_seconds=None if self._settle_at is None else self._settle_at - now,
            paid_seconds=max(0.0, self._paid_until - now),
            echoing=self._echoing,
            malformed=self.malformed,
            overflows=self.overflows,
            tokens=self.tokens,
            inflated=self.inflated,
            unsent=self._out.encode(),
            compressed=self._out.compressed,
            checksum=self._out.checksum,
            history=self._out.history,
        )

    def restore(self, taken: CoreSnapshot, now: float) -> None:
        """Be what `taken` was. This end is new, and of the same role."""
        stream = Deflater(taken.checksum, taken.history) if taken.compressed else None
        self._out.restore(taken.unsent, stream)
        self._events.clear()
        self._phase = PeerPhase[taken.phase]
        self._parser.restore(taken.parser, now)
        self._lines.restore(taken.lines)
        self._options.restore(self, taken.options, now)
        if taken.compressed and self._compressing not in self._options.table.index:
            self._out.end_compression()
        self.capabilities = taken.capabilities
        self._timers = tuple((now + seconds, code) for seconds, code in taken.timers)
        self._settle_at = None if taken.settle_seconds is None else now + taken.settle_seconds
        self._paid_until = now + taken.paid_seconds
        self._echoing = taken.echoing
        self.malformed, self.overflows = taken.malformed, taken.overflows
        self.tokens, self.inflated = taken.tokens, taken.inflated

    # Receiving.

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Process the peer's bytes; return their events in order."""
        if (
            (self._phase is PeerPhase.TELNET or self._phase is PeerPhase.PLAIN)
            and self._parser.state is State.DATA
            and codes.IAC not in data
            and self._inflater is None
        ):
            return self._receive_lines(data)
        while data and self._phase is not PeerPhase.OVER:
            if self._inflater is None:
                data = self._receive_tokens(data, now)
            else:
                data = self._receive_compressed(self._inflater, data, now)
        return self._take_events()

    def receive_eof(self) -> list[Event]:
        """The peer will send no more. Half a line is discarded: it must not be run."""
        self._phase = PeerPhase.OVER
        return []

    def _receive_lines(self, data: bytes) -> list[Event]:
        lines = self._lines.receive(data, self._fixed or self.capabilities.charset)
        if self._echoing:
            self._out += [b"\r\n" for line in lines if type(line) is not CharsetHeard]
        return lines

    def _receive_compressed(self, inflater: Inflater, data: bytes, now: float) -> bytes:
        """Process decompressed bytes; return the bytes after the end of the compressed stream."""
        out = None
        while self._phase is not PeerPhase.OVER and not inflater.ended:
            if out is not None and len(out) < self.limits.inflate_bytes_max:
                return b""
            try:
                out, data = inflater.inflate(data)
            except InflateError:
                self._violate(Fault.NOT_COMPRESSED)
                break
            self.inflated += len(out)
            if self._is_bomb(inflater.inflation, len(out), now):
                self._violate(Fault.ZIP_BOMB)
            elif out:
                self._receive_tokens(out, now)
        self._inflater = None
        return data

    def _is_bomb(self, inflation: Inflation, size: int, now: float) -> bool:
        """Whether `size` decompressed bytes more are too many."""
        limits = self.limits
        if not self._is_client_limited:
            return inflation.exceeds(limits.server_inflate_ratio_max)
        return inflation.exceeds(limits.inflate_ratio_max) or inflation.is_too_fast(size, now)

    def _receive_tokens(self, data: bytes, now: float) -> bytes:
        """Process plain bytes; return the bytes after the beginning of a compressed stream."""
        if self._begins_tls(data):
            self._violate(Fault.TLS)
            return b""
        inflater = self._inflater
        for token in self._parser.parse(data, now):
            if not isinstance(token, bytes):
                self._phase = PeerPhase.TELNET
                self.tokens += 1
                self._take_price(token, now)
            if self._phase is not PeerPhase.OVER:
                self._handle(token, now)
            if self._phase is PeerPhase.OVER:
                return b""
            self._settle_if_done()
            if self._inflater is not inflater:
                return data[self._parser.position :]
        return b""

    def _begins_tls(self, data: bytes) -> bool:
        """Whether these are the first bytes, and those of a TLS ClientHello."""
        if self._phase is PeerPhase.FRESH:
            head = data[:2]
        elif self._phase is PeerPhase.TLS_BEGUN:
            head = TLS_HANDSHAKE[:1] + data[:1]
        else:
            return False
        begun = head == TLS_HANDSHAKE[:1]
        self._phase = PeerPhase.TLS_BEGUN if begun else PeerPhase.UNKNOWN
        return head == TLS_HANDSHAKE

    def _handle_text(self, data: bytes) -> None:
        lines = self._receive_lines(data)
        if self._phase is PeerPhase.UNKNOWN and lines:
            self._phase = PeerPhase.PLAIN
            fault = sniffing.judge(lines[0])
            if fault is not None:
                self._violate(fault)
                return
            if self._is_served(lines[0]):
                del lines[0]
        self._events += lines

    def _take_price(self, token: Token, now: float) -> None:
        """Hold the rate of commands to its limit (GCRA: a bucket in one number)."""
        weight = self._weight(token)
        if weight == 0:
            return
        price = 1 / self.limits.negotiations_per_second_max
        self._paid_until = max(self._paid_until, now) + weight * price
        if self._paid_until - now > price * self.limits.negotiation_burst_max:
            self._violate(Fault.NEGOTIATION_FLOOD)

    def _weight(self, token: Token) -> int:
        """How many commands a token counts for. Text and data have limits of their own."""
        match token:
            case Command(codes.GA | codes.EOR):
                return 0
            case Subnegotiation(code, payload) if code in self._options.table.data_options:
                weighs = self._is_client_limited
                return self._options.handler(code).weight(payload) if weighs else 0
            case _:
                return 1

    def _handle(self, token: Token, now: float) -> None:
        match token:
            case bytes():
                self._handle_text(token)
            case Command(code):
                self._handle_command(code)
            case Negotiation(verb, code):
                self._options.hear(self, verb, code)
            case Subnegotiation(code, payload):
                self._handle_subnegotiation(code, payload, now)
            case Overflow():
                self.overflows += 1
                if self.overflows >= self.limits.subnegotiation_overflows_max:
                    self._violate(Fault.SUBNEGOTIATION_OVERFLOW)
            case Malformed():
                self.malformed += 1

    def _handle_command(self, code: int) -> None:
        match code:
            case codes.IP | codes.BRK | codes.ABORT:
                self._lines.erase_line()
                self._events.append(Interrupt())
            case codes.AO:
                self._events.append(OutputAborted())
                self._out.append(_DATA_MARK)
            case codes.AYT:
                self._are_you_there()
            case codes.EC:
                self._lines.erase_character(self._charset_received)
            case codes.EL:
                self._lines.erase_line()
            case codes.GA | codes.EOR:
                self._prompt_ended()
            case _:  # DM without urgent data is a NOP; SUSP and EOF mean nothing here.
                pass

    def _is_served(self, line: Event) -> bool:
        """Whether the peer's first line is a request that this end answers itself."""
        return False

    def _are_you_there(self) -> None:
        """The peer sent AYT."""

    def _prompt_ended(self) -> None:
        """The peer sent GA or EOR."""

    def _violate(self, fault: Fault) -> None:
        self._phase = PeerPhase.OVER
        self._out.append(sniffing.ANSWERS.get(fault, b""))
        self._events.append(Violation(fault))

    def _handle_subnegotiation(self, code: int, payload: bytes, now: float) -> None:
        if self._options.is_on(code):
            self._options.handler(code).subnegotiation(self, payload, now)
        elif not self._options.is_ending(code):
            self.malformed += 1

    def _settle_if_done(self) -> None:
        if self._settle_at is not None and self._options.settled:
            self._settle()

    def _settle(self) -> None:
        self._settle_at = None
        self._events.append(Settled())
        self._options.settle(self)

    # Time.

    def next_deadline(self) -> float | None:
        """The time at which to call `handle_timer`, if any."""
        if self._phase is PeerPhase.OVER:
            return None
        due = [when for when, _ in self._timers]
        if self._settle_at is not None:
            due.append(self._settle_at)
        if self._parser.opened_at is not None:
            due.append(self._parser.opened_at + self.limits.subnegotiation_seconds_max)
        return min(due, default=None)

    def handle_timer(self, now: float) -> list[Event]:
        """Perform the actions that are due; return their events."""
        if self._phase is PeerPhase.OVER:
            return []
        opened_at = self._parser.opened_at
        if opened_at is not None and opened_at + self.limits.subnegotiation_seconds_max <= now:
            self._parser.abandon()
            self.malformed += 1
        if self._settle_at is not None and self._settle_at <= now:
            self._settle()
        due = [code for when, code in self._timers if when <= now]
        self._timers = tuple(timer for timer in self._timers if timer[0] > now)
        for code in due:
            self._options.handler(code).timer(self)
        return self._take_events()
