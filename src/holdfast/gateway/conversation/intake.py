"""What a client has sent and nobody has handled yet, and how much it may send. Hot path.

A client that sends faster than it may, or for whose commands there is no room, is not read: what
has been read of it waits here, in order, as events and behind them as bytes that nobody has looked
at. TCP holds the client back meanwhile, so nothing is dropped.
"""

from __future__ import annotations

from typing import Final

from holdfast.core.rate import Rate
from holdfast.gateway.adapters.base import Event

_NEVER: Final = float("inf")
OWED_BYTES_MAX: Final = 1024
"""Input that is accounted for at once, instead of with every read."""
_ROOM_SECONDS: Final = 1.0
"""Without room for its commands, after which a person is told."""


class Intake:
    """One connection's. Times are the runtime's."""

    __slots__ = (
        "_bytes_due",
        "_bytes_rate",
        "_commands_rate",
        "_told",
        "blocked",
        "commands_due",
        "eof",
        "events",
        "full",
        "owed",
        "tell_at",
        "turn",
        "unread",
    )

    def __init__(self, commands_rate: Rate, bytes_rate: Rate) -> None:
        self.blocked = False
        """Whether anything waits, or what comes next has to."""
        self.events: list[Event] = []
        self.unread = b""
        self.eof = False
        """Whether the client's end has come behind what waits."""
        self.full = False
        """Whether it is room in the session's queue that the first of the events waits for."""
        self.turn = _NEVER
        """When the client may send again."""
        self.tell_at = _NEVER
        """When the person is to be told that there is no room."""
        self._commands_rate = commands_rate
        self._bytes_rate = bytes_rate
        self._bytes_due = 0.0
        self.commands_due = 0.0
        """Its client's place in the rate of commands (`core.rate`)."""
        self._told = False
        self.owed = 0
        """What input cost that is not accounted for yet, in bytes."""

    @property
    def holds(self) -> bool:
        """Whether anything that has come waits."""
        return bool(self.events or self.unread)

    @property
    def due(self) -> float:
        """When something must be done about it, if ever."""
        return min(self.turn, self.tell_at)

    def wait_for_turn(self, count: int) -> None:
        """What counts as so many commands comes too soon."""
        self._wait_until(self._commands_rate.when(self.commands_due, count))

    def charge(self, now: float) -> None:
        """Account for the input that is owed; what comes next may have to wait."""
        rate = self._bytes_rate
        self._bytes_due = due = rate.spend(self._bytes_due, now, self.owed)
        self.owed = 0
        if due > now + rate.tolerance:
            self._wait_until(rate.when(due))

    def hold(self, events: list[Event]) -> None:
        """These wait, behind those that do already."""
        self.blocked = True
        self.events += events

    def wait_for_room(self, now: float) -> None:
        """There is no room for the first of the events."""
        self.full = True
        self.tell_at = now + _ROOM_SECONDS

    def news(self) -> bool:
        """Whether the client has to wait for the first time because it sends too much."""
        first = not self._told and self.turn != _NEVER
        self._told = self._told or first
        return first

    def go_on(self) -> list[Event]:
        """The events that wait, which are handled now."""
        self.blocked = self.full = False
        self.turn = self.tell_at = _NEVER
        events, self.events = self.events, []
        return events

    def _wait_until(self, when: float) -> None:
        self.blocked = True
        self.turn = when if self.turn == _NEVER else max(when, self.turn)
