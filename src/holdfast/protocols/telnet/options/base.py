"""The interface between an option and its connection.

An option is a subclass of `Option` in a file of its own, and a `Row` in the table of each role
that supports it. It does not negotiate: the connection calls it when the option comes into
effect and when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.charsets import Charsets
from holdfast.protocols.telnet.events import Event
from holdfast.protocols.telnet.negotiation import Side


class Host(Protocol):
    """The operations of a connection for its options."""

    limits: TelnetLimits

    charsets: Charsets
    """The character sets that are allowed."""

    capabilities: Capabilities
    """The capabilities of the peer; set it directly only if no event is needed."""

    def learn(self, capabilities: Capabilities) -> None:
        """Replace the capabilities of the peer, and queue an event."""

    def assume_charset(self, charset: str) -> None:
        """Assume this character set of the peer, until another one is negotiated or detected."""

    def emit(self, event: Event) -> None:
        """Give the caller an event."""

    def say(self, verb: int, code: int) -> None:
        """Queue a negotiation."""

    def count_malformed(self) -> None:
        """Count a message that makes no sense."""

    def send_text(self, text: str) -> None:
        """Queue text."""

    def send_subnegotiation(self, code: int, payload: bytes) -> bool:
        """Queue `IAC SB code payload IAC SE`; `False` if the option is not in effect."""

    def set_timer(self, code: int, when: float) -> None:
        """Call the option's `timer` at `when`."""

    @property
    def is_settled(self) -> bool:
        """Whether the opening negotiation is over."""

    def start_compressing(self, code: int) -> None:
        """Queue `IAC SB code IAC SE` and compress all later output."""

    def stop_compressing(self) -> None:
        """End the compressed stream: later output is plain."""

    def start_inflating(self) -> None:
        """The bytes after this subnegotiation are a zlib stream."""

    def echo_line_ends(self, echoing: bool) -> None:
        """Answer each received line with CR LF, or no more."""


class Option:
    """An option that changes nothing but its own state, and the base of those that do more."""

    __slots__ = ()

    @property
    def settled(self) -> bool:
        """Whether nothing more is expected of the peer in the opening."""
        return True

    def acceptable(self) -> bool:
        """Whether the peer may enable it now, if the row allows it."""
        return True

    def enabled(self, host: Host, side: Side) -> None:
        """The option came into effect."""

    def disabled(self, host: Host, side: Side) -> None:
        """The option is no longer in effect."""

    def settle(self, host: Host) -> None:
        """The opening negotiation is over, and the option is in effect."""

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        """Handle a payload of the peer; never raises."""

    def weight(self, payload: bytes) -> int:
        """How many commands a client's payload counts for, where the row carries data."""
        return 0

    def timer(self, host: Host) -> None:
        """The time that was set has come."""

    def snapshot(self, now: float) -> tuple[Any, ...]:
        """What it knows, as plain values: for a process that takes the connection over."""
        return ()

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        """Go on where `taken` was made."""


class Policy(Enum):
    """How we meet one side of an option."""

    REFUSE = auto()
    ACCEPT = auto()
    """When the peer asks, or we ourselves do later."""
    OFFER = auto()
    """In the opening."""


class Row(NamedTuple):
    """One option in the table of a role."""

    code: int
    us: Policy
    him: Policy
    make: Callable[[], Option]
    carries_data: bool = False
    """Whether its messages are for the application: longer ones are allowed, and they do not
    count as negotiation, because a session limits the input of an application."""

    awaited: bool = True
    """Whether the opening waits for the answer: some clients give none."""

    def policy(self, side: Side) -> Policy:
        """The policy for one side."""
        return self.us if side is Side.US else self.him


def shared(option: Option) -> Callable[[], Option]:
    """For an option that keeps nothing: one object serves every connection."""
    return lambda: option


class Options:
    """The table of a role: its rows in the order of the opening offers."""

    __slots__ = ("awaited", "data_options", "index", "offers", "rows")

    def __init__(self, *rows: Row) -> None:
        self.rows: Final = rows
        self.index: Final = {row.code: number for number, row in enumerate(rows)}
        self.offers: Final = tuple(
            (row.code, side) for row in rows for side in Side if row.policy(side) is Policy.OFFER
        )
        self.awaited: Final = tuple(
            (code, side) for code, side in self.offers if rows[self.index[code]].awaited
        )
        self.data_options: Final = frozenset(row.code for row in rows if row.carries_data)


def printable(data: bytes, chars_max: int) -> str:
    """A peer's name for something: printable ASCII, cut; it may come into a log or a terminal."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in data[:chars_max]).strip()
