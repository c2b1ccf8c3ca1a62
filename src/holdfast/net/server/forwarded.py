"""HTTP proxies that a listener believes when they say whom a request is from."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from holdfast.net.addresses import peer_name
from holdfast.net.server.handshake import ProxyOptions, TrustedProxies
from holdfast.protocols.forwarded import ForwardedHeader, forwarded_client


class ForwardedOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP proxies that are trusted for the client's address."""

    trust: tuple[str, ...]
    """Their networks, as in "10.0.0.0/8"; "unix" for the peers of a Unix socket."""
    header: ForwardedHeader = "x-forwarded-for"
    """The header field that they set. The other one is not looked at: clients can send it."""


class ForwardingProxies:
    """`ForwardedOptions`, ready for use. Raises `ConfigurationError`."""

    def __init__(self, options: ForwardedOptions) -> None:
        self.header = options.header
        self._trusted = TrustedProxies(ProxyOptions(options.trust))

    def trusts(self, peer: str) -> bool:
        """Whether a peer, named as connections name theirs, may speak for others."""
        return self._trusted.trusts(peer)

    def client_of(self, peer: str, values: Sequence[str]) -> str:
        """The client's name, by the values of the header in a request of `peer`."""
        if not values or not self.trusts(peer):
            return peer
        found = forwarded_client(
            values, self.header, lambda host: self.trusts(peer_name((host, 0)))
        )
        return peer_name((found.host, found.port)) if found is not None else peer
