"""The listening sockets of `holdfast demo`, which outlive its gateway's process."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

from msgspec import structs

from holdfast.gateway.config import Config
from holdfast.net.addresses import Address
from holdfast.net.server.bind import bind, is_file


class Sockets:
    """Listens where a configuration says; accepts nobody."""

    def __init__(self, config: Config) -> None:
        """Raises `AddressInUseError` or `ConfigurationError`, and holds nothing then."""
        self.addresses: list[Address] = []
        """Of each listener, with its port."""
        self._sockets: list[socket.socket] = []
        try:
            for listener in config.listener:
                opened = bind(listener.address, listener.bind)
                self._sockets += opened
                self.addresses.append(_with_port(listener.address, opened[0]))
            for sock in self._sockets:
                sock.listen(config.limits.connection.backlog_max)
        except BaseException:
            self.close()
            raise

    @property
    def descriptors(self) -> Sequence[int]:
        """Of all sockets, for a child process."""
        return [sock.fileno() for sock in self._sockets]

    def close(self) -> None:
        """Refuse clients once the gateway has closed the sockets, too."""
        for sock in self._sockets:
            sock.close()
        for address in filter(is_file, self.addresses):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address.path)


def _with_port(address: Address, sock: socket.socket) -> Address:
    if address.scheme == "unix":
        return address
    return structs.replace(address, port=sock.getsockname()[1])
