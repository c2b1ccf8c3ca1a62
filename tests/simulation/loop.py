"""An event loop that runs when it is told to, in a time that passes when it is told to."""

from __future__ import annotations

import asyncio


class SimLoop(asyncio.SelectorEventLoop):
    """`spin` runs what is ready; `advance` lets time pass."""

    def __init__(self) -> None:
        self._sim_now = 1_000.0
        super().__init__()

    def time(self) -> float:
        return self._sim_now

    def spin(self) -> None:
        """Run callbacks until none is ready now."""
        for _ in range(1_000):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise AssertionError("the loop does not come to rest")

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, in steps that fire each timer in its order."""
        end = self._sim_now + seconds
        while True:
            scheduled = self._scheduled  # type: ignore[attr-defined]
            due = min(
                (handle.when() for handle in scheduled if not handle.cancelled()), default=end
            )
            if due > end:
                break
            self._sim_now = max(self._sim_now, due) + 1e-6
            self.spin()
            if due == end:
                break
        self._sim_now = end
        self.spin()
