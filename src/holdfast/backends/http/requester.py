"""One request to an application's endpoints, and what became of it.

No other module of this backend uses aiohttp.

Redirects are not followed, no proxy of the environment is used, no cookie is kept, and no answer is
decompressed: a request goes to the configured endpoint, and its answer has a bounded size.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import aiohttp

from holdfast.core.histogram import Histogram
from holdfast.core.limits import HttpLimits, UpstreamLimits
from holdfast.link.tracing import CommandTraces
from holdfast.net.addresses import Address
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.pool import NoUpstreamError, Target, UpstreamPool, UpstreamServer

_UNREACHED: Final = frozenset({502, 503, 504})
"""Statuses that say that no application is behind the endpoint now."""


class Reply(NamedTuple):
    """An answer. `retry_after` is its header field of that name."""

    status: int
    body: bytes
    retry_after: str = ""
    too_large: bool = False
    """Whether the body was larger than the limit, and is left out."""


class FailedError(Exception):
    """There is no answer: the message says why. The request may have been handled."""


class Requester:
    """Sends the requests of one backend. Use it inside `async with`."""

    def __init__(
        self,
        name: str,
        endpoints: Sequence[str],
        limits: HttpLimits,
        upstream_limits: UpstreamLimits,
        tls: ssl.SSLContext | None,
        traces: CommandTraces | None = None,
    ) -> None:
        self._limits = limits
        self._tls = tls
        self._traces = traces
        self._session: aiohttp.ClientSession
        self._urls = {_address(url): url for url in endpoints}
        self.pool = UpstreamPool(
            name,
            [UpstreamServer(address) for address in self._urls],
            Balance.ROUND_ROBIN,
            upstream_limits,
            draw=random.randrange,
            entropy=random.random,
        )
        self.seconds = Histogram()
        """From a request to the end of its answer, or to its failure."""
        self._places = asyncio.Semaphore(limits.requests_max)

    async def __aenter__(self) -> Requester:
        limits = self._limits
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits.requests_max, ssl=self._tls if self._tls is not None else True
            ),
            timeout=aiohttp.ClientTimeout(
                total=limits.request_seconds_max, sock_connect=limits.connect_seconds_max
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, key: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request for the session `key`. Raises `FailedError`."""
        async with self._places:
            loop = asyncio.get_running_loop()
            try:
                target = self.pool.choose(key, loop.time())
            except NoUpstreamError as error:
                raise FailedError(str(error)) from error
            probe, began = target.breaker.probe, loop.time()
            try:
                reply = await self._post_traced(key, self._urls[target.address], body, headers)
            except (aiohttp.ClientError, OSError, ValueError) as error:  # a time-out is one, too
                self.pool.failed(target, loop.time(), probe)
                raise FailedError(str(error) or type(error).__name__) from error
            except BaseException:
                self.pool.abandoned(target, probe)
                raise
            finally:
                self.seconds.observe(loop.time() - began)
            self._count(target, reply, probe)
            return reply

    def _count(self, target: Target, reply: Reply, probe: int) -> None:
        now = asyncio.get_running_loop().time()
        if reply.status in _UNREACHED:
            self.pool.failed(target, now, probe)
        else:
            self.pool.answered(target, now)

    async def _post_traced(
        self, key: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        if self._traces is None:
            return await self._post(url, body, headers)
        with self._traces.request(key) as context:
            return await self._post(url, body, {**headers, **context})

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        most = self._limits.answer_bytes_max
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            pieces, size = [], 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > most:
                    response.close()
                    return Reply(response.status, b"", too_large=True)
                pieces.append(piece)
            after = response.headers.get("Retry-After", "")
            return Reply(response.status, b"".join(pieces), after)


def _address(url: str) -> Address:
    """An endpoint, as the pool of servers calls it."""
    scheme, _, rest = url.partition("://")
    return Address(scheme, rest, 0, "")
