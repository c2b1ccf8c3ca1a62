"""The applications whose sessions the API reaches, by the names that keys and requests use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from holdfast.backends.base import Backend
from holdfast.core.clock import Clock
from holdfast.core.limits import ApiLimits
from holdfast.gateway.api.keys import ApiRefusedError, Key
from holdfast.sessions.journal import Journal
from holdfast.sessions.port import SessionPort
from holdfast.sessions.publishing import Publishing


class Applications:
    """The backends with sessions, and the publishing for each."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        open_port: Callable[[Backend], SessionPort],
        journal: Journal,
        limits: ApiLimits,
        clock: Clock,
    ) -> None:
        self._backends = backends
        self._open_port = open_port
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._publishing: dict[Backend, Publishing] = {}

    def of(self, key: Key, app: str) -> list[tuple[str, Publishing]]:
        """The applications that a key is for; only `app`, if that is not empty."""
        found, known = [], self._publishing
        for backend in self._backends.values():
            name = backend.app
            if name and (not app or app == name) and key.covers(name):
                found.append((name, known.get(backend) or self._open(backend)))
        return found

    def find(self, key: Key, app: str) -> Publishing:
        """The only application that is meant. Raises `ApiRefusedError`."""
        found = self.of(key, app)
        if len(found) == 1:
            return found[0][1]
        if found:
            names = ", ".join(sorted({name for name, _ in found}))
            raise ApiRefusedError(400, "bad_request", f"app: expected one of {names}; found none")
        if app and not key.covers(app):
            raise ApiRefusedError(
                403, "forbidden", f"the key {key.name!r} is not for the application {app!r}"
            )
        wanted = app or ", ".join(key.apps) or "any"
        raise ApiRefusedError(
            404, "unknown_app", f"app: this gateway has no application {wanted} with sessions"
        )

    def _open(self, backend: Backend) -> Publishing:
        publishing = self._publishing[backend] = Publishing(
            backend.name, self._open_port(backend), self._journal, self._limits, self._clock
        )
        return publishing
