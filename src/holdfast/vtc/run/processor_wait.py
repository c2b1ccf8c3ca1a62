"""How long this program was ready to run and had to wait for a processor.

Linux counts it for each thread (`/proc/PID/schedstat`, the second number, in
nanoseconds). A test that fails while the runner itself had to wait may have
found a slow machine, not a wrong server.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import NamedTuple

SHOWN_SECONDS_MIN = 0.001

_PATH = "/proc/self/schedstat"
_READ_BYTES_MAX = 128


class TimeSample(NamedTuple):
    """A point in time. Both are in seconds."""

    clock: float
    waited: float
    """How long the program had waited for a processor since its start."""


class ProcessorWait:
    """Reads the count; it stays at 0 where the kernel keeps none."""

    def __init__(self) -> None:
        self._fd = -1
        with suppress(OSError):
            self._fd = os.open(_PATH, os.O_RDONLY | os.O_CLOEXEC)

    def now(self) -> TimeSample:
        """This moment."""
        words = os.pread(self._fd, _READ_BYTES_MAX, 0).split() if self._fd >= 0 else []
        return TimeSample(time.monotonic(), int(words[1]) / 1e9 if len(words) > 1 else 0.0)

    def since(self, start: TimeSample) -> str:
        """How much of the time since `start` was such a wait; empty if that is nothing much."""
        now = self.now()
        waited = now.waited - start.waited
        if waited < SHOWN_SECONDS_MIN:
            return ""
        return (
            f"this program waited {1000 * waited:.0f} ms for a processor "
            f"in the {1000 * (now.clock - start.clock):.0f} ms of this command"
        )

    def close(self) -> None:
        """Close the file. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
