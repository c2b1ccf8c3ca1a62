"""The admin listener's paths, served by aiohttp.

GET    /healthz /readyz             for supervisors of the process; no token is required
GET    /console/                    a page for operators; its files need no token
GET    /metrics                     Prometheus or OpenMetrics text, as `Accept` says
GET    /api/overview                the gateway at a glance
GET    /api/nodes                   the gateways on the same store
GET    /api/sessions                ?state= user= app= protocol= address= search= limit= after=
                                    nodes=all: of all nodes on the same store
GET    /api/sessions/SID
GET    /api/sessions/SID/explain    its numbers, its epochs, what has happened to it
DELETE /api/sessions/SID            the session is closed for good; its client gets a goodbye
GET    /api/connections             ?protocol= listener= address= search= limit= after=
DELETE /api/connections/ID          the connection is closed; its session waits
DELETE /api/sessions/SID/commands   the session's waiting commands are dropped
POST   /api/sessions/SID/watch      and /api/watches/ID: see `watch_pages`
POST   /api/notices                 {"text": …, "session": … "user": … "protocol": … "listener": …}
POST   /api/backup                  {"path": "/backup/sessions.db"}: begin a backup of the store
GET    /api/backup                  how far it is
POST   /api/reload                  read the configuration again; what is different
POST   /api/drain                   {"now": true}: without waiting; {"rate": 200}: returns
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from holdfast.core.clock import Clock
from holdfast.core.errors import HoldfastError, Reason
from holdfast.core.limits import AdminLimits
from holdfast.gateway.admin.answers import json_answer, refusal
from holdfast.gateway.admin.backups import BackupRequest, Backups
from holdfast.gateway.admin.console import console_files, is_console
from holdfast.gateway.admin.everywhere import KEY as EVERYWHERE
from holdfast.gateway.admin.everywhere import list_everywhere
from holdfast.gateway.admin.explain import explain
from holdfast.gateway.admin.guard import Access, Guard
from holdfast.gateway.admin.notices import NoticeError, read_notice, show_notice
from holdfast.gateway.admin.overview import Overviews
from holdfast.gateway.admin.views import (
    BadQueryError,
    list_connections,
    list_sessions,
    view_sessions,
)
from holdfast.gateway.admin.watch_pages import WatchPages
from holdfast.gateway.metrics import Metrics
from holdfast.gateway.other_nodes import SilentNodeError
from holdfast.gateway.view import GatewayView
from holdfast.net.addresses import peer_name
from holdfast.net.http.handover import HttpHost
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.stores.base import StoreError

_log: Final = RateLimitedLogger("holdfast.admin")

_OPEN: Final = frozenset({"/healthz", "/readyz"})
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DrainRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a drain."""

    now: bool = False
    """Drop everybody at once, instead of telling them first."""
    rate: Annotated[float, msgspec.Meta(ge=0.0, le=1e9)] = 0.0
    """How many clients a second are told to come back; 0: `limits.drain` says it."""


class AdminPages(HttpHost):
    """An operator's view of one gateway. `now` is the loop's time."""

    def __init__(
        self, view: GatewayView, guard: Guard, limits: AdminLimits, now: Clock, *, watch: bool
    ) -> None:
        self._view = view
        self._guard = guard
        self._limits = limits
        self._now = now
        self.metrics = Metrics(view)
        self._backups = Backups(view.backup, view.spawn)
        self._overviews = Overviews(view, now, watch=watch)
        watching = WatchPages(view, limits, self._tell_act, allowed=watch)
        self.end_watches = watching.watches.close
        app = web.Application(middlewares=[self._around], client_max_size=limits.body_bytes_max)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        console_files().add_to(app.router)
        watching.add_to(app.router)
        app.router.add_get("/api/overview", self._overview)
        app.router.add_get("/api/nodes", self._nodes)
        app.router.add_get("/api/sessions", self._sessions)
        app.router.add_get("/api/sessions/{sid}", self._session)
        app.router.add_get("/api/sessions/{sid}/explain", self._explain)
        app.router.add_delete("/api/sessions/{sid}", self._kick_session)
        app.router.add_delete("/api/sessions/{sid}/commands", self._forget_commands)
        app.router.add_post("/api/notices", self._notice)
        app.router.add_get("/api/connections", self._connections)
        app.router.add_delete("/api/connections/{id}", self._kick_connection)
        app.router.add_get("/api/backup", self._backup_status)
        app.router.add_post("/api/backup", self._backup)
        app.router.add_post("/api/reload", self._reload)
        app.router.add_post("/api/drain", self._drain)
        super().__init__(app)

    # --- around each request

    @web.middleware
    async def _around(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response = await self._answer(request, handler)
        response.force_close()  # one request a connection: its time limit is that of the request
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Server"] = "holdfast"
        self.metrics.admin_requests[f"{response.status // 100}xx"] += 1
        return response

    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path not in _OPEN and not is_console(request.path):
            who = request.remote or "unix"
            verdict = self._guard.judge(request.headers, who, self._now())
            self.metrics.wrong_tokens = self._guard.wrong
            if verdict is not Access.ALLOWED:
                self._tell(SecurityEvent.ADMIN_REFUSED, request, why=verdict.value[1])
                return refusal(*verdict.value)
        try:
            return await handler(request)
        except BadQueryError as error:
            return refusal(400, str(error))
        except StoreError as error:
            return refusal(503, str(error))
        except web.HTTPException as error:
            return refusal(error.status, error.reason, error.headers.get("Allow", ""))
        except Exception as error:
            log_failure(_log, "an admin request failed", error, path=request.path)
            return refusal(500, "internal error")

    def _tell(
        self, event: SecurityEvent, request: web.Request, sid: str = "", **fields: Any
    ) -> None:
        peer = peer_name((request.remote, 0)).removesuffix(":0") if request.remote else "unix"
        self._view.security.tell(event, peer=peer, sid=sid, listener="admin", **fields)

    def _tell_act(self, request: web.Request, *, sid: str, what: str) -> None:
        self._tell(SecurityEvent.OPERATOR_ACTED, request, sid=sid, what=what)

    # --- paths

    async def _health(self, request: web.Request) -> web.Response:
        broken = self._view.journal.broken is not None
        status = "the store cannot be written to" if broken else "ok"
        return json_answer({"status": status}, 503 if broken else 200)

    async def _ready(self, request: web.Request) -> web.Response:
        trouble = self._view.trouble
        return json_answer({"status": trouble or "ready"}, 503 if trouble else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self.metrics.expose(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _overview(self, request: web.Request) -> web.Response:
        return json_answer(await self._overviews.make())

    async def _nodes(self, request: web.Request) -> web.Response:
        found = await self._view.others.nodes(self._limits.page_max)
        return json_answer({"items": [one._asdict() for one in found]})

    async def _sessions(self, request: web.Request) -> web.Response:
        lists = list_everywhere if EVERYWHERE in request.query else list_sessions
        return json_answer(await lists(self._view, request.query, self._limits))

    async def _session(self, request: web.Request) -> web.Response:
        session = self._view.manager.find(request.match_info["sid"])
        views = await view_sessions(self._view, [session]) if session is not None else []
        return json_answer(views[0]) if views else await self._missing(request)

    async def _missing(self, request: web.Request) -> web.Response:
        """The answer to who asks for a session that this gateway does not have."""
        node = await self._view.others.owner(request.match_info["sid"])
        if node is None:
            return refusal(404, "there is no such session")
        where = f"node {node!r} has it" if node else "no node has taken it over yet"
        return refusal(404, f"there is no such session here: {where}")

    async def _explain(self, request: web.Request) -> web.Response:
        session = self._view.manager.find(request.match_info["sid"])
        explained = await explain(self._view, session) if session is not None else None
        if explained is not None:
            return json_answer(explained)
        history = self._view.manager.life.of(request.match_info["sid"])
        if await self._view.others.owner(request.match_info["sid"]) is not None:
            return await self._missing(request)
        if not history:
            return refusal(404, "there is no such session, and no events of one are kept")
        ended = history[-1]
        why = ended.fields.get("reason", "")
        return refusal(404, f"the session ended at {_time(ended.time)}: {why}")

    async def _kick_session(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        session = self._view.manager.find(sid)
        if session is not None:
            self._view.manager.end(session, Reason.KICKED)
        else:
            try:
                if not await self._view.others.end(sid):
                    return refusal(404, "there is no such session")
            except SilentNodeError as error:
                return refusal(504, str(error))
        self._tell(SecurityEvent.OPERATOR_ACTED, request, sid=sid, what="close_session")
        return json_answer({"kicked": sid})

    async def _forget_commands(self, request: web.Request) -> web.Response:
        manager = self._view.manager
        sid = request.match_info["sid"]
        if manager.find(sid) is None:
            return await self._missing(request)
        await manager.loader.load([sid], self._view.clock())
        session = manager.sessions.get(sid)
        if session is None:
            return refusal(404, "there is no such session")
        count = len(session.inbox.entries)
        session.backend.forget_commands(session)
        self._tell(
            SecurityEvent.OPERATOR_ACTED, request, sid=sid, what="forget_commands", count=count
        )
        return json_answer({"forgotten": count})

    async def _notice(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            wanted = read_notice(body, self._view.manager.limits.output_bytes_max)
        except NoticeError as error:
            return refusal(400, str(error))
        if wanted.session and self._view.manager.find(wanted.session) is None:
            return refusal(404, "there is no such session")
        shown = await show_notice(self._view, wanted)
        self._tell(
            SecurityEvent.OPERATOR_ACTED, request, sid=wanted.session, what="say", shown=shown
        )
        return json_answer({"shown": shown})

    async def _connections(self, request: web.Request) -> web.Response:
        return json_answer(list_connections(self._view, request.query, self._limits))

    async def _kick_connection(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        found = self._view.server.find(int(number)) if _is_id(number) else None
        if found is None:
            return refusal(404, "there is no such connection")
        found.drain()  # says goodbye, where there is a word for it
        found.close()
        self._tell(
            SecurityEvent.OPERATOR_ACTED,
            request,
            what="end_connection",
            connection=found.id,
            of=found.peer,
        )
        return json_answer({"kicked": found.id})

    async def _backup(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            path = msgspec.json.decode(body, type=BackupRequest).path
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return refusal(400, f'expected {{"path": "/backup/sessions.db"}}: {error}')
        if not path.startswith("/") or "\0" in path:
            return refusal(400, f"path: expected an absolute path, found {path!r}")
        if not self._backups.begin(path):
            return refusal(409, f"a backup is running: {self._backups.status.path}")
        self._tell(SecurityEvent.OPERATOR_ACTED, request, what="backup", path=path)
        return json_answer(self._backups.status, 202)

    async def _backup_status(self, request: web.Request) -> web.Response:
        return json_answer(self._backups.status)

    async def _reload(self, request: web.Request) -> web.Response:
        self._tell(SecurityEvent.OPERATOR_ACTED, request, what="reload")
        try:
            return json_answer({"changes": await self._view.reload()})
        except HoldfastError as error:
            return refusal(400, str(error))

    async def _drain(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            wanted = msgspec.json.decode(body or b"{}", type=DrainRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return refusal(400, f'expected nothing or {{"now": true}}: {error}')
        self._tell(SecurityEvent.OPERATOR_ACTED, request, what="drain", now=wanted.now)
        self._view.stop(wanted.rate)
        if wanted.now:
            self._view.stop(wanted.rate)
        return json_answer({"status": "draining"}, 202)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
