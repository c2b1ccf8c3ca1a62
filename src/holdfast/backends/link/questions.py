"""The requests to an application during login and the choice of a profile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from holdfast.backends.link.instance import Instance
from holdfast.core.limits import SessionLimits
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginFaultError,
    LoginRefusedError,
    LoginUnavailableError,
    ProfileSummary,
)
from holdfast.core.validation import UnsendableError, check_data, check_text
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.sessions.session import Session

T = TypeVar("T")


class Questions:
    """Asks the instance that `choose` returns. All methods raise `LoginError`."""

    def __init__(self, limits: SessionLimits, choose: Callable[[], Instance | None]) -> None:
        self._session_limits = limits
        self._choose = choose

    async def authenticate(self, session: Session, claim: Authenticate) -> AuthResult:
        result = await self._ask(m.AUTHENTICATE, claim, AuthResult)
        limits = self._session_limits
        with _usable(m.AUTHENTICATE):
            check_text("user", result.user, limits.name_bytes_max)
            properties = msgspec.msgpack.encode(result.properties)
            check_data("properties", properties, limits.application_data_bytes_max)
        return result

    async def profiles(self, session: Session) -> list[ProfileSummary]:
        query = m.ProfileQuery(session.sid)
        return await self._ask(m.PROFILES_LIST, query, list[ProfileSummary])

    async def create_profile(
        self, session: Session, name: str, properties: dict[str, str]
    ) -> ProfileSummary:
        creation = m.ProfileCreation(session.sid, name, properties)
        return await self._ask(m.PROFILES_CREATE, creation, ProfileSummary)

    async def select_profile(self, session: Session, profile: str) -> ProfileSummary:
        choice = m.ProfileChoice(session.sid, profile)
        chosen = await self._ask(m.PROFILES_SELECT, choice, ProfileSummary)
        with _usable(m.PROFILES_SELECT):
            check_text("profile", chosen.id, self._session_limits.name_bytes_max)
        return chosen

    async def _ask(self, method: str, params: object, result: type[T]) -> T:
        """Return the answer of an instance. Raises `LoginError` for any failure."""
        instance = self._choose()
        if instance is None:
            raise LoginUnavailableError("the application is away")
        try:
            return await instance.peer.request(method, params, result)
        except RequestError as error:
            if error.defect:
                raise LoginFaultError(str(error), error.retry_s, code=error.code) from error
            raise LoginRefusedError(str(error), error.retry_s) from error
        except LinkClosedError as error:
            raise LoginUnavailableError(f"the application has gone: {error}") from error
        except TimeoutError as error:
            raise LoginUnavailableError(f"no answer to {method} in time") from error


@contextlib.contextmanager
def _usable(method: str) -> Iterator[None]:
    """A value beyond the limits counts as no answer."""
    try:
        yield
    except UnsendableError as error:
        fault = f"the answer to {method}: {error}"
        raise LoginFaultError(fault, code="bad_result") from error
