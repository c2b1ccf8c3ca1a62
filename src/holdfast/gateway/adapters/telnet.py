"""Telnet clients.

One that speaks GMCP's package `Holdfast` resumes exactly, with token and position, like a
WebSocket client (`gmcp_package`); every other one by its code and by evidence.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Sequence
from typing import Final

import msgspec

from holdfast.core.errors import Reason
from holdfast.core.items import Data, Interrupt, Output, Resized, Span
from holdfast.core.limits import TelnetLimits
from holdfast.core.rate import shared_rate
from holdfast.gateway.adapters.ansi import fit
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.base import TOKEN_BYTES
from holdfast.gateway.adapters.events import (
    AbortOutput,
    Broken,
    Capable,
    Enter,
    Event,
    Left,
    Proven,
)
from holdfast.gateway.adapters.gmcp_package import ACK, HELLO, HoldfastPackage, read_ack
from holdfast.gateway.adapters.notifications import (
    MaybeDelivered,
    Notification,
    Restart,
    Resumption,
    TokenIssued,
    Welcomed,
)
from holdfast.gateway.adapters.snapshot import AdapterSnapshot, TelnetAdapterSnapshot, other_kind
from holdfast.gateway.adapters.styles import paint
from holdfast.gateway.adapters.terminal import TerminalAdapter
from holdfast.gateway.adapters.terminal_colors import colors_of, limit_of
from holdfast.gateway.adapters.wrapping import wrap
from holdfast.protocols import telnet
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charsets import AUTOMATIC, UTF_8, Charsets
from holdfast.protocols.telnet.mxp_lines import is_marked
from holdfast.protocols.telnet.options.base import Options
from holdfast.protocols.telnet.options.mxp import SECURE_LINE
from holdfast.protocols.telnet.server import OPTIONS
from holdfast.protocols.telnet.sniffing import ANSWERS
from holdfast.sessions.records import Capabilities

_EARLY_MAX: Final = 16
"""Who types or says more than this while we negotiate has no answers to give."""
_PACKED_SLICE_BYTES: Final = 32
"""Compressed, this may be some thousands of tokens."""


class TelnetAdapter(TerminalAdapter):
    """One Telnet client."""

    __slots__ = (
        "_charsets",
        "_core",
        "_decoder",
        "_limits",
        "_options",
        "_package",
        "_probed",
        "_said_early",
        "_settled",
        "_wraps",
    )

    def __init__(
        self,
        limits: TelnetLimits,
        charsets: Charsets = AUTOMATIC,
        options: Options = OPTIONS,
        *,
        raw: bool = False,
        wraps: bool = False,
        ansi: bool = False,
    ) -> None:
        rate = shared_rate(limits.bytes_per_second_max, limits.bytes_burst_max)
        # A server's own sequences are fitted to the terminal.
        spans = SpanReader(continues=False) if ansi and not raw else None
        super().__init__("telnet", rate, raw=raw, spans=spans)
        self._limits = limits
        self._charsets = charsets
        self._options = options
        self._wraps = wraps
        """Whether lines are wrapped at the width of the client's window."""
        self._core: telnet.TelnetServer
        self._probed = 0
        """Which output the newest probe asks for: the core has one under way at most."""
        self._settled = False
        self._package: HoldfastPackage | None = None
        """Of a client that speaks it, and so counts outputs."""
        self._said_early: list[Data] = []
        """What it has said by GMCP while we negotiated: who it is and what it wants to hear."""
        self._decoder: IncrementalDecoder | None = None
        """Of the bytes of a terminal, which may end in the middle of a character."""

    @property
    def wants_token(self) -> bool:
        return self._package is not None

    @property
    def tokens(self) -> int:
        return self._lines + self._core.tokens + self._core.inflated // TOKEN_BYTES

    @property
    def slice_bytes(self) -> int:  # type: ignore[override]
        inflates = codes.MCCP3 in self._options.index
        return _PACKED_SLICE_BYTES if inflates else super().slice_bytes

    # --- inbound

    @property
    def _undecoded(self) -> telnet.TelnetServer:
        return self._core

    def begin(self, now: float) -> list[Event]:
        self._core = telnet.TelnetServer(self._limits, now, self._charsets, self._options)
        return []

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        return self._translate(self._core.receive_data(data, now))

    def receive_eof(self) -> list[Event]:
        self._core.receive_eof()
        return [Left(done=False)]

    def next_deadline(self) -> float | None:
        return self._core.next_deadline()

    def handle_timer(self, now: float) -> list[Event]:
        return self._translate(self._core.handle_timer(now))

    def _translate(self, received: Sequence[telnet.Event]) -> list[Event]:
        events = self._read_ahead()
        for event in received:
            if type(event) is str:
                events += self._read(event)
            elif type(event) is telnet.Settled:
                events += self._settle()
            else:
                found = self._react(event)
                if type(found) is Data and not self._settled:
                    self._said_early.append(found)
                elif found is not None:
                    events.append(found)
        early = self._typed.early or ()
        if not self._settled and max(len(early), len(self._said_early)) > _EARLY_MAX:
            events += self._settle()
        return events

    def _react(self, event: telnet.Event) -> Event | None:
        match event:
            case telnet.Gmcp(package, json):
                return self._read_gmcp(package, json)
            case telnet.Msdp(variable, json):
                return Data(variable, json)
            case telnet.LineTooLong():
                self._discard(f"{self._limits.line_chars_max} characters")
                return None
            case telnet.Violation(fault) if fault in ANSWERS:
                return Broken(Reason.PROTOCOL_ERROR, fault.value)  # it has its answer
            case telnet.Violation(fault):
                return self._break(Reason.PROTOCOL_ERROR, fault.value)
            case _:
                return self._react_settled(event) if self._settled else None

    def _react_settled(self, event: telnet.Event) -> Event | None:
        """Return the event of what has no meaning before there is a session."""
        match event:
            case telnet.WindowSize(width, height):
                return Resized(width, height)
            case telnet.CapabilitiesChanged() | telnet.CharsetHeard():
                return Capable(_capabilities(self._core))
            case telnet.Interrupt():
                return Interrupt()
            case telnet.OutputAborted():
                return AbortOutput()
            case telnet.ProbeAnswered():
                return Proven(self._probed)
            case _:
                return None

    def _settle(self) -> list[Event]:
        if self._settled:
            return []
        self._settled = True
        package = self._package
        entered = self._enter(package.entry if package is not None else Enter(or_new=True))
        said, self._said_early = self._said_early, []
        return [Capable(_capabilities(self._core)), *entered, *said]

    def _read_gmcp(self, package: str, json: str) -> Event | None:
        name = package.lower()
        if name == "core.ping":
            self._core.send_gmcp(package, "")
            return None
        try:
            if name == HELLO:
                if self._package is None:
                    self._package = HoldfastPackage()
                return self._package.hello(json, settled=self._settled)
            if name == ACK:
                return read_ack(json)
        except msgspec.MsgspecError as error:
            return self._break(Reason.PROTOCOL_ERROR, f"{package}: {error}")
        return Data(package, json or "null")

    def snapshot(self, now: float) -> TelnetAdapterSnapshot:
        package = self._package
        return TelnetAdapterSnapshot(
            terminal=self._snapshot(),
            core=self._core.snapshot(now),
            probed=self._probed,
            settled=self._settled,
            package=package.snapshot() if package is not None else None,
            said_early=self._said_early,
        )

    def restore(self, taken: AdapterSnapshot, now: float) -> None:
        if not isinstance(taken, TelnetAdapterSnapshot):
            raise other_kind(taken, TelnetAdapterSnapshot)
        self.begin(now)
        self._core.restore(taken.core, now)
        self._restore(taken.terminal)
        self._probed, self._settled = taken.probed, taken.settled
        if taken.package is not None:
            self._package = HoldfastPackage.restore(taken.package)
        self._said_early = taken.said_early

    # --- outbound

    def data_to_send(self) -> bytes:
        return self._core.data_to_send()

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        # The core queues what follows: all of it leaves in one piece, which is compressed once.
        package = self._package
        self._shows_elements = _shows_elements(self._core.capabilities)
        if package is not None:
            self._data(*package.before(first))
        super().encode(first, items)
        if package is not None:
            self._data(*package.behind(first + len(items) - 1))
        return self._core.data_to_send()

    def encode_volatile(self, item: Output) -> bytes:
        super().encode_volatile(item)
        return self._core.data_to_send()

    def notify(self, notification: Notification) -> None:
        package = self._package
        match notification:
            case Welcomed() if package is not None:
                super().notify(notification)
                self._data(*package.welcome(notification))
            case TokenIssued() if package is not None:
                self._data(*package.issue(notification))
            case Resumption() if package is not None:
                self._data(*package.resume(notification))
                super().notify(notification)
            case Restart() if package is not None:
                self._data(*package.restart(notification))
                self._say("Welcome back. Some of what was said meanwhile could not be kept.")
            case MaybeDelivered() if package is not None:
                pass  # who counts has told what it has seen
            case _:
                super().notify(notification)

    def probe(self, number: int, now: float) -> bool:
        if not self._core.probe(now):
            return False
        self._probed = number
        return True

    def _paint(self, text: str, spans: Sequence[Span]) -> str:
        known = self._core.capabilities
        return paint(text, spans, colors_of(known), elements=_shows_elements(known))

    def _line(self, text: str) -> bytes:
        if "\x1b" in text:
            text = fit(text, limit_of(self._core.capabilities))
        if self._wraps:
            text = _wrapped(text, self._core.capabilities)
        self._core.send_text(text + "\n")
        return b""

    def _prompt(self, text: str) -> bytes:
        if "\x1b" in text:
            text = fit(text, limit_of(self._core.capabilities))
        self._core.send_prompt(text)
        return b""

    def _bytes(self, data: bytes) -> bytes:
        if self._raw:
            self._decoder = self._decoder or getincrementaldecoder("utf-8")("replace")
            self._core.send_text(self._decoder.decode(data).replace("\r\n", "\n"))
        return b""

    def _data(self, package: str, json: str) -> bytes:
        if not self._core.send_gmcp(package, json):
            self._core.send_msdp(package, json)
        return b""

    def _hide(self, hidden: bool) -> None:
        self._core.hide_input(hidden)

    def _queue(self, data: bytes) -> None:
        """Nothing to do: the core has queued it."""


def _capabilities(core: telnet.TelnetServer) -> Capabilities:
    """What the client can show, as the session keeps it."""
    known = core.capabilities
    return Capabilities(
        client=known.client_name,
        terminal=known.terminal_type,
        width=known.width,
        height=known.height,
        utf8=core.charset == UTF_8,
        colors=colors_of(known),
        data=known.gmcp or known.msdp,
        screen_reader=bool(known.mtts & telnet.Mtts.SCREEN_READER),
        mxp=_shows_elements(known),
    )


def _shows_elements(known: telnet.Capabilities) -> bool:
    """Not where escapes are left out: the modes of MXP are some."""
    return known.mxp and limit_of(known) > 0


def _wrapped(text: str, known: telnet.Capabilities) -> str:
    """A screen reader reads a paragraph better in one line; an element must end in its line."""
    whole = known.mtts & telnet.Mtts.SCREEN_READER or SECURE_LINE in text or is_marked(text)
    return text if whole else wrap(text, known.width)
