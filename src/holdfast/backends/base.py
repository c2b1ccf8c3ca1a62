"""What the gateway asks of a backend, and what it offers to one.

A kind of backend is a folder: its `Config` (the keys of a listener that are its
own) and `open(config, services)`, both listed in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from msgspec import Struct

from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.items import Resized
from holdfast.core.limits import Limits
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginRefusedError,
    Policy,
    ProfileSummary,
)
from holdfast.net.runtime.runtime import Runtime
from holdfast.sessions.journal import Journal
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Backend as SessionBackend
from holdfast.sessions.session import ResetReason, Session


class Backend(SessionBackend, Protocol):
    """A backend sees sessions, never connections. Nothing here waits but the requests."""

    @property
    def name(self) -> str:
        """Kept with each session, so that it finds its backend again after a restart."""

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
        """Who a person is. Raises `LoginError`."""

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        """The profiles that the session's user may choose. Raises as `authenticate` does."""

    async def create_profile(self, session: Session, name: str) -> ProfileSummary:
        """A new profile. Raises as `authenticate` does."""

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        """Choose one. Raises as `authenticate` does."""


class BaseBackend:
    """The base of a backend that does not answer everything: what it leaves out, nobody needs.

    It asks for no login and no profile, does nothing about its sessions, and keeps nothing.
    """

    policy: Policy | None = Policy()

    def commanded(self, session: Session) -> None:
        pass

    def opened(self, session: Session) -> None:
        pass

    def resumed(self, session: Session) -> None:
        pass

    def resync(self, session: Session, reason: ResetReason) -> None:
        pass

    def resized(self, session: Session, size: Resized) -> None:
        pass

    def capabilities_changed(self, session: Session) -> None:
        pass

    def detached(self, session: Session, reason: Reason) -> None:
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

    async def create_profile(self, session: Session, name: str) -> ProfileSummary:
        raise LoginRefusedError("there are no profiles here")

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        raise LoginRefusedError("there are no profiles here")


class Services(Struct, frozen=True):
    """What a gateway offers to its backends."""

    open_port: Callable[[SessionBackend], SessionPort]
    """The port through which a backend changes its sessions."""
    runtime: Runtime
    """The loop, its timers, and the end of the present tick (`coalescer`)."""
    clock: Clock
    """The gateway's time, which outlives the process (`SteadyClock`)."""
    limits: Limits
    journal: Journal
    """Keeps settings of a backend, and tells when they are durable."""
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    """Runs a coroutine in the gateway's task group; what it raises is logged."""
    policy_known: Callable[[], None]
    """A backend's `policy` is known now: sessions that waited for it go on."""
