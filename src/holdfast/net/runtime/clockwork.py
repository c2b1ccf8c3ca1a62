"""Time for a whole server: the end of the tick, and one wheel of deadlines.

No connection has a timer of its own. What became ready in one pass of the event
loop is written once, at its end (`Tick`); what must happen later stands in a
slot of the `Wheel`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakValueDictionary

from holdfast.net.log import Seldom, log_failure
from holdfast.net.transport.transports import Sockets

_log: Final = Seldom("holdfast.net")

SLOT_SECONDS: Final = 0.1
TURN_SECONDS_MAX: Final = 1.0
"""From one turn of the wheel to the next, as its time goes: in more, the loop did not run."""
_NEVER: Final = -1


class Flushable(Protocol):
    """What collects during a tick and gives it away at its end."""

    def flush(self) -> None:
        """The tick is over."""


class Tick:
    """Runs what was added during one pass of the event loop, once, at its end. Hot path."""

    __slots__ = ("_due", "_flushing", "_loop", "_scheduled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[Callable[[], None]] = []
        self._flushing: list[Flushable] = []
        self._scheduled = False

    def add(self, action: Callable[[], None]) -> None:
        """Run `action` at the end of this tick. The caller adds it once a tick."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)
        self._due.append(action)

    def flush_later(self, connection: Flushable) -> None:
        """Flush `connection` after all actions of this tick. The caller asks once a tick."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)
        self._flushing.append(connection)

    def _run(self) -> None:
        # What an action adds (a frame, then its flush) still belongs to this tick.
        while self._due or self._flushing:
            due, self._due = self._due, []
            for action in due:
                try:
                    action()
                except Exception as error:
                    # The other actions are other connections', and so are the ticks to come.
                    log_failure(_log, "the end of a tick failed", error)
            if self._due:
                continue
            flushing, self._flushing = self._flushing, []
            for connection in flushing:
                try:
                    connection.flush()
                except Exception as error:
                    log_failure(_log, "the end of a tick failed", error)
        self._scheduled = False


class Timed:
    """Something with a deadline on the wheel."""

    __slots__ = ("_slot",)

    def __init__(self) -> None:
        self._slot = _NEVER

    def expire(self, now: float) -> None:
        """Called once when the deadline has passed; schedules the next one itself."""
        raise NotImplementedError


class Wheel:
    """Deadlines, each rounded up to the next tenth of a second.

    Its time is the event loop's, less the time in which that did not run
    because the process was stopped, or moved with its machine: who could not be
    heard was not silent, and what waits in the sockets is read before anybody
    is given up. `now` is the time as of the last slot: good enough for
    idleness, and free to read.
    """

    __slots__ = ("_away", "_handle", "_loop", "_slots", "_turned", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Timed, None]] = {}
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

    def time(self) -> float:
        """The time now, to the moment."""
        return min(self._loop.time() - self._away, self.now + TURN_SECONDS_MAX)

    def schedule(self, timed: Timed, when: float) -> None:
        """Call `timed.expire` once after `when` (the wheel's time), instead of any earlier wish."""
        slot = max(self._index(when), self._turned) + 1
        if slot == timed._slot:
            return
        self.cancel(timed)
        timed._slot = slot
        self._slots.setdefault(slot, {})[timed] = None

    def cancel(self, timed: Timed) -> None:
        """Forget the deadline of `timed`, if it has one."""
        if timed._slot != _NEVER:
            waiting = self._slots.get(timed._slot)
            if waiting is not None:
                waiting.pop(timed, None)
            timed._slot = _NEVER

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
        for slot in range(begun + 1, reached + 1):
            for timed in self._slots.pop(slot, ()):
                if timed._slot == slot:  # not cancelled by one before it
                    timed._slot = _NEVER
                    try:
                        timed.expire(now)
                    except Exception as error:
                        log_failure(_log, "a deadline failed", error)


class Clockwork:
    """The tick, the wheel and the sockets of one event loop."""

    __slots__ = ("loop", "sockets", "tick", "wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.tick = Tick(loop)
        self.wheel = Wheel(loop)
        self.sockets = Sockets(loop)


class ClientClockwork(Clockwork):
    """One for all clients of an event loop: its wheel turns while one of them is connected."""

    __slots__ = ("__weakref__", "_holders")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._holders = 0

    def hold(self) -> None:
        """Let the wheel turn, until as many `release`."""
        self._holders += 1
        if self._holders == 1:
            self.wheel.start()

    def release(self) -> None:
        """Called once for each `hold`."""
        self._holders -= 1
        if not self._holders:
            self.wheel.stop()


_CLIENTS: WeakValueDictionary[int, ClientClockwork] = WeakValueDictionary()


def client_clockwork(loop: asyncio.AbstractEventLoop) -> ClientClockwork:
    """The one of this event loop. It keeps its loop alive, so that the loop's id stays its own."""
    found = _CLIENTS.get(id(loop))
    if found is None:
        found = _CLIENTS[id(loop)] = ClientClockwork(loop)
    return found
