"""START_TLS (option 46): whether a connection goes on in TLS, before anything else is said.

    server → DO START_TLS        client → WILL START_TLS
    both   → IAC SB START_TLS FOLLOWS IAC SE, and then TLS, in which the client is the client

The option is agreed on before the Telnet conversation begins, for two reasons. TLS resets all
options, so nothing else need be negotiated twice. And nothing that came in the clear may count
as part of the secure conversation, since anybody on the way could have put it there: what came
before FOLLOWS is discarded, and what comes behind it is TLS or nothing
(https://www.rfc-editor.org/rfc/rfc9051#section-11.1 has the same rule for IMAP).

A peer that refuses, or says nothing, goes on in the clear; what it has sent meanwhile is kept
for whoever serves it then.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from holdfast.core.limits import TelnetLimits
from holdfast.core.states import Step, Table
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.parser import Negotiation, Parser, Subnegotiation, Token

_FOLLOWS: Final = b"\1"
_SAY_FOLLOWS: Final = (
    bytes((codes.IAC, codes.SB, codes.START_TLS)) + _FOLLOWS + bytes((codes.IAC, codes.SE))
)


class Upgrade(Enum):
    """How far the agreement on TLS is."""

    ASKED = auto()
    AGREED = auto()
    """We have said FOLLOWS, and send nothing more until TLS; the peer has not."""
    TLS = auto()
    """TLS begins with the next byte."""
    PLAIN = auto()
    """The conversation goes on in the clear."""
    BROKEN = auto()
    """The peer agreed to TLS and took that back: it waits for nothing that we could say."""


class Heard(Enum):
    """The inputs of the agreement."""

    AGREES = auto()
    REFUSES = auto()
    FOLLOWS = auto()
    SPEAKS = auto()
    """It goes on as if nothing had been asked: with a line of text."""
    TOO_MUCH = auto()
    """It sends more than an answer could be among."""
    SILENCE = auto()
    """The time for an answer is over."""


class Do(Enum):
    """The actions of the agreement."""

    NOTHING = auto()
    SAY_FOLLOWS = auto()


_OVER: Final = dict.fromkeys(Heard)

UPGRADE: Final[Table[Upgrade, Heard, Do]] = Table(
    "telnet START_TLS",
    Upgrade,
    Heard,
    {
        Upgrade.ASKED: {
            Heard.AGREES: Step(Upgrade.AGREED, Do.SAY_FOLLOWS),
            Heard.REFUSES: Step(Upgrade.PLAIN, Do.NOTHING),
            Heard.FOLLOWS: Step(Upgrade.ASKED, Do.NOTHING),  # of an option that is not in effect
            Heard.SPEAKS: Step(Upgrade.PLAIN, Do.NOTHING),
            Heard.TOO_MUCH: Step(Upgrade.PLAIN, Do.NOTHING),
            Heard.SILENCE: Step(Upgrade.PLAIN, Do.NOTHING),
        },
        Upgrade.AGREED: {
            Heard.AGREES: Step(Upgrade.AGREED, Do.NOTHING),
            Heard.REFUSES: Step(Upgrade.BROKEN, Do.NOTHING),
            Heard.FOLLOWS: Step(Upgrade.TLS, Do.NOTHING),
            Heard.SPEAKS: Step(Upgrade.AGREED, Do.NOTHING),
            Heard.TOO_MUCH: Step(Upgrade.BROKEN, Do.NOTHING),
            Heard.SILENCE: Step(Upgrade.BROKEN, Do.NOTHING),
        },
        Upgrade.TLS: _OVER,
        Upgrade.PLAIN: _OVER,
        Upgrade.BROKEN: _OVER,
    },
)


class StartTls:
    """The agreement of one connection. Send what `data_to_send` gives, at the start as well.

    `side` performs the option: `HIM` for a server, whose client performs it, `US` for a client.
    """

    __slots__ = (
        "_discarded",
        "_kept",
        "_limits",
        "_out",
        "_parser",
        "_partial",
        "_side",
        "rest",
        "state",
    )

    def __init__(self, limits: TelnetLimits, side: Side) -> None:
        self.state = Upgrade.ASKED
        self.rest = b""
        """Once that is decided: the first bytes of TLS, or everything but the answer."""
        self._limits = limits
        self._side = side
        self._parser = Parser(limits, frozenset())
        self._kept = bytearray()
        self._partial = bytearray()
        """The beginning of a token."""
        self._discarded = 0
        """Bytes that came and are not kept: those of the agreement itself, and all after it."""
        verb = codes.WILL if side is Side.US else codes.DO
        self._out = bytes((codes.IAC, verb, codes.START_TLS))

    @property
    def decided(self) -> bool:
        """Whether there is nothing more to find out."""
        return self.state not in (Upgrade.ASKED, Upgrade.AGREED)

    def data_to_send(self) -> bytes:
        """What is queued, once."""
        data, self._out = self._out, b""
        return data

    def receive_data(self, data: bytes) -> None:
        """Process the peer's bytes, up to the decision."""
        start = 0
        for token in self._parser.parse(data, 0.0):
            end = self._parser.position
            self._take(token, data[start:end])
            start = end
            if self.decided:
                self.rest = bytes(self._kept) + data[start:]
                return
        if self.state is Upgrade.ASKED:
            self._partial += data[start:]
        else:
            self._discarded += len(data) - start
        waiting = len(self._kept) + len(self._partial)
        if max(waiting, self._discarded) > self._limits.start_tls_bytes_max:
            self._apply(Heard.TOO_MUCH)
            self.rest = bytes(self._kept + self._partial)

    def give_up(self) -> None:
        """The time for an answer is over."""
        self._apply(Heard.SILENCE)
        self.rest = bytes(self._kept + self._partial)

    def _take(self, token: Token, tail: bytes) -> None:
        """Process a token, of which `tail` has come now."""
        given = self._meaning(token)
        if given is Heard.SPEAKS and self.state is Upgrade.ASKED:
            self._kept += self._partial + tail
        else:
            self._discarded += len(tail)
        self._partial.clear()
        if given is not Heard.SPEAKS or self._is_typed(token):
            self._apply(given)

    def _apply(self, given: Heard) -> None:
        self.state, do = UPGRADE.step(self.state, given)
        if do is Do.SAY_FOLLOWS:
            self._kept.clear()
            self._out += _SAY_FOLLOWS

    def _meaning(self, token: Token) -> Heard:
        agrees = codes.DO if self._side is Side.US else codes.WILL
        refuses = codes.DONT if self._side is Side.US else codes.WONT
        match token:
            case Negotiation(verb, codes.START_TLS) if verb == agrees:
                return Heard.AGREES
            case Negotiation(verb, codes.START_TLS) if verb == refuses:
                return Heard.REFUSES
            case Subnegotiation(codes.START_TLS, payload) if payload == _FOLLOWS:
                return Heard.FOLLOWS
            case _:
                return Heard.SPEAKS

    def _is_typed(self, token: Token) -> bool:
        """Whether a person goes on without an answer. A server may greet before it answers."""
        text = self._side is Side.HIM and isinstance(token, bytes)
        return text and (b"\n" in token or b"\r" in token)
