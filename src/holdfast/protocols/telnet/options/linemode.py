"""LINEMODE (RFC 1184): who edits a line, and who turns keys into signals.

    MODE         the server decides: EDIT, the client edits lines and sends whole ones; TRAPSIG,
                 it sends IAC IP, ABORT, SUSP and EOF for the keys that mean them
    SLC          which keys those are, at both ends (`special_characters`)
    FORWARDMASK  characters that end a line beside its end, by the Q method

The client performs the option. An acknowledgement is never answered, so nothing here can go on
for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntFlag, auto
from typing import Any, ClassVar, Final

from holdfast.core.states import Step, Table
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.codes import LINEMODE
from holdfast.protocols.telnet.events import LinemodeChanged
from holdfast.protocols.telnet.negotiation import HEARD, Q_METHOD, VERBS, Given, Q, Say, Side
from holdfast.protocols.telnet.options.base import Host, Option
from holdfast.protocols.telnet.options.special_characters import Setting, Special

_MODE: Final = 1
_FORWARDMASK: Final = 2
_SLC: Final = 3
_MASK_BYTES_MAX: Final = 32


class Mode(IntFlag):
    """The bits of MODE."""

    EDIT = 1
    TRAPSIG = 2
    ACK = 4
    SOFT_TAB = 8
    LIT_ECHO = 16


_DECIDED: Final = Mode.EDIT | Mode.TRAPSIG
"""What the client must take as it is; the other bits are advice (RFC 1184 section 2.2)."""
_KNOWN: Final = _DECIDED | Mode.SOFT_TAB | Mode.LIT_ECHO


class Agreement(Enum):
    """Whether the client has the mode that the server wants."""

    OFF = auto()
    ASKED = auto()
    AGREED = auto()


class Heard(Enum):
    """The inputs of the agreement, at the server."""

    WANT = auto()
    """The server wants a mode, the first one or another."""
    ACKNOWLEDGED = auto()
    SUGGESTED = auto()
    """Another mode, which the client would rather have."""
    OTHER = auto()
    """An acknowledgement of an earlier mode, or what changes nothing."""
    DISABLED = auto()


class Do(Enum):
    """The actions of the agreement."""

    NOTHING = auto()
    SEND = auto()
    REPORT = auto()


AGREEMENT: Final[Table[Agreement, Heard, Do]] = Table(
    "telnet LINEMODE",
    Agreement,
    Heard,
    {
        Agreement.OFF: {
            Heard.WANT: Step(Agreement.ASKED, Do.SEND),
            Heard.ACKNOWLEDGED: None,
            Heard.SUGGESTED: None,
            Heard.OTHER: None,
            Heard.DISABLED: None,
        },
        Agreement.ASKED: {
            Heard.WANT: Step(Agreement.ASKED, Do.SEND),
            Heard.ACKNOWLEDGED: Step(Agreement.AGREED, Do.REPORT),
            Heard.SUGGESTED: Step(Agreement.ASKED, Do.NOTHING),
            Heard.OTHER: Step(Agreement.ASKED, Do.NOTHING),
            Heard.DISABLED: Step(Agreement.OFF, Do.NOTHING),
        },
        Agreement.AGREED: {
            Heard.WANT: Step(Agreement.ASKED, Do.SEND),
            Heard.ACKNOWLEDGED: Step(Agreement.AGREED, Do.NOTHING),
            # "it may set the EDIT and TRAPSIG bits in the response" (RFC 1184 section 2.2)
            Heard.SUGGESTED: Step(Agreement.AGREED, Do.SEND),
            Heard.OTHER: Step(Agreement.AGREED, Do.NOTHING),
            Heard.DISABLED: Step(Agreement.OFF, Do.NOTHING),
        },
    },
)


class _Linemode(Option):
    """What both ends have in common."""

    __slots__ = ("_forwarding", "_special", "mask", "mode")

    _side: ClassVar[Side]
    """Which side of the option, as this end counts them."""

    def __init__(self) -> None:
        self.mode = Mode(0)
        """The mode that is wanted, at the server; that is in effect, at the client."""
        self.mask = b""
        """The characters that end a line beside its end (`is_in`); empty without any."""
        self._forwarding = Q.NO
        self._special: Special | None = None

    def snapshot(self, now: float) -> tuple[Any, ...]:
        special = None if self._special is None else self._special.export()
        return (int(self.mode), self.mask, self._forwarding.name, special)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        mode, self.mask, forwarding, special = taken
        self.mode, self._forwarding = Mode(mode), Q[forwarding]
        if special is not None:
            self._special = self._new_special()
            self._special.restore(special)

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        match payload[:1]:
            case b"\1" if len(payload) > 1:
                self._hear_mode(host, Mode(payload[1] & (_KNOWN | Mode.ACK)))
            case b"\3":
                self._hear_characters(host, payload[1:])
            case _ if payload[1:2] == bytes((_FORWARDMASK,)) and payload[0] in HEARD:
                self._hear_forwarding(host, payload[0], payload[2:])
            case _:
                host.count_malformed()

    def _hear_mode(self, host: Host, mode: Mode) -> None:
        raise NotImplementedError

    def _defaults(self) -> Mapping[int, Setting]:
        """The special characters of this end."""
        return {}

    def _new_special(self) -> Special:
        return Special(self._defaults(), is_client=self._side is Side.US)

    def _hear_characters(self, host: Host, triples: bytes) -> None:
        if self._special is None:
            self._special = self._new_special()
        answer = self._special.receive(triples)
        if answer:
            host.send_subnegotiation(LINEMODE, bytes((_SLC,)) + answer)

    # FORWARDMASK

    def _hear_forwarding(self, host: Host, verb: int, mask: bytes) -> None:
        side, on = HEARD[verb]
        if side is not self._side or len(mask) > _MASK_BYTES_MAX:
            host.count_malformed()
        else:
            self._negotiate_forwarding(host, self._meaning(mask, on=on))

    def _meaning(self, mask: bytes, *, on: bool) -> Given:
        raise NotImplementedError

    def _negotiate_forwarding(self, host: Host, given: Given) -> None:
        self._forwarding, say = Q_METHOD.step(self._forwarding, given)
        if say is Say.ERROR:
            host.count_malformed()
        elif say is not Say.NOTHING:
            verb = VERBS[self._side, say]
            mask = self.mask if verb == codes.DO else b""
            host.send_subnegotiation(LINEMODE, bytes((verb, _FORWARDMASK)) + mask)

    def disabled(self, host: Host, side: Side) -> None:
        self.mask = b""
        self._forwarding = Q.NO
        self._special = None


class LinemodeAsked(_Linemode):
    """The server's side."""

    __slots__ = ("_agreement",)

    _side = Side.HIM

    def __init__(self) -> None:
        super().__init__()
        self.mode = _DECIDED
        self._agreement = Agreement.OFF

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (*super().snapshot(now), self._agreement.name)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        *common, agreement = taken
        super().restore(tuple(common), now)
        self._agreement = Agreement[agreement]

    def enabled(self, host: Host, side: Side) -> None:
        self._apply(host, Heard.WANT)

    def disabled(self, host: Host, side: Side) -> None:
        super().disabled(host, side)
        self._apply(host, Heard.DISABLED)

    def want(self, host: Host, mode: Mode) -> None:
        """Have the client edit lines and trap signals, or not; now, or once it has the option."""
        if mode == self.mode:
            return
        self.mode = mode
        if self._agreement is not Agreement.OFF:
            self._apply(host, Heard.WANT)

    def forward_on(self, host: Host, characters: bytes) -> None:
        """Have the client send a line also at each of these; without any, no more."""
        if self._agreement is Agreement.OFF:
            return
        self.mask = mask_of(characters)
        self._negotiate_forwarding(host, Given.ASK_ON if characters else Given.ASK_OFF)

    def _hear_mode(self, host: Host, mode: Mode) -> None:
        same = mode & _DECIDED == self.mode & _DECIDED
        if mode & Mode.ACK:
            self._apply(host, Heard.ACKNOWLEDGED if same else Heard.OTHER)
        else:
            self._apply(host, Heard.OTHER if same else Heard.SUGGESTED)

    def _apply(self, host: Host, given: Heard) -> None:
        self._agreement, do = AGREEMENT.step(self._agreement, given)
        if do is Do.SEND:
            host.send_subnegotiation(LINEMODE, bytes((_MODE, self.mode)))
        elif do is Do.REPORT:
            host.emit(_changed(self.mode))

    def _meaning(self, mask: bytes, *, on: bool) -> Given:
        return Given.UNWANTED_ON if on else Given.OFF


class LinemodePerformed(_Linemode):
    """The client's side: `characters` are the keys of its terminal, by function."""

    __slots__ = ("_characters",)

    _side = Side.US

    def __init__(self, characters: Mapping[int, Setting]) -> None:
        super().__init__()
        self._characters = characters

    def enabled(self, host: Host, side: Side) -> None:
        """The client says which keys it has (RFC 1184 section 2.4, at the start)."""
        self._special = self._new_special()
        triples = self._special.export()
        if triples:
            host.send_subnegotiation(LINEMODE, bytes((_SLC,)) + triples)

    def disabled(self, host: Host, side: Side) -> None:
        super().disabled(host, side)
        self.mode = Mode(0)
        host.emit(_changed(self.mode))

    def _hear_mode(self, host: Host, mode: Mode) -> None:
        if mode & Mode.ACK or mode == self.mode:
            return
        self.mode = mode
        host.send_subnegotiation(LINEMODE, bytes((_MODE, mode | Mode.ACK)))
        host.emit(_changed(mode))

    def _defaults(self) -> Mapping[int, Setting]:
        return self._characters

    def _meaning(self, mask: bytes, *, on: bool) -> Given:
        self.mask = mask if on else b""
        return Given.AGREED_ON if on else Given.OFF


def _changed(mode: Mode) -> LinemodeChanged:
    return LinemodeChanged(Mode.EDIT in mode, Mode.TRAPSIG in mode)


def mask_of(characters: bytes) -> bytes:
    """The FORWARDMASK for these: a bit for each, the first character's is the highest."""
    mask = bytearray(_MASK_BYTES_MAX)
    for character in characters:
        mask[character // 8] |= 0x80 >> character % 8
    return bytes(mask).rstrip(b"\0") or b"\0"


def is_in(mask: bytes, character: int) -> bool:
    """Whether a FORWARDMASK has this character."""
    place = character // 8
    return place < len(mask) and bool(mask[place] & 0x80 >> character % 8)
