"""By which network each connection of a server is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.net.addresses import Address, network_of
from holdfast.net.connection.connection import Connection
from holdfast.net.server.forwarded import ForwardingProxies

PROXIES: Final = "proxies"
"""In place of a network: HTTP proxies with many clients."""


class Networks:
    """The networks of connections. Those of trusted HTTP proxies have none of their own, as long as
    their client is not known: they are counted among `PROXIES`."""

    def __init__(self) -> None:
        self._trusted: dict[Address, ForwardingProxies] = {}
        self._of_proxies: set[Connection] = set()
        """Those among `PROXIES`, whatever their listener trusts by now."""

    def trust(self, address: Address, proxies: ForwardingProxies | None) -> None:
        """The listener at `address` trusts these from now on, and no others."""
        self._trusted.pop(address, None)
        if proxies is not None:
            self._trusted[address] = proxies

    def begin(self, connection: Connection) -> str:
        """By what a connection is counted from now on: it is new, or its peer has changed."""
        self._of_proxies.discard(connection)
        if self._trusted and connection.listener is not None:
            proxies = self._trusted.get(connection.listener)
            if proxies is not None and proxies.trusts(connection.peer):
                self._of_proxies.add(connection)
        return self.of(connection)

    def of(self, connection: Connection) -> str:
        """By what a connection is counted."""
        return PROXIES if connection in self._of_proxies else network_of(connection.peer)

    def end(self, connection: Connection) -> str:
        """By what a connection was counted, which is counted no more."""
        network = self.of(connection)
        self._of_proxies.discard(connection)
        return network

    def client_of(self, connection: Connection, values: Sequence[str]) -> str:
        """The peer of a connection, or the client that it speaks for, if it is trusted, in these
        values of the listener's `forwarded` header."""
        proxies = self._trusted.get(connection.listener) if connection.listener else None
        return connection.peer if proxies is None else proxies.client_of(connection.peer, values)
