"""The shared state of a gateway's parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from holdfast.backends.base import Backend
from holdfast.core.clock import Clock
from holdfast.core.limits import Limits, SessionLimits
from holdfast.core.rate import DebtByKey, Rate
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.attempts import LoginAttempts
from holdfast.gateway.auth.base import CredentialJudge
from holdfast.gateway.pool import ConnectionPool
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.http.pages import NewHandler
from holdfast.net.runtime.room import Room
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.security_log import SecurityLog
from holdfast.sessions.fetching import Fetching
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import NewSession, Session
from holdfast.sessions.states import Durability


class Context(Struct, frozen=True):
    """One gateway's parts."""

    limits: Limits
    command_rate: Rate
    network_input: DebtByKey
    """How much the clients of each network send, in bytes."""
    input_room: Room
    """The memory for input that cannot be handled yet."""
    output_room: Room
    """The memory for output that clients do not read."""
    runtime: Runtime
    wall: Clock
    """The gateway's time, for what outlives the process: wall clock time that is never set."""
    journal: Journal
    manager: SessionManager
    pool: ConnectionPool
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    """Runs a coroutine in the gateway's task group."""
    memory_on_failure: bool = False
    """Whether to go on without promises while the store is not writable."""
    security: SecurityLog = field(default_factory=SecurityLog)
    fetching: Fetching | None = None
    """Gets sessions from other nodes, if there can be any."""
    attempts: LoginAttempts = field(default_factory=lambda: LoginAttempts(SessionLimits()))
    counts: Counter[str] = field(default_factory=Counter)
    """Counters, by names from a closed set."""


class ServeHttp(Protocol):
    """What `HttpHost.take_over` does."""

    def __call__(
        self, connection: Connection, data: bytes, before: Handler, anew: NewHandler, /
    ) -> None:
        """Serve pages, until a request is one for what `anew` makes."""


class ListenerContext(Struct, frozen=True):
    """The settings and the backend that the connections of one listener share."""

    backend: Backend
    durability: Durability
    new_adapter: Callable[[], Adapter]
    new_session: NewSession = Session
    resumes: bool = True
    """Whether its clients resume sessions, and their sessions can be resumed."""
    auth: CredentialJudge | None = None
    """What clients must prove of themselves, if anything."""
    forward: Callable[[Connection, Sequence[str]], bool] | None = None
    """`Server.forward`, where HTTP proxies are trusted."""
    handshake_failed: Callable[[Connection], None] = lambda _: None
    """Counts a connection whose request for a WebSocket was refused."""
    serve_http: ServeHttp | None = None
    """Hands a connection over that asked for a page."""
