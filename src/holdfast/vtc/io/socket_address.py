"""Addresses as scripts write them.

`HOST:PORT`, `HOST PORT`, `[V6]:PORT`, `/path` and `@abstract`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import NamedTuple

from holdfast.protocols.uris import bracketed
from holdfast.vtc.language.source import ENCODING

PATH_BYTES_MAX = 107
"""Linux: `sun_path` with its final NUL."""

SockAddr = tuple[str, int] | tuple[str, int, int, int] | bytes


class AddressError(ValueError):
    """An address is malformed or cannot be resolved. The message says why."""


def why(error: AddressError | OSError) -> str:
    """Why there is no connection or no listener, in words."""
    return getattr(error, "strerror", None) or str(error)


class SocketAddress(NamedTuple):
    """Where a socket is bound or connected."""

    family: socket.AddressFamily
    sockaddr: SockAddr

    @property
    def host(self) -> str:
        """The IP address; `0.0.0.0` for a Unix socket."""
        return "0.0.0.0" if isinstance(self.sockaddr, bytes) else self.sockaddr[0]

    @property
    def port(self) -> int:
        """The port; 0 for a Unix socket."""
        return 0 if isinstance(self.sockaddr, bytes) else self.sockaddr[1]

    @property
    def path(self) -> str | None:
        """The path of a Unix socket."""
        return self.joined if isinstance(self.sockaddr, bytes) else None

    @property
    def joined(self) -> str:
        """`HOST:PORT`, `[V6]:PORT` or the path."""
        if isinstance(self.sockaddr, bytes):
            return self.sockaddr.decode(ENCODING).replace("\0", "@", 1)
        return f"{bracketed(self.host)}:{self.port}"


def is_unix(text: str) -> bool:
    """Whether an address is a path or an abstract name."""
    return text.startswith(("/", "@"))


def split(text: str) -> tuple[str | None, str | None]:
    """Split an address into host and port, as far as they are given. Raises `AddressError`."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise AddressError("IPv6 address lacks ']'")
        if rest and rest[0] not in " :":
            raise AddressError("IPv6 address has wrong port separator")
        return host, rest[1:] or None
    mark = " " if " " in text else ":"
    if mark not in text or (mark == ":" and text.count(":") > 1):
        return text, None
    host, _, port = text.partition(mark)
    return host or None, port


def parse_unix(text: str) -> SocketAddress:
    """The address of a Unix socket. Raises `AddressError`."""
    if len(text) > PATH_BYTES_MAX:
        raise AddressError("Path too long for a Unix domain socket")
    if text == "@":
        raise AddressError("The empty abstract socket name is not supported")
    name = "\0" + text[1:] if text[0] == "@" else text
    return SocketAddress(socket.AF_UNIX, name.encode(ENCODING))


def _numeric(host: str, port: int) -> SocketAddress | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if version == 4:
        return SocketAddress(socket.AF_INET, (host, port))
    return SocketAddress(socket.AF_INET6, (host, port, 0, 0))


async def resolve(
    text: str, default_port: str | None, kind: socket.SocketKind
) -> list[SocketAddress]:
    """All addresses that `text` stands for, best first. Raises `AddressError`."""
    if is_unix(text):
        return [parse_unix(text)]
    host, port = split(text)
    port = port or default_port
    if host and port and port.isdigit() and (found := _numeric(host, int(port))):
        return [found]
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=kind, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise AddressError(error.strerror) from None
    return [SocketAddress(info[0], info[4]) for info in infos]  # type: ignore[arg-type]


def own_address(sock: socket.socket) -> SocketAddress:
    """Where a socket is bound."""
    return _from_socket(sock, sock.getsockname())


def peer_address(sock: socket.socket) -> SocketAddress:
    """Where a socket is connected."""
    return _from_socket(sock, sock.getpeername())


def _from_socket(sock: socket.socket, name: SockAddr | str) -> SocketAddress:
    plain = os.fsencode(name) if isinstance(name, str) else name
    return SocketAddress(socket.AddressFamily(sock.family), plain)
