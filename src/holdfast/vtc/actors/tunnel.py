"""A tunnel: forwards bytes between two peers, under the control of the script.

Each direction reads only the bytes that it may forward at once: any number while the tunnel
runs, none while it is paused, and during a pause as many as `send` or `recv` request. When one
side ends, the tunnel stops.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import ClassVar

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.io.socket_address import AddressError, resolve, why
from holdfast.vtc.io.stream_socket import Listener, StreamSocket, connect, listen
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.log import Logger
from holdfast.vtc.run.scope import Scope

BUFFER_BYTES_MAX = 1024


class TunnelDirection:
    """One direction of a tunnel."""

    def __init__(self, action: str, log: Logger) -> None:
        self._action = action
        self._log = log
        self._granted = 0
        """Bytes that may pass in a pause."""
        self._open = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def resume(self) -> None:
        """Forward all bytes."""
        self._granted = 0
        self._open.set()

    async def pause(self) -> None:
        """Stop forwarding; bytes that were read arrive first."""
        self._open.clear()
        await self._settled.wait()

    async def grant(self, count: int) -> None:
        """Pass on `count` bytes in a pause, and wait until they have arrived."""
        if count:
            self._granted = count
            self._settled.clear()
            self._open.set()
            await self._settled.wait()

    def give_up(self) -> None:
        """The tunnel has stopped: release the waiters of this direction."""
        self._settled.set()

    async def carry(self, source: StreamSocket, target: StreamSocket) -> None:
        """Pass bytes on until the source ends. Raises `Failure`."""
        while True:
            await self._open.wait()
            try:
                data = source.recv_now(min(self._granted or BUFFER_BYTES_MAX, BUFFER_BYTES_MAX))
                if data is None:
                    await source.ready()
                elif data:
                    await self._pass(data, target)
                else:
                    return
            except OSError as error:
                raise Failure(f"{self._action} failed: {error.strerror}") from None

    async def _pass(self, data: bytes, target: StreamSocket) -> None:
        self._settled.clear()
        self._log.line(3, f"{self._action} {len(data)} bytes")
        await target.send(data)
        if self._granted:
            self._granted -= len(data)
            if self._granted:
                return
            self._open.clear()
        self._settled.set()


class Tunnel(Actor):
    """A tunnel by name. The port that it was given once it keeps for later starts."""

    kind: ClassVar[str] = "tunnel"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.spec: Token | None = None
        self.connect_to = "${v1_sock}"
        self.listen_on = case.macros.expand_text("${listen_addr}")
        self.task = BackgroundTask(case, self.log)
        self._carriers = BackgroundTask(case, self.log)
        self._listener: Listener | None = None
        self._sockets: list[StreamSocket] = []
        self._directions = {
            "send": TunnelDirection("Sending", self.log),
            "recv": TunnelDirection("Receiving", self.log),
        }
        self._paused = False
        self._closed = False

    async def start(self, position: Position | None, *, paused: bool) -> None:
        """Listen, and begin in the background. Raises `Failure`."""
        self.log.line(2, "Starting tunnel")
        await self._listen()
        self.log.line(1, f"Listen on {self.listen_on}")
        self._paused, self._closed = paused, False
        self.task.start(partial(self._run, position), position)

    async def _listen(self) -> None:
        if self._listener:
            self._listener.close()
        try:
            addresses = await resolve(self.listen_on, "0", socket.SOCK_STREAM)
            self._listener = Listener(listen(addresses[0], 1))
        except (AddressError, OSError) as error:
            text = f"Tunnel listen address ({self.listen_on}) cannot be resolved: {why(error)}"
            raise Failure(text) from None
        own = self._listener.address
        self.listen_on = own.joined
        self.case.define_address(self.log, self.name, own, f"{own.host} {own.port}")

    async def _run(self, position: Position | None) -> None:
        source, target = await self._open()
        if not self._paused:
            self._resume_directions()
        self._carriers.start(partial(self._carry, source, target), position)
        if self.spec is not None:
            scope = Scope(self.case, Context.TUNNEL, self, self.log)
            await play(scope, self.spec)
        if self._paused and not self._closed:
            self.resume()
        self.log.line(2, "Ending")

    async def _open(self) -> tuple[StreamSocket, StreamSocket]:
        assert self._listener is not None
        self.log.line(4, "Accepting")
        source = await self._listener.accept()
        self._sockets.append(source)
        self.log.line(3, f"Accepted socket fd is {source.fd}")
        address = self.case.macros.expand_text(self.connect_to)
        try:
            target = await connect(await resolve(address, None, socket.SOCK_STREAM))
        except (AddressError, OSError) as error:
            raise Failure(f"Failed to open {address}: {why(error)}") from None
        self._sockets.append(target)
        self.log.line(3, f"Connected socket fd is {target.fd}")
        return source, target

    async def _carry(self, source: StreamSocket, target: StreamSocket) -> None:
        """Carry both ways until one side ends."""
        ways = (
            partial(self._directions["send"].carry, source, target),
            partial(self._directions["recv"].carry, target, source),
        )
        carriers = {self.case.spawn(self.log, way, None) for way in ways}
        try:
            await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closed = True
            for carrier in carriers:
                carrier.cancel()
            for direction in self._directions.values():
                direction.give_up()

    def _check(self, *, paused: bool, otherwise: str) -> None:
        if self._closed:
            raise Failure("Tunnel already closed")
        if self._paused != paused:
            raise Failure(otherwise)

    async def pause(self) -> None:
        """Stop both directions. Raises `Failure` if they are stopped."""
        self._check(paused=False, otherwise="Tunnel already paused")
        self._paused = True
        for direction in self._directions.values():
            await direction.pause()

    def resume(self) -> None:
        """Start both directions again. Raises `Failure` if they run."""
        self._check(paused=True, otherwise="Tunnel already running")
        self._paused = False
        self._resume_directions()

    def _resume_directions(self) -> None:
        for direction in self._directions.values():
            direction.resume()

    async def transfer(self, direction: str, count: int) -> None:
        """Let `count` bytes pass in a pause: `send` or `recv`. Raises `Failure`."""
        self._check(paused=True, otherwise="Tunnel still running")
        await self._directions[direction].grant(count)

    async def wait(self) -> None:
        """Wait for the end of the specification and of the connection. Raises `Failure`."""
        if not self.task.running:
            raise Failure("Tunnel not -started")
        self.log.line(2, "Waiting for tunnel")
        await self.task.wait()
        await self._carriers.wait()
        self._close_sockets()

    async def reset(self) -> None:
        """The script has ended, so errors of the tunnel no longer matter."""
        await self.task.stop()
        await self._carriers.stop()
        self.release()
        self.case.undefine_address(self.log, self.name)

    def release(self) -> None:
        self._close_sockets()
        if self._listener:
            self._listener.close()

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
