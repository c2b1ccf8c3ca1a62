"""Deadlines of a whole server. No connection has a timer of the event loop to itself: what
must happen later stands in a slot of one timer wheel (`Timers`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from holdfast.net.log import RateLimitedLogger, log_failure

_log: Final = RateLimitedLogger("holdfast.net")

SLOT_SECONDS: Final = 0.1
TURN_SECONDS_MAX: Final = 1.0
"""From one turn of the timer wheel to the next, in its own time: in more, the loop did not run."""
EXPIRED_PER_PASS: Final = 32
"""Deadlines that are handled in one pass of the loop: a thousand may share a slot."""
UNSCHEDULED: Final = -1
"""The slot of a timer without a deadline."""


class Timer(Protocol):
    """Something with a deadline."""

    timer_slot: int
    """Set to `UNSCHEDULED` when it is made; from then on the timers' own."""

    def expire(self, now: float) -> None:
        """Called once when the deadline has passed; schedules the next one itself."""


class Timers:
    """Deadlines, each rounded up to the next tenth of a second.

    Its time is the event loop's, less the time in which that did not run
    because the process was stopped, or moved with its machine: who could not be
    heard was not silent, and what waits in the sockets is read before anybody
    is given up. `now` is the time as of the last slot: good enough for
    idleness, and free to read.
    """

    __slots__ = ("_away", "_due", "_handle", "_loop", "_slots", "_turned", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Timer, None]] = {}
        self._due: deque[tuple[int, Timer]] = deque()
        """What the slots that were reached still hold."""
        self._handle: asyncio.TimerHandle | None = None
        self._away = 0.0
        self.now = loop.time()
        self._turned = self._index(self.now)

    def start(self) -> None:
        """Begin to turn."""
        self._turn()

    def stop(self) -> None:
        """Turn no more; forget every deadline."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._slots.clear()
        self._due.clear()

    def time(self) -> float:
        """The time now, to the moment."""
        now, latest = self._loop.time() - self._away, self.now + TURN_SECONDS_MAX
        return now if now < latest else latest

    def schedule(self, timer: Timer, when: float) -> None:
        """Call `timer.expire` once after `when`, in our `time`, instead of any earlier wish."""
        slot = max(self._index(when), self._turned) + 1
        if slot == timer.timer_slot:
            return
        self.cancel(timer)
        timer.timer_slot = slot
        self._slots.setdefault(slot, {})[timer] = None

    def cancel(self, timer: Timer) -> None:
        """Forget the deadline of `timer`, if it has one."""
        if timer.timer_slot != UNSCHEDULED:
            waiting = self._slots.get(timer.timer_slot)
            if waiting is not None:
                waiting.pop(timer, None)
            timer.timer_slot = UNSCHEDULED

    def _index(self, when: float) -> int:
        return int(when / SLOT_SECONDS)

    def _turn(self) -> None:
        self._handle = self._loop.call_later(SLOT_SECONDS, self._turn)
        now, latest = self._loop.time() - self._away, self.now + TURN_SECONDS_MAX
        if now > latest:
            self._away += now - latest
            now = latest
        self.now = now
        reached = self._index(now)
        begun, self._turned = self._turned, reached
        waits = bool(self._due)
        for slot in range(begun + 1, reached + 1):
            self._due += [(slot, timer) for timer in self._slots.pop(slot, ())]
        if not waits:
            self._expire()

    def _expire(self) -> None:
        """Handle a bounded number of what is due, and the rest in the next passes."""
        for _ in range(min(EXPIRED_PER_PASS, len(self._due))):
            slot, timer = self._due.popleft()
            if timer.timer_slot == slot:  # not cancelled by one before it
                timer.timer_slot = UNSCHEDULED
                try:
                    timer.expire(self.now)
                except Exception as error:
                    log_failure(_log, "a deadline failed", error)
        if self._due:
            self._loop.call_soon(self._expire)
