"""The authentication of links: the secrets, and the limits on unauthenticated links."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from msgspec import Struct, field

from holdfast.core.limits import LinkLimits
from holdfast.link.peer import Peer
from holdfast.net.addresses import network_of


class Secrets(Struct, frozen=True):
    """The secrets of applications."""

    common: str = ""
    """The secret for applications without one of their own."""
    by_app: Mapping[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether anybody must know any."""
        return bool(self.common or self.by_app)

    def match(self, app: str, given: str) -> bool:
        """Whether an application that gives this may link. Takes the same time for any."""
        expected = self.by_app.get(app, self.common)
        same = hmac.compare_digest(given.encode(), expected.encode())
        return same and bool(expected or not self.by_app)


class UnprovenLinks:
    """Links that have not sent hello. A new link gets a place; the oldest loses it."""

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._by_network: dict[str, dict[Peer, None]] = {}
        self._all: dict[Peer, None] = {}

    def add(self, peer: Peer) -> None:
        """Somebody has come, and another may have to go."""
        same = self._by_network.setdefault(network_of(peer.name), {})
        if len(same) >= self._limits.strangers_per_address_max:
            self._turn_away(next(iter(same)))
        elif len(self._all) >= self._limits.strangers_max:
            self._turn_away(next(iter(self._all)))
        self._by_network.setdefault(network_of(peer.name), {})[peer] = None
        self._all[peer] = None

    def remove(self, peer: Peer) -> None:
        """The link is authenticated, or has ended."""
        if peer not in self._all:
            return
        del self._all[peer]
        network = network_of(peer.name)
        same = self._by_network[network]
        del same[peer]
        if not same:
            del self._by_network[network]

    def _turn_away(self, peer: Peer) -> None:
        self.remove(peer)
        peer.abort()  # a goodbye would leave its socket open for a while
