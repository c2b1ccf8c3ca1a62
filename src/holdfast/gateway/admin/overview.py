"""The gateway at a glance: its state, its counts, and what stands behind it.

Counters count since the start: who asks twice knows the rates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from holdfast import __version__
from holdfast.backends.link.instance import Instance
from holdfast.core.clock import Clock
from holdfast.core.histogram import Histogram
from holdfast.gateway.session_totals import SessionTotals
from holdfast.gateway.view import GatewayView
from holdfast.net.server.server import Server
from holdfast.net.upstream.pool import Target, UpstreamPool

_SLICE: Final = 1_000
"""Sessions that are counted before others have their turn."""
_REST: Final = 50
"""So many times as long as a count of all sessions took, the next one waits: it costs 2 % of the
time at most."""


class Durations(Struct, frozen=True):
    """How many of something there were since the start, and their sum."""

    count: int
    seconds: float


class ListenerView(Struct, frozen=True):
    """A listener. `accepted`, `refused` and `failed` count since the start."""

    address: str
    kind: str
    """`clients` or `applications`."""
    connections: int
    accepted: int
    refused: int
    failed: int
    """Handshakes that came to nothing."""


class InstanceView(Struct, frozen=True):
    """A linked run of an application."""

    name: str
    sessions: int
    """Those that it holds, or will hold."""
    serves: bool
    """Whether it is given sessions."""
    leaving: bool


class BackendView(Struct, frozen=True):
    """A backend."""

    name: str
    kind: str
    app: str
    """The application that it serves; empty while it is not known."""
    instances: list[InstanceView]
    requests: dict[str, int]
    """Of an application that is a URL, by result."""


class ServerView(Struct, frozen=True):
    """A server of an upstream. `connects` and `failures` count since the start."""

    name: str
    connections: int
    breaker: str
    """`closed`: the server is used; `open`: it has failed, and is left alone for a while;
    `half_open`: it is tried again."""
    up: bool
    """By its health checks; true without any."""
    trouble: str
    """Why it cannot be used now; empty if it can."""
    connects: int
    failures: int


class UpstreamView(Struct, frozen=True):
    """An upstream."""

    name: str
    balance: str
    refused: int
    """Clients for whom no server could be used, since the start."""
    servers: list[ServerView]


class Overview(Struct, frozen=True):
    """The gateway at a glance."""

    node: str
    version: str
    uptime_seconds: float
    status: str
    """`ready`, or why no new client should be sent here."""
    draining: bool
    watch: bool
    """Whether operators may watch sessions."""
    connections: dict[str, int]
    """Those with a session, by protocol."""
    counted_seconds: float
    """The uptime at which the sessions were counted: the fields from here to `queue_bytes`."""
    sessions: dict[str, int]
    """By state."""
    viewers: int
    outputs: int
    """Numbered outputs since the start."""
    commands: int
    """Commands since the start."""
    window_bytes: int
    queue_bytes: int
    created: int
    """New sessions since the start."""
    resumed: int
    """Sessions that were taken up again since the start."""
    commits: Durations
    """Group commits of the store."""
    link_round_trips: Durations
    """Heartbeats of applications."""
    listeners: list[ListenerView]
    backends: list[BackendView]
    upstreams: list[UpstreamView]


class Overviews:
    """Makes overviews of one gateway, and counts its sessions seldom enough. `now` is the loop's
    time."""

    def __init__(self, view: GatewayView, now: Clock, *, watch: bool) -> None:
        self._view = view
        self._now = now
        self._watch = watch
        self._began = now()
        self._counting = asyncio.Lock()
        self._totals: SessionTotals | None = None
        self._counted = self._due = 0.0

    async def make(self) -> Overview:
        """The gateway as it is now."""
        totals, view = await self._count(), self._view
        counts = view.manager.counts
        return Overview(
            node=view.node,
            version=__version__,
            uptime_seconds=self._now() - self._began,
            status=view.trouble or "ready",
            draining=view.draining(),
            watch=self._watch,
            connections=dict(view.pool.by_protocol()),
            counted_seconds=self._counted - self._began,
            sessions={state.value: count for state, count in totals.states.items() if count},
            viewers=totals.viewers,
            outputs=totals.outputs,
            commands=totals.commands,
            window_bytes=totals.window_bytes,
            queue_bytes=totals.queue_bytes,
            created=counts.created,
            resumed=counts.resumed,
            commits=_durations(view.journal.commit_seconds),
            link_round_trips=_durations(view.link_seconds),
            listeners=[
                *_listeners(view.server, "clients"),
                *_listeners(view.link_server, "applications"),
            ],
            backends=list(_backends(view)),
            upstreams=[
                _upstream(one.pool, one.config.balance, view.server.runtime.timers.now)
                for one in view.upstreams_by_name.values()
            ],
        )

    async def _count(self) -> SessionTotals:
        """The sums of all sessions: one count for all who ask meanwhile, and for some time."""
        async with self._counting:
            began = self._now()
            if self._totals is None or began >= self._due:
                sessions = list(self._view.manager.sessions.values())
                totals, worked = SessionTotals(self._view.manager), 0.0
                for start in range(0, len(sessions), _SLICE):
                    sliced = self._now()
                    for session in sessions[start : start + _SLICE]:
                        totals.add(session)
                    worked += self._now() - sliced
                    await asyncio.sleep(0)
                self._totals, self._counted = totals, began
                self._due = self._now() + _REST * worked
            return self._totals


def _durations(histogram: Histogram) -> Durations:
    return Durations(sum(histogram.counts), histogram.sum)


def _listeners(server: Server, kind: str) -> Iterator[ListenerView]:
    for at, counted in server.tallies.items():
        yield ListenerView(
            str(at), kind, counted.open, counted.accepted, counted.refused, counted.failed
        )


def _backends(view: GatewayView) -> Iterator[BackendView]:
    links = view.backends.links
    for kind, backend in view.backends.with_kinds:
        link, requests = links.get(backend.name), backend.requests
        linked = link.assignment.linked.values() if link is backend and link is not None else ()
        yield BackendView(
            name=backend.name,
            kind=kind,
            app=backend.app,
            instances=[_instance(one) for one in linked],
            requests=dict(requests.results) if requests is not None else {},
        )


def _instance(one: Instance) -> InstanceView:
    return InstanceView(one.name, one.load, one.serves, one.leaving)


def _upstream(pool: UpstreamPool, balance: str, now: float) -> UpstreamView:
    return UpstreamView(
        pool.name, balance, pool.refused, [_server(pool, one, now) for one in pool.targets]
    )


def _server(pool: UpstreamPool, target: Target, now: float) -> ServerView:
    return ServerView(
        name=target.name,
        connections=target.active,
        breaker=target.breaker.state.value,
        up=target.health.up,
        trouble=pool.trouble(target, now) or "",
        connects=target.connected,
        failures=target.failed,
    )
