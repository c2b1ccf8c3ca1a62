"""What the gateway asks of a backend."""

from __future__ import annotations

from typing import Protocol

from holdfast.core.items import Resized
from holdfast.core.login import Authenticate, AuthResult, Policy, ProfileSummary
from holdfast.sessions.session import Backend as SessionBackend
from holdfast.sessions.session import ResetReason, Session


class Backend(SessionBackend, Protocol):
    """A backend sees sessions, never connections. Nothing here waits but the requests."""

    name: str
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
