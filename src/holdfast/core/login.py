"""Login: what a backend requires of a new session, and how it answers.

A backend with users returns the user of a client (`AuthResult` for an `Authenticate`) and the
profiles that the user may choose from. Every failure is one of the errors below, for all kinds
of backends: they say whether the backend decided, and whom the message is for.
"""

from __future__ import annotations

from msgspec import Struct, field

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.identity import NO_FACTS, ClientFacts


class Policy(Struct, frozen=True):
    """The steps between a new connection and its active session."""

    login: bool = False
    profiles: bool = False
    certificates: bool = False
    """Whether a client's verified certificate may be its login."""


class Authenticate(Struct, frozen=True, omit_defaults=True):
    """The credentials of a client: a name with a password, a token or a certificate."""

    sid: str
    username: str = ""
    password: str = ""
    token: str = ""
    certificate: str = ""
    """The subject of the client's verified certificate (RFC 4514): nobody was asked yet."""
    client: ClientFacts = NO_FACTS
    """What is known of the client's connection."""


class AuthResult(Struct, frozen=True, omit_defaults=True):
    """The client is authenticated as `user`. `properties` belong to the application."""

    user: str
    properties: dict[str, str] = field(default_factory=dict)


class ProfileSummary(Struct, frozen=True, omit_defaults=True):
    """One profile that a user may choose."""

    id: str
    name: str
    summary: str = ""


class LoginError(HoldfastError):
    """A login, or the choice of a profile, has not succeeded.

    The client should not try again for `retry_s` seconds.
    """

    source = Source.REMOTE

    def __init__(self, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class LoginRefusedError(LoginError):
    """The backend refused. The message is for the user."""


class LoginUnavailableError(LoginError):
    """No backend can decide now: it is not connected, or it did not answer in time."""

    retryable = True


class LoginFaultError(LoginError):
    """The backend failed to decide, because of a defect. The message is for operators.

    `code` is the backend's name for the fault.
    """

    source = Source.INTERNAL

    def __init__(self, message: str, retry_s: float = 0.0, *, code: str) -> None:
        super().__init__(message, retry_s)
        self.code = code
