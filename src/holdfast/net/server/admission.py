"""Admission: how many clients may connect, how fast, and how much each may send.

One synchronous step decides for each accepted socket, before any object is made for it, so
refusing is cheap.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

from holdfast.core.limits import ConnectionLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.net.connection.metering import Bucket, Meter


class AdmissionRefusal(Enum):
    """Why a connection was refused. The value is its name in metrics."""

    NOT_RUNNING = "not_running"
    TOO_MANY = "too_many"
    TOO_MANY_FROM_ADDRESS = "too_many_from_address"
    TOO_FAST_FROM_ADDRESS = "too_fast_from_address"
    UNTRUSTED = "untrusted"
    OUT_OF_FILES = "out_of_files"


class Admission:
    """The admitted clients of one server, by network."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._accepts = Rate(limits.accepts_per_second_max, limits.accept_burst_max)
        self._accepts_due = 0.0
        self._by_address = RateByKey(
            Rate(limits.accepts_per_address_per_second_max, limits.accept_burst_per_address_max)
        )
        self._meters: dict[str, Bucket] = {}

    def may_accept(self, now: float) -> bool:
        """Account for one more accepted socket; false when they come too fast for the server."""
        due = self._accepts.next(self._accepts_due, now)
        if due is None:
            return False
        self._accepts_due = due
        return True

    def check(self, network: str, now: float) -> AdmissionRefusal | None:
        """Account for a client from `network`; return the reason if it is refused."""
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
            shared = self._meters[network] = Bucket(limits.bytes_per_address_per_second_max)
        return Meter(limits.bytes_per_second_max, shared)

    def closed(self, network: str) -> None:
        """Stop counting it."""
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
            del self._meters[network]

    def replace(self, limits: ConnectionLimits) -> None:
        """Use other limits from now on; the rates of accepting stay."""
        self._limits = limits

    @property
    def networks(self) -> int:
        """How many networks have a connection."""
        return len(self._by_network)
