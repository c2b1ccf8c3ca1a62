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
    """Stops and resumes the reading of one transport. It is needed while reading is stopped, and
    from when the peer was looked at for the first time.

    The handler's pause is its own. Beside it, reading is held for a time when the peer sends
    too fast, or until the peer has read, when it does not read what it is answered.
    """

    __slots__ = ("_back_pressure", "_paused", "_runtime", "_stalled_seconds", "_transport", "until")

    def __init__(
        self, runtime: Runtime, transport: asyncio.Transport, stalled_seconds: float
    ) -> None:
        self._runtime = runtime
        self._transport = transport
        self._stalled_seconds = stalled_seconds
        self._paused = False
        self._back_pressure: BackPressure | None = None
        """Made when the peer is looked at for the first time."""
        self.until = FOREVER
        """When to look at what holds reading; `FOREVER` while nothing does."""

    @property
    def needed(self) -> bool:
        """Whether it stops reading, or knows something of the peer."""
        return self._paused or self.until != FOREVER or self._back_pressure is not None

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
        if self._back_pressure is not None:
            self._back_pressure.end_pause()

    def _read(self) -> None:
        if not self._paused and self.until == FOREVER and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- back-pressure

    def due(self, came: int) -> bool:
        """Whether to `look` at the peer, now that `came` bytes have come."""
        return self._back_pressure is None or self._back_pressure.due(came)

    def look(self, came: int, now: float) -> bool:
        """Look whether the peer reads; if it does not, hold reading until it does."""
        if self._back_pressure is None:
            self._back_pressure = BackPressure(self._runtime)
        sock = self._transport.get_extra_info("socket")
        holds = self._back_pressure.holds(sock, came, self.release)
        if holds:
            self.hold(now + self._stalled_seconds)
        return holds

    def reach(self, now: float) -> Pause:
        """`until` is reached. Reading goes on, unless a peer that reads slowly is waited for."""
        pressure = self._back_pressure
        progress_at = pressure.progress_at if pressure is not None else None
        if progress_at is not None:
            self.until = progress_at + self._stalled_seconds
            if now < self.until:
                return Pause.GOES_ON
        self.release()
        return Pause.OVER if progress_at is None else Pause.SLOW_CONSUMER
