"""The options of one connection: which are in effect, and who handles them.

It applies a role's policy to the Q method. The answer is queued before the option learns that
it is in effect, so output of the option follows the answer.
"""

from __future__ import annotations

from typing import Final, TypeVar

from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.events import OptionChanged
from holdfast.protocols.telnet.negotiation import HEARD, VERBS, Given, OptionStates, Q, Say, Side
from holdfast.protocols.telnet.options.base import Host, Option, Options, Policy
from holdfast.protocols.telnet.snapshot import OptionSnapshot

T = TypeVar("T", bound=Option)


_NOTHING: Final[frozenset[int]] = frozenset()
"""One for all connections."""
_ENDING: Final = frozenset((Q.WANTNO_EMPTY, Q.WANTNO_OPPOSITE))
_UNKNOWN: Final = OptionSnapshot(Q.NO.name, Q.NO.name, False, ())
"""Of an option that the other process did not have."""


class Negotiator:
    """Negotiates the options of a role's table, and refuses every other."""

    __slots__ = ("_handlers", "_states", "_watched", "table")

    def __init__(self, table: Options) -> None:
        self.table = table
        self._states = OptionStates(len(table.rows))
        self._watched = _NOTHING
        """Options of whose changes the caller wants to hear."""
        self._handlers = tuple(row.make() for row in table.rows)

    @property
    def settled(self) -> bool:
        """Whether the opening is complete: each offer answered, and the options' own requests
        as well."""
        return all(handler.settled for handler in self._handlers) and not any(
            self.state(code, side) is Q.WANTYES_EMPTY for code, side in self.table.awaited
        )

    def is_on(self, code: int) -> bool:
        """Whether an option is in effect, on either side."""
        return code in self.table.index and (
            self.is_on_at(code, Side.US) or self.is_on_at(code, Side.HIM)
        )

    def is_ending(self, code: int) -> bool:
        """Whether an option was asked away and the peer may not know yet, on either side."""
        return code in self.table.index and not _ENDING.isdisjoint(
            (self.state(code, Side.US), self.state(code, Side.HIM))
        )

    def is_on_at(self, code: int, side: Side) -> bool:
        """Whether one side of a known option is in effect."""
        return self._states.is_on(self.table.index[code], side)

    def state(self, code: int, side: Side) -> Q:
        """The state of one side of a known option."""
        return self._states.state(self.table.index[code], side)

    def handler(self, code: int) -> Option:
        """Who handles a known option."""
        return self._handlers[self.table.index[code]]

    def find(self, kind: type[T]) -> T:
        """The handler of this kind; the table has one."""
        return next(handler for handler in self._handlers if isinstance(handler, kind))

    def offer(self, host: Host) -> None:
        """Ask for all that the table offers, in its order."""
        for code, side in self.table.offers:
            self.want(host, code, side, True)

    def want(self, host: Host, code: int, side: Side, on: bool) -> None:
        """Ask the peer for one side of a known option, or ask it away."""
        self.apply(host, code, side, Given.ASK_ON if on else Given.ASK_OFF)

    def settle(self, host: Host) -> None:
        """Tell the options in effect that the opening negotiation is over."""
        for row, handler in zip(self.table.rows, self._handlers, strict=True):
            if self.is_on(row.code):
                handler.settle(host)

    def hear(self, host: Host, verb: int, code: int) -> None:
        """The peer sent WILL, WONT, DO or DONT."""
        if code not in self.table.index:
            _refuse(host, verb, code)
            return
        side, on = HEARD[verb]
        if not on:
            self.apply(host, code, side, Given.OFF)
        elif self._may_start(code, side):
            self.apply(host, code, side, Given.AGREED_ON)
        else:
            self.apply(host, code, side, Given.UNWANTED_ON)

    def _may_start(self, code: int, side: Side) -> bool:
        row = self.table.rows[self.table.index[code]]
        return row.policy(side) is not Policy.REFUSE and self.handler(code).acceptable()

    def apply(self, host: Host, code: int, side: Side, given: Given) -> None:
        """Take one step of the Q method for a known option."""
        before = self.state(code, side)
        say = self._states.apply(self.table.index[code], side, given)
        if say is Say.ERROR:
            host.count_malformed()
        elif say is not Say.NOTHING:
            host.say(VERBS[side, say], code)
        after = self.state(code, side)
        if after is before:
            return
        if code in self._watched and after in (Q.YES, Q.NO):
            host.emit(OptionChanged(code, side, after is Q.YES))
        if after is Q.YES:
            self.handler(code).enabled(host, side)
        elif before is Q.YES:
            self.handler(code).disabled(host, side)

    def watch(self, code: int) -> None:
        """Tell the caller of an option's changes from now on."""
        self._watched |= {code}

    def snapshot(self, now: float) -> dict[int, OptionSnapshot]:
        """All options, by their codes."""
        return {
            row.code: OptionSnapshot(
                self.state(row.code, Side.US).name,
                self.state(row.code, Side.HIM).name,
                row.code in self._watched,
                handler.snapshot(now),
            )
            for row, handler in zip(self.table.rows, self._handlers, strict=True)
        }

    def restore(self, host: Host, options: dict[int, OptionSnapshot], now: float) -> None:
        """Take over options from another process.

        What that did not know was never offered, and is off. What it had agreed to, and is not in
        the table any more, the peer is told to be over.
        """
        for code, taken in options.items():
            if code not in self.table.index:
                _withdraw(host, code, taken)
        for row, handler in zip(self.table.rows, self._handlers, strict=True):
            index = self.table.index[row.code]
            taken = options.get(row.code, _UNKNOWN)
            if taken is _UNKNOWN:
                for side in Side:
                    self._states.set(index, side, Q.NO)
                continue
            self._states.set(index, Side.US, Q[taken.us])
            self._states.set(index, Side.HIM, Q[taken.him])
            if taken.watched:
                self.watch(row.code)
            handler.restore(taken.handler, now)


def _withdraw(host: Host, code: int, taken: OptionSnapshot) -> None:
    """End an option of another process; the peer's acknowledgement is not waited for."""
    for side, state in ((Side.US, taken.us), (Side.HIM, taken.him)):
        if state in (Q.YES.name, Q.WANTYES_EMPTY.name):
            host.say(VERBS[side, Say.OFF], code)


def _refuse(host: Host, verb: int, code: int) -> None:
    """Answer for an option that is in no table, and remember nothing."""
    if verb == codes.DO and code == codes.TIMING_MARK:
        # RFC 860: not a mode, but a mark in the output; sent each time, never kept.
        host.say(codes.WILL, code)
    elif verb == codes.DO:
        host.say(codes.WONT, code)
    elif verb == codes.WILL and code != codes.TIMING_MARK:
        host.say(codes.DONT, code)
