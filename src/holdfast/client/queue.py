"""The commands of a client that the gateway has not acknowledged.

They are numbered without a gap, sent within a window, and sent again on another connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.client import commands
from holdfast.client.commands import Dropped, Said, Uncertain
from holdfast.client.state import State
from holdfast.core.errors import BusyError
from holdfast.protocols import holdfast_v1 as wire

IN_FLIGHT_MAX: Final = 128
"""Unacknowledged commands that are sent at once. More wait, so that a client that was
disconnected for long does not flood the server."""
PENDING_MAX: Final = 1_000
"""Commands that may wait to be acknowledged."""


class CommandQueue:
    """The unacknowledged commands in `state`, and which of them this connection has sent."""

    def __init__(self, state: State) -> None:
        self.bytes_max = wire.BYTES_MAX
        """The largest message that the gateway takes."""
        self._state = state
        self._given = 0
        """The newest command that was sent on this connection."""

    @property
    def next(self) -> int:
        """The number of the next command."""
        return self._state.sent + 1

    def append(self, what: str, command: Said) -> None:
        """Keep a command with the number `next`.

        Raises `BusyError` when too many wait, `ValueError` naming `what` for one that is too
        large.
        """
        state = self._state
        if len(state.pending) >= PENDING_MAX:
            raise BusyError(f"{PENDING_MAX} commands wait for the gateway; no more are taken")
        commands.check_size(what, command, self.bytes_max)
        state.sent = command.c
        state.pending.append(command)

    def take(self) -> Sequence[Said]:
        """The commands that fit into the window now; they count as sent."""
        pending = self._state.pending
        if not pending:
            return ()
        first = pending[0].c
        upto = min(len(pending), IN_FLIGHT_MAX)
        taken = pending[max(0, self._given + 1 - first) : upto]
        self._given = max(self._given, first + upto - 1)
        return taken

    @property
    def all_sent(self) -> bool:
        """Whether no command waits to be sent on this connection."""
        pending = self._state.pending
        return not pending or self._given >= pending[-1].c

    def acknowledge(self, c: int) -> None:
        """The gateway has every command up to `c`, durably."""
        state = self._state
        state.pending = [command for command in state.pending if command.c > c]

    def resend(self, c: int) -> None:
        """The gateway lacks the commands from number `c` on: they are to be sent again."""
        if c <= self._state.acknowledged:
            # The server has forgotten commands and counts on from there (`Uncertain` reported it).
            self._renumber(self._state.pending, c)
        self._given = c - 1

    def begin(self, cin: int) -> list[Uncertain | Dropped]:
        """A connection has the session, and the gateway every command up to `cin`: keep the
        others that it can take."""
        state = self._state
        events: list[Uncertain | Dropped] = []
        self._given = 0
        if cin < state.acknowledged:
            events.append(Uncertain(cin + 1, state.acknowledged))
        self.acknowledge(cin)
        kept: list[Said] = []
        dropped: list[Said] = []
        for command in state.pending:
            (kept if commands.is_sayable(command, self.bytes_max) else dropped).append(command)
        if dropped:
            events.append(Dropped("refused", tuple(dropped)))
        # The server has not received the commands after a missing one: their numbers are free.
        self._renumber(kept, max(state.acknowledged, cin) + 1)
        return events

    def drop_largest(self) -> Dropped | None:
        """Drop the largest command in flight, if there is one."""
        pending = self._state.pending
        given = [command for command in pending if command.c <= self._given]
        if not given:
            return None
        dropped = pending[commands.largest(given)]
        self._renumber([each for each in pending if each is not dropped], pending[0].c)
        return Dropped("refused", (dropped,))

    def drop_all(self, reason: str) -> list[Dropped]:
        """Drop all commands: they are for no other session."""
        state = self._state
        dropped, state.pending = tuple(state.pending), []
        return [Dropped(reason, dropped)] if dropped else []

    def _renumber(self, kept: list[Said], first: int) -> None:
        state = self._state
        state.pending = commands.renumbered(kept, first)
        state.sent = first - 1 + len(kept)
