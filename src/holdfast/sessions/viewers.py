"""Who watches a session: its invitations, and the viewers that have come by them.

A viewer is a read-only attachment with a position of its own. It is no sign of life, it holds
neither the client nor the backend back, and it answers nothing. An invitation is a token that
lets viewers in until it ends or is revoked; then its viewers are sent away. None is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.limits import SessionLimits
from holdfast.sessions.consumer import guarded
from holdfast.sessions.tokens import hash_secret, new_secret


class Viewer(Protocol):
    """The connection of one viewer, as the session sees it."""

    @property
    def address(self) -> str:
        """Where it is, for the session's client."""

    def deliver(self) -> None:
        """There are outputs to read from the session's outbox."""

    def resize(self) -> None:
        """The screen of the session's client has another size."""

    def close(self, reason: Reason, text: str) -> None:
        """Send a goodbye and close."""

    def fail(self, error: Exception) -> None:
        """A method above has raised: log it, and drop the connection."""


class InvitationView(Struct, frozen=True):
    """An invitation, as the session's client sees it."""

    id: int
    seconds: float
    """How long it is still valid."""
    viewers: list[str]
    """The addresses of its viewers."""


class Invitation:
    """One invitation. `expires` is the gateway's time."""

    __slots__ = ("digest", "expires", "id", "viewers")

    def __init__(self, number: int, secret: bytes, expires: float) -> None:
        self.id = number
        self.digest = hash_secret(secret)
        self.expires = expires
        self.viewers: list[Viewer] = []


class Viewers:
    """The invitations and viewers of one session. `changed` is called when they change."""

    __slots__ = ("_changed", "_issued", "_limits", "invitations")

    def __init__(self, limits: SessionLimits, changed: Callable[[], None]) -> None:
        self._limits = limits
        self._changed = changed
        self._issued = 0
        self.invitations: list[Invitation] = []

    def __iter__(self) -> Iterator[Viewer]:
        """All viewers. They may leave meanwhile."""
        return iter([viewer for one in self.invitations for viewer in one.viewers])

    def __len__(self) -> int:
        return sum(len(one.viewers) for one in self.invitations)

    def views(self, now: float) -> Sequence[InvitationView]:
        """What the session's client is told. `now` is the gateway's time."""
        return [
            InvitationView(
                one.id, round(one.expires - now, 1), [viewer.address for viewer in one.viewers]
            )
            for one in self.invitations
            if one.expires > now
        ]

    # --- invitations

    def invite(self, seconds: float, now: float) -> tuple[Invitation, bytes]:
        """An invitation for so many seconds, and the secret that its holder shows.

        Raises `LimitExceededError`.
        """
        limits = self._limits
        self.invitations = [one for one in self.invitations if one.expires > now or one.viewers]
        if len(self.invitations) >= limits.invitations_max:
            raise LimitExceededError(
                f"there are {len(self.invitations)} invitations, and no more at one time:"
                " revoke one first"
            )
        self._issued += 1
        secret = new_secret()
        expires = now + min(seconds, limits.invitation_seconds_max)
        invitation = Invitation(self._issued, secret, expires)
        self.invitations.append(invitation)
        self._changed()
        return invitation, secret

    def find(self, secret: bytes, now: float) -> Invitation | None:
        """The invitation of this secret, if it is still valid."""
        digest, found = hash_secret(secret), None
        for one in self.invitations:
            if hmac.compare_digest(one.digest, digest) and one.expires > now:
                found = one
        return found

    def revoke(self, number: int) -> bool:
        """End an invitation; its viewers are sent away. False if there is none of this number."""
        revoked = [one for one in self.invitations if one.id == number]
        self._revoke(revoked)
        return bool(revoked)

    def revoke_all(self) -> None:
        """End all invitations: the session has another user now."""
        self._revoke(list(self.invitations))

    def _revoke(self, revoked: Sequence[Invitation]) -> None:
        for one in revoked:
            self.invitations.remove(one)
            for viewer in list(one.viewers):
                guarded(viewer, viewer.close, Reason.KICKED, "the invitation was revoked")
        if revoked:
            self._changed()

    # --- viewers

    def add(self, invitation: Invitation, viewer: Viewer) -> None:
        """Add a viewer. Raises `LimitExceededError`."""
        if len(self) >= self._limits.viewers_max:
            raise LimitExceededError("there are too many viewers; try again later")
        invitation.viewers.append(viewer)
        self._changed()

    def remove(self, invitation: Invitation, viewer: Viewer) -> None:
        """A viewer has left."""
        if viewer in invitation.viewers:
            invitation.viewers.remove(viewer)
            self._changed()

    # --- what the session says

    def deliver(self) -> None:
        """There is output."""
        for viewer in self:
            guarded(viewer, viewer.deliver)

    def resize(self) -> None:
        """The screen of the session's client has another size."""
        for viewer in self:
            guarded(viewer, viewer.resize)

    def close(self) -> None:
        """The session has ended."""
        viewers = list(self)
        self.invitations.clear()
        for viewer in viewers:
            guarded(viewer, viewer.close, Reason.CLIENT_LEFT, "the session has ended")
