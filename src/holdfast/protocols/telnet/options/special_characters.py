"""The special characters of LINEMODE (RFC 1184, section 2.4): which key means which function.

Each end sends its setting for a function: none, a character that it cannot change, or one
that it can. An answer is due only where the two differ, and never to an acknowledgement, so
the exchange ends. `Special` is one end: it takes settings, and returns the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, auto
from typing import Final, NamedTuple

from holdfast.core.states import Step, Table


class SLC(IntEnum):
    """The functions (RFC 1184 section 2.4)."""

    SYNCH = 1
    BRK = 2
    IP = 3
    AO = 4
    AYT = 5
    EOR = 6
    ABORT = 7
    EOF = 8
    SUSP = 9
    EC = 10
    EL = 11
    EW = 12
    RP = 13
    LNEXT = 14
    XON = 15
    XOFF = 16
    FORW1 = 17
    FORW2 = 18
    MCL = 19
    MCR = 20
    MCWL = 21
    MCWR = 22
    MCBOL = 23
    MCEOL = 24
    INSRT = 25
    OVER = 26
    ECR = 27
    EWR = 28
    EBOL = 29
    EEOL = 30


_EVERY: Final = 0
"""As a function: a request for all values, the defaults or those of the moment."""

_LEVELS: Final = 3
_FLUSHES: Final = 96
"""SLC_FLUSHIN and SLC_FLUSHOUT: what is discarded together with the function."""
_ACK: Final = 128
_TRIPLE: Final = 3


class Level(IntEnum):
    """What an end has for a function (SLC_LEVELBITS)."""

    NOSUPPORT = 0
    CANTCHANGE = 1
    VALUE = 2
    DEFAULT = 3
    """As a request: the default of the other end."""


class Setting(NamedTuple):
    """One function at one end."""

    level: Level
    value: int
    flushes: int = 0


_NONE: Final = Setting(Level.NOSUPPORT, 0)


class Support(Enum):
    """What an end can do about a function."""

    UNKNOWN = auto()
    """RFC 1184 has no such function."""
    CHANGEABLE = auto()
    FIXED = auto()


class Told(Enum):
    """The inputs: what the other end says of a function."""

    ACKNOWLEDGED = auto()
    CONFIRMED = auto()
    """To the client: the value that it had asked for is taken, and it has taken another one
    meanwhile. The client's holds (RFC 1184 section 5.5)."""
    SAME = auto()
    """The level and the value that we have."""
    NOSUPPORT = auto()
    CANTCHANGE = auto()
    VALUE = auto()
    DEFAULT = auto()


class Do(Enum):
    """The actions."""

    NOTHING = auto()
    TAKE = auto()
    """Have what the other end has, and acknowledge it."""
    ADOPT = auto()
    """Have what the other end has."""
    RESET = auto()
    """Have our default, and say so."""
    KEEP = auto()
    """Say what we have."""
    REFUSE = auto()
    """Have nothing, and say so."""


def _row(support: Support, **does: Do) -> dict[Told, Step[Support, Do]]:
    return {told: Step(support, does.get(told.name, Do.NOTHING)) for told in Told}


DECISIONS: Final[Table[Support, Told, Do]] = Table(
    "telnet SLC",
    Support,
    Told,
    {
        Support.UNKNOWN: _row(
            Support.UNKNOWN, CANTCHANGE=Do.REFUSE, VALUE=Do.REFUSE, DEFAULT=Do.REFUSE
        ),
        Support.CHANGEABLE: _row(
            Support.CHANGEABLE,
            CONFIRMED=Do.ADOPT,
            NOSUPPORT=Do.TAKE,
            CANTCHANGE=Do.TAKE,
            VALUE=Do.TAKE,
            DEFAULT=Do.RESET,
        ),
        Support.FIXED: _row(
            Support.FIXED,
            NOSUPPORT=Do.TAKE,
            CANTCHANGE=Do.REFUSE,  # neither can change
            VALUE=Do.KEEP,
            DEFAULT=Do.RESET,
        ),
    },
)


class Special:
    """The special characters at one end. `defaults` are its own, by function."""

    __slots__ = ("_current", "_defaults", "_is_client")

    def __init__(self, defaults: Mapping[int, Setting], *, is_client: bool = False) -> None:
        self._defaults = defaults
        self._is_client = is_client
        self._current = dict(defaults)

    def setting(self, function: int) -> Setting:
        """What both ends have for a function, as far as it is known here."""
        return self._current.get(function, _NONE)

    def export(self) -> bytes:
        """All that this end has, as triples."""
        return b"".join(_triple(function, it) for function, it in self._current.items())

    def restore(self, triples: bytes) -> None:
        """Be what `export` gave."""
        self._current = {
            function: _setting(flags, value) for function, flags, value in _cut(triples)
        }

    def receive(self, triples: bytes) -> bytes:
        """What the other end says; returns the answers, as triples. Half a triple is dropped."""
        answers: dict[int, bytes] = {}
        for function, flags, value in _cut(triples):
            if function == _EVERY and self._is_client:
                continue  # only a client may ask for that
            if function == _EVERY:
                if _setting(flags, value).level is Level.DEFAULT:
                    self._current = dict(self._defaults)
                return self.export()
            answer = self._hear(function, flags, value)
            if answer:
                answers[function] = answer
        return b"".join(answers.values())

    def _hear(self, function: int, flags: int, value: int) -> bytes:
        given, ours = _setting(flags, value), self.setting(function)
        told = _told(given, ours, acknowledged=bool(flags & _ACK), is_client=self._is_client)
        _, do = DECISIONS.step(self._support(function), told)
        match do:
            case Do.TAKE:
                self._current[function] = given
                return _triple(function, given, _ACK)
            case Do.ADOPT:
                self._current[function] = given
                return b""
            case Do.RESET:
                self._current[function] = self._defaults.get(function, _NONE)
            case Do.REFUSE:
                self._current.pop(function, None)
            case Do.KEEP:
                pass
            case Do.NOTHING:
                return b""
        return _triple(function, self.setting(function))

    def _support(self, function: int) -> Support:
        if function > SLC.EEOL:
            return Support.UNKNOWN
        fixed = self.setting(function).level is Level.CANTCHANGE and function in self._defaults
        return Support.FIXED if fixed else Support.CHANGEABLE


def _told(given: Setting, ours: Setting, *, acknowledged: bool, is_client: bool) -> Told:
    same = given[:2] == ours[:2]
    if acknowledged:
        confirmed = is_client and not same and given.level is ours.level
        return Told.CONFIRMED if confirmed else Told.ACKNOWLEDGED
    if same:
        return Told.SAME
    return Told[given.level.name]


def _cut(triples: bytes) -> list[tuple[int, int, int]]:
    whole = len(triples) // _TRIPLE * _TRIPLE
    return [
        (triples[start], triples[start + 1], triples[start + 2])
        for start in range(0, whole, _TRIPLE)
    ]


def _setting(flags: int, value: int) -> Setting:
    return Setting(Level(flags & _LEVELS), value, flags & _FLUSHES)


def _triple(function: int, setting: Setting, ack: int = 0) -> bytes:
    return bytes((function, setting.level | setting.flushes | ack, setting.value))
