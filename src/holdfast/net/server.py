"""The server: listeners, what it admits, and its orderly end."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import structlog

from holdfast.core.limits import ConnectionLimits
from holdfast.core.states import Machine, Table, to
from holdfast.net.addresses import Address
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection, Handler
from holdfast.net.listener import Listener, open_listener
from holdfast.net.log import log_failure
from holdfast.net.loop import done_within

_log = structlog.get_logger("holdfast.net")

HandlerFactory = Callable[[Connection], Handler]
"""Makes what stands on a new connection. Called before its bytes are read."""


class ServerState(Enum):
    """A server's life."""

    CREATED = auto()
    RUNNING = auto()
    DRAINING = auto()
    STOPPED = auto()


class ServerInput(Enum):
    """What moves a server through its life."""

    START = auto()
    DRAIN = auto()
    STOP = auto()


TABLE: Final[Table[ServerState, ServerInput, None]] = Table(
    "server",
    ServerState,
    ServerInput,
    {
        ServerState.CREATED: {
            ServerInput.START: to(ServerState.RUNNING),
            ServerInput.DRAIN: to(ServerState.STOPPED),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.RUNNING: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.DRAINING),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.DRAINING: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.DRAINING),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
        ServerState.STOPPED: {
            ServerInput.START: None,
            ServerInput.DRAIN: to(ServerState.STOPPED),
            ServerInput.STOP: to(ServerState.STOPPED),
        },
    },
)


class Server:
    """Listeners that share their limits, their registry and their end.

    Use it inside one event loop: `start()`, `listen(...)` once or more, then
    `drain(seconds)`; `close()` at once.
    """

    def __init__(self, limits: ConnectionLimits, clockwork: Clockwork) -> None:
        self.clockwork = clockwork
        self.limits = limits
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.refused = 0
        self._machine = Machine(TABLE, ServerState.CREATED)
        self._listeners: list[Listener] = []
        self._by_network: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def state(self) -> ServerState:
        return self._machine.state

    def start(self) -> None:
        """Admit connections. Raises `UndefinedTransitionError` for a server that has ended."""
        self._machine.apply(ServerInput.START)

    async def listen(
        self, address: Address, factory: HandlerFactory, tls: ssl.SSLContext | None = None
    ) -> Address:
        """Listen at `address`; returns it with the port that was taken.

        Raises `AddressInUseError`, or `ConfigurationError` for an address that
        this machine does not have.
        """
        clockwork, limits = self.clockwork, self.limits

        def accept() -> Connection:
            connection = Connection(clockwork, limits, self)
            try:
                connection.attach(factory(connection))
            except Exception as error:
                log_failure(_log, "a connection failed", error)  # without a handler, it is dropped
            return connection

        listener = await open_listener(clockwork.loop, address, accept, limits, tls)
        self._listeners.append(listener)
        return listener.address

    async def drain(self, seconds: float) -> None:
        """Stop accepting, tell every client, wait until they are gone or `seconds` have passed."""
        self._machine.apply(ServerInput.DRAIN)
        self._stop_listening()
        for connection in list(self.connections):
            connection.drain()
        await done_within(self._empty.wait(), seconds)
        await self.close()

    async def close(self) -> None:
        """Stop accepting and drop every connection now."""
        self._machine.apply(ServerInput.STOP)
        self._stop_listening()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            await done_within(self._empty.wait(), self.limits.close_seconds_max)

    # --- Owner of its connections

    def opened(self, connection: Connection) -> bool:
        network = _network(connection)
        if (
            self.state is not ServerState.RUNNING
            or len(self.connections) >= self.limits.connections_max
            or self._by_network[network] >= self.limits.connections_per_address_max
        ):
            self.refused += 1
            return False
        self.accepted += 1
        self.connections.add(connection)
        self._by_network[network] += 1
        self._empty.clear()
        return True

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        network = _network(connection)
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
        if not self.connections:
            self._empty.set()

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


def _network(connection: Connection) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 network, all of a Unix socket."""
    host = connection.peer.rpartition(":")[0]
    if not host.startswith("["):
        return host
    address = ipaddress.IPv6Address(host[1:-1].partition("%")[0])
    return str(ipaddress.IPv6Network((address, 64), strict=False))
