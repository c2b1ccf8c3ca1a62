"""Two people who speak WEBS and hear each other through an application on the link, and what the
gateway counts: python examples/webs_demo.py"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable

from holdfast.app import App, Session
from holdfast.backends.link.config import Config as LinkConfig
from holdfast.backends.link.server_config import LinkConfig as ServerConfig
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


def make_app() -> App:
    """An application on the link: what one person says, all others hear."""
    app = App("demo")

    @app.on_open
    async def open_(session: Session) -> None:
        await session.join("room")

    @app.on_text
    async def text(session: Session, line: str) -> None:
        await session.text(f"you said: {line}")
        await session.broadcast("room", line, but_me=True)

    return app


def show_pool(gateway: Gateway) -> None:
    count = len(gateway.pool)
    print(f"   Pool size: {count} connection{'' if count == 1 else 's'}")


async def show(gateway: Gateway) -> None:
    """The demonstration, against a gateway that runs with its application."""
    port = gateway.addresses[0].port
    url = f"ws://127.0.0.1:{port}/"
    print(f"{TITLE}\n{'=' * len(TITLE)}\n\n1. Starting server on :{port}...")
    print("   Server started successfully\n\n2. Simulating client connections...")
    subprotocols = [webs.SUBPROTOCOL]
    first = Client("Client 1", await connect(url, subprotocols=subprotocols))
    second = Client("Client 2", await connect(url, subprotocols=subprotocols))
    await first.open()
    await second.open()
    show_pool(gateway)

    print("\n3. Sending messages...")
    for speaker, listener, line in ((first, second, b"hello"), (second, first, b"hello, too")):
        await speaker.say(Opcode.INPUT, line)
        await speaker.hear(Opcode.DISPLAY)
        print(f"   {speaker.name}: Message sent: {line.decode()}")
        heard = (await listener.hear(Opcode.DISPLAY)).payload
        print(f"   {listener.name}: Message received: {heard.decode()}")
    await second.say(Opcode.PING)
    await second.hear(Opcode.PONG)

    print("\n4. Testing disconnect...")
    await first.leave()
    await until(lambda: len(gateway.pool) == 1)
    show_pool(gateway)
    try:
        await connect(url, origin="http://elsewhere.example")
    except HandshakeError as error:
        print(f"   A page of elsewhere: {error}")
    clients = gateway.listeners.clients
    (counters,) = clients.tallies.values()
    await until(lambda: counters.failed == 1)

    print("\n5. Session statistics...")
    print(f"   Active sessions: {len(gateway.manager.sessions)}")
    print(f"   Sessions in all: {gateway.manager.counts.created}")
    print(f"   Total connections: {gateway.pool.total}")
    print(f"   Failed handshakes: {counters.failed}")
    await second.leave()
    print("\nDemo completed successfully!")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        link = f"unix:{folder}/link"
        listener = ListenerConfig(
            url="ws://127.0.0.1:0/", backend=LinkConfig(app="demo"), durability="memory"
        )
        gateway = Gateway(Config(listener=(listener,), link=ServerConfig(listen=link)))
        app, started = make_app(), asyncio.Event()
        async with asyncio.timeout(3 * SECONDS_MAX), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(gateway.run(started.set))
            await started.wait()
            serving = tasks.create_task(app.serve(link))
            await until(lambda: app.linked)
            await show(gateway)
            app.stop()
            await serving
            gateway.stop()
            await running


if __name__ == "__main__":
    run(main())
