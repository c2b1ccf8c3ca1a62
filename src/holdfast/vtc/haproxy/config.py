"""The text of a HAProxy configuration: what we put around the script's. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_SOCKET = re.compile(r"(quic\+)?fd@\$\{([^}]*)\}")


class WantedSocket(NamedTuple):
    """A socket that a configuration wants to be handed."""

    name: str
    datagram: bool


class BackendServer(NamedTuple):
    """A server of the test, for `-conf+backend`."""

    name: str
    host: str
    port: int


def head(stats_socket: str) -> str:
    """The beginning of the configuration: two command lines."""
    return (
        f'    global\n\tstats socket "{stats_socket}" level admin mode 600\n'
        '    stats socket "fd@${cli}" level admin\n'
    )


def backends(servers: Iterable[BackendServer]) -> str:
    """A backend and a frontend for each server; `${feN}` is the frontend's socket."""
    known = [(server.name[1:], server) for server in servers]
    text = "".join(
        f"\n    backend be{name}\n\tserver srv{name} {server.host}:{server.port}\n"
        for name, server in known
    )
    return text + "".join(
        f'\n    frontend http{name}\n\tuse_backend be{name}\n\tbind "fd@${{fe{name}}}"\n'
        for name, _ in known
    )


def wanted_sockets(text: str) -> list[WantedSocket]:
    """The sockets that a configuration wants, in order; a name may come again."""
    return [WantedSocket(match[2], bool(match[1])) for match in _SOCKET.finditer(text)]
