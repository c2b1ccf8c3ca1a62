"""Servers behind a program: load balancing, health checks, circuit breakers, ready connections."""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import Final, Literal, Self

from holdfast.core.errors import ClosedError, ConfigurationError
from holdfast.core.limits import ConnectionLimits, UpstreamLimits
from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.stream import Stream
from holdfast.net.runtime.runtime import ClientRuntime, client_runtime
from holdfast.net.tls.contexts import client_context
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.pool import Target, UpstreamPool, UpstreamServer
from holdfast.net.upstream.proxy_header import ProxiedClient
from holdfast.net.upstream.servers import Servers
from holdfast.net.upstream.tunnel import client_of

_SCHEMES: Final = ("tcp", "tls", "unix")
_NOBODY: Final = ProxiedClient("unix")

BalanceName = Literal["round_robin", "least_connections", "random_of_two", "hash"]


class Upstream:
    """The servers at `urls`, used while an `async with` block runs.

    `weights` are their shares of the clients, in their order. `balance` says how one is selected;
    `hash`: by the client's address. With `check`, each is checked by a connection now and then.
    `ready` connections are kept open for new clients. `tls` is for the addresses `tls://` (by
    default the system's authorities). `send_proxy` is the version of the PROXY header that
    tells a server its client; 0 for none.

    Raises `ConfigurationError` or `InvalidAddressError`.
    """

    def __init__(
        self,
        *urls: str,
        weights: tuple[int, ...] = (),
        name: str = "upstream",
        balance: BalanceName = "round_robin",
        check: bool = False,
        ready: int = 0,
        tls: ssl.SSLContext | None = None,
        send_proxy: Literal[0, 1, 2] = 0,
        limits: UpstreamLimits | None = None,
    ) -> None:
        if not urls or (weights and len(weights) != len(urls)):
            raise ConfigurationError(
                f"Upstream: expected servers, and a weight for each or none; found {len(urls)}"
                f" servers and {len(weights)} weights"
            )
        if ready and (send_proxy or balance == "hash"):
            raise ConfigurationError(
                "ready: expected 0 with send_proxy or balance = 'hash', which need the client"
                f" first; found {ready}"
            )
        addresses = [_address(url) for url in urls]
        self._servers = [
            UpstreamServer(address, weight)
            for address, weight in zip(addresses, weights or (1,) * len(urls), strict=True)
        ]
        secure = any(address.secure for address in addresses)
        self._tls = tls if tls is not None or not secure else client_context(None)
        self._limits = limits or UpstreamLimits()
        self._stream_limits = ConnectionLimits()
        self._name = name
        self._balance = Balance(balance)
        self._check, self._ready, self._send_proxy = check, ready, send_proxy
        self._runtime: ClientRuntime | None = None
        self._running: Servers | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        runtime = client_runtime(asyncio.get_running_loop())
        pool = UpstreamPool(
            self._name,
            self._servers,
            self._balance,
            self._limits,
            draw=random.randrange,
            entropy=random.random,
        )
        dialler = Dialler(pool, runtime, self._stream_limits, self._tls, self._send_proxy)
        servers = Servers(dialler, check=self._check, ready=self._ready)
        started = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        runtime.hold()
        self._runtime, self._running = runtime, servers
        self._task = self._tasks.create_task(servers.run(started.set))
        await started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        assert self._runtime is not None
        running, self._running = self._running, None
        self._task.cancel()
        for target in running.pool.targets if running is not None else ():
            for connection in list(target.open):
                connection.abort()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            self._runtime.release()

    @property
    def targets(self) -> list[Target]:
        """The servers, each with its connections, failures and bytes, while the block runs."""
        return self._open.pool.targets

    async def connect(self, client: Stream | None = None) -> Stream:
        """A stream to a server; on behalf of `client`, whose address counts for `hash` and the
        PROXY header. Close it when it is done with.

        Servers are tried one after the other. Raises `DialError` that names the last cause, or
        `NoUpstreamError` if none can be used now.
        """
        made: list[Stream] = []

        def make(connection: Connection, _: Target) -> Stream:
            made.append(Stream(connection, self._stream_limits))
            return made[-1]

        who = client_of(client.connection) if client is not None else _NOBODY
        await self._open.proxy.connect(make, who)
        return made[-1]

    async def proxy(self, stream: Stream) -> None:
        """Connect a client to a server, and forward bytes both ways until both have ended.

        Half-closes and resets are passed on, and each side is read as fast as the other reads.
        What has come from the client already is forwarded, too. Raises as `connect`; then nothing
        was read or written.
        """
        await self._open.proxy.forward(stream)

    @property
    def _open(self) -> Servers:
        if self._running is None:
            raise ClosedError("Upstream: expected to be used within its `async with` block")
        return self._running


def _address(url: str) -> Address:
    address = parse_address(url, _SCHEMES)
    if address.port == 0 and address.scheme != "unix":
        raise InvalidAddressError(f"{url!r}: expected a port above 0")
    return address
