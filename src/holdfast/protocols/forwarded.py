"""Whom an HTTP proxy speaks for: `X-Forwarded-For` and `Forwarded` (RFC 7239). Pure.

Each proxy adds the address of its own peer at the end. So only the end of the list is known to be
true, as far as it was written by proxies that are trusted: the client is the last address that is
not one of theirs. Whatever stands before it was sent by the client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

HOPS_MAX: Final = 32
"""Trusted proxies in a row: further addresses are not looked at."""

ForwardedHeader = Literal["x-forwarded-for", "forwarded"]

_FOR: Final = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^;"\s]*))\s*(?=;|$)', re.IGNORECASE)


class Forwarded(NamedTuple):
    """An address that a proxy has named."""

    host: str
    port: int
    """0 if it is not known."""


def forwarded_client(
    values: Sequence[str], header: ForwardedHeader, trusts: Callable[[str], bool]
) -> Forwarded | None:
    """The client, by the values of the header in their order; `None` if it is not known.

    `trusts` says whether a host is a proxy whose word counts. An address that cannot be read ends
    the search: what stands before it is not known to be true.
    """
    found: Forwarded | None = None
    elements = [element for value in values for element in value.split(",")]
    for element in elements[: -HOPS_MAX - 1 : -1]:
        text = element.strip() if header == "x-forwarded-for" else _for(element.strip())
        address = parse_node(text)
        if address is None:
            return found
        found = address
        if not trusts(address.host):
            return found
    return found


def _for(element: str) -> str:
    match = _FOR.search(element)
    return (match[1] or match[2] or "") if match is not None else ""


def parse_node(text: str) -> Forwarded | None:
    """An address with or without a port, as in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or
    `[2001:db8::1]:80`; `None` for anything else, `unknown` among it."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return Forwarded(str(address), int(port or 0))
