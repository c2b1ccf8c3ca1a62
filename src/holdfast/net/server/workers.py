"""Worker processes: the same server several times on one port (SO_REUSEPORT).

For servers whose connections share no state. The kernel distributes connections by their
addresses; the parent holds the port, restarts workers that die, and forwards signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, Final

from msgspec import structs

from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import Address
from holdfast.net.loggers import LazyLogger
from holdfast.net.runtime.loop import run
from holdfast.net.server.bind import BindOptions, bind
from holdfast.net.server.inherited import notify

_log = LazyLogger("holdfast.net")

WORKERS_MAX: Final = 256
_SHARED: Final = BindOptions(reuse_port=True)
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_QUICK_DEATH_SECONDS: Final = 1.0
"""A worker that dies sooner than this after its start is not started again."""

Main = Callable[[Sequence[Address], Callable[[], None]], Coroutine[Any, Any, None]]
"""Serves at the addresses until a signal, and calls the function once it listens."""


def run_workers(
    count: int,
    addresses: Sequence[Address],
    main: Main,
    started: Callable[[Sequence[Address]], None],
) -> int:
    """Run `main` in `count` processes until a signal. Returns the exit code.

    `main` must bind with `reuse_port`. `started` is called with the ports that
    were taken, once every worker listens. Raises `ConfigurationError`, or
    `AddressInUseError`.
    """
    if not 1 <= count <= WORKERS_MAX:
        raise ConfigurationError(f"workers: expected 1 to {WORKERS_MAX}, found {count}")
    held, taken = _hold(addresses)
    try:
        return _Workers(count, taken, main, started).run()
    finally:
        for sock in held:
            sock.close()


def _hold(addresses: Sequence[Address]) -> tuple[list[socket.socket], list[Address]]:
    """Bind without listening: the ports stay ours whatever becomes of the workers."""
    held: list[socket.socket] = []
    taken: list[Address] = []
    try:
        for address in addresses:
            if address.scheme == "unix":
                raise ConfigurationError(f"workers: expected addresses of TCP, found {address}")
            sockets = bind(address, _SHARED)
            held += sockets
            taken.append(structs.replace(address, port=sockets[0].getsockname()[1]))
    except BaseException:
        for sock in held:
            sock.close()
        raise
    return held, taken


class _Workers:
    """The parent's side."""

    def __init__(
        self,
        count: int,
        addresses: Sequence[Address],
        main: Main,
        started: Callable[[Sequence[Address]], None],
    ) -> None:
        self._count = count
        self._addresses = addresses
        self._main = main
        self._started = started
        self._born: dict[int, float] = {}
        self._stopping = False
        self._code = 0
        self._lifeline, self._life = os.pipe()
        """Nothing is ever written: a worker that reads the end knows that its parent is gone."""

    def run(self) -> int:
        before = {number: signal.signal(number, self._pass_on) for number in _PASSED_ON}
        try:
            ready = [self._fork() for _ in range(self._count)]
            if all(os.read(each, 1) for each in ready):  # an end without a word: it has died
                self._started(self._addresses)
                notify("READY=1")
            for each in ready:
                os.close(each)
            while self._born:
                self._bury(*os.wait())
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._life)
            os.close(self._lifeline)
        return self._code

    def _fork(self) -> int:
        """Start a worker. Returns where it writes a byte once it listens."""
        reader, writer = os.pipe()
        # A signal between the fork and the worker's own handlers would run the parent's in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        pid = os.fork()
        if pid:
            os.close(writer)
            self._born[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
            return reader
        os.close(reader)
        os.close(self._life)
        code = 1
        try:
            code = self._work(writer)
        finally:
            os._exit(code)

    def _work(self, writer: int) -> int:
        """In the worker."""
        os.environ.pop("NOTIFY_SOCKET", None)  # the parent speaks for all
        for number in _PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)

        def ready() -> None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits for one that was replaced
                os.write(writer, b"1")
            os.close(writer)

        try:
            run(self._live(ready))
        except Exception as error:
            _log.error("worker failed", fault=str(error) or type(error).__name__)
            return 1
        return 0

    async def _live(self, ready: Callable[[], None]) -> None:
        """Serve, and stop when the parent is gone, however it went."""
        loop = asyncio.get_running_loop()

        def orphaned() -> None:
            loop.remove_reader(self._lifeline)
            os.kill(os.getpid(), signal.SIGTERM)

        loop.add_reader(self._lifeline, orphaned)
        await self._main(self._addresses, ready)
        loop.remove_reader(self._lifeline)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGHUP:
            self._stopping = True
            notify("STOPPING=1")
        for pid in list(self._born):
            with contextlib.suppress(ProcessLookupError):  # it was reaped just now
                os.kill(pid, number)

    def _bury(self, pid: int, status: int) -> None:
        born = self._born.pop(pid, None)
        if born is None:
            return
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            if -code not in _PASSED_ON:  # it had no handler yet, nor any client
                self._code = max(self._code, abs(code))
            return
        lived = time.monotonic() - born
        _log.error("worker exited", pid=pid, code=code, lived_seconds=round(lived, 1))
        if lived < _QUICK_DEATH_SECONDS:
            self._code = 1
            self._pass_on(signal.SIGTERM, None)
            return
        os.close(self._fork())
