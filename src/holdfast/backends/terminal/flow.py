"""Whether the output of a terminal is read: it waits for a client that is behind. Hot path."""

from __future__ import annotations

from typing import Final

from holdfast.backends.terminal.kind import Channel
from holdfast.backends.terminal.stats import TerminalCounts
from holdfast.core.limits import TerminalLimits
from holdfast.sessions.port import SessionPort
from holdfast.sessions.terminal import TerminalSession

_RESUME_AT: Final = 1 / 3
"""The share of the unshown output at which the server is read again."""
_FILL_AWAY_MAX: Final = 3 / 4
"""With `away = "pause"`: the share of the ring that may fill while the client is away."""


class Flow:
    """The back-pressure of one terminal. `pauses` is whether its server waits while the client is
    away and the ring is nearly full."""

    def __init__(
        self,
        session: TerminalSession,
        port: SessionPort,
        limits: TerminalLimits,
        counts: TerminalCounts,
        *,
        pauses: bool,
    ) -> None:
        self._session = session
        self._port = port
        self._limits = limits
        self._counts = counts
        self._pauses = pauses
        self._paused = False

    def grown(self, channel: Channel) -> None:
        """There is more output: read no more if the client is too far behind."""
        if not self._paused and self._lag() > 1:
            self._paused = True
            self._counts.pauses += 1
            channel.pause_reading()
            self._port.await_delivery(self._session)

    def shown(self, channel: Channel) -> None:
        """The client has shown more, has left or is back: read on if it is near enough."""
        if not self._paused:
            return
        if self._lag() <= _RESUME_AT:
            self._paused = False
            channel.resume_reading()
        else:
            self._port.await_delivery(self._session)

    def _lag(self) -> float:
        """How much output waits for the client, as a share of what may."""
        session = self._session
        if session.attached:
            return self._port.unacknowledged(session) / self._limits.unshown_bytes_max
        return self._port.fill(session) / _FILL_AWAY_MAX if self._pauses else 0.0
