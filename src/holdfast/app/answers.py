"""Answers the requests of the gateway with the results of handlers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from holdfast.app.failures import report
from holdfast.app.handlers import Handlers
from holdfast.app.progress import Progress
from holdfast.core.errors import HoldfastError
from holdfast.core.limits import KIB
from holdfast.core.validation import check_text
from holdfast.link import messages as m
from holdfast.link.codec import UNWRITABLE
from holdfast.link.peer import RequestError

T = TypeVar("T")

_REFUSAL_BYTES_MAX: Final = 4 * KIB


class Refusal(HoldfastError):
    """Raised by a handler: the user gets the message. `code` and `retry_s` are for logins and
    profiles."""

    def __init__(self, message: str, *, code: str = "refused", retry_s: float = 0.0) -> None:
        check_text("the message of a Refusal", message, _REFUSAL_BYTES_MAX)
        check_text("the code of a Refusal", code, _REFUSAL_BYTES_MAX)
        if not 0 <= retry_s < math.inf:
            raise ValueError(f"retry_s of a Refusal: expected 0 or more seconds; found {retry_s}")
        super().__init__(message)
        self.code = code
        self.retry_s = retry_s


class Answers:
    """The requests of the gateway to the application `app`."""

    def __init__(self, app: str, handlers: Handlers, progress: Progress) -> None:
        self._app = app
        self._handlers = handlers
        self._progress = progress
        self._answering = 0
        """Requests that are being answered."""

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return not self._answering

    @property
    def methods(self) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
        """By method: the type of its params, and what answers it."""
        return {
            m.AUTHENTICATE: (m.Authenticate, self.authenticate),
            m.PROFILES_LIST: (m.ProfileQuery, self.list_profiles),
            m.PROFILES_CREATE: (m.ProfileCreation, self.create_profile),
            m.PROFILES_SELECT: (m.ProfileChoice, self.select_profile),
            m.REMEMBER: (m.Remember, self.remember),
        }

    async def authenticate(self, claim: m.Authenticate) -> m.AuthResult:
        """Answer the request `authenticate`."""
        name = "certificate" if claim.certificate else "authenticate"
        return await self._answer(name, m.AuthResult, claim)

    async def list_profiles(self, query: m.ProfileQuery) -> list[m.ProfileSummary]:
        """Answer the request `profiles.list`."""
        return await self._answer("profiles", list[m.ProfileSummary], query.sid)

    async def create_profile(self, creation: m.ProfileCreation) -> m.ProfileSummary:
        """Answer the request `profiles.create`."""
        args = [creation.sid, creation.name]
        if self._handlers.takes_properties:
            return await self._answer(
                "create_profile", m.ProfileSummary, *args, creation.properties
            )
        return await self._answer("create_profile", m.ProfileSummary, *args)

    async def select_profile(self, choice: m.ProfileChoice) -> m.ProfileSummary:
        """Answer the request `profiles.select`."""
        return await self._answer("select_profile", m.ProfileSummary, choice.sid, choice.id)

    async def _answer(self, name: str, kind: type[T], *args: Any) -> T:
        """Return the handler's result if it can be sent as a `kind`. Raises `TypeError` if not."""
        if not self._handlers.has(name):
            raise RequestError("unknown_method", f"{self._app} has no handler on_{name}")
        self._answering += 1
        try:
            result = await self._handlers.call(name, *args)
        except Refusal as refusal:
            raise RequestError(refusal.code, str(refusal), refusal.retry_s) from refusal
        except Exception as error:  # it is logged where the answer is sent
            await report(self._handlers, None, error)
            raise
        finally:
            self._answering -= 1
            self._progress.move()
        if kind is m.AuthResult and isinstance(result, str):
            result = m.AuthResult(user=result)
        try:
            return msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=kind)
        except UNWRITABLE as error:
            raise TypeError(f"on_{name}: expected {_shown(kind)}: {error}") from error

    async def remember(self, asked: m.Remember) -> dict[str, int]:
        """Answer the request `remember`."""
        try:
            return await self._handlers.remembered(asked.sids)
        except Exception as error:
            await report(self._handlers, None, error)
            raise


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
