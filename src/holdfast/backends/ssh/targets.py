"""Which server a user may reach: by name, and by the address that the name has. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.backends.terminal.kind import TerminalError
from holdfast.net.security_log import SecurityEvent
from holdfast.protocols.uris import split_authority

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_DENIED: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata services of clouds
            "224.0.0.0/4",
            "255.255.255.255/32",
            "::/128",
            "::1/128",
            "fe80::/10",
            "fd00:ec2::254/128",
            "ff00::/8",
        ),
    )
)


def find_target(options: SshOptions, wanted: str) -> TargetConfig:
    """The target that a user has named. Raises `TerminalError`."""
    for target in options.target:
        if target.name == wanted:
            return target
    try:
        split = split_authority(wanted)
    except ValueError:
        split = None
    host, port = (split[0], split[1] or 22) if split is not None else ("", 0)
    allowed = any(fnmatchcase(host.lower(), it.lower()) for it in options.allow_hosts)
    if not allowed or "@" in host or port not in options.allow_ports:
        raise TerminalError(
            "target_refused",
            f"The server {wanted[:100]!r} may not be reached from here.",
            SecurityEvent.TARGET_REFUSED,
            {"target": wanted[:100]},
        )
    return TargetConfig(name=wanted.lower(), host=host, port=port)


def permitted(options: SshOptions, target: TargetConfig, resolved: Sequence[str]) -> Sequence[str]:
    """Those of the target's addresses that may be dialled. Raises `TerminalError` for none."""
    found = [it for it in map(_address, resolved) if _may_dial(options, target, it)]
    if not found:
        raise TerminalError(
            "address_denied",
            f"The server {target.name!r} is in a network that may not be reached from here.",
            SecurityEvent.TARGET_REFUSED,
            {"address": ", ".join(resolved)},
        )
    return [str(it) for it in found]


def _may_dial(options: SshOptions, target: TargetConfig, address: IPAddress) -> bool:
    if any(address in ipaddress.ip_network(it) for it in options.deny_networks):
        return False
    if any(address in ipaddress.ip_network(it) for it in options.allow_networks):
        return True
    if target in options.target and target.host == str(address):
        return True  # the operator has written this very address
    return not any(address in network for network in _DENIED)


def _address(text: str) -> IPAddress:
    """An address; an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) as the IPv4 address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
