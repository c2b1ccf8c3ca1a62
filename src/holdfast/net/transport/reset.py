"""Closing a TCP connection with a reset instead of an orderly end."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final, Protocol

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0."""


class SettableSocket(Protocol):
    """A socket, or what an event loop gives as a transport's socket."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...


def reset_on_close(sock: SettableSocket | None) -> None:
    """Make the next close of `sock` discard unsent output and send a reset.

    It changes nothing for a socket that is closed already, and for one that is not TCP.
    """
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
