"""Connecting to an upstream: attempts, pauses between them, and checks of its servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import structs

from holdfast.core.backoff import Backoff
from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, NullHandler
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import restarted
from holdfast.net.upstream.pool import NoUpstreamError, Target, UpstreamPool
from holdfast.net.upstream.proxy_header import ProxiedClient, encode_proxy_header

_log: Final = RateLimitedLogger("holdfast.upstream")

_FIRST_PAUSE_SECONDS: Final = 0.1

UpstreamFactory = Callable[[Connection, Target], Handler]
"""Makes what stands on a connection to a server."""


class Lease:
    """The owner of a connection to a server: it releases the reservation when that ends."""

    __slots__ = ("_decided", "_pool", "_probe", "_target")

    def __init__(self, pool: UpstreamPool, target: Target) -> None:
        self._pool = pool
        self._target = target
        self._probe = target.breaker.probe
        self._decided = False

    def opened(self, connection: Connection) -> bool:
        if self._decided:
            return False
        self._decided = True
        self._pool.connected(self._target, connection)
        return True

    def closed(self, connection: Connection) -> None:
        self._pool.released(self._target, connection)

    def failed(self, now: float) -> None:
        """There will be no connection."""
        if not self._decided:
            self._decided = True
            self._pool.failed(self._target, now, self._probe)

    def abandoned(self) -> None:
        """The connection is not needed any more."""
        if not self._decided:
            self._decided = True
            self._pool.abandoned(self._target, self._probe)


class Dialler:
    """Connects to the servers of one upstream. `tls` is for servers with a secure address."""

    def __init__(
        self,
        pool: UpstreamPool,
        runtime: Runtime,
        limits: ConnectionLimits,
        tls: ssl.SSLContext | None = None,
        proxy_version: int = 0,
    ) -> None:
        self.pool = pool
        self._proxy_version = proxy_version
        self._runtime = runtime
        self._tls = tls
        upstream = pool.limits
        self._limits = structs.replace(
            limits,
            handshake_seconds_max=upstream.connect_seconds_max,
            idle_seconds_max=upstream.idle_seconds_max,
            write_buffer_bytes_max=upstream.write_buffer_bytes_max,
        )
        self._check_limits = structs.replace(
            self._limits, handshake_seconds_max=upstream.check_seconds_max
        )

    @property
    def now(self) -> float:
        """The runtime's time, in seconds."""
        return self._runtime.timers.time()

    async def connect(self, factory: UpstreamFactory, client: ProxiedClient) -> Connection:
        """A connection for a client, on which `factory` puts a handler.

        Servers are tried one after the other; when each was tried, after a
        pause again. Raises `DialError` that names the last cause, or
        `NoUpstreamError`, within the limit of time.
        """
        limits, header = self.pool.limits, self._header(client)
        backoff = Backoff(_FIRST_PAUSE_SECONDS, limits.backoff_seconds_max)
        tried: list[Target] = []
        error: DialError | None = None
        try:
            async with asyncio.timeout(limits.dial_seconds_max):
                for _ in range(limits.attempts_max):
                    if len(tried) >= len(self.pool.targets):
                        tried.clear()
                        await asyncio.sleep(backoff.pause(self.pool.entropy()))
                    try:
                        target = self.pool.choose(client.host, self.now, tried)
                    except NoUpstreamError:
                        if error is None:
                            raise
                        break  # the last error is more specific
                    try:
                        return await self._attempt(target, factory, header)
                    except DialError as failure:
                        error = failure
                        tried.append(target)
        except TimeoutError:
            error = error or DialError(
                f"upstream {self.pool.name}: no answer within {limits.dial_seconds_max:g} s"
            )
        assert error is not None, "an attempt that neither succeeded nor failed"
        raise error

    async def check(self) -> None:
        """Check every server, again and again, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for target in self.pool.targets:
                check = partial(self._check, target)
                tasks.create_task(restarted(check, _log, "a check failed", server=target.name))

    async def _attempt(self, target: Target, factory: UpstreamFactory, header: bytes) -> Connection:
        pool = self.pool
        lease = Lease(pool, target)
        try:
            return await dial(
                target.address,
                lambda connection: factory(connection, target),
                clockwork=self._runtime,
                limits=self._limits,
                tls=self._tls,
                owner=lease,
                header=header,
            )
        except DialError as error:
            _log.warning("server unreachable", upstream=pool.name, error=str(error))
            lease.failed(self.now)
            raise
        except BaseException:
            lease.abandoned()
            raise

    def _header(self, client: ProxiedClient | None) -> bytes:
        return encode_proxy_header(self._proxy_version, client) if self._proxy_version else b""

    async def _check(self, target: Target) -> None:
        limits = self.pool.limits
        while True:
            passed = await self._answers(target)
            if target.health.checked(passed):
                if passed:
                    target.breaker.succeeded(self.now)
                _log.warning(
                    "server up" if passed else "server down",
                    upstream=self.pool.name,
                    server=target.name,
                )
            # A little sooner at random, so that many gateways do not check at once.
            spread = 1 - self.pool.entropy() / 10
            await asyncio.sleep(limits.check_interval_seconds_max * spread)

    async def visit(self, target: Target, factory: Callable[[Connection], Handler]) -> Connection:
        """A connection to one server for the gateway's own sake, which counts as nobody's.

        Raises `DialError`.
        """
        return await dial(
            target.address,
            factory,
            clockwork=self._runtime,
            limits=self._check_limits,
            tls=self._tls,
            header=self._header(None),
        )

    async def _answers(self, target: Target) -> bool:
        try:
            connection = await self.visit(target, lambda connection: NullHandler())
        except DialError:
            return False
        connection.close()
        return True
