"""How many handshakes are under way at a server, by network."""

from __future__ import annotations

from collections import Counter

from holdfast.core.limits import ConnectionLimits
from holdfast.net.server.handshake import PendingConnection


class Handshakes:
    """Handshakes that are not over: PROXY headers, TLS at once, and TLS after START_TLS."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._by_network: Counter[str] = Counter()
        self.replace(limits)
        self.pending: set[PendingConnection] = set()
        """Accepted sockets whose PROXY header or TLS handshake is incomplete."""

    def replace(self, limits: ConnectionLimits) -> None:
        """Use other limits from now on. One address has at most half of all connections."""
        self._per_network_max = min(
            limits.handshakes_per_address_max, (limits.connections_max + 1) // 2
        )

    def admit(self, pending: PendingConnection) -> None:
        """Count a socket that is no connection yet."""
        self.pending.add(pending)
        self.began(pending.network)

    def dismiss(self, pending: PendingConnection) -> None:
        """Stop counting it."""
        self.pending.discard(pending)
        self.ended(pending.network)

    def full(self, network: str) -> bool:
        """Whether `network` has all the handshakes that it may have."""
        return self._by_network.get(network, 0) >= self._per_network_max

    def began(self, network: str) -> None:
        """Count one."""
        self._by_network[network] += 1

    def ended(self, network: str) -> None:
        """Stop counting it."""
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]
