"""The host names that a listener serves: the defence against DNS rebinding.

A page may connect to its own host. The owner of a name can point it at any address
for a while, also at 127.0.0.1; the browser then takes this gateway for the page's
host. The name in `Host` shows the attack.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import Address
from holdfast.protocols.uris import DEFAULT_PORTS, ascii_host, split_authority

ANY: Final = "*"


class ServedHosts(Struct, frozen=True):
    """The host names of one listener."""

    names: tuple[str, ...] = ()
    """Without ports; `*` for any. Empty: any, except as `loopback_port` describes."""
    loopback_port: int = 0
    """The port of a listener that only this machine can reach. A browser that dialled it wrote
    its port: the name must be one of this machine's then. What came through a proxy has the
    proxy's port, and the proxy answers for it."""
    default_port: int = 80

    def allows(self, host: str | None) -> bool:
        """Whether a request for `host` (`example.org:8080`) is for this listener."""
        if ANY in self.names or not (self.names or self.loopback_port):
            return True
        split = split_authority(host or "")
        if self.names:
            return split is not None and split[0].removesuffix(".") in self.names
        if split is None or (split[1] or self.default_port) != self.loopback_port:
            return True
        return is_loopback_name(split[0])


def served_hosts(hosts: Sequence[str], address: Address) -> ServedHosts:
    """What the listener at `address` serves."""
    return ServedHosts(
        names=tuple(ANY if host == ANY else _name(host) for host in hosts),
        loopback_port=address.port if is_loopback_name(address.host) else 0,
        default_port=DEFAULT_PORTS.get(address.scheme, 0),
    )


def is_loopback_name(host: str) -> bool:
    """Whether `host` (without brackets) can be no other machine (RFC 6761 section 6.3)."""
    name = host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Raises `ConfigurationError` for what is no host's name."""
    if host != ANY and not _is_host(host):
        raise ConfigurationError(
            f"expected '*' or a host name without a port, as in 'example.org', found {host!r}"
        )


def _is_host(host: str) -> bool:
    try:
        name = _name(host)
        if ":" in name:
            return ipaddress.IPv6Address(name) is not None
    except ValueError:
        return False
    return split_authority(name) == (name, None) and not any(sign in name for sign in "/?#@[]* ")


def _name(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1].lower()
    return ascii_host(host).removesuffix(".")
