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

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.sniffing import TLS_HANDSHAKE
from holdfast.protocols.telnet import codes, sniffing
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.charsets import AUTOMATIC, Charsets
from holdfast.protocols.telnet.encoding import encode
from holdfast.protocols.telnet.events import (
    CapabilitiesChanged,
    CharsetHeard,
    Event,
    Fault,
    Interrupt,
    OutputAborted,
    Settled,
    Violation,
)
from holdfast.protocols.telnet.lines import Lines
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.negotiator import Negotiator
from holdfast.protocols.telnet.options.base import Options
from holdfast.protocols.telnet.options.gmcp import encode as encode_gmcp
from holdfast.protocols.telnet.options.gmcp import is_package
from holdfast.protocols.telnet.options.mccp import InflateError, Inflater
from holdfast.protocols.telnet.options.msdp import MalformedMsdp
from holdfast.protocols.telnet.options.msdp import encode as encode_msdp
from holdfast.protocols.telnet.output import Output
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
from holdfast.protocols.telnet.phases import Phase
from holdfast.protocols.telnet.snapshot import CoreSnapshot

_NEVER: Final = float("-inf")
_NOTHING_KNOWN: Final = Capabilities()
_DATA_MARK: Final = bytes((codes.IAC, codes.DM))
_CLOSE: Final = bytes((codes.IAC, codes.SE))


class TelnetCore:
    """One end of a Telnet connection. Use `TelnetServer` or `TelnetClient`."""

    __slots__ = (
        "_echoing",
        "_events",
        "_fixed",
        "_inflater",
        "_lines",
        "_options",
        "_out",
        "_paid_until",
        "_parser",
        "_phase",
        "_settle_at",
        "_timers",
        "capabilities",
        "charsets",
        "inflated",
        "limits",
        "malformed",
        "overflows",
        "tokens",
    )

    _cuts_lines: ClassVar[bool] = False
    """Whether a line that is too long is split instead of discarded."""

    def __init__(self, limits: TelnetLimits, table: Options, charsets: Charsets) -> None:
        self.limits = limits
        self.charsets = charsets
        self._fixed = charsets.fixed
        self.capabilities = _NOTHING_KNOWN
        """The capabilities of the peer."""
        self.malformed = 0
        """Commands and messages that made no sense."""
        self.overflows = 0
        """Subnegotiations that were too long."""
        self.tokens = 0
        """Commands, negotiations and subnegotiations that have come."""
        self.inflated = 0
        """Bytes that compressed input has become."""
        self._options = Negotiator(table)
        self._parser = Parser(limits, table.data_options)
        self._lines = Lines(limits, charsets, cuts=self._cuts_lines)
        self._events: list[Event] = []
        self._out = Output()
        self._inflater: Inflater | None = None
        self._timers: tuple[tuple[float, int], ...] = ()
        self._settle_at: float | None = None
        self._paid_until = _NEVER
        self._phase = Phase.FRESH
        self._echoing = False

    @property
    def undecodable(self) -> int:
        """Lines that were not in the character set that they should have been in."""
        return self._lines.undecodable

    @property
    def charset(self) -> str:
        """The character set of sent text: the configured one, the one that the peer named, the
        one that its text showed, or the fall-back."""
        return self._charset_received or self._lines.heard

    @property
    def _charset_received(self) -> str:
        """The character set of received text; empty while it is unknown."""
        return self._fixed or self.capabilities.charset

    def is_on(self, code: int, side: Side) -> bool:
        """Whether an option is in effect on one side."""
        return code in self._options.table.index and self._options.is_on_at(code, side)

    def request(self, code: int, side: Side, on: bool = True) -> bool:
        """Ask the peer for an option, or ask it away; `OptionChanged` tells what becomes of it.

        `False`, and nothing is sent, for an option that is not in the table.
        """
        if code not in self._options.table.index:
            return False
        self._options.watch(code)
        self._options.want(self, code, side, on)
        return True

    # Moving to another process.

    def snapshot(self, now: float) -> CoreSnapshot:
        """All that this end is, with what is queued. Raises `ValueError` while input comes
        compressed: a zlib stream that is read cannot be moved."""
        if self._inflater is not None:
            raise ValueError("compressed input cannot be taken over")
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
            unsent=self.data_to_send(),
            checksum=self._out.checksum,
        )

    def restore(self, taken: CoreSnapshot, now: float) -> None:
        """Be what `taken` was. This end is new, and of the same role."""
        self._out.restore(taken.unsent, taken.checksum)
        self._events.clear()
        self._phase = Phase[taken.phase]
        self._parser.restore(taken.parser, now)
        self._lines.restore(taken.lines)
        self._options.restore(taken.options, now)
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
            (self._phase is Phase.TELNET or self._phase is Phase.PLAIN)
            and self._parser.state is State.DATA
            and codes.IAC not in data
            and self._inflater is None
        ):
            return self._receive_lines(data)
        while data and self._phase is not Phase.OVER:
            if self._inflater is None:
                data = self._receive_tokens(data, now)
            else:
                data = self._receive_compressed(self._inflater, data, now)
        return self._take_events()

    def receive_eof(self) -> list[Event]:
        """The peer will send no more. Half a line is discarded: it must not be run."""
        self._phase = Phase.OVER
        return []

    def _receive_lines(self, data: bytes) -> list[Event]:
        lines = self._lines.receive(data, self._fixed or self.capabilities.charset)
        if self._echoing:
            self._out += [b"\r\n" for line in lines if type(line) is not CharsetHeard]
        return lines

    def _receive_compressed(self, inflater: Inflater, data: bytes, now: float) -> bytes:
        """Process decompressed bytes; return the bytes after the end of the compressed stream."""
        out = None
        while self._phase is not Phase.OVER and not inflater.ended:
            if out is not None and len(out) < self.limits.inflate_bytes_max:
                return b""
            try:
                out, data = inflater.inflate(data)
            except InflateError:
                self._violate(Fault.NOT_COMPRESSED)
                break
            self.inflated += len(out)
            if inflater.excessive:
                self._violate(Fault.ZIP_BOMB)
            elif out:
                self._receive_tokens(out, now)
        self._inflater = None
        return data

    def _receive_tokens(self, data: bytes, now: float) -> bytes:
        """Process plain bytes; return the bytes after the beginning of a compressed stream."""
        if self._begins_tls(data):
            self._violate(Fault.TLS)
            return b""
        inflater = self._inflater
        for token in self._parser.parse(data, now):
            if not isinstance(token, bytes):
                self._phase = Phase.TELNET
                self.tokens += 1
                self._take_price(token, now)
            if self._phase is not Phase.OVER:
                self._handle(token, now)
            if self._phase is Phase.OVER:
                return b""
            self._settle_if_done()
            if self._inflater is not inflater:
                return data[self._parser.position :]
        return b""

    def _begins_tls(self, data: bytes) -> bool:
        """Whether these are the first bytes, and those of a TLS ClientHello."""
        if self._phase is Phase.FRESH:
            head = data[:2]
        elif self._phase is Phase.TLS_BEGUN:
            head = TLS_HANDSHAKE[:1] + data[:1]
        else:
            return False
        begun = head == TLS_HANDSHAKE[:1]
        self._phase = Phase.TLS_BEGUN if begun else Phase.UNKNOWN
        return head == TLS_HANDSHAKE

    def _handle_text(self, data: bytes) -> None:
        lines = self._receive_lines(data)
        if self._phase is Phase.UNKNOWN and lines:
            self._phase = Phase.PLAIN
            fault = sniffing.judge(lines[0])
            if fault is not None:
                self._violate(fault)
                return
            if self._is_served(lines[0]):
                del lines[0]
        self._events += lines

    def _take_price(self, token: Token, now: float) -> None:
        """Hold the rate of commands to its limit (GCRA: a bucket in one number)."""
        if self._is_free(token):
            return
        price = 1 / self.limits.negotiations_per_second_max
        self._paid_until = max(self._paid_until, now) + price
        if self._paid_until - now > price * self.limits.negotiation_burst_max:
            self._violate(Fault.NEGOTIATION_FLOOD)

    def _is_free(self, token: Token) -> bool:
        """Whether a token counts as text or data, which have other limits."""
        match token:
            case Command(codes.GA | codes.EOR):
                return True
            case Subnegotiation(code, _):
                return code in self._options.table.data_options
            case _:
                return False

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

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _violate(self, fault: Fault) -> None:
        self._phase = Phase.OVER
        self._out.append(sniffing.ANSWERS.get(fault, b""))
        self._events.append(Violation(fault))

    def _handle_subnegotiation(self, code: int, payload: bytes, now: float) -> None:
        if self._options.is_on(code):
            self._options.handler(code).subnegotiation(self, payload, now)
        else:
            self.malformed += 1

    def _settle_if_done(self) -> None:
        if self._settle_at is not None and self._options.settled:
            self._settle()

    def _settle(self) -> None:
        self._settle_at = None
        self._events.append(Settled())
        self._options.settle(self)

    # Sending.

    def data_to_send(self) -> bytes:
        """Everything queued, once; where output is compressed, flushed once."""
        return self._out.take()

    def send_text(self, text: str) -> None:
        """Queue text; it carries its own line ends, as LF."""
        charset = self._fixed or self.capabilities.charset or self._lines.heard
        binary = "\r" in text and self._options.is_on_at(codes.BINARY, Side.US)
        self._out.append(encode(text, charset, binary=binary))

    def send_gmcp(self, package: str, json: str) -> bool:
        """Queue a GMCP message; `False` if the peer does not support GMCP, or the name is
        invalid."""
        return is_package(package) and self.send_subnegotiation(
            codes.GMCP, encode_gmcp(package, json)
        )

    def send_msdp(self, variable: str, json: str) -> bool:
        """Queue an MSDP variable; `False` if the peer does not speak MSDP, or cannot be told."""
        try:
            payload = encode_msdp(variable, json, self.limits.msdp_depth_max)
        except MalformedMsdp:
            return False
        return self.send_subnegotiation(codes.MSDP, payload)

    # Time.

    def next_deadline(self) -> float | None:
        """The time at which to call `handle_timer`, if any."""
        if self._phase is Phase.OVER:
            return None
        due = [when for when, _ in self._timers]
        if self._settle_at is not None:
            due.append(self._settle_at)
        if self._parser.opened_at is not None:
            due.append(self._parser.opened_at + self.limits.subnegotiation_seconds_max)
        return min(due, default=None)

    def handle_timer(self, now: float) -> list[Event]:
        """Perform the actions that are due; return their events."""
        if self._phase is Phase.OVER:
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

    # For the options: see `options.base.Host`.

    def emit(self, event: Event) -> None:
        """Give the caller an event."""
        self._events.append(event)

    def learn(self, capabilities: Capabilities) -> None:
        """Replace the capabilities of the peer, and queue an event."""
        if capabilities != self.capabilities:
            self.capabilities = capabilities
            self._events.append(CapabilitiesChanged(capabilities))

    def assume_charset(self, charset: str) -> None:
        """Speak this to a peer that names and shows no other, unless something is configured."""
        if self.charsets == AUTOMATIC:
            self._lines.heard = charset

    def say(self, verb: int, code: int) -> None:
        """Queue a negotiation."""
        self._out.append(bytes((codes.IAC, verb, code)))

    def count_malformed(self) -> None:
        """Count a message that makes no sense."""
        self.malformed += 1

    def send_subnegotiation(self, code: int, payload: bytes) -> bool:
        """Queue `IAC SB code payload IAC SE`; `False` if the option is not in effect.

        A client shows a subnegotiation that it did not agree to as text (tf).
        """
        if not self._options.is_on(code):
            return False
        self._out.append(bytes((codes.IAC, codes.SB, code)) + codes.escape(payload) + _CLOSE)
        return True

    @property
    def is_settled(self) -> bool:
        """Whether the opening negotiation is over."""
        return self._settle_at is None

    def start_compressing(self, code: int) -> None:
        """Queue `IAC SB code IAC SE` and compress all later output."""
        if not self._out.compressed and self.send_subnegotiation(code, b""):
            self._out.compress()

    def stop_compressing(self) -> None:
        """End the compressed stream: later output is plain."""
        self._out.end_compression()

    def start_inflating(self) -> None:
        """The bytes after this subnegotiation are a zlib stream."""
        if self._inflater is None:
            self._inflater = Inflater(self.limits)
        else:
            self.malformed += 1

    def set_timer(self, code: int, when: float) -> None:
        """Call the option's `timer` at `when`."""
        self._timers += ((when, code),)

    def echo_line_ends(self, echoing: bool) -> None:
        """Answer each received line with CR LF, or no more."""
        self._echoing = echoing
