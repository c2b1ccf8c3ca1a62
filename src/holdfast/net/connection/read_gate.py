"""Whether a connection is read: its handler, its rate and back-pressure may each stop that."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from holdfast.net.connection.backpressure import BackPressure
from holdfast.net.connection.deadlines import FOREVER
from holdfast.net.runtime.runtime import Runtime


class Pause(Enum):
    """What has become of a pause whose time is over."""

    GOES_ON = auto()
    OVER = auto()
    SLOW_CONSUMER = auto()
    """The peer has not read all the while."""


class ReadGate:
    """Stops and resumes the reading of one transport. Made when it is stopped for the first time.

    The handler's pause is its own. Beside it, reading is held for a time when the peer sends
    too fast, or until the peer has read, when it does not read what it is answered.
    """

    __slots__ = ("_back_pressure", "_paused", "_stalled_seconds", "_transport", "until")

    def __init__(
        self, runtime: Runtime, transport: asyncio.Transport, stalled_seconds: float
    ) -> None:
        self._transport = transport
        self._stalled_seconds = stalled_seconds
        self._paused = False
        self._back_pressure = BackPressure(runtime)
        self.until = FOREVER
        """When to look at what holds reading; `FOREVER` while nothing does."""

    def pause(self) -> None:
        """The handler wants no more for now."""
        self._paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """The handler wants more."""
        self._paused = False
        self._read()

    def hold(self, until: float) -> None:
        """Read nothing before `until`."""
        self.until = until
        self._transport.pause_reading()

    def release(self) -> None:
        """Nothing holds reading any more, but the handler's pause."""
        self.forget()
        self._read()

    def forget(self) -> None:
        """Look at the peer no more."""
        self.until = FOREVER
        self._back_pressure.end_pause()

    def _read(self) -> None:
        if not self._paused and self.until == FOREVER and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- back-pressure

    def due(self, came: int) -> bool:
        """Whether to `look` at the peer, now that `came` bytes have come."""
        return self._back_pressure.due(came)

    def look(self, came: int, now: float) -> bool:
        """Look whether the peer reads; if it does not, hold reading until it does."""
        sock = self._transport.get_extra_info("socket")
        holds = self._back_pressure.holds(sock, came, self.release)
        if holds:
            self.hold(now + self._stalled_seconds)
        return holds

    def reach(self, now: float) -> Pause:
        """`until` is reached. Reading goes on, unless a peer that reads slowly is waited for."""
        progress_at = self._back_pressure.progress_at
        if progress_at is not None:
            self.until = progress_at + self._stalled_seconds
            if now < self.until:
                return Pause.GOES_ON
        self.release()
        return Pause.OVER if progress_at is None else Pause.SLOW_CONSUMER
