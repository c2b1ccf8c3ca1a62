"""One end of a Telnet connection as its options see it: its state, and all that is sent."""

from __future__ import annotations

from typing import ClassVar, Final

from holdfast.core.limits import TelnetLimits
from holdfast.core.text import is_package
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.charsets import AUTOMATIC, Charsets
from holdfast.protocols.telnet.encoding import encode
from holdfast.protocols.telnet.events import CapabilitiesChanged, Event
from holdfast.protocols.telnet.lines import Lines
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.negotiator import Negotiator
from holdfast.protocols.telnet.options.base import Options
from holdfast.protocols.telnet.options.gmcp import encode as encode_gmcp
from holdfast.protocols.telnet.options.mccp import Inflater, Inflation
from holdfast.protocols.telnet.options.msdp import MalformedMsdp
from holdfast.protocols.telnet.options.msdp import encode as encode_msdp
from holdfast.protocols.telnet.output import Output

_NOTHING_KNOWN: Final = Capabilities()
_CLOSE: Final = bytes((codes.IAC, codes.SE))


class OptionHost:
    """The `Host` of a connection's options, and what the connection sends."""

    __slots__ = (
        "_echoing",
        "_events",
        "_fixed",
        "_inflater",
        "_inflation",
        "_lines",
        "_options",
        "_out",
        "_settle_at",
        "_timers",
        "capabilities",
        "charsets",
        "limits",
        "malformed",
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
        self._options = Negotiator(table)
        self._lines = Lines(limits, charsets, cuts=self._cuts_lines)
        self._events: list[Event] = []
        self._out = Output()
        self._inflater: Inflater | None = None
        self._inflation: Inflation | None = None
        """Of a peer that has compressed."""
        self._timers: tuple[tuple[float, int], ...] = ()
        self._settle_at: float | None = None
        self._echoing = False

    @property
    def charset(self) -> str:
        """The character set of sent text: the configured one, the one that the peer named, the
        one that its text showed, or the fall-back."""
        return self._charset_received or self._lines.heard

    @property
    def _charset_received(self) -> str:
        """The character set of received text; empty while it is unknown."""
        return self._fixed or self.capabilities.charset

    # Options, for the caller.

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
        """Queue an MSDP variable; `False` if MSDP is not on, or cannot encode it."""
        try:
            payload = encode_msdp(variable, json, self.limits.msdp_depth_max)
        except MalformedMsdp:
            return False
        return self.send_subnegotiation(codes.MSDP, payload)

    # For the options (`options.base.Host`).

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
            self._inflation = self._inflation or Inflation(self.limits)
            self._inflater = Inflater(self.limits.inflate_bytes_max, self._inflation)
        else:
            self.malformed += 1

    def set_timer(self, code: int, when: float) -> None:
        """Call the option's `timer` at `when`."""
        self._timers += ((when, code),)

    def echo_line_ends(self, echoing: bool) -> None:
        """Answer each received line with CR LF, or no more."""
        self._echoing = echoing

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
