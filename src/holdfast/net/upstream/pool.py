"""The servers of one upstream: which are usable, which is next, and the results of attempts.

Each decision is one synchronous step that reserves its result, so concurrent dials exceed no
limit. Times are the loop's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.limits import UpstreamLimits
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection
from holdfast.net.upstream.balance import Balance, make_balancer
from holdfast.net.upstream.circuit_breaker import Breaker, BreakerState
from holdfast.net.upstream.health_check import Health


class NoUpstreamError(HoldfastError):
    """No server of an upstream can be used now. Says of each why."""

    source = Source.REMOTE
    retryable = True


class UpstreamServer(Struct, frozen=True):
    """One server, as it is configured."""

    address: Address
    weight: int = 1


class Target:
    """One server, and how it has been."""

    __slots__ = (
        "active",
        "address",
        "breaker",
        "bytes_in",
        "bytes_out",
        "connected",
        "failed",
        "health",
        "hung_up",
        "name",
        "open",
        "weight",
    )

    def __init__(self, server: UpstreamServer, limits: UpstreamLimits) -> None:
        self.address = server.address
        self.name = str(server.address)
        self.weight = server.weight
        self.breaker = Breaker(limits.failures_max, limits.broken_seconds_max)
        self.health = Health(limits.checks_max)
        self.open: set[Connection] = set()
        self.active = 0
        """Open connections, and attempts under way."""
        self.connected = 0
        """Successful attempts."""
        self.failed = 0
        """Attempts that did not, and connections that ended without a byte from it."""
        self.hung_up = 0
        """How often in a row it has accepted a connection and ended it without a byte."""
        self.bytes_in = 0
        """Received from it on connections that have ended. So is `bytes_out`."""
        self.bytes_out = 0

    @property
    def received(self) -> int:
        """Bytes from it, on all connections."""
        return self.bytes_in + sum(connection.bytes_in for connection in self.open)

    @property
    def sent(self) -> int:
        """Bytes to it, on all connections."""
        return self.bytes_out + sum(connection.bytes_out for connection in self.open)


class UpstreamPool:
    """The servers of the upstream `name`.

    `draw(n)` gives a random number from 0 to n - 1, `entropy()` one from 0 to 1.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[UpstreamServer],
        balance: Balance,
        limits: UpstreamLimits,
        *,
        draw: Callable[[int], int],
        entropy: Callable[[], float],
    ) -> None:
        self.name = name
        self.limits = limits
        self.targets = [Target(server, limits) for server in servers]
        self.entropy = entropy
        self.refused = 0
        """How often no server could be used."""
        self._balancer = make_balancer(balance, self.targets, draw)

    def choose(self, key: str, now: float, tried: Collection[Target] = ()) -> Target:
        """Reserve a server for the client `key`: one that is not in `tried`, if there is one."""
        usable = [target for target in self.targets if self.trouble(target, now) is None]
        usable = [target for target in usable if target not in tried] or usable
        if not usable:
            self.refused += 1
            raise NoUpstreamError(
                f"upstream {self.name}: no server can be used: "
                + "; ".join(f"{one.name} {self.trouble(one, now)}" for one in self.targets)
            )
        target = self._balancer.choose(usable, key)
        target.breaker.tried()
        target.active += 1
        return target

    def connected(self, target: Target, connection: Connection) -> None:
        """The attempt has succeeded."""
        target.open.add(connection)
        target.connected += 1
        target.breaker.succeeded(connection.now)

    def answered(self, target: Target, now: float) -> None:
        """The attempt was a request, which is answered."""
        target.active -= 1
        target.connected += 1
        target.breaker.succeeded(now)

    def failed(self, target: Target, now: float, probe: int = 0) -> None:
        """The attempt has failed."""
        target.active -= 1
        target.failed += 1
        target.breaker.failed(now, self.entropy(), probe=probe)

    def abandoned(self, target: Target, probe: int = 0) -> None:
        """The attempt was cancelled without a result."""
        target.active -= 1
        target.breaker.abandoned(probe)

    def released(self, target: Target, connection: Connection) -> None:
        """The connection has ended."""
        target.active -= 1
        target.open.discard(connection)
        target.bytes_in += connection.bytes_in
        target.bytes_out += connection.bytes_out

    def ended(self, target: Target, connection: Connection, cause: Exception | None) -> None:
        """The server was the first to end a connection: if it never said a byte, it has failed."""
        just_listened = connection.bytes_out > 0 and cause is None
        if connection.bytes_in or just_listened:
            target.hung_up = 0
            return
        target.hung_up += 1
        target.failed += 1
        target.breaker.failed(connection.now, self.entropy(), target.hung_up)

    def usable(self, target: Target, now: float) -> bool:
        """Whether `choose` could give it."""
        return self.trouble(target, now) is None

    def trouble(self, target: Target, now: float) -> str | None:
        """Why a server cannot be used, or `None`."""
        if not target.health.up:
            return "is down, by its checks"
        if not target.breaker.lets_through(now):
            if target.breaker.state is BreakerState.HALF_OPEN:
                return "has failed and is being tried again"
            return f"has failed and is tried again in {target.breaker.until - now:.1f} s"
        if target.active >= self.limits.connections_max:
            return f"has {target.active} connections, as many as it may"
        return None
