"""The last events of sessions that have ended: they are stored apart, as their sessions are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from holdfast.backends.http.bodies import write_request
from holdfast.backends.http.delivery import Delivery
from holdfast.backends.http.sending import Sending
from holdfast.core.limits import HttpLimits
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.http_backend")


class ClosedSessions:
    """The closed sessions of the application `app`, whose backend is called `name`.

    `keep` stores a setting."""

    def __init__(
        self,
        name: str,
        app: str,
        keep: Callable[[str, bytes], None],
        sending: Sending,
        limits: HttpLimits,
    ) -> None:
        self._prefix = f"{name}:closed:"
        self._app = app
        self._keep = keep
        self._sending = sending
        self._limits = limits
        self._bodies: dict[str, bytes] = {}
        """By session: its last request."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._bodies))

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take what an earlier gateway has not sent."""
        for key, body in settings.items():
            if key.startswith(self._prefix):
                self._bodies[key.removeprefix(self._prefix)] = body

    def add(self, delivery: Delivery) -> None:
        """Keep all events that the application of an ended session is not known to have."""
        sid = delivery.session.sid
        states, commands = delivery.notes.pending, list(delivery.commands)
        body = self._bodies[sid] = write_request(self._app, delivery.session, states, commands)
        self._keep(self._prefix + sid, body)
        if len(self._bodies) > self._limits.closed_max:
            oldest = next(iter(self._bodies))
            _log.error("last events of a session given up", app=self._app, session=oldest)
            self._forget(oldest)

    async def send(self, sid: str) -> None:
        """Send the last request of a session. Its answer changes nothing."""
        if sid in self._bodies:
            await self._sending.send(
                sid,
                f"{sid}:closed",
                self._bodies[sid],
                wanted=lambda: sid in self._bodies,
                failed=lambda: None,
            )
            self._forget(sid)

    def _forget(self, sid: str) -> None:
        if self._bodies.pop(sid, None) is not None:
            self._keep(self._prefix + sid, b"")
