"""Addresses: where to listen and where to dial, written as URLs.

tcp://127.0.0.1:4001        tls://0.0.0.0:4433
telnet://127.0.0.1:4000     telnets://[::]:4443
ws://127.0.0.1:8080/chat    wss://example.org/
unix:/run/holdfast.sock     unix:@abstract
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.uris import DEFAULT_PORTS, ascii_host, bracketed, encode_target

SCHEMES: Final = ("tcp", "tls", "unix", "ws", "wss", "telnet", "telnets")
_SECURE: Final = frozenset({"tls", "wss", "telnets"})
_WEBSOCKETS: Final = {"http": "ws", "https": "wss"}
"""What those mean who write the address of a page."""
_MAPPED: Final = "::ffff:"
"""How an IPv4 address begins that is written as IPv6 (RFC 4291 section 2.5.5.2)."""


class InvalidAddressError(ConfigurationError):
    """An address that cannot be understood. Names it and says what was expected."""


class Address(Struct, frozen=True):
    """A parsed address. `path` is the target of a WebSocket, or a Unix socket's file.

    `host` is in lower case and A-labels (RFC 5890); a zone follows an IPv6 address after `%`.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def secure(self) -> bool:
        """Whether the scheme means TLS."""
        return self.scheme in _SECURE

    @property
    def socket_path(self) -> str:
        """A Unix socket's path as the kernel takes it: `@name` is in the abstract namespace."""
        return self.path.replace("@", "\0", 1) if self.path.startswith("@") else self.path

    @property
    def authority(self) -> str:
        """`host:port`, as a Host header writes it: a zone is this machine's alone
        (RFC 6874 section 4)."""
        host = bracketed(self.host.partition("%")[0] if ":" in self.host else self.host)
        if self.port == DEFAULT_PORTS.get(self.scheme):
            return host
        return f"{host}:{self.port}"

    @property
    def tls_name(self) -> str:
        """The name that a certificate must be for: without a final dot (RFC 6066 section 3)."""
        return self.host.partition("%")[0].removesuffix(".")

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}{self.path}"


def parse_address(text: str, schemes: Sequence[str] = SCHEMES) -> Address:
    """Read an address of one of `schemes`. Raises `InvalidAddressError`."""
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()  # RFC 3986 section 3.1
    if not colon or scheme not in schemes:
        meant = _WEBSOCKETS.get(scheme)
        raise InvalidAddressError(
            f"{text!r}: expected one of {', '.join(schemes)} before the first colon"
            + (f"; in place of {scheme}, {meant}" if meant in schemes else "")
        )
    if scheme == "unix":
        return _parse_unix(text, rest)
    parts, host = _split(text)
    if parts is None or not host:
        raise InvalidAddressError(f"{text!r}: expected a host, as in {scheme}://127.0.0.1:4000")
    if parts.username is not None or parts.fragment:
        raise InvalidAddressError(f"{text!r}: an address has neither a user nor a fragment")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if port is None:
        port = DEFAULT_PORTS.get(scheme, -1)
    if port < 0:
        raise InvalidAddressError(f"{text!r}: expected a port from 0 to 65535 after the host")
    return Address(scheme, host, port, _path(text, parts, scheme))


def _path(text: str, parts: SplitResult, scheme: str) -> str:
    try:
        path = encode_target(parts.path + (f"?{parts.query}" if parts.query else ""))
    except ValueError:
        raise InvalidAddressError(f"{text!r}: expected text in the path") from None
    if scheme in ("ws", "wss"):
        return path if path.startswith("/") else f"/{path}"  # RFC 6455 section 3
    if path:
        raise InvalidAddressError(f"{text!r}: a {scheme} address has no path, found {path!r}")
    return ""


def _split(text: str) -> tuple[SplitResult | None, str]:
    """The parts of a URL and its host; `None` where its host can be none."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        if ":" in host:
            return parts, _with_zone(host)
        host.encode("idna")  # as the resolver will
        return parts, ascii_host(host)
    except ValueError:
        return None, ""


def _with_zone(host: str) -> str:
    """An IPv6 address and its zone, before which a URL writes `%25` (RFC 6874 section 2)."""
    address, mark, zone = host.partition("%")
    if zone.startswith("25") and len(zone) > 2:
        zone = zone[2:]
    return f"{address}{mark}{zone}"


def _parse_unix(text: str, rest: str) -> Address:
    path = rest.removeprefix("//")
    if not path:
        raise InvalidAddressError(f"{text!r}: expected a path, as in unix:/run/holdfast.sock")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")  # the same file, and a text that reads as it was written
    return Address("unix", "", 0, path)


def plain_host(host: str) -> str:
    """An IP address as it is written everywhere: `::ffff:192.0.2.1` is `192.0.2.1`.

    So one client has one name in limits, allow lists and logs, whichever socket or proxy it
    comes through.
    """
    if host[:7].lower() == _MAPPED:
        mapped = ipaddress.IPv6Address(host.partition("%")[0]).ipv4_mapped
        return str(mapped or host)
    return host


def peer_name(where: object) -> str:
    """How a socket's address is written: `192.0.2.1:4000`, `[2001:db8::1]:4000`, or `unix`."""
    if not isinstance(where, tuple):
        return "unix"
    return f"{bracketed(plain_host(where[0]))}:{where[1]}"


def split_peer(peer: str) -> tuple[str, str]:
    """The host and the port of a `peer_name`, without brackets and zone; empty for `unix`."""
    host, _, port = peer.rpartition(":")
    return host.removeprefix("[").removesuffix("]").partition("%")[0], port


def network_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64 network, all of a Unix socket."""
    host = peer.rpartition(":")[0]
    if ":" not in host:
        return host  # neither in brackets nor with a zone
    host, _ = split_peer(peer)
    try:
        return _network_of_v6(socket.inet_pton(socket.AF_INET6, host)[:8])
    except OSError as error:
        raise ValueError(f"{host} is not an IPv6 address") from error


@lru_cache(maxsize=4096)
def _network_of_v6(prefix: bytes) -> str:
    return str(ipaddress.IPv6Network((prefix + bytes(8), 64)))
