"""TERMINAL-TYPE (RFC 1091) with the cycle of MTTS, and the delivery probe built on it.

The server asks with SEND, one at a time. The first answer is the client's
name, the second its terminal, the third `MTTS` and a number; a plain RFC 1091
client has only terminal types. Every measured client answers every SEND, after
all the text before it, for ever: once the cycle is over, a SEND is a probe.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from msgspec import structs

from holdfast.core.states import Step, Table
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.charsets import US_ASCII
from holdfast.protocols.telnet.codes import TTYPE
from holdfast.protocols.telnet.events import ProbeAnswered
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option, printable
from holdfast.protocols.telnet.terminal import Terminal

_IS: Final = b"\0"
_SEND: Final = b"\1"
_MTTS: Final = "MTTS "
_IN_ASCII: Final = frozenset({"TINYFUGUE"})
"""Clients that show no UTF-8 unless they agree to it by CHARSET (tf 5.0 drops the eighth bit)."""


class Cycle(Enum):
    """The purpose of the last SEND."""

    OFF = auto()
    ASKING = auto()
    OVER = auto()
    PROBING = auto()


class Given(Enum):
    """The inputs of the cycle."""

    ENABLED = auto()
    DISABLED = auto()
    NEW_NAME = auto()
    LAST_NAME = auto()
    PROBE = auto()


class Do(Enum):
    """The actions of the cycle."""

    NOTHING = auto()
    SEND = auto()
    REPORT = auto()


CYCLE: Final[Table[Cycle, Given, Do]] = Table(
    "telnet TERMINAL-TYPE",
    Cycle,
    Given,
    {
        Cycle.OFF: {
            Given.ENABLED: Step(Cycle.ASKING, Do.SEND),
            Given.DISABLED: None,
            Given.NEW_NAME: None,
            Given.LAST_NAME: None,
            Given.PROBE: None,
        },
        Cycle.ASKING: {
            Given.ENABLED: None,
            Given.DISABLED: Step(Cycle.OFF, Do.NOTHING),
            Given.NEW_NAME: Step(Cycle.ASKING, Do.SEND),
            Given.LAST_NAME: Step(Cycle.OVER, Do.NOTHING),
            Given.PROBE: None,
        },
        Cycle.OVER: {
            Given.ENABLED: None,
            Given.DISABLED: Step(Cycle.OFF, Do.NOTHING),
            Given.NEW_NAME: Step(Cycle.OVER, Do.NOTHING),
            Given.LAST_NAME: Step(Cycle.OVER, Do.NOTHING),
            Given.PROBE: Step(Cycle.PROBING, Do.SEND),
        },
        Cycle.PROBING: {
            Given.ENABLED: None,
            Given.DISABLED: Step(Cycle.OFF, Do.NOTHING),
            Given.NEW_NAME: Step(Cycle.OVER, Do.REPORT),
            Given.LAST_NAME: Step(Cycle.OVER, Do.REPORT),
            Given.PROBE: None,
        },
    },
)


class TerminalTypeAsked(Option):
    """The server's side."""

    __slots__ = ("_cycle", "_names", "_probed_at")

    def __init__(self) -> None:
        self._cycle = Cycle.OFF
        self._names: tuple[str, ...] = ()
        self._probed_at = 0.0

    @property
    def settled(self) -> bool:
        return self._cycle is not Cycle.ASKING

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self._cycle.name, self._names, now - self._probed_at)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        cycle, names, ago = taken
        self._cycle, self._names, self._probed_at = Cycle[cycle], tuple(names), now - ago

    def enabled(self, host: Host, side: Side) -> None:
        self._names = ()
        self._apply(host, Given.ENABLED)

    def disabled(self, host: Host, side: Side) -> None:
        self._apply(host, Given.DISABLED)

    def probe(self, host: Host, now: float) -> bool:
        """Ask once more; `False` when the client cannot, or has not answered the last one."""
        if not CYCLE.allows(self._cycle, Given.PROBE):
            return False
        self._probed_at = now
        self._apply(host, Given.PROBE)
        return True

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if payload[:1] != _IS:
            return
        given = Given.LAST_NAME
        if self._cycle is Cycle.ASKING:
            given = self._hear(host, printable(payload[1:], host.limits.name_chars_max))
        if self._apply(host, given) is Do.REPORT:
            host.emit(ProbeAnswered(now - self._probed_at))

    def _apply(self, host: Host, given: Given) -> Do:
        self._cycle, do = CYCLE.step(self._cycle, given)
        if do is Do.SEND:
            host.send_subnegotiation(TTYPE, _SEND)
        return do

    def _hear(self, host: Host, name: str) -> Given:
        """Keep a name. A list ends with its last name repeated (RFC 1091), or with UNKNOWN."""
        repeated = bool(self._names) and name.upper() == self._names[-1].upper()
        if not repeated and name.upper() != "UNKNOWN":
            self._names = (*self._names, name)
            if name.upper() in _IN_ASCII:
                host.assume_charset(US_ASCII)
            host.learn(_described(host.capabilities, self._names))
            if len(self._names) < host.limits.terminal_types_max:
                return Given.NEW_NAME
        self._names = ()
        return Given.LAST_NAME


def _described(known: Capabilities, names: tuple[str, ...]) -> Capabilities:
    name = names[-1]
    if name.upper().startswith(_MTTS):
        return known.with_mtts(name[len(_MTTS) :])
    match len(names):
        case 1:  # until there is a second one
            return structs.replace(known, terminal_type=known.terminal_type or name)
        case 2:
            client_name = known.client_name or names[0]
            return structs.replace(known, client_name=client_name, terminal_type=name)
        case _:
            return known


class TerminalTypeTold(Option):
    """The client's side: each SEND is answered with the next name. The last one is said twice,
    which ends the list; then it begins again (RFC 1091 section 6)."""

    __slots__ = ("_next", "_terminal")

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._next = 0

    def describe(self, terminal: Terminal) -> None:
        """The client has another terminal: the next list is of its names."""
        self._terminal = terminal

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self._next,)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        (self._next,) = taken

    def enabled(self, host: Host, side: Side) -> None:
        self._next = 0

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if payload == _SEND:
            last = f"{_MTTS}{self._terminal.mtts}"
            names = (self._terminal.name, self._terminal.type, last, last)
            host.send_subnegotiation(TTYPE, _IS + names[self._next].encode("ascii", "replace"))
            self._next = (self._next + 1) % len(names)
