"""The paths of the API.

POST /v1/publish               a publication, or a list of them
GET  /v1/sessions              ?user= app= after= limit=
POST /v1/sessions/SID/close    {"reason": "kicked"}
GET  /v1/groups/NAME           ?app=
GET  /v1/openapi.json          what all of this looks like: no key needed
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from holdfast.core.clock import Clock
from holdfast.core.errors import REASONS, Reason
from holdfast.core.limits import ApiLimits
from holdfast.core.validation import UnsendableError, check_choice
from holdfast.gateway.api.applications import Applications
from holdfast.gateway.api.bodies import (
    Closed,
    CloseRequest,
    Fault,
    GroupView,
    SessionList,
    SessionView,
    write,
)
from holdfast.gateway.api.keys import ApiRefusedError, Key, Keyring
from holdfast.gateway.api.openapi import document
from holdfast.gateway.api.publications import Publications, failed, unavailable
from holdfast.net.http.exchanges import Exchange
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.protocols.uris import split_target
from holdfast.protocols.websocket.head import Request
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.publishing import Publishing
from holdfast.sessions.session import Session
from holdfast.sessions.stores.base import StoreError

T = TypeVar("T")

PUBLISH: Final = "/v1/publish"
_SESSIONS: Final = "/v1/sessions"
_GROUPS: Final = "/v1/groups/"
_OPENAPI: Final = "/v1/openapi.json"
_SHOWN: Final = "shown"


class ApiService:
    """Answers the requests of one API: a `Service`. `now` is the loop's time."""

    def __init__(
        self,
        keyring: Keyring,
        applications: Applications,
        publications: Publications,
        limits: ApiLimits,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        security: SecurityLog,
        now: Clock,
    ) -> None:
        self._keyring = keyring
        self._applications = applications
        self._publications = publications
        self._limits = limits
        self._spawn = spawn
        self._security = security
        self._now = now

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        try:
            if request.target == PUBLISH and request.method == "POST":
                self._publications.handle(exchange, self._key(exchange))
            else:
                self._handle(exchange, request)
        except ApiRefusedError as error:
            self._refuse(exchange, error)
        except Exception as error:
            failed(exchange, error)

    def refused(self, status: int, fault: str) -> bytes:
        return write(Fault(fault, "unavailable" if status == 503 else "bad_request"))

    def _handle(self, exchange: Exchange, request: Request) -> None:
        """Answer what is not the usual request to publish."""
        path, _, query = split_target(request.target)[1].partition("?")
        if path == _OPENAPI:
            _expect(request.method, "GET")
            exchange.answer(document())
            return
        key = self._key(exchange)
        asked = dict(parse_qsl(query, keep_blank_values=True))
        if path == PUBLISH:
            _expect(request.method, "POST")
            self._publications.handle(exchange, key)
        elif path == _SESSIONS:
            _expect(request.method, "GET")
            key.check("read")
            exchange.answer(write(self._list(key, asked)))
        elif path.startswith(_GROUPS):
            _expect(request.method, "GET")
            key.check("read")
            group = unquote(path.removeprefix(_GROUPS))
            publishing = self._applications.find(key, asked.get("app", ""))
            self._spawn(self._answer(exchange, self._group(publishing, group)))
        elif path.startswith(f"{_SESSIONS}/") and path.endswith("/close"):
            _expect(request.method, "POST")
            key.check("close")
            sid = unquote(path.removeprefix(f"{_SESSIONS}/").removesuffix("/close"))
            wanted = _read(exchange.body or b"{}", CloseRequest)
            self._spawn(self._answer(exchange, self._close(key, sid, wanted)))
        else:
            raise ApiRefusedError(404, "not_found", f"there is no {path[:100]!r}")

    def _key(self, exchange: Exchange) -> Key:
        """The key of a request; one that this connection showed before is not hashed again."""
        request, memory = exchange.request, exchange.memory
        known = memory.get(_SHOWN)
        if isinstance(known, _Shown) and known.request is request:  # its head has come again
            return known.key
        text = request.headers.get("authorization") or ""
        if isinstance(known, _Shown) and known.text == text:
            key = known.key
        else:
            key = self._keyring.find(text, exchange.peer, self._now())
        memory[_SHOWN] = _Shown(request, text, key)
        return key

    # --- answers

    async def _answer(self, exchange: Exchange, work: Coroutine[Any, Any, object]) -> None:
        try:
            exchange.answer(write(await work))
        except ApiRefusedError as error:
            self._refuse(exchange, error)
        except StoreError as error:
            unavailable(exchange, error)
        except Exception as error:
            failed(exchange, error)

    def _refuse(self, exchange: Exchange, error: ApiRefusedError) -> None:
        fields = []
        if error.status in (401, 403, 429):
            self._security.tell(
                SecurityEvent.API_REFUSED, peer=exchange.peer, listener="api", why=str(error)
            )
        if error.status == 401:
            fields.append(("WWW-Authenticate", 'Bearer realm="holdfast"'))
        elif error.status == 429:
            fields.append(("Retry-After", "60"))
        elif isinstance(error, _MethodError):
            fields.append(("Allow", error.allowed))
        exchange.answer(write(Fault(str(error), error.code)), error.status, fields)

    # --- sessions and groups

    def _list(self, key: Key, asked: dict[str, str]) -> SessionList:
        user, after = asked.get("user", ""), asked.get("after", "")
        if not user:
            raise ApiRefusedError(400, "bad_request", "expected ?user=NAME, found none")
        limit = _limit(asked.get("limit", ""), self._limits.page_max)
        found = [
            _view(app, member)
            for app, publishing in self._applications.of(key, asked.get("app", ""))
            for member in publishing.port.of_user(user)
            if member.sid > after
        ]
        found.sort(key=lambda view: view.sid)
        return SessionList(found[:limit], len(found) > limit)

    async def _group(self, publishing: Publishing, group: str) -> GroupView:
        await publishing.port.load()
        members = list(publishing.port.members(group))
        return GroupView(
            group,
            [member.sid for member in members[: self._limits.page_max]],
            len(members),
            sum(member.attached for member in members),
        )

    async def _close(self, key: Key, sid: str, wanted: CloseRequest) -> Closed:
        try:
            check_choice("reason", wanted.reason, REASONS)
        except UnsendableError as error:
            raise ApiRefusedError(400, "bad_request", str(error)) from error
        for _, publishing in self._applications.of(key, wanted.app):
            port = publishing.port
            await port.load([sid])
            session = port.find(sid)
            if session is not None:
                port.close(session, Reason(wanted.reason))
                return Closed(sid)
        raise ApiRefusedError(404, "unknown_session", f"there is no session {sid[:64]!r}")


class _Shown(NamedTuple):
    """The key that a connection has shown last."""

    request: Request
    text: str
    key: Key


class _MethodError(ApiRefusedError):
    """The path has another method."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(405, "bad_request", f"expected the method {allowed}, found {found}")
        self.allowed = allowed


def _expect(method: str, allowed: str) -> None:
    if method != allowed:
        raise _MethodError(method, allowed)


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiRefusedError(400, "bad_request", str(error)) from None


def _limit(text: str, most: int) -> int:
    if not text:
        return most
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise ApiRefusedError(
            400, "bad_request", f"limit: expected 1 to {most}, found {text[:20]!r}"
        )
    return min(int(text), most)


def _view(app: str, member: Session | DormantSession) -> SessionView:
    if isinstance(member, DormantSession):
        protocol, address, attached = member.protocol, member.address, False
    else:
        protocol, address, attached = member.row.protocol, member.row.address, member.attached
    return SessionView(
        member.sid, app, member.user, member.state.value, attached, protocol, address
    )
