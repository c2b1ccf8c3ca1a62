"""What an adapter tells its client of the session, beside the session's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from holdfast.core.login import ProfileSummary
from holdfast.sessions.position import ResetReason
from holdfast.sessions.viewers import InvitationView


class Welcomed(Struct, frozen=True):
    """A new session."""

    sid: str
    epoch: str
    token: str
    code: str
    heartbeat_seconds: float
    keep_seconds: float = 0.0
    """How long the session is kept, as it is now, if its client is lost; 0 if that is not said."""


class Resumption(Struct, frozen=True):
    """A resumed session. The missed output follows through `Adapter.encode`, then `CaughtUp`."""

    sid: str
    epoch: str
    token: str
    code: str
    heartbeat_seconds: float
    first: int
    """The number of the first output that follows."""
    last: int
    """The number of the last one there is."""
    maybe_delivered: int
    """Up to this number, the client may have seen what follows (if it does not count)."""
    lost: int
    """How many outputs before `first`, which the client has not seen, could not be kept."""
    cin: int
    """The client's newest command that was taken in."""
    unsure: int = 0
    """How many of those before, which it may have seen, could not be kept."""
    assumed_seconds: float = 0.0
    """If above 0: what was written longer than this before the connection was lost counts as
    delivered, by nothing but its age."""
    keep_seconds: float = 0.0


class Restart(Struct, frozen=True):
    """A resumed session whose client must clear its display."""

    sid: str
    epoch: str
    token: str
    heartbeat_seconds: float
    reason: ResetReason
    top: int
    """Output continues after this number."""
    cin: int
    keep_seconds: float = 0.0


class SessionActive(Struct, frozen=True):
    """The session is active: input is for the application now."""


class CaughtUp(Struct, frozen=True):
    """The missed output was written; new output follows."""

    resumption: Resumption


class MaybeDelivered(Struct, frozen=True):
    """Outputs up to this number the client, which does not count, may have seen before."""

    upto: int


class ClaimRefused(Struct, frozen=True):
    """The token or code is refused."""

    text: str
    retry_seconds: float | None = None
    """If set, it was not checked: the client may retry after that time."""


class SessionOffered(Struct, frozen=True):
    """The user has another session, which `ResumeOwn` takes over."""

    text: str


class CodeIssued(Struct, frozen=True):
    """The answer to `CodeWanted`."""

    code: str


class TokenIssued(Struct, frozen=True):
    """The answer to `TokenWanted`."""

    sid: str
    token: str
    epoch: str
    seq: int
    """The client has the outputs up to this number."""
    keep_seconds: float = 0.0


class LoginNeeded(Struct, frozen=True):
    """The user must log in; `error` says why the last attempt failed."""

    error: str = ""
    retry_seconds: float = 0.0


class CredentialNeeded(Struct, frozen=True):
    """The client must prove who it is; `error` says why what it has shown does not."""

    error: str = ""
    seconds: float = 0.0
    """For how long what it has shown before is still good."""


class ChooseProfile(Struct, frozen=True):
    """The user must choose a profile."""

    profiles: Sequence[ProfileSummary]
    error: str = ""


class Acknowledged(Struct, frozen=True):
    """Commands up to `cin` are durable."""

    cin: int


class ResendNeeded(Struct, frozen=True):
    """Commands from `c` on are missing."""

    c: int


class InputModeChanged(Struct, frozen=True):
    """Input is read as `line`, `key` or `secret` from now on."""

    mode: str


class InvitationIssued(Struct, frozen=True):
    """The answer to `InvitationWanted`."""

    id: int
    token: str
    seconds: float


class ViewersChanged(Struct, frozen=True):
    """Who watches the session, by which invitation."""

    invitations: Sequence[InvitationView]


class Watching(Struct, frozen=True):
    """To a viewer: output of the session follows after number `n`. If that is not its own
    position, `gap` outputs are gone, and it clears its screen."""

    sid: str
    n: int
    gap: int
    width: int
    height: int
    heartbeat_seconds: float


class WatchedResized(Struct, frozen=True):
    """To a viewer: the screen that it watches has this size."""

    width: int
    height: int


ViewerNotification = InvitationIssued | ViewersChanged | Watching | WatchedResized
"""What is told where sessions can be watched."""

SessionNotification = (
    Welcomed
    | Resumption
    | CaughtUp
    | Restart
    | SessionActive
    | MaybeDelivered
    | ClaimRefused
    | SessionOffered
    | CodeIssued
    | TokenIssued
    | LoginNeeded
    | CredentialNeeded
    | ChooseProfile
    | Acknowledged
    | ResendNeeded
    | InputModeChanged
)
Notification = SessionNotification | ViewerNotification


def gone(resumption: Resumption, what: str) -> list[str]:
    """The text for users about output that is not shown again; `what` is one of it."""
    told = []
    if resumption.assumed_seconds:
        seconds = f"{resumption.assumed_seconds:.0f} seconds"
        told.append(f"What came more than {seconds} before you were cut off is not shown again.")
    if resumption.unsure:
        count = _count(resumption.unsure, what)
        told.append(f"{count}, which you may have seen, could not be kept.")
    if resumption.lost:
        told.append(f"{_count(resumption.lost, what)} could not be kept.")
    return told


def _count(number: int, what: str) -> str:
    return f"{number} older {what}{'' if number == 1 else 's'}"
