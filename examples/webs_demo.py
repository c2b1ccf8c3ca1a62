"""Two clients that speak WEBS, and what the gateway knows of them: python examples/webs_demo.py"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

from holdfast.backends import echo
from holdfast.core.items import Text
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime.loop import run
from holdfast.protocols import webs
from holdfast.protocols.webs import Message, Opcode
from holdfast.websocket import ClientWebSocket, HandshakeError, connect

SECONDS_MAX = 10.0
TITLE = "WebSocket Server Demo"


class Client:
    """One client: a WebSocket, and the WEBS messages on it."""

    def __init__(self, name: str, socket: ClientWebSocket) -> None:
        self.name = name
        self.session = ""
        self._socket = socket
        self._decoder = webs.Decoder()
        self._received: list[webs.Event] = []

    async def say(self, opcode: Opcode, payload: bytes = b"") -> None:
        """Send one message."""
        await self._socket.send(webs.encode(Message(opcode, time.time_ns(), payload)))

    async def hear(self, opcode: Opcode) -> Message:
        """The next message, which must be of this kind."""
        while not self._received:
            data = await self._socket.recv()
            assert isinstance(data, bytes)
            self._received += self._decoder.receive_data(data)
        message = self._received.pop(0)
        if not isinstance(message, Message) or message.opcode is not opcode:
            raise RuntimeError(f"{self.name}: expected {opcode.name}, found {message!r}")
        return message

    async def open(self) -> None:
        """Begin a session."""
        await self.say(Opcode.CONNECT)
        self.session = json.loads((await self.hear(Opcode.AUTH)).payload)["session"]
        print(f"   {self.name} connected: session-{self.session[-6:]}")

    async def leave(self) -> None:
        """End the session, then the connection."""
        await self.say(Opcode.DISCONNECT)
        await self._socket.close()
        print(f"   {self.name} disconnected")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the gateway to notice."""
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def pool_size(gateway: Gateway) -> str:
    count = len(gateway.pool)
    return f"   Pool size: {count} connection{'' if count == 1 else 's'}"


async def show(gateway: Gateway) -> None:
    """The demonstration, against a gateway that runs."""
    port = gateway.addresses[0].port
    url = f"ws://127.0.0.1:{port}/"
    print(f"{TITLE}\n{'=' * len(TITLE)}\n\n1. Starting server on :{port}...")
    print("   Server started successfully\n\n2. Simulating client connections...")
    subprotocols = [webs.SUBPROTOCOL]
    first = Client("Client 1", await connect(url, subprotocols=subprotocols))
    second = Client("Client 2", await connect(url, subprotocols=subprotocols))
    await first.open()
    await second.open()
    print(pool_size(gateway))

    print("\n3. Sending messages...")
    await first.say(Opcode.INPUT, b"hello")
    print(f"   Client 1: Message sent, {(await first.hear(Opcode.DISPLAY)).payload!r} came back")
    await second.say(Opcode.PING)
    await second.hear(Opcode.PONG)
    gateway.pool.send(second.session, Text("a word from the house"))
    print(f"   Client 2: Message received: {(await second.hear(Opcode.DISPLAY)).payload!r}")

    print("\n4. Testing disconnect...")
    await first.leave()
    await until(lambda: len(gateway.pool) == 1)
    print(pool_size(gateway))
    failed = 0
    try:
        await connect(url, origin="http://elsewhere.example")
    except HandshakeError as error:
        failed += 1
        print(f"   A page of elsewhere: {error}")

    print("\n5. Session statistics...")
    print(f"   Active sessions: {len(gateway.manager.sessions)}")
    print(f"   Total connections: {gateway.pool.total}")
    print(f"   Failed handshakes: {failed}")
    await second.leave()
    print("\nDemo completed successfully!")


async def main() -> None:
    listener = ListenerConfig(url="ws://127.0.0.1:0/", backend=echo.Config(), durability="memory")
    gateway = Gateway(Config(listener=(listener,)))
    started = asyncio.Event()
    async with asyncio.timeout(3 * SECONDS_MAX), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.run(started.set))
        await started.wait()
        await show(gateway)
        gateway.stop()
        await running


if __name__ == "__main__":
    run(main())
