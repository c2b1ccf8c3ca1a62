"""An event loop that runs when it is told to, in a time that passes when it is told to."""

from __future__ import annotations

import asyncio
import heapq

_BURIAL_SECONDS = 120.0
_TURNS_MAX = 1_000
_NEVER = float("inf")


class Time:
    """The seconds of one world; several loops share them."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now


class SimLoop(asyncio.SelectorEventLoop):
    """The loop of one process. `spin` runs what is ready."""

    def __init__(self, time: Time) -> None:
        self._sim_time = time
        self.behind = 0.0
        """For how long its clock has stood still in all."""
        super().__init__()

    def time(self) -> float:
        return self._sim_time.now - self.behind

    @property
    def due(self) -> bool:
        """Whether anything would run now."""
        return bool(self._ready) or self.next_timer <= self._sim_time.now  # type: ignore[attr-defined]

    @property
    def next_timer(self) -> float:
        """When the next timer is due, if there is one."""
        scheduled = self._scheduled  # type: ignore[attr-defined] # a heap: the next is the first
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        return scheduled[0]._when + self.behind if scheduled else _NEVER

    def spin(self) -> None:
        """Run callbacks until none is ready now."""
        self._turns = 0
        self.run_forever()

    def _run_once(self) -> None:
        self._stopping = True  # it never waits
        super()._run_once()  # type: ignore[misc]
        self._stopping = not self._ready  # type: ignore[attr-defined]
        self._turns += 1
        if self._turns > _TURNS_MAX:
            raise AssertionError("the loop does not come to rest")

    def bury(self) -> None:
        """End what runs, in a time of its own, and close."""
        self.set_exception_handler(lambda loop, context: None)
        self._sim_time = Time(self._sim_time.now)
        for _ in range(10):
            for task in asyncio.all_tasks(self):
                task.cancel()
            self.spin()
            if not asyncio.all_tasks(self):
                break
            self._sim_time.now += _BURIAL_SECONDS  # something waits in its `finally`
            self.spin()
        self.close()
