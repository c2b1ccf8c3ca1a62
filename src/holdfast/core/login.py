"""Logging in: what a backend asks of a new session, and how it answers.

A backend that knows its users says who a client is (`AuthResult` for an
`Authenticate`), and which profiles that user may choose from. Whatever kind of
backend it is, an answer that is no success is one of the errors below: they say
whether somebody has judged, and whom the message is for.
"""

from __future__ import annotations

from msgspec import Struct, field

from holdfast.core.errors import HoldfastError, Source


class Policy(Struct, frozen=True):
    """What stands between a new connection and its active session."""

    login: bool = False
    profiles: bool = False


class Authenticate(Struct, frozen=True, omit_defaults=True):
    """What a client says to prove who it is: a name with a password, a token or a certificate."""

    sid: str
    username: str = ""
    password: str = ""
    token: str = ""
    certificate: str = ""


class AuthResult(Struct, frozen=True, omit_defaults=True):
    """The person is `user`. `properties` are the application's own."""

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
    """The backend has decided against it. The message is for the person."""


class LoginUnavailableError(LoginError):
    """No backend can decide now: it is not connected, or it did not answer in time."""

    retryable = True


class LoginFaultError(LoginError):
    """The backend failed to decide, by a defect of its own. The message is for operators.

    `code` is the backend's name for the fault.
    """

    source = Source.INTERNAL

    def __init__(self, message: str, retry_s: float = 0.0, *, code: str) -> None:
        super().__init__(message, retry_s)
        self.code = code
