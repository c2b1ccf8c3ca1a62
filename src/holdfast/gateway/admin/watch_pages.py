"""The admin listener's paths to watch sessions.

POST   /api/sessions/SID/watch      begin: {"watch": 3}
GET    /api/watches/ID              ?after= the outputs after this number; waits for some
DELETE /api/watches/ID              end
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from aiohttp import web

from holdfast.core.errors import LimitExceededError
from holdfast.core.limits import AdminLimits
from holdfast.gateway.admin.answers import json_answer, refusal
from holdfast.gateway.admin.watches import Watches
from holdfast.gateway.view import GatewayView

_NO_SESSION: Final = "there is no such session"
_NO_WATCH: Final = "there is no such watch: it has ended, or nobody has asked for its output"
_FORBIDDEN: Final = "sessions of this gateway are not watched: admin.watch is false"
_DIGITS_MAX: Final = 18


class Tell(Protocol):
    """Makes an entry in the security log: an operator has acted."""

    def __call__(self, request: web.Request, *, sid: str, what: str) -> None: ...


class WatchPages:
    """The paths; `allowed` is what the configuration says."""

    def __init__(
        self, view: GatewayView, limits: AdminLimits, tell: Tell, *, allowed: bool
    ) -> None:
        self._view = view
        self._tell = tell
        self._allowed = allowed
        self.watches = Watches(view, limits)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them."""
        router.add_post("/api/sessions/{sid}/watch", self._begin)
        router.add_get("/api/watches/{id}", self._read)
        router.add_delete("/api/watches/{id}", self._end)

    async def _begin(self, request: web.Request) -> web.Response:
        if not self._allowed:
            return refusal(403, _FORBIDDEN)
        manager, sid = self._view.manager, request.match_info["sid"]
        if manager.find(sid) is not None:
            await manager.loader.load([sid], self._view.clock())
        session = manager.sessions.get(sid)
        if session is None:
            return refusal(404, _NO_SESSION)
        try:
            watch = self.watches.begin(session)
        except LimitExceededError as error:
            return refusal(409, str(error))
        self._tell(request, sid=sid, what="watch")
        return json_answer({"watch": watch.number})

    async def _read(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not _is_number(after):
            return refusal(400, f"after: expected the number of an output, found {after!r}")
        number = request.match_info["id"]
        found: Any = None
        if _is_number(number):
            found = await self.watches.read(int(number), int(after))
        return json_answer(found) if found is not None else refusal(404, _NO_WATCH)

    async def _end(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        if not _is_number(number) or not self.watches.end(int(number)):
            return refusal(404, _NO_WATCH)
        return json_answer({"ended": int(number)})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
