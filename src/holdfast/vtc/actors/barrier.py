"""Barriers: points that several specifications, or processes, pass together."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, ClassVar

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.io.socket_address import resolve
from holdfast.vtc.io.stream_socket import Listener, StreamSocket, connect, listen
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.position import Position
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.scope import Scope


class Barrier(Actor):
    """A barrier by name. `expect_cond` or `expect_sock` makes it usable."""

    kind: ClassVar[str] = "barrier"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self._expected = 0
        self._waiting = 0
        self._cyclic = False
        self._opened = asyncio.Event()
        self._listener: Listener | None = None
        self._runner = BackgroundTask(case, self.log)

    def _use_error(self, text: str) -> Failure:
        return Failure(f"Barrier({self.name}) use error: {text}")

    def expect_cond(self, number: int) -> None:
        """Let `number` specifications pass together. Raises `Failure`."""
        if self._expected:
            raise self._use_error("already initialized")
        if number < 2:
            raise self._use_error(f"wrong expectation ({number})")
        self._expected = number

    async def expect_sock(self, number: int, position: Position | None) -> None:
        """Let `number` connections to a socket of the test pass together. Raises `Failure`."""
        self.expect_cond(number)
        listen_on = self.case.macros.expand_text("${listen_addr}")
        addresses = await resolve(listen_on, None, socket.SOCK_STREAM)
        try:
            self._listener = Listener(listen(addresses[0], number))
        except OSError as error:
            raise Failure(f"Barrier({self.name}) listen fails: {error.strerror}") from None
        self.case.define_address(self.log, self.name, self._listener.address)
        self._runner.start(partial(self._serve, self._listener), position)

    def make_cyclic(self) -> None:
        """Close the barrier again after these connections. Raises `Failure`."""
        if not self._expected:
            raise self._use_error("not initialized")
        if self._waiting:
            raise self._use_error("already in use")
        self._cyclic = True

    async def sync(self, scope: Scope[Any]) -> None:
        """Wait for the others. Raises `Failure`."""
        if not self._expected:
            raise self._use_error("not initialized")
        if self._listener:
            await self._sync_by_socket(scope)
        else:
            await self._sync(scope)

    def _arrive(self) -> bool:
        """Count one more waiter. Return whether it is the last; a cyclic barrier begins again."""
        if self._waiting == self._expected:
            raise self._use_error(f"more waiters than the {self._expected} expected")
        self._waiting += 1
        if self._waiting < self._expected:
            return False
        if self._cyclic:
            self._waiting = 0
        return True

    async def _sync(self, scope: Scope[Any]) -> None:
        if self._arrive():
            scope.log.line(4, f"Barrier({self.name}) wake {self._expected}")
            self._opened.set()
            if self._cyclic:
                self._opened = asyncio.Event()
            return
        scope.log.line(4, f"Barrier({self.name}) wait {self._waiting} of {self._expected}")
        await self._opened.wait()

    async def _sync_by_socket(self, scope: Scope[Any]) -> None:
        scope.log.line(4, f"Barrier({self.name}) sync with socket")
        assert self._listener is not None
        try:
            sock = await connect([self._listener.address])
        except OSError as error:
            raise Failure(f"Barrier({self.name}) connection failed: {error.strerror}") from None
        try:
            data = await sock.recv(32, None)
        except OSError as error:
            raise Failure(f"Barrier({self.name}) read failed: {error.strerror}") from None
        finally:
            sock.close()
        if data:
            raise Failure(f"Barrier({self.name}) unexpected data ({len(data)}B)")

    async def _serve(self, listener: Listener) -> None:
        here: list[StreamSocket] = []
        try:
            while True:
                here.append(await listener.accept())
                if not self._arrive():
                    text = f"Barrier({self.name}) wait {self._waiting} of {self._expected}"
                    self.log.line(4, text)
                    continue
                self.log.line(4, f"Barrier({self.name}) wake {self._expected}")
                _close_all(here)
                if not self._cyclic:
                    break
        finally:
            _close_all(here)
            self.release()

    async def reset(self) -> None:
        """Stop. Raises `Failure` if a peer waits at the socket."""
        self._opened.set()
        await self._runner.stop()
        self.release()
        self.case.undefine_address(self.log, self.name)
        if self._listener and self._waiting % self._expected:
            self._listener = None
            reason = f"Barrier({self.name}) has {self._waiting} outstanding waiters"
            raise Failure(reason)

    def release(self) -> None:
        if self._listener:
            self._listener.close()


def _close_all(wires: list[StreamSocket]) -> None:
    for sock in wires:
        sock.close()
    wires.clear()
