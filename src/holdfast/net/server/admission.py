"""Who may come in: how many, how fast, and how much each may send.

Decided in one synchronous step for each accepted socket, before anything is
made for it, so that refusing costs little.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from enum import Enum
from typing import Final

from holdfast.core.limits import ConnectionLimits
from holdfast.core.rate import Rate, RateByKey

METER_BYTES: Final = 64 * 1024
"""A meter is read after so many bytes: seldom enough to cost nothing."""
_SLACK_SECONDS: Final = 0.2
"""What may come at once, in time: a pause of reading ends at a slot of the timers, no finer."""


class AdmissionRefusal(Enum):
    """Why a connection was refused. The value is its name in metrics."""

    NOT_RUNNING = "not_running"
    TOO_MANY = "too_many"
    TOO_MANY_FROM_ADDRESS = "too_many_from_address"
    TOO_FAST_FROM_ADDRESS = "too_fast_from_address"
    UNTRUSTED = "untrusted"
    OUT_OF_FILES = "out_of_files"


class Admission:
    """What one server has admitted, by network."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._accepts = Rate(limits.accepts_per_second_max, limits.accept_burst_max)
        self._accepts_due = 0.0
        self._by_address = RateByKey(
            Rate(limits.accepts_per_address_per_second_max, limits.accept_burst_per_address_max)
        )
        self._meters: dict[str, _Bucket] = {}

    def may_accept(self, now: float) -> bool:
        """Account for one more accepted socket; false when they come too fast for the server."""
        due = self._accepts.next(self._accepts_due, now)
        if due is None:
            return False
        self._accepts_due = due
        return True

    def check(self, network: str, now: float) -> AdmissionRefusal | None:
        """Account for one client that comes from `network`, and say why it may not."""
        if not self._by_address.spend(network, now):
            return AdmissionRefusal.TOO_FAST_FROM_ADDRESS
        if self._by_network[network] >= self._limits.connections_per_address_max:
            return AdmissionRefusal.TOO_MANY_FROM_ADDRESS
        return None

    def full(self, network: str) -> bool:
        """Whether `network` has all the connections that it may have."""
        return self._by_network.get(network, 0) >= self._limits.connections_per_address_max

    def opened(self, network: str) -> Meter:
        """Count one connection. Returns what meters its bytes."""
        self._by_network[network] += 1
        limits = self._limits
        shared = self._meters.get(network)
        if shared is None:
            shared = self._meters[network] = _Bucket(limits.bytes_per_address_per_second_max)
        return Meter(limits.bytes_per_second_max, shared)

    def closed(self, network: str) -> None:
        """Count it out."""
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
            del self._meters[network]

    @property
    def networks(self) -> int:
        """How many networks have a connection."""
        return len(self._by_network)


class _Bucket:
    """A token bucket of bytes in one float: the time when all that came is paid for."""

    __slots__ = ("_due", "_rate", "_slack")

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._slack = max(METER_BYTES / bytes_per_second, _SLACK_SECONDS)
        self._due = 0.0

    def spend(self, size: int, now: float) -> float:
        """Seconds to wait after `size` more bytes, so that the rate is kept."""
        self._due = (self._due if self._due > now else now) + size / self._rate
        return max(0.0, self._due - now - self._slack)


class Meter(_Bucket):
    """What a connection's bytes are counted against: its own rate and its network's."""

    __slots__ = ("_shared",)

    def __init__(self, bytes_per_second: float, shared: _Bucket) -> None:
        super().__init__(bytes_per_second)
        self._shared = shared

    def spend(self, size: int, now: float) -> float:
        """Seconds for which nothing more should be read."""
        return max(super().spend(size, now), self._shared.spend(size, now))


def network_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 network, all of a Unix socket."""
    host = peer.rpartition(":")[0]
    if not host.startswith("["):
        return host
    address = ipaddress.IPv6Address(host[1:-1].partition("%")[0])
    return str(ipaddress.IPv6Network((address, 64), strict=False))
