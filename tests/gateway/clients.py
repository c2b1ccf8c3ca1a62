"""Clients that owe nothing to the code under test: raw sockets, and the `websockets` library."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from tests.gateway.running import SECONDS, port
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from holdfast.gateway.gateway import Gateway

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, TTYPE, EOR, NAWS, GMCP = 1, 24, 25, 31, 201

_HARD: Final = struct.pack("ii", 1, 0)


def break_off(sock: socket.socket) -> None:
    """Let the close of this socket be a reset, as when a machine loses its network and reboots."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HARD)


class Person:
    """Somebody at a terminal of lines, over TCP or Telnet: types, and reads the screen.

    `options` are the Telnet options that the client performs or accepts; it
    refuses every other. With TTYPE it answers each SEND, unless told not to.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        telnet: bool,
        options: Sequence[int] = (),
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.screen = ""
        """What is on the screen and was not looked at."""
        self.gmcp: list[tuple[str, Any]] = []
        self.answers_probes = True
        self.window: tuple[int, int] | None = None
        """Columns and lines, told to whoever asks (NAWS)."""
        self.holds_back: set[int] = set()
        """Options about which it does not say anything yet."""
        self.probes = 0
        self.payloads: list[tuple[int, bytes]] = []
        """Every subnegotiation that came, but for GMCP and the terminal's type."""
        self.commands: list[bytes] = []
        """Every Telnet command that came, but for GMCP."""
        self._telnet = telnet
        self._options = options
        self._rest = b""
        self._held: list[bytes] = []
        self._names = [b"HAND", b"XTERM", b"MTTS 5", b"MTTS 5"]
        self._over = False

    async def sees(self, text: str) -> str:
        """Wait until `text` is on the screen; returns and takes away everything up to its end."""
        async with asyncio.timeout(SECONDS):
            while text not in self.screen:
                assert not self._over, f"{text!r} never came; on the screen: {self.screen!r}"
                await self.reads()
        upto = self.screen.index(text) + len(text)
        seen, self.screen = self.screen[:upto], self.screen[upto:]
        return seen

    async def shown_code(self) -> str:
        """Wait until a resume code is on the screen, up to the end of its line."""
        await self.sees('"resume ')
        line = await self.sees("\n")
        return line.partition('"')[0]

    async def reads(self) -> None:
        """Take in one piece of what has come."""
        data = await self.reader.read(65536)
        self._over = self._over or not data
        self.screen += self._strip(self._rest + data).replace("\r\n", "\n")

    async def line(self) -> str:
        """The next line, with its end; what there is without one when the connection is over."""
        async with asyncio.timeout(SECONDS):
            while "\n" not in self.screen and not self._over:
                await self.reads()
        line, end, self.screen = self.screen.partition("\n")
        return line + end

    async def rest(self) -> str:
        """Everything up to the end of the connection, however much: only silence is limited."""
        parts, self.screen = [self.screen], ""
        while not self._over:
            async with asyncio.timeout(SECONDS):
                await self.reads()
            parts.append(self.screen)
            self.screen = ""
        return "".join(parts)

    async def told(self, package: str) -> Any:
        """Wait for a GMCP message; returns its value, and takes away it and all before it."""
        async with asyncio.timeout(SECONDS):
            while all(name != package for name, _ in self.gmcp):
                assert not self._over, f"{package} never came"
                await self.reads()
        while True:
            name, value = self.gmcp.pop(0)
            if name == package:
                return value

    async def is_sent(self, command: bytes) -> None:
        """Wait for a Telnet command; takes away it and all before it."""
        async with asyncio.timeout(SECONDS):
            while command not in self.commands:
                assert not self._over, f"{command!r} never came"
                await self.reads()
        del self.commands[: self.commands.index(command) + 1]

    async def subnegotiated(self, option: int) -> bytes:
        """Wait for a subnegotiation; returns its payload, and takes away all before it."""
        async with asyncio.timeout(SECONDS):
            while not any(code == option for code, _ in self.payloads):
                assert not self._over, f"no subnegotiation of {option} came"
                await self.reads()
        while True:
            code, payload = self.payloads.pop(0)
            if code == option:
                return payload

    def types(self, *lines: str) -> None:
        """Type lines."""
        self.sends("".join(f"{line}\r\n" for line in lines).encode())

    def sends(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def tells(self, package: str, value: Any) -> None:
        """Send a GMCP message."""
        self.sends(_sb(GMCP, f"{package} {json.dumps(value)}".encode()))

    def gives_in(self) -> None:
        """Answer what was held back."""
        self.holds_back.clear()
        held, self._held = self._held, []
        for command in held:
            self._react(command)

    def drop(self) -> None:
        """Vanish: the connection is reset."""
        break_off(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()

    def _strip(self, data: bytes) -> str:
        """The text in `data`, once commands are answered; half a command is kept for later."""
        text = bytearray()
        pos = 0
        while pos < len(data):
            if data[pos] != IAC or not self._telnet:
                text.append(data[pos])
                pos += 1
                continue
            end = _command_end(data, pos)
            if end is None:
                break
            self._react(data[pos:end])
            pos = end
        self._rest = data[pos:]
        return text.decode()

    def _react(self, command: bytes) -> None:
        if command[1] == SB:
            self._subnegotiated(command[2], command[3:-2])
            return
        self.commands.append(command)
        if command[-1] in self.holds_back:
            self._held.append(command)
        elif command[1] == DO:
            self.sends(bytes((IAC, WILL if command[2] in self._options else WONT, command[2])))
            if command[2] == NAWS and self.window is not None:
                self.sends(_sb(NAWS, struct.pack("!HH", *self.window)))
        elif command[1] == WILL:
            self.sends(bytes((IAC, DO if command[2] in self._options else DONT, command[2])))

    def _subnegotiated(self, option: int, payload: bytes) -> None:
        if option == GMCP:
            package, _, value = payload.decode().partition(" ")
            self.gmcp.append((package, _value(value or "null")))
        elif option == TTYPE:
            if self._names:
                name = self._names.pop(0)
            else:
                name = b"MTTS 5"
                self.probes += 1
                if not self.answers_probes:
                    return
            self.sends(_sb(TTYPE, b"\0" + name))
        else:
            self.payloads.append((option, payload))


def _value(text: str) -> Any:
    """The value of JSON; bare words as they are."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _command_end(data: bytes, start: int) -> int | None:
    """Where the Telnet command at `start` ends, or `None` if its end has not come."""
    if start + 1 >= len(data):
        return None
    if data[start + 1] == SB:
        end = data.find(bytes((IAC, SE)), start)
        return end + 2 if end >= 0 else None
    if data[start + 1] in (WILL, WONT, DO, DONT):
        return start + 3 if start + 3 <= len(data) else None
    return start + 2


def _sb(option: int, payload: bytes) -> bytes:
    return bytes((IAC, SB, option)) + payload.replace(b"\xff", b"\xff\xff") + bytes((IAC, SE))


@asynccontextmanager
async def person_at(
    where: int, *, telnet: bool, options: Sequence[int] = (), small_window: bool = False
) -> AsyncIterator[Person]:
    """A person at a port of this machine.

    With `small_window`, what the kernel takes for a program that does not read is little.
    """
    sock = socket.socket()
    if small_window:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", where))
    limit = 1024 if small_window else 1 << 16
    reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
    try:
        yield Person(reader, writer, telnet=telnet, options=options)
    finally:
        writer.transport.abort()


def person(
    gateway: Gateway, scheme: str, *options: int, small_window: bool = False
) -> AbstractAsyncContextManager[Person]:
    """A person at the listener of `scheme`: `telnet` or `tcp`."""
    return person_at(
        port(gateway, scheme),
        telnet=scheme == "telnet",
        options=options,
        small_window=small_window,
    )


class Hearing:
    """What a client of `holdfast.v1` hears, in JSON."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        """Messages that came and were not asked for."""

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        raise NotImplementedError

    async def expect(self, t: str) -> dict[str, Any]:
        """The next message of this type; those before it are kept in `got`."""
        while True:
            message = await self.hear()
            if message["t"] == t:
                return message
            self.got.append(message)

    async def texts(self, upto: str) -> list[tuple[int, str]]:
        """Numbers and texts of the outputs that come, up to the one that is `upto`."""
        found: list[tuple[int, str]] = []
        while not found or found[-1][1] != upto:
            message = await self.expect("text")
            found.append((message["n"], message["d"]))
        return found


class V1(Hearing):
    """A client of `holdfast.v1` that does nothing by itself."""

    def __init__(self, ws: ClientConnection) -> None:
        super().__init__()
        self.ws = ws

    async def say(self, t: str, **fields: Any) -> None:
        """Send a message."""
        await self.ws.send(json.dumps({"t": t, **fields}))

    def say_at_once(self, messages: Iterable[dict[str, Any]]) -> None:
        """Send messages in one write."""
        for message in messages:
            self.ws.protocol.send_text(json.dumps(message).encode())
        self.ws.transport.write(b"".join(self.ws.protocol.data_to_send()))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(SECONDS):
            message: dict[str, Any] = json.loads(await self.ws.recv())
        return message

    async def closed(self) -> tuple[int, str]:
        """Wait for the end; its code and reason. What comes before it is kept in `got`."""
        try:
            while True:
                self.got.append(await self.hear())
        except ConnectionClosed as error:
            return (error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else (1006, "")

    def drop(self) -> None:
        """Vanish: the connection is reset."""
        break_off(self.ws.transport.get_extra_info("socket"))
        self.ws.transport.abort()


@asynccontextmanager
async def v1_at(where: int, **hello: Any) -> AsyncIterator[V1]:
    """A `holdfast.v1` client at a port of this machine, which has said hello."""
    url = f"ws://127.0.0.1:{where}/"
    offered = [Subprotocol("holdfast.v1")]
    async with connect(
        url,
        subprotocols=offered,
        proxy=None,
        ping_interval=None,
        close_timeout=1,
        max_queue=None,
        open_timeout=None,  # the test's own limit holds
    ) as ws:
        client = V1(ws)
        await client.say("hello", **hello)
        yield client


def v1(gateway: Gateway, **hello: Any) -> AbstractAsyncContextManager[V1]:
    """A `holdfast.v1` client that has said hello."""
    return v1_at(port(gateway, "ws"), **hello)


class Plain:
    """A WebSocket client without sub-protocol, as a browser is: it keeps its cookie."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        assert ws.response is not None
        self.cookie = ws.response.headers["Set-Cookie"].partition(";")[0]

    async def hear(self) -> str | bytes:
        """The next message."""
        async with asyncio.timeout(SECONDS):
            return await self.ws.recv()

    async def texts(self, upto: str) -> list[str | bytes]:
        """The messages that come, up to the one that is `upto`."""
        found = [await self.hear()]
        while found[-1] != upto:
            found.append(await self.hear())
        return found

    def drop(self) -> None:
        """Vanish: the connection is reset."""
        break_off(self.ws.transport.get_extra_info("socket"))
        self.ws.transport.abort()


@asynccontextmanager
async def plain(gateway: Gateway, cookie: str = "") -> AsyncIterator[Plain]:
    """A plain WebSocket client."""
    url = f"ws://127.0.0.1:{port(gateway, 'ws')}/"
    headers = {"Cookie": cookie} if cookie else {}
    async with connect(
        url, additional_headers=headers, proxy=None, ping_interval=None, close_timeout=1
    ) as ws:
        yield Plain(ws)
