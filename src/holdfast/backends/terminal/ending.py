"""The end of a session behind its terminal: the last output, why it has ended, the goodbye."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.core.errors import Reason
from holdfast.core.items import Output
from holdfast.sessions.port import SessionPort
from holdfast.sessions.terminal import TerminalSession


class Ending:
    """What is left to do for one session once its terminal is gone.

    The client gets all output, then why the terminal has ended. The session ends when the client
    has shown the output; a connection that closes before that has no time for a slow client. A
    client that has shown nothing more for `seconds_max` is not waited for. One that is away gets
    all this when it resumes.
    """

    def __init__(
        self,
        session: TerminalSession,
        port: SessionPort,
        now: Callable[[], float],
        at_end_of_tick: Callable[[Callable[[], None]], None],
        seconds_max: float,
    ) -> None:
        self._session = session
        self._port = port
        self._now = now
        self._at_end_of_tick = at_end_of_tick
        self._seconds_max = seconds_max
        self.begun = False
        """Whether the terminal is gone."""
        self._reason: Reason | None = None
        self._last: Sequence[Output] = ()
        self._told = False
        """Whether the client of now was told the last."""
        self._left = 0
        """What the client had not shown, in bytes, and since when it has not shown more."""
        self._since = 0.0

    def begin(self, reason: Reason, last: Sequence[Output]) -> None:
        """The terminal is gone. `last` is what the client is told behind all output."""
        self.begun, self._reason, self._last = True, reason, last
        self.go_on()

    def attached(self) -> None:
        """The client is back, on another connection."""
        self._told = False

    def go_on(self) -> None:
        """The client has shown more, has left or is back."""
        session, port, reason = self._session, self._port, self._reason
        if reason is None or not session.attached:
            return
        if not port.is_delivered(session):
            port.await_delivery(session)
            return
        left = port.unacknowledged(session)
        if not self._told:
            self._told, self._left, self._since = True, left, self._now()
            for item in self._last:  # also where the output before has filled the connection
                port.show(session, item, always=True)
        if left:
            port.await_delivery(session)
        else:  # not in this tick: its client may be resuming now
            self._at_end_of_tick(lambda: port.close(session, reason))

    def check(self) -> None:
        """End the session of a client that shows nothing more."""
        session, reason = self._session, self._reason
        if reason is None or not self._told or not session.attached:
            return
        left, now = self._port.unacknowledged(session), self._now()
        if left < self._left:
            self._left, self._since = left, now
        elif now - self._since > self._seconds_max:
            self._port.close(session, reason)
