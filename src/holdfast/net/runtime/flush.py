"""Coalesced writes: what became ready in one pass of the event loop is written once, at its end.

An output to very many connections is written in several passes, so that others are read meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.turns import Turns

_log: Final = RateLimitedLogger("holdfast.net")

FLUSHED_PER_PASS: Final = 250
"""Connections that are written to in one pass of the loop: some milliseconds."""

Action = Callable[[], object]
"""One that returns true has more to do: it is run again at the end of the next tick."""


class Flushable(Protocol):
    """What collects during a tick and gives it away at its end."""

    def flush(self) -> None:
        """The tick is over."""


class WriteCoalescer:
    """Runs what was added during one pass of the event loop, once, at its end. Hot path."""

    __slots__ = ("_due", "_flushing", "_loop", "_may_flush", "_scheduled", "_turns")

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: Turns) -> None:
        self._loop = loop
        self._turns = turns
        self._due: list[Action] = []
        self._flushing: list[Flushable] = []
        self._may_flush: Callable[[], bool] | None = None
        self._scheduled = False

    def hold_unless(self, may_flush: Callable[[], bool]) -> None:
        """Flush nothing while `may_flush` is false. It is asked in each tick that has output, and
        `release` follows once it is true again."""
        self._may_flush = may_flush

    def release(self) -> None:
        """Output that was held may be flushed now."""
        if self._flushing and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def add(self, action: Action) -> None:
        """Run `action` at the end of this tick. The caller adds it once a tick."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)
        self._due.append(action)

    def flush_later(self, connection: Flushable) -> None:
        """Flush `connection` after all actions of this tick, or in one of the next, if there are
        very many. The caller asks once until then."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)
        self._flushing.append(connection)

    def _run(self) -> None:
        # What an action adds (a frame, then its flush) still belongs to this tick.
        unfinished: list[Action] = []
        held = self._may_flush is not None and not self._may_flush()
        left = 0 if held else FLUSHED_PER_PASS
        while self._due or (self._flushing and left):
            due, self._due = self._due, []
            for action in due:
                try:
                    if action():
                        unfinished.append(action)
                except Exception as error:
                    # The other actions are other connections', and so are the ticks to come.
                    log_failure(_log, "the end of a tick failed", error)
            if self._due:
                continue
            flushing, self._flushing = self._flushing, []
            if len(flushing) > left:
                self._flushing = flushing[left:]
                del flushing[left:]
            left -= len(flushing)
            for connection in flushing:
                try:
                    connection.flush()
                except Exception as error:
                    log_failure(_log, "the end of a tick failed", error)
        self._turns.spent = 0
        if unfinished or (self._flushing and not held):
            self._due = unfinished
            self._loop.call_soon(self._run)
        else:
            self._scheduled = False
