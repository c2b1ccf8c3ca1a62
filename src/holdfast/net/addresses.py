"""Addresses: where to listen and where to dial, written as URLs.

tcp://127.0.0.1:4001        tls://0.0.0.0:4433
telnet://127.0.0.1:4000     telnets://[::]:4443
ws://127.0.0.1:8080/chat    wss://example.org/
unix:/run/holdfast.sock     unix:@abstract
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

SCHEMES: Final = ("tcp", "tls", "unix", "ws", "wss", "telnet", "telnets")
_SECURE: Final = frozenset({"tls", "wss", "telnets"})
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443, "telnet": 23, "telnets": 992}


class InvalidAddressError(ConfigurationError):
    """An address that cannot be understood. Names it and says what was expected."""


class Address(Struct, frozen=True):
    """A parsed address. `path` is the target of a WebSocket, or a Unix socket's file."""

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
        """`host:port`, as a Host header writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == _DEFAULT_PORTS.get(self.scheme):
            return host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_address(text: str, schemes: Sequence[str] = SCHEMES) -> Address:
    """Read an address of one of `schemes`. Raises `InvalidAddressError`."""
    scheme, colon, _ = text.partition(":")
    if not colon or scheme not in schemes:
        raise InvalidAddressError(
            f"{text!r}: expected one of {', '.join(schemes)} before the first colon"
        )
    if scheme == "unix":
        return _parse_unix(text)
    parts = _split(text)
    if parts is None or not parts.hostname:
        raise InvalidAddressError(f"{text!r}: expected a host, as in {scheme}://127.0.0.1:4000")
    if parts.username is not None or parts.fragment:
        raise InvalidAddressError(f"{text!r}: an address has neither a user nor a fragment")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if port is None:
        port = _DEFAULT_PORTS.get(scheme, -1)
    if port < 0:
        raise InvalidAddressError(f"{text!r}: expected a port from 0 to 65535 after the host")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if path and scheme not in ("ws", "wss"):
        raise InvalidAddressError(f"{text!r}: a {scheme} address has no path, found {path!r}")
    if scheme in ("ws", "wss") and not path:
        path = "/"
    return Address(scheme, parts.hostname, port, path)


def _split(text: str) -> SplitResult | None:
    """The parts of a URL, or `None` where its host can be none."""
    try:
        parts = urlsplit(text)
        (parts.hostname or "").encode("idna")  # as the resolver will
    except ValueError:
        return None
    return parts


def _parse_unix(text: str) -> Address:
    path = text.removeprefix("unix:").removeprefix("//")
    if not path:
        raise InvalidAddressError(f"{text!r}: expected a path, as in unix:/run/holdfast.sock")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")  # the same file, and a text that reads as it was written
    return Address("unix", "", 0, path)


def peer_name(where: object) -> str:
    """How a socket's address is written: `192.0.2.1:4000`, `[2001:db8::1]:4000`, or `unix`."""
    if not isinstance(where, tuple):
        return "unix"
    host, port, *_ = where
    if host.startswith("::ffff:") and "." in host:  # IPv4 through a socket of both
        host = host[7:]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
