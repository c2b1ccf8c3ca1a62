"""The addresses of a client's gateways, and which of them it tries next.

The order is random, so that many clients spread over the gateways, and it is kept: a client whose
connection was lost comes back to the same gateway, which has its session. Only after a try without
a session, or a goodbye for a reason of that gateway, the next address follows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from holdfast.core.errors import ConfigurationError, Reason
from holdfast.net.addresses import Address, parse_address

_KINDS: Final = {
    "ws": "WebSocket",
    "wss": "WebSocket",
    "telnet": "Telnet",
    "telnets": "Telnet",
}
_ELSEWHERE: Final = frozenset(
    {Reason.SHUTDOWN, Reason.CROWDED, Reason.INTERNAL_ERROR, Reason.ELSEWHERE}
)


def better_elsewhere(reason: str) -> bool:
    """Whether a connection that the gateway ended for `reason` is better made to another one."""
    return any(reason == each.value for each in _ELSEWHERE)


class GatewayAddresses:
    """At least one address, all of one kind of protocol.

    `shuffle` brings them into their order. Raises `ConfigurationError` for addresses of several
    kinds, or none.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        shuffle: Callable[[list[Any]], None] = random.shuffle,
    ) -> None:
        if not addresses:
            raise ConfigurationError("expected at least one address of a gateway, found none")
        kind = _kind(addresses[0])
        for address in addresses:
            if _kind(address) != kind:
                raise ConfigurationError(
                    f"{address}: expected an address for {kind}, as {addresses[0]};"
                    f" found one for {_kind(address)}"
                )
        self._addresses = list(dict.fromkeys(addresses))
        shuffle(self._addresses)
        self._at = 0

    def __len__(self) -> int:
        """How many different ones there are."""
        return len(self._addresses)

    @property
    def current(self) -> Address:
        """The address for the next connection."""
        return self._addresses[self._at]

    @property
    def secure(self) -> bool:
        """Whether any of them means TLS."""
        return any(address.secure for address in self._addresses)

    def move_on(self) -> None:
        """Take the next address; after the last one, the first."""
        self._at = (self._at + 1) % len(self._addresses)


def gateway_addresses(urls: str | Sequence[str]) -> GatewayAddresses:
    """One address, or several. Raises `ConfigurationError`."""
    return GatewayAddresses(
        [parse_address(url) for url in ([urls] if isinstance(urls, str) else urls)]
    )


def _kind(address: Address) -> str:
    return _KINDS.get(address.scheme, "lines")
