"""The sockets that the runner opens and passes to a HAProxy.

A client can connect before the process is ready, and the port is known before the configuration
is written. The configuration keeps `fd@${NAME}`: HAProxy finds the number of the descriptor in
its environment.
"""

from __future__ import annotations

import socket

from holdfast.vtc.haproxy.config import WantedSocket
from holdfast.vtc.io.socket_address import SocketAddress, own_address
from holdfast.vtc.io.stream_socket import listen
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.log import Logger

BACKLOG = 100
_LOCAL = SocketAddress(socket.AF_INET, ("127.0.0.1", 0))


class HandedSockets:
    """The sockets stay open until the end of the test: clients of a stopped HAProxy wait."""

    def __init__(self, case: Case, log: Logger, owner: str) -> None:
        self._case = case
        self._log = log
        self._owner = owner
        self._sockets: list[socket.socket] = []
        self.env: dict[bytes, bytes] = {}
        """The numbers of the descriptors by name; of two with one name the first."""

    @property
    def fds(self) -> list[int]:
        """All descriptors."""
        return [sock.fileno() for sock in self._sockets]

    def hand_over(self, wanted: WantedSocket) -> None:
        """Open a socket that a configuration wants. Raises `Failure`."""
        sock = self._open(wanted.datagram)
        self._define(wanted.name, sock)
        self._log.line(4, f"setenv({wanted.name}, {sock.fileno()})")
        self.env.setdefault(wanted.name.encode(ENCODING), b"%d" % sock.fileno())

    def open_master_cli(self) -> int:
        """Open the socket of the master's command line; its descriptor. Raises `Failure`."""
        sock = self._open(datagram=False)
        self._define("mcli", sock)
        return sock.fileno()

    def define_closed(self) -> None:
        """A port that was free a moment ago: connecting to it is refused."""
        with listen(_LOCAL, BACKLOG) as closed:
            self._define("closed", closed)

    def _define(self, name: str, sock: socket.socket) -> None:
        self._case.define_address(self._log, f"{self._owner}_{name}", own_address(sock))

    def _open(self, datagram: bool) -> socket.socket:
        try:
            sock = _datagram_socket() if datagram else listen(_LOCAL, BACKLOG)
        except OSError as error:
            raise Failure(f"Create listen socket failed: {error.strerror}") from None
        self._sockets.append(sock)
        return sock

    def close(self) -> None:
        """Close all. May be called again."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()


def _datagram_socket() -> socket.socket:
    sock = socket.socket(_LOCAL.family, socket.SOCK_DGRAM)
    sock.bind(_LOCAL.sockaddr)
    return sock
