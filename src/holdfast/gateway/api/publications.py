"""`POST /v1/publish`: from the body of a request to its answer. Hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.core.limits import ApiLimits
from holdfast.core.validation import UnsendableError
from holdfast.gateway.api.applications import Applications
from holdfast.gateway.api.bodies import (
    Fault,
    PublishRequest,
    PublishResult,
    publication_of,
    read_publications,
    result_of,
    write,
)
from holdfast.gateway.api.keys import ApiRefusedError, Key
from holdfast.net.http.exchanges import Exchange
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.sessions.port import UnknownSessionError
from holdfast.sessions.publication_ids import IdReusedError, PublicationIds
from holdfast.sessions.publishing import Publication, Publishing
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.waiters import StoreUnavailableError

_log: Final = RateLimitedLogger("holdfast.api")

STATUSES: Final = {
    "": 200,
    "bad_request": 400,
    "forbidden": 403,
    "unknown_app": 404,
    "unknown_session": 404,
    "id_reused": 409,
}
"""The status of an answer to one publication, by its code."""
_ORDER: Final = (Durability.MEMORY, Durability.FAST, Durability.DURABLE)
_RANKS: Final = {durability.value: rank for rank, durability in enumerate(_ORDER)}


class _Prepared(Struct, frozen=True):
    publishing: Publishing
    publication: Publication


class Publications:
    """Carries out publications. `keep` stores a setting of the gateway."""

    def __init__(
        self,
        applications: Applications,
        limits: ApiLimits,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        keep: Callable[[str, bytes], None],
        keys: list[Key],
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Publications by the code of their result; empty for those carried out, `repeated` for
        those that had been before."""
        self.delivered = 0
        """Outputs for sessions that they have made, one for each session and item."""
        self._applications = applications
        self._limits = limits
        self._spawn = spawn
        self._ids = {
            key.name: PublicationIds(f"api/{key.name}", keep, limits.ids_max) for key in keys
        }

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take the ids of an earlier gateway."""
        for ids in self._ids.values():
            ids.restore(settings)

    def handle(self, exchange: Exchange, key: Key) -> None:
        """Answer a request, at once or once it is stored. Raises `ApiRefusedError`."""
        key.check("publish")
        try:
            body = read_publications(exchange.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ApiRefusedError(400, "bad_request", f"expected a publication: {error}") from None
        several = isinstance(body, list)
        requests: list[PublishRequest] = body if isinstance(body, list) else [body]
        if not 0 < len(requests) <= self._limits.publications_max:
            raise ApiRefusedError(
                400,
                "bad_request",
                f"expected 1 to {self._limits.publications_max} publications, found"
                f" {len(requests)}",
            )
        rank = 0
        prepared: list[_Prepared | PublishResult] = []
        to_load: list[_Prepared] = []
        for it in requests:
            one = self._prepare(key, it)
            prepared.append(one)
            wanted = _RANKS[it.durability]
            if wanted > rank:
                rank = wanted
            if type(one) is _Prepared and not one.publishing.is_loaded(one.publication):
                to_load.append(one)
        answer = _Answer(exchange, self._ids[key.name], prepared, _ORDER[rank], several)
        if to_load:
            self._spawn(self._load(to_load, answer))
        else:
            self._carry_out(answer)

    async def _load(self, to_load: list[_Prepared], answer: _Answer) -> None:
        """Load the sessions first, all at once: publications stay in their order."""
        try:
            for one in to_load:
                await one.publishing.load(one.publication)
            self._carry_out(answer)
        except StoreError as error:
            unavailable(answer.exchange, error)
        except Exception as error:
            failed(answer.exchange, error)

    def _prepare(self, key: Key, it: PublishRequest) -> _Prepared | PublishResult:
        try:
            publishing = self._applications.find(key, it.app)
            publication = publication_of(it)
            publishing.check(publication)
        except ApiRefusedError as error:
            return PublishResult(0, error=str(error), code=error.code)
        except UnsendableError as error:
            return PublishResult(0, error=str(error), code="bad_request")
        return _Prepared(publishing, publication)

    def _carry_out(self, answer: _Answer) -> None:
        results = []
        publishing = None
        try:
            for one in answer.prepared:
                result = self._publish(one, answer.ids)
                results.append(result)
                if type(one) is _Prepared:
                    publishing = one.publishing
            body = write(results if answer.several else results[0])
            status = 200 if answer.several else STATUSES[results[0].code]
            waits = (
                publishing is not None
                and status == 200
                and publishing.when_settled(answer.durability, partial(_stored, answer, body))
            )
        except StoreUnavailableError as error:
            unavailable(answer.exchange, error)
            return
        if not waits:
            answer.exchange.answer(body, status)

    def _publish(self, one: _Prepared | PublishResult, ids: PublicationIds) -> PublishResult:
        if isinstance(one, PublishResult):
            result = one
        else:
            publication = one.publication
            try:
                result = result_of(one.publishing.publish(publication, ids))
            except UnknownSessionError as error:
                result = PublishResult(0, error=str(error), code="unknown_session")
            except IdReusedError as error:
                result = PublishResult(0, error=str(error), code="id_reused")
            if not result.repeated:
                self.delivered += result.reached * len(publication.items)
        self.counts["repeated" if result.repeated else result.code] += 1
        return result


def _stored(answer: _Answer, body: bytes, error: StoreUnavailableError | None) -> None:
    """What a request has sent is stored, or cannot be."""
    if error is None:
        answer.exchange.answer(body)
    else:
        unavailable(answer.exchange, error)


class _Answer(Struct, frozen=True):
    """A request under way."""

    exchange: Exchange
    ids: PublicationIds
    prepared: list[_Prepared | PublishResult]
    durability: Durability
    several: bool


def failed(exchange: Exchange, error: Exception) -> None:
    """Answer a request that met a defect."""
    log_failure(_log, "an API request failed", error, peer=exchange.peer)
    exchange.answer(write(Fault("internal error", "internal")), 500)


def unavailable(exchange: Exchange, error: BaseException) -> None:
    """Answer that the store cannot be used now. What was sent with an `id` may be sent again."""
    _log.warning("publication not stored", peer=exchange.peer, error=str(error))
    body = write({"error": f"the store cannot be used now: {error}", "code": "unavailable"})
    exchange.answer(body, 503, (("Retry-After", "1"),))
