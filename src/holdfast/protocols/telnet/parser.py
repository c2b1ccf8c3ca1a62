"""The byte parser: Telnet commands (RFC 854, RFC 855).

A machine with six states reads one class of byte at a time; runs of data and payload are cut
out whole. Its state survives any split of the input. Tokens are made one at a time while the
caller takes them, so a change that a token causes applies to the next byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from holdfast.core.limits import TelnetLimits
from holdfast.core.states import Step, Table
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.snapshot import ParserSnapshot


class Command(NamedTuple):
    """IAC and one byte, without parameters."""

    code: int


class Negotiation(NamedTuple):
    """IAC, WILL WONT DO or DONT, and an option."""

    verb: int
    option: int


class Subnegotiation(NamedTuple):
    """IAC SB, an option, its payload without the doubling of IAC, IAC SE."""

    option: int
    payload: bytes


class Overflow(NamedTuple):
    """A subnegotiation is longer than its limit; nothing of it is kept."""

    option: int


class Malformed(NamedTuple):
    """Bytes that mean nothing; they are dropped."""


Token = bytes | Command | Negotiation | Subnegotiation | Overflow | Malformed
"""The tokens of the parser; plain `bytes` are data for the NVT."""


class State(Enum):
    """Where the last byte left us."""

    DATA = auto()
    IAC = auto()
    NEGOTIATION = auto()
    SB_OPTION = auto()
    SB_DATA = auto()
    SB_IAC = auto()


class Byte(Enum):
    """The classes of bytes."""

    IAC = auto()
    SE = auto()
    SB = auto()
    VERB = auto()
    COMMAND = auto()
    OTHER = auto()


class Do(Enum):
    """The actions of the machine."""

    NOTHING = auto()
    TAKE = auto()
    """Data, or payload, depending on the next state."""
    BEGIN = auto()
    """A subnegotiation begins."""
    KEEP_VERB = auto()
    NEGOTIATE = auto()
    COMMAND = auto()
    OPEN = auto()
    """The option of a subnegotiation."""
    DELIVER = auto()
    DROP = auto()
    """Malformed."""
    ABANDON = auto()
    """The subnegotiation was not closed (RFC 855: only IAC SE may); a new command began."""


def _row(rest: Step[State, Do], **cells: Step[State, Do]) -> dict[Byte, Step[State, Do]]:
    return {byte: cells.get(byte.name, rest) for byte in Byte}


PARSER: Final[Table[State, Byte, Do]] = Table(
    "telnet parser",
    State,
    Byte,
    {
        State.DATA: _row(Step(State.DATA, Do.TAKE), IAC=Step(State.IAC, Do.NOTHING)),
        State.IAC: _row(
            Step(State.DATA, Do.DROP),
            IAC=Step(State.DATA, Do.TAKE),
            SB=Step(State.SB_OPTION, Do.BEGIN),
            VERB=Step(State.NEGOTIATION, Do.KEEP_VERB),
            COMMAND=Step(State.DATA, Do.COMMAND),
        ),
        State.NEGOTIATION: _row(Step(State.DATA, Do.NEGOTIATE)),
        State.SB_OPTION: _row(Step(State.SB_DATA, Do.OPEN), IAC=Step(State.SB_IAC, Do.DROP)),
        State.SB_DATA: _row(Step(State.SB_DATA, Do.TAKE), IAC=Step(State.SB_IAC, Do.NOTHING)),
        State.SB_IAC: _row(
            Step(State.IAC, Do.ABANDON),
            IAC=Step(State.SB_DATA, Do.TAKE),
            SE=Step(State.DATA, Do.DELIVER),
        ),
    },
)


def _byte_class(code: int) -> Byte:
    match code:
        case codes.IAC:
            return Byte.IAC
        case codes.SE:
            return Byte.SE
        case codes.SB:
            return Byte.SB
        case codes.WILL | codes.WONT | codes.DO | codes.DONT:
            return Byte.VERB
        case _:
            return Byte.COMMAND if code >= codes.EOF else Byte.OTHER


# The same table with a column for each byte: one look-up in the loop below.
_CELLS: Final = {
    state: tuple(PARSER.step(state, _byte_class(code)) for code in range(256)) for state in State
}


_ESCAPE: Final = bytes((codes.IAC,))
_ESCAPED: Final = bytes((codes.IAC, codes.IAC))


def _run_end(data: bytes, position: int) -> int:
    """Where data ends and a command begins. An escaped IAC (RFC 854) does not end it: a peer
    that sends nothing else would be costly, a token each."""
    stop = data.find(_ESCAPE, position)
    while stop >= 0 and data.startswith(_ESCAPE, stop + 1):
        stop = data.find(_ESCAPE, stop + 2)
    return stop if stop >= 0 else len(data)


class Parser:
    """Cuts one direction of a connection into tokens.

    `data_options` are held to `gmcp_bytes_max`, all others to
    `subnegotiation_bytes_max`.
    """

    __slots__ = (
        "_data_options",
        "_limits",
        "_option",
        "_payload",
        "_verb",
        "opened_at",
        "position",
        "state",
    )

    def __init__(self, limits: TelnetLimits, data_options: frozenset[int]) -> None:
        self.state = State.DATA
        self.position = 0
        """The position in `data` of `parse` after the last token. A caller that stops there may
        process the rest differently."""
        self.opened_at: float | None = None
        """When the unfinished subnegotiation began."""
        self._limits = limits
        self._data_options = data_options
        self._verb = 0
        self._option = 0
        self._payload: bytearray | None = None  # None: no subnegotiation, or one not kept

    def parse(self, data: bytes, now: float) -> Iterator[Token]:
        """Yield the tokens of `data`, made one at a time."""
        position = 0
        while position < len(data):
            if self.state is State.DATA or self.state is State.SB_DATA:
                stop = _run_end(data, position)
                if stop > position:
                    self.position = stop
                    yield from self._take(data[position:stop].replace(_ESCAPED, _ESCAPE))
                    position = stop
                    continue
            self.position = position + 1
            yield from self._step(data[position], now)
            position += 1

    @property
    def pending(self) -> int:
        """The bytes of an unfinished subnegotiation."""
        return len(self._payload) if self._payload is not None else 0

    def abandon(self) -> None:
        """Give up an unfinished subnegotiation: what follows is data."""
        self.state = State.DATA
        self._close()

    def snapshot(self, now: float) -> ParserSnapshot:
        """The token that is unfinished."""
        payload = None if self._payload is None else bytes(self._payload)
        seconds = None if self.opened_at is None else now - self.opened_at
        return ParserSnapshot(self.state.name, self._verb, self._option, payload, seconds)

    def restore(self, taken: ParserSnapshot, now: float) -> None:
        """Go on where `taken` was made."""
        self.state = State[taken.state]
        self._verb, self._option = taken.verb, taken.option
        self._payload = None if taken.payload is None else bytearray(taken.payload)
        self.opened_at = None if taken.open_seconds is None else now - taken.open_seconds

    def _step(self, byte: int, now: float) -> Iterable[Token]:
        self.state, do = _CELLS[self.state][byte]
        match do:
            case Do.TAKE:
                return self._take(bytes((byte,)))
            case Do.NEGOTIATE:
                return (Negotiation(self._verb, byte),)
            case Do.COMMAND:
                return (Command(byte),)
            case Do.DELIVER:
                return self._deliver()
            case Do.DROP:
                return (Malformed(),)
            case Do.ABANDON:
                self._close()
                return (Malformed(), *self._step(byte, now))
            case Do.NOTHING | Do.BEGIN | Do.KEEP_VERB | Do.OPEN:
                self._keep(do, byte, now)
                return ()

    def _keep(self, do: Do, byte: int, now: float) -> None:
        match do:
            case Do.BEGIN:
                self.opened_at = now
            case Do.KEEP_VERB:
                self._verb = byte
            case Do.OPEN:
                self._option = byte
                self._payload = bytearray()
            case _:
                pass

    def _take(self, run: bytes) -> Iterable[Token]:
        if self.state is State.DATA:
            return (run,)
        if self._payload is None:
            return ()
        if len(self._payload) + len(run) > self._payload_max():
            self._payload = None
            return (Overflow(self._option),)
        self._payload += run
        return ()

    def _payload_max(self) -> int:
        if self._option in self._data_options:
            return self._limits.gmcp_bytes_max
        return self._limits.subnegotiation_bytes_max

    def _deliver(self) -> Iterable[Token]:
        payload = self._payload
        self._close()
        return () if payload is None else (Subnegotiation(self._option, bytes(payload)),)

    def _close(self) -> None:
        self.opened_at = None
        self._payload = None
