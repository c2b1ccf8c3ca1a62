"""The part of a gateway that an operator may see and change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from holdfast.backends.registry import Backends
from holdfast.backends.upstreams import Upstream
from holdfast.core.clock import SteadyClock
from holdfast.core.histogram import Histogram
from holdfast.gateway.api.listener import ApiListener
from holdfast.gateway.cluster import ClusterStatus
from holdfast.gateway.config_changes import Change
from holdfast.gateway.other_nodes import OtherNodes
from holdfast.gateway.pool import ConnectionPool
from holdfast.net.runtime.room import Room
from holdfast.net.security_log import SecurityLog
from holdfast.net.server.server import Server
from holdfast.net.upstream.pool import UpstreamPool
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager


class GatewayView(Struct, frozen=True):
    """The parts of one running gateway."""

    node: str
    """Its name."""
    server: Server
    link_server: Server
    link_seconds: Histogram
    """Round trips of heartbeats to applications."""
    manager: SessionManager
    journal: Journal
    clock: SteadyClock
    pool: ConnectionPool
    counts: Counter[str]
    input_room: Room
    output_room: Room
    security: SecurityLog
    backends: Backends
    upstreams_by_name: Mapping[str, Upstream]
    api: ApiListener | None
    """Where other programs publish, if they may."""
    stop: Callable[[float], None]
    """Tell every client, and end; called again, at once. Takes the rate at which clients are told
    to come back; 0 is that of the limits."""
    draining: Callable[[], bool]
    lasts: Callable[[], bool]
    """Whether the sessions are this gateway's for sure (`Membership.lasts`)."""
    cluster: Callable[[], ClusterStatus]
    """How it stands with the other gateways on its store."""
    backup: Callable[[Path], Awaitable[int]]
    """Copy the store to a new file; its size in bytes."""
    reload: Callable[[], Awaitable[list[Change]]]
    """Read the configuration again, and serve as it says. Raises `ConfigurationError`."""
    others: OtherNodes
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    """Runs a coroutine in a task, which is cancelled when the gateway's drain is over."""

    @property
    def upstreams(self) -> list[UpstreamPool]:
        return [upstream.pool for upstream in self.upstreams_by_name.values()]

    @property
    def trouble(self) -> str:
        """Why no new client should be sent here, or nothing."""
        if self.draining():
            return "the gateway is stopping"
        if not self.lasts():
            return "the store has not answered for most of the lease"
        return "" if self.journal.broken is None else "the store cannot be written to"
