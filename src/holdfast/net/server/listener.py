"""A listening socket and its accept loop.

The event loops have accept loops of their own. This one exists because a socket must be
counted, and may be refused, before any object is made for it; because a process without free
file descriptors must neither spin nor stop listening; and because PROXY headers and TLS are
under the server's limits.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import structs

from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address
from holdfast.net.log import RateLimitedLogger
from holdfast.net.server.bind import DEFAULT, BindOptions, bind, is_file
from holdfast.net.server.inherited import Inherited
from holdfast.net.transport.reset import reset_on_close
from holdfast.net.transport.transports import keep_urgent_data_in_place

ACCEPTS_PER_PASS: Final = 16
"""Then the loop serves others before it goes on."""
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Accepted = Callable[[socket.socket, Any], bool]
"""Takes an accepted socket and its peer's name. False when no more should be accepted for now."""


class Listener:
    """An open listener. `address` has the port that was taken."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        sockets: Sequence[socket.socket],
        limits: ConnectionLimits,
        accepted: Accepted,
        refused: Callable[[], None] = lambda: None,
        *,
        owns_file: bool = True,
    ) -> None:
        self.address = address
        self._loop = loop
        self._sockets = list(sockets)
        self._limits = limits
        self._accepted = accepted
        self._refused = refused
        self._pause: asyncio.TimerHandle | None = None
        self._reserve = _open_reserve()
        self._quiet = RateLimitedLogger("holdfast.net", per_minute=1.0, burst=3)
        self._inode = _inode(address) if owns_file else None
        for sock in self._sockets:
            sock.setblocking(False)
            keep_urgent_data_in_place(sock)  # accepted sockets inherit it
            sock.listen(limits.backlog_max)
        self._watch()

    def hand_to(self, accepted: Accepted, refused: Callable[[], None]) -> None:
        """Give the sockets that are accepted from now on to another acceptor."""
        self._accepted, self._refused = accepted, refused

    def close(self) -> None:
        """Accept no more; a Unix socket's file is removed, unless it is another's by now."""
        self._unwatch()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        if self._inode is not None and _inode(self.address) == self._inode:
            os.unlink(self.address.path)

    def pause(self) -> None:
        """Pause accepting; the kernel queues connections."""
        if self._pause is None:
            self._unwatch()
            self._pause = self._loop.call_later(self._limits.accept_pause_seconds_max, self._resume)

    @property
    def paused(self) -> bool:
        return self._pause is not None

    def _resume(self) -> None:
        self._pause = None
        self._watch()

    def _watch(self) -> None:
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _unwatch(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            return
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_PASS):
            try:
                sock, where = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._out_of_files(listening, error)
                    return
                continue  # accept(2): it was gone before we came to it
            if not self._accepted(sock, where):
                self.pause()
                return

    def _out_of_files(self, listening: socket.socket, error: OSError) -> None:
        """Refuse the waiting connections, with the reserved file descriptor, and pause."""
        sent_away = 0
        for _ in range(ACCEPTS_PER_PASS):
            if self._reserve is None:
                break
            os.close(self._reserve)
            try:
                refuse(listening.accept()[0], reset=False)
            except OSError:
                break
            finally:
                self._reserve = _open_reserve()
            sent_away += 1
            self._refused()
        self._quiet.warning(
            "cannot accept",
            at=str(self.address),
            fault=error.strerror,
            sent_away=sent_away,
            pause_seconds=self._limits.accept_pause_seconds_max,
        )
        self.pause()


def open_listener(
    loop: asyncio.AbstractEventLoop,
    address: Address,
    limits: ConnectionLimits,
    accepted: Accepted,
    *,
    options: BindOptions = DEFAULT,
    inherited: Inherited | None = None,
    refused: Callable[[], None] = lambda: None,
) -> Listener:
    """Listen at `address`; port 0 takes a free one.

    Raises `AddressInUseError`, or `ConfigurationError` for an address where
    this user or this machine cannot listen.
    """
    taken = inherited.take(address) if inherited is not None else []
    sockets = taken or bind(address, options)
    if address.scheme != "unix":
        address = structs.replace(address, port=sockets[0].getsockname()[1])
    return Listener(loop, address, sockets, limits, accepted, refused, owns_file=not taken)


def refuse(sock: socket.socket, *, reset: bool) -> None:
    """Drop an accepted socket at once. In a flood with a reset: it leaves nothing in the kernel."""
    if reset:
        reset_on_close(sock)
    sock.close()


def _open_reserve() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _inode(address: Address) -> tuple[int, int] | None:
    if not is_file(address):
        return None
    try:
        found = os.stat(address.path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
