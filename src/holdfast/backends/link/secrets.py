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
        """Whether any application needs a secret."""
        return bool(self.common or self.by_app)

    def match(self, app: str, given: str) -> bool:
        """Whether this is the secret of the application. Takes the same time for any."""
        expected = self.by_app.get(app, self.common)
        same = hmac.compare_digest(given.encode(), expected.encode())
        return same and bool(expected or not self.by_app)


class UnprovenLinks:
    """Links that have not sent hello. If there are too many, the oldest is aborted."""

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._by_network: dict[str, dict[Peer, None]] = {}
        self._all: dict[Peer, None] = {}

    def add(self, peer: Peer) -> None:
        """Add a link, and abort the oldest one if there are too many."""
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
