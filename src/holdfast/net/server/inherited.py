"""The service manager: inherited sockets, and notifications of the state.

sd_listen_fds(3) and sd_notify(3), as systemd and others implement them: environment variables,
file descriptors and datagrams.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Final

from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import Address
from holdfast.protocols.uris import bracketed

_FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START."""
_FDS_MAX: Final = 1024


class Inherited:
    """Listening sockets that the service manager, or another parent, has opened for this process.

    They are found by their addresses: a listener takes the one that is bound where
    it would bind itself. The rest are an error, because clients would wait in them.
    """

    def __init__(
        self,
        environment: MutableMapping[str, str] = os.environ,
        descriptors: Sequence[int] | None = None,
    ) -> None:
        """Without `descriptors`, the environment tells of them.

        Raises `ConfigurationError` for what is no listening socket.
        """
        given = _descriptors(environment)
        self._sockets = _opened(given if descriptors is None else descriptors)

    def take(self, address: Address) -> list[socket.socket]:
        """The sockets that listen at `address`; they are the caller's from now on."""
        found = [sock for sock in self._sockets if _stands_for(sock, address)]
        self._sockets = [sock for sock in self._sockets if sock not in found]
        return found

    def finish(self) -> None:
        """Raises `ConfigurationError` if a socket was given that no listener has taken."""
        left = [_where(sock) for sock in self._sockets]
        self.close()
        if left:
            raise ConfigurationError(
                f"inherited sockets: expected a listener for each, found none at {', '.join(left)}"
            )

    def close(self) -> None:
        """Close the sockets that were not taken."""
        for sock in self._sockets:
            sock.close()
        self._sockets = []


def _descriptors(environment: MutableMapping[str, str]) -> Sequence[int]:
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not count or pid != str(os.getpid()):
        return ()
    if not count.isdigit() or int(count) > _FDS_MAX:
        raise ConfigurationError(f"LISTEN_FDS: expected a number up to {_FDS_MAX}, found {count!r}")
    return range(_FIRST_FD, _FIRST_FD + int(count))


def _opened(descriptors: Sequence[int]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for number in descriptors:
        try:
            os.set_inheritable(number, False)
            sock = socket.socket(fileno=number)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise ConfigurationError(
                f"inherited sockets: expected a socket at descriptor {number}: {error.strerror}"
            ) from error
        if sock.type != socket.SOCK_STREAM or not listens:
            sock.detach()
            raise ConfigurationError(
                f"inherited sockets: expected a listening stream socket at descriptor {number}"
                " (Accept=no), found another"
            )
        sockets.append(sock)
    return sockets


def _stands_for(sock: socket.socket, address: Address) -> bool:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = os.fsdecode(name).replace("\0", "@", 1)
        return address.scheme == "unix" and path == address.path
    if address.scheme == "unix" or name[1] != address.port:
        return False
    if name[0] == "::" and address.host == "0.0.0.0":
        return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    found = (
        socket.getaddrinfo(
            address.host, address.port, sock.family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        if _is_of(sock.family, address.host)
        else []
    )
    return any(where[4][0] == name[0] for where in found)


def _is_of(family: int, host: str) -> bool:
    """Whether a literal address is of `family`; a name may be of any."""
    for each in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(each, host)
        except OSError:
            continue
        return each == family
    return True


def _where(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name).replace(chr(0), '@', 1)}"
    return f"{bracketed(name[0])}:{name[1]}"


def notify(*states: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Notify the service manager (`READY=1`, `STOPPING=1`, `STATUS=...`)."""
    where = environment.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(
                "\n".join(states).encode(), ("\0" + where[1:]) if where[0] == "@" else where
            )
        except OSError:
            return False
    return True
