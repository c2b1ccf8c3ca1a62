"""What the gateway asks an application while somebody logs in and chooses a profile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from holdfast.backends.link.instance import Instance
from holdfast.core.validation import UnsendableError, check_data, check_text
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session

T = TypeVar("T")


class Questions:
    """The part of a `LinkBackend` that waits for answers.

    All of them raise `RequestError`, `LinkClosedError` and `TimeoutError`.
    """

    manager: SessionManager

    async def authenticate(self, session: Session, claim: m.Authenticate) -> m.AuthResult:
        result = await self._ask(m.AUTHENTICATE, claim, m.AuthResult)
        limits = self.manager.limits
        with _usable(m.AUTHENTICATE):
            check_text("user", result.user, limits.name_bytes_max)
            properties = msgspec.msgpack.encode(result.properties)
            check_data("properties", properties, limits.application_data_bytes_max)
        return result

    async def profiles(self, session: Session) -> list[m.ProfileSummary]:
        query = m.ProfileQuery(session.sid)
        return await self._ask(m.PROFILES_LIST, query, list[m.ProfileSummary])

    async def create_profile(self, session: Session, name: str) -> m.ProfileSummary:
        creation = m.ProfileCreation(session.sid, name)
        return await self._ask(m.PROFILES_CREATE, creation, m.ProfileSummary)

    async def select_profile(self, session: Session, profile: str) -> m.ProfileSummary:
        choice = m.ProfileChoice(session.sid, profile)
        chosen = await self._ask(m.PROFILES_SELECT, choice, m.ProfileSummary)
        with _usable(m.PROFILES_SELECT):
            check_text("profile", chosen.id, self.manager.limits.name_bytes_max)
        return chosen

    async def _ask(self, method: str, params: object, result: type[T]) -> T:
        instance = self._least_busy()
        if instance is None:
            raise LinkClosedError("the application is away")
        return await instance.peer.request(method, params, result)

    def _least_busy(self) -> Instance | None:
        """Who is asked."""
        raise NotImplementedError


@contextlib.contextmanager
def _usable(method: str) -> Iterator[None]:
    """What does not fit in an answer of the application counts as no answer."""
    try:
        yield
    except UnsendableError as error:
        raise RequestError("bad_result", f"the answer to {method}: {error}") from error
