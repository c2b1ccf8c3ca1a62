"""The interface between the gateway and its backends.

A kind of backend is a folder, whose package has two names: `Config`, the listener keys of the
kind, and `open(config, services)`. `registry` lists the kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from msgspec import Struct

from holdfast.backends.upstream_config import UpstreamConfig
from holdfast.backends.upstreams import Upstream
from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.histogram import Histogram
from holdfast.core.items import Resized
from holdfast.core.limits import Limits
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginRefusedError,
    Policy,
    ProfileSummary,
)
from holdfast.link.tracing import CommandTraces
from holdfast.net.addresses import Address
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.security_log import SecurityLog
from holdfast.net.server.acceptor import HandlerFactory
from holdfast.sessions.journal import Journal
from holdfast.sessions.port import SessionPort
from holdfast.sessions.position import ResetReason
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session, SessionBackend

Status = Callable[[], Mapping[str, str | list[str]]]
"""Values of the moment, by the names of MSSP."""


class Placement(Struct, frozen=True):
    """Where a kind's configuration stands, and what its `check` may look at beside it."""

    key: str
    """Of the listener: `listener[0]`."""
    address: Address
    """Where the listener's clients connect."""
    upstreams: Sequence[UpstreamConfig]
    link: str
    """Where applications dial in; empty if nowhere."""
    is_reserved: Callable[[str], bool]
    """Whether sessions of a backend of this name belong to another kind."""


class BackendConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a listener that are one kind's own. Each kind has a subclass."""

    kind: ClassVar[str]
    """The value of `backend = "…"`."""
    has_sessions: ClassVar[bool] = True
    """Whether the clients get sessions."""
    raw: ClassVar[bool] = False
    """Whether the server behind shows its own prompts and asks for logins itself."""

    terminal: ClassVar[bool] = False
    """Whether the sessions are terminals (`TerminalSession`), which are never stored."""

    @property
    def name(self) -> str:
        """The backend's name, which is kept with each session."""
        return self.kind

    @property
    def scope(self) -> str:
        """The name that scopes the sessions, if there is one: a browser's cookie is valid for
        it only."""
        return ""

    @classmethod
    def from_name(cls, name: str, upstreams: Container[str]) -> BackendConfig | None:
        """The configuration of the backend of this name, if it is one of this kind."""
        return cls() if name == cls.kind else None

    def has_elements(self, upstreams: Sequence[UpstreamConfig]) -> bool:
        """Whether its text may have elements for clients that show them (MXP)."""
        return not self.raw

    def check(self, placement: Placement) -> None:
        """Validate what types cannot express. Raises `ConfigurationError` naming the key."""


class RequestCounts(NamedTuple):
    """The requests of a backend to an application that is a URL."""

    results: Counter[str]
    """By what became of them, one of `REQUEST_RESULTS`."""
    seconds: Histogram
    """From a request to the end of its answer, or to its failure."""


REQUEST_RESULTS: Final = ("applied", "refused", "later", "failed")


class Moves:
    """How the sessions of a backend move from one node to another: freely, without anybody who has
    to be told."""

    stays: ClassVar[bool] = False
    """Whether no session moves: each has something of this process behind it."""

    @property
    def served(self) -> bool | None:
        """Whether an application is linked here that serves the sessions; `None`: none has to."""
        return None

    def may_move(self, session: Session) -> bool:
        """Whether another node may have the session now."""
        return True

    async def prepare(self, sessions: Sequence[Session]) -> None:
        """Other nodes get these sessions: whoever changes them is told, and is done with that."""

    def moved(self, session: Session) -> None:
        """Another node has the session from now on: it is not changed here any more."""

    async def adopt(self, sids: Sequence[str]) -> None:
        """These sessions have come from other nodes; they may be dormant. Raises `StoreError`."""


class Backend(SessionBackend, Protocol):
    """A backend sees sessions, never connections. Only the requests and `run` may wait.

    A kind without sessions has `handler` instead: the handler of a client's connection.
    """

    @property
    def name(self) -> str:
        """Kept with each session, so that it finds its backend again after a restart."""

    @property
    def app(self) -> str:
        """What publishers call the owner of the sessions; empty while it is not known."""

    @property
    def handler(self) -> HandlerFactory | None:
        """`None`: a connection is given a session."""

    @property
    def status(self) -> Status | None:
        """What the servers behind it say of themselves (MSSP); `None`: they are not asked."""

    @property
    def moves(self) -> Moves:
        """How its sessions move from one node to another."""

    @property
    def requests(self) -> RequestCounts | None:
        """Its requests to an application that is a URL, if it is one."""

    def restore(self, stored: Stored) -> None:
        """Take the kept settings of an earlier gateway. The sessions are restored already."""

    async def run(self, started: Callable[[], None]) -> None:
        """Run while clients are served, until cancelled. Call `started` when clients may
        connect."""

    @property
    def policy(self) -> Policy | None:
        """`None` while it is not known: then new sessions wait."""

    def opened(self, session: Session) -> None:
        """A new session is active."""

    def resumed(self, session: Session) -> None:
        """A detached session has its client back, with nothing lost."""

    def resync(self, session: Session, reason: ResetReason) -> None:
        """A session has its client back, which may have missed output."""

    def resized(self, session: Session, size: Resized) -> None:
        """The client's screen has another size."""

    def capabilities_changed(self, session: Session) -> None:
        """The client can show other things than before."""

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        """Authenticate a user. Raises `LoginError`."""

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        """The profiles that the session's user may choose. Raises as `authenticate` does."""

    async def create_profile(
        self, session: Session, name: str, properties: dict[str, str]
    ) -> ProfileSummary:
        """A new profile. Raises as `authenticate` does."""

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        """Choose one. Raises as `authenticate` does."""


class BaseBackend:
    """A base class with defaults for methods that a backend does not need.

    By default there is no login and no profile, events of sessions are ignored, and nothing is
    kept.
    """

    name: str
    policy: Policy | None = Policy()
    handler: HandlerFactory | None = None
    status: Status | None = None
    requests: RequestCounts | None = None
    moves: Moves = Moves()

    @property
    def app(self) -> str:
        return self.name

    def restore(self, stored: Stored) -> None:
        pass

    async def run(self, started: Callable[[], None]) -> None:
        started()

    def commanded(self, session: Session) -> None:
        pass

    def opened(self, session: Session) -> None:
        pass

    def resumed(self, session: Session) -> None:
        pass

    def resync(self, session: Session, reason: ResetReason) -> None:
        pass

    def forget_commands(self, session: Session) -> int:
        newest = session.inbox.top
        SessionPort.applied(session, newest)
        return newest

    def resized(self, session: Session, size: Resized) -> None:
        pass

    def capabilities_changed(self, session: Session) -> None:
        pass

    def detached(self, session: Session, reason: Reason) -> None:
        pass

    def ending(self, session: Session, reason: Reason) -> None:
        pass

    def ended(self, session: Session, reason: Reason) -> None:
        pass

    def relieved(self, session: Session) -> None:
        pass

    def keeps(self, *, known: bool) -> bool:
        return False

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        raise LoginRefusedError("there is no login here")

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        return []

    async def create_profile(
        self, session: Session, name: str, properties: dict[str, str]
    ) -> ProfileSummary:
        raise LoginRefusedError("there are no profiles here")

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        raise LoginRefusedError("there are no profiles here")


class Services(Struct, frozen=True):
    """The services of a gateway for its backends."""

    open_port: Callable[[SessionBackend], SessionPort]
    """The port through which a backend changes its sessions."""
    runtime: Runtime
    """The loop, its timers, and the end of the present tick (`coalescer`)."""
    clock: Clock
    """The gateway's time, which outlives the process (`SteadyClock`)."""
    limits: Limits
    journal: Journal
    """Stores settings of a backend, and reports when they are durable."""
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    """Runs a coroutine in the gateway's task group; its exception is logged."""
    upstreams: Mapping[str, Upstream]
    """The servers of each `[[upstream]]`, by its name."""
    security: SecurityLog
    policy_known: Callable[[], None]
    """A backend's `policy` is known now: sessions that waited for it go on."""
    several: bool = False
    """Whether there may be other nodes on the store."""
    traces: CommandTraces | None = None
    """The spans of commands, where they are traced."""
