"""Sessions and connections as the admin listener returns them: filtered, paged, no secrets."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from holdfast.backends.terminal.backend import TerminalBackend
from holdfast.backends.terminal.stats import TerminalView
from holdfast.core.errors import HoldfastError
from holdfast.core.limits import AdminLimits
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.view import GatewayView
from holdfast.net.connection.connection import Connection
from holdfast.net.transport.tcp_info import round_trip
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.folding import fold
from holdfast.sessions.population import Member
from holdfast.sessions.records import Row, StoredSession
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionState

T = TypeVar("T")

_PAGE_DEFAULT = 100


class BadQueryError(HoldfastError):
    """A request that asks for what there cannot be. Names the key, what was found and expected."""


class RowView(Struct, frozen=True):
    """What an operator sees of any session. Times are wall clock, in seconds."""

    sid: str
    state: str
    user: str
    profile: str
    app: str
    protocol: str
    address: str
    client: str
    durability: str
    created: float
    detached: float
    """Since when its client is away, or 0."""
    groups: list[str]


class SessionView(RowView, frozen=True):
    """A session of this gateway, as an operator sees it."""

    expires: float
    """When it ends if its client stays away; 0 while it has its client."""
    connection: int
    """The id of its connection, or 0."""
    outputs: int
    window_messages: int
    window_bytes: int
    queue_messages: int
    queue_bytes: int
    viewers: int
    """Who watch it."""
    terminal: TerminalView | None
    """What is behind it, if it is a terminal."""


class ConnectionView(Struct, frozen=True):
    """A connection, as an operator sees it."""

    id: int
    peer: str
    listener: str
    protocol: str
    phase: str
    secure: bool
    sid: str
    """The id of its session, or empty."""
    received_bytes: int
    sent_bytes: int
    silent_seconds: float
    """Since anything came from it."""
    rtt_ms: float | None
    """The round trip to the peer's kernel, as this one has measured it; `None` if it has not."""
    pinged_seconds: float | None
    """Since it was last asked for a sign of life; `None` if it never was."""


class Page(Struct, frozen=True):
    """Some of what was asked for. `next` is the `after` of the next page, if there is one."""

    items: list[Any]
    next: str | int | None
    total: int
    """The total number, without filters."""


async def view_sessions(view: GatewayView, sessions: Sequence[Member]) -> list[SessionView]:
    """These sessions, without those that have ended meanwhile. What is not loaded stays so.

    Raises `StoreError`.
    """
    behind = round(view.clock.behind)
    loader = view.manager.loader
    sids = [one.sid for one in sessions if isinstance(one, DormantSession)]
    stored = await loader.find(sids)
    views = []
    for one in sessions:
        session = view.manager.find(one.sid)
        if isinstance(session, Session):
            views.append(_loaded_view(view, session, behind))
        elif session is not None and session.sid in stored:
            views.append(_dormant_view(view, session, stored[session.sid], behind))
    return views


def _expires(view: GatewayView, session: Member, behind: float) -> float:
    at = view.manager.population.expires(session)
    return at + behind if at != math.inf else 0.0


def _loaded_view(view: GatewayView, session: Session, behind: float) -> SessionView:
    """A session; `behind` is by how much the wall clock is ahead of the gateway's time."""
    row, consumer, out, inbox = session.row, session.consumer, session.out, session.inbox
    backend = session.backend
    return SessionView(
        **row_view(view, row, behind),
        state=session.state.value,
        detached=row.detached + behind if row.detached else 0.0,
        expires=_expires(view, session, behind),
        connection=consumer.connection.id if isinstance(consumer, Attachment) else 0,
        outputs=out.top,
        window_messages=len(out.entries),
        window_bytes=out.size,
        queue_messages=len(inbox.entries),
        queue_bytes=inbox.size,
        viewers=len(session.viewers) if session.viewers is not None else 0,
        terminal=backend.view(session) if isinstance(backend, TerminalBackend) else None,
    )


def _dormant_view(
    view: GatewayView, dormant: DormantSession, stored: StoredSession, behind: float
) -> SessionView:
    """A session that is not loaded: its logs are as they are stored."""
    logs = fold(stored.records) if stored.records else None
    outs: Sequence[Any] = logs.outs if logs is not None else ()
    ins = logs.ins if logs is not None else ()
    return SessionView(
        **row_view(view, stored.row, behind),
        state=dormant.state.value,
        detached=dormant.detached + behind,
        expires=_expires(view, dormant, behind),
        connection=0,
        outputs=logs.top if logs is not None else 0,
        window_messages=len(outs),
        window_bytes=sum(entry.size for entry in outs),
        queue_messages=len(ins),
        queue_bytes=sum(queued.size for queued in ins),
        viewers=0,
        terminal=None,
    )


def row_view(view: GatewayView, row: Row, behind: float) -> dict[str, Any]:
    return {
        "sid": row.sid,
        "user": row.user,
        "profile": row.profile,
        "app": view.backends.app_of(row.app),
        "protocol": row.protocol,
        "address": row.address,
        "client": row.capabilities.client,
        "durability": row.durability,
        "created": row.created + behind,
        "groups": list(row.groups),
    }


def connection_view(
    connection: Connection, attachments: Mapping[Connection, Attachment]
) -> ConnectionView:
    listener, attachment = connection.listener, attachments.get(connection)
    rtt = round_trip(connection.extra("socket"))
    pinged = attachment.pinged if attachment is not None else 0.0
    return ConnectionView(
        id=connection.id,
        peer=connection.peer,
        listener=str(listener or ""),
        protocol=listener.scheme if listener is not None else "",
        phase=connection.phase.name.lower(),
        secure=connection.secure,
        sid=attachment.session.sid if attachment is not None else "",
        received_bytes=connection.bytes_in,
        sent_bytes=connection.bytes_out,
        silent_seconds=round(max(0.0, connection.now - connection.heard), 1),
        rtt_ms=round(rtt * 1000, 3) if rtt else None,
        pinged_seconds=round(max(0.0, connection.now - pinged), 1) if pinged else None,
    )


Listed = Member | Row
"""A session of this node, or the row of another node's."""


def _about(session: Listed) -> Row | DormantSession:
    return session.row if isinstance(session, Session) else session


def _state_of(session: Listed) -> str:
    return session.state if isinstance(session, Row) else session.state.value


_SESSION_KEYS: Mapping[str, Callable[[GatewayView, Listed], str]] = {
    "state": lambda _, session: _state_of(session),
    "user": lambda _, session: session.user,
    "app": lambda view, session: view.backends.app_of(_about(session).app),
    "protocol": lambda _, session: _about(session).protocol,
    "address": lambda _, session: _about(session).address.rpartition(":")[0],
}
_STATES = [state.value for state in SessionState]
_ID_DIGITS_MAX = 18
"""Of the id of a connection. `int` refuses thousands of digits."""
_ID_PART_CHARS_MIN = 8
"""A shorter part would be found in other ids by chance."""
_CONNECTION_KEYS: Mapping[str, Callable[[Connection], str]] = {
    "protocol": lambda one: one.listener.scheme if one.listener is not None else "",
    "listener": lambda one: str(one.listener or ""),
    "address": lambda one: one.peer.rpartition(":")[0],
}


def _session_fits(view: GatewayView, session: Listed, search: str) -> bool:
    """Whether the search is the beginning or a long part of its id, or in what is known of its
    client."""
    about = _about(session)
    app = view.backends.app_of(about.app)
    texts = (session.user, app, about.protocol, about.address)
    is_id = session.sid.startswith(search) or (
        len(search) >= _ID_PART_CHARS_MIN and search in session.sid
    )
    return is_id or any(search in text.lower() for text in texts)


def _connection_fits(one: Connection, search: str) -> bool:
    return search in one.peer.lower() or search in str(one.listener or "").lower()


class Wanted(Struct, frozen=True):
    """Which sessions are asked for."""

    view: GatewayView
    values: Mapping[str, str]
    """What they must have, by the key of the query."""
    search: str
    after: str
    """Behind the one with this id."""
    count: int

    def fits(self, session: Listed) -> bool:
        """Whether it is asked for, wherever in the order it stands."""
        view = self.view
        if any(_SESSION_KEYS[key](view, session) != value for key, value in self.values.items()):
            return False
        return not self.search or _session_fits(view, session, self.search)


def read_wanted(view: GatewayView, query: Mapping[str, str], limits: AdminLimits) -> Wanted:
    """Raises `BadQueryError`."""
    values, count, after = _read(query, _SESSION_KEYS, limits)
    state = values.get("state", SessionState.ACTIVE.value)
    if state not in _STATES:
        raise BadQueryError(f"state: expected one of {', '.join(_STATES)}; found {state!r}")
    return Wanted(view, values, query.get("search", "").lower(), after, count)


async def list_sessions(view: GatewayView, query: Mapping[str, str], limits: AdminLimits) -> Page:
    """Sessions that fit, in the order of their birth. Raises `BadQueryError` and `StoreError`."""
    manager = view.manager
    wanted = read_wanted(view, query, limits)
    matching = (one for one in manager.all() if wanted.fits(one))
    found = _page(matching, _sid, wanted.after, wanted.count)
    page, more = found[: wanted.count], len(found) > wanted.count
    total = manager.total
    views = await view_sessions(view, page)
    return Page(views, page[-1].sid if more else None, total)


def list_connections(view: GatewayView, query: Mapping[str, str], limits: AdminLimits) -> Page:
    """Connections that fit, oldest first. Raises `BadQueryError`."""
    wanted, count, after = _read(query, _CONNECTION_KEYS, limits)
    if after and not (after.isascii() and after.isdecimal() and len(after) <= _ID_DIGITS_MAX):
        raise BadQueryError(f"after: expected the id of a connection, found {after!r}")
    connections = view.server.connections
    search = query.get("search", "").lower()
    matching = (
        one
        for one in connections
        if all(_CONNECTION_KEYS[key](one) == value for key, value in wanted.items())
        and (not search or _connection_fits(one, search))
    )
    found = _page(matching, _id, int(after or 0), count)
    page, more = found[:count], len(found) > count
    attachments = _attachments(view)
    views = [connection_view(one, attachments) for one in page]
    return Page(views, page[-1].id if more else None, len(connections))


def _sid(session: Member) -> str:
    return session.sid


def _id(connection: Connection) -> int:
    return connection.id


def _attachments(view: GatewayView) -> dict[Connection, Attachment]:
    """The connections that have a session, with it."""
    return {
        session.consumer.connection: session.consumer
        for session in view.manager.sessions.values()
        if isinstance(session.consumer, Attachment)
    }


def _read(
    query: Mapping[str, str], keys: Mapping[str, Any], limits: AdminLimits
) -> tuple[dict[str, str], int, str]:
    """The filters, how many, and after which one."""
    known = [*keys, "search", "limit", "after"]
    for key in query:
        if key not in known:
            raise BadQueryError(f"expected one of {', '.join(known)}; found {key!r}")
    limit = query.get("limit", str(min(_PAGE_DEFAULT, limits.page_max)))
    if not limit.isascii() or not limit.isdecimal() or not 0 < int(limit[:9]) <= limits.page_max:
        raise BadQueryError(f"limit: expected 1 to {limits.page_max}, found {limit!r}")
    wanted = {key: value for key, value in query.items() if key in keys}
    return wanted, int(limit), query.get("after", "")


def _page(all_: Iterable[T], key: Callable[[T], Any], after: Any, count: int) -> list[T]:
    """The first ones after `after`, and one more if there is one."""
    behind = (one for one in all_ if not after or key(one) > after)
    return heapq.nsmallest(count + 1, behind, key=key)
