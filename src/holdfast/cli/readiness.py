"""Hears from a child process that it is ready, as a service manager does (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_BYTES_MAX: Final = 4096
_READY: Final = b"READY=1"


@contextmanager
def hearing(ready: Callable[[], None]) -> Iterator[dict[str, str]]:
    """Call `ready` whenever a child is ready; yields the variables that tell it where to say so."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind("")  # unix(7): a free name in the abstract namespace
        name = os.fsdecode(sock.getsockname()).replace("\0", "@", 1)

        def came() -> None:
            try:
                said = sock.recv(_BYTES_MAX)
            except BlockingIOError:
                return
            if _READY in said.splitlines():
                ready()

        loop.add_reader(sock, came)
        try:
            yield {"NOTIFY_SOCKET": name}
        finally:
            loop.remove_reader(sock)
