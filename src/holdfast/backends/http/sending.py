"""Sends a request until it is answered: signed, with growing pauses, as often as it takes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from holdfast.backends.base import RequestCounts
from holdfast.backends.http.outcome import Outcome, outcome_of, retry_seconds
from holdfast.backends.http.requester import FailedError, Reply, Requester
from holdfast.backends.http.signature import HEADER, sign
from holdfast.core.backoff import Backoff
from holdfast.core.clock import wall
from holdfast.core.limits import HttpLimits
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.http_backend")

FIRST_PAUSE_SECONDS: Final = 0.1
"""After the first attempt that failed."""


class Sending:
    """Sends the requests of the application `app`."""

    def __init__(
        self, app: str, requester: Requester, secrets: Sequence[bytes], limits: HttpLimits
    ) -> None:
        self._app = app
        self._requester = requester
        self._secrets = secrets
        self._limits = limits
        self.counts = RequestCounts(Counter(), requester.seconds)

    async def send(
        self,
        sid: str,
        key: str,
        body: bytes,
        *,
        wanted: Callable[[], bool],
        failed: Callable[[], None],
    ) -> Reply | None:
        """Return the answer that is not to be tried again; `None` once it is no longer `wanted`.

        `failed` is called after each attempt that failed.
        """
        backoff = Backoff(FIRST_PAUSE_SECONDS, self._limits.backoff_seconds_max)
        while wanted():
            asked = 0.0
            try:
                reply = await self._requester.post(sid, body, self._headers(key, body))
            except FailedError as error:
                fault = str(error)
                self.counts.results["failed"] += 1
            else:
                outcome = outcome_of(reply)
                self.counts.results[outcome.name.lower()] += 1
                if outcome is not Outcome.LATER:
                    return reply
                fault = f"status {reply.status}"
                asked = retry_seconds(reply.retry_after, wall())
            _log.warning("request failed", app=self._app, session=sid, error=fault[:300])
            failed()
            asked = min(asked, self._limits.retry_after_seconds_max)
            await asyncio.sleep(max(backoff.pause(random.random()), asked))
        return None

    def _headers(self, key: str, body: bytes) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._secrets:
            headers[HEADER] = sign(self._secrets, int(wall()), body)
        return headers
