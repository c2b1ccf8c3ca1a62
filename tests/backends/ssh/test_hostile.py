"""Servers that mean harm, or keep to no protocol: the user reads what is wrong, in a line that is
bounded and clean, and the gateway goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.auth import MSG_USERAUTH_INFO_REQUEST
from asyncssh.constants import DISC_BY_APPLICATION, DISC_PROTOCOL_ERROR, MSG_USERAUTH_BANNER
from asyncssh.packet import Boolean, Byte, String, UInt32
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import PASSWORD, scripted
from tests.backends.terminal.client import TermClient, term_client

from holdfast.core.limits import KIB, Limits

Writes = Callable[[asyncio.StreamWriter], Awaitable[None]]
SAID_CHARS_MAX = 3_200
"""Of a message with what a server says: 500 characters, each of which may be written out."""
ESCAPES = "\x1b]0;root\x07\x1b[2J\x1b]52;c;aGk=\x07\u202e"


async def fails(client: TermClient, *codes: str) -> str:
    """The terminal cannot be had; why."""
    error = await client.told("error")
    assert error["code"] in codes
    return clean(error["text"])


def clean(text: str) -> str:
    assert text.isprintable()
    assert len(text) <= SAID_CHARS_MAX
    return text


# --- before the login


@asynccontextmanager
async def raw(writes: Writes) -> AsyncIterator[int]:
    """A server that writes this to everybody, and reads until the client leaves; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await writes(writer)
            while await reader.read(64 * KIB):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def says(data: bytes) -> Writes:
    async def writes(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return writes


async def endless_lines(writer: asyncio.StreamWriter) -> None:
    for number in itertools.count():
        writer.write(b"line %d\x1b[2J\r\n" % number * 100)
        await writer.drain()


async def endless_line(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


VERSION = b"SSH-2.0-x\r\n"


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param(endless_lines, id="endless lines"),
        pytest.param(endless_line, id="an endless line"),
        pytest.param(says(b"SSH-2.0-" + b"x" * 5_000 + b"\r\n"), id="a long version"),
        pytest.param(says(b"SSH-1.5-\x1b[2J\r\n"), id="an old version"),
        pytest.param(says(VERSION + b"\xff" * 200), id="a packet of 4 GiB"),
        pytest.param(says(VERSION + b"\0\0\0\x0c\x0b" + bytes(200)), id="too much padding"),
        pytest.param(says(VERSION + b"\0\0\0\x0c\x04\x5e" + bytes(200)), id="data before the keys"),
    ],
)
async def test_what_is_no_ssh(tmp_path: Path, writes: Writes) -> None:
    async with (
        scripted(tmp_path) as good,
        raw(writes) as port,
        gateway_to(good, of_target={"port": port}) as gateway,
        term_client(gateway) as client,
    ):
        assert "'box' cannot be talked to" in await fails(client, "protocol")


@pytest.mark.parametrize(
    "writes",
    [
        pytest.param(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="HTTP"),
        pytest.param(says(VERSION + bytes(64)), id="packets of nothing"),
        pytest.param(says(VERSION + b"\0\0\x80\0\x04"), id="a packet that does not end"),
    ],
)
async def test_what_never_goes_on(tmp_path: Path, writes: Writes) -> None:
    limits = Limits().but(terminal={"login_seconds_max": 0.3})
    async with (
        scripted(tmp_path) as good,
        raw(writes) as port,
        gateway_to(good, limits, of_target={"port": port}) as gateway,
        term_client(gateway) as client,
    ):
        await fails(client, "protocol", "timeout")


# --- the login


class Asks(asyncssh.SSHServer):
    """It asks, and does what `attack` does when the client has come, or behind a question."""

    def __init__(self, attack: Callable[[Any], None]) -> None:
        behind = attack is asks_at_once
        self._attack = nothing if behind else attack
        self._attack_behind = attack if behind else nothing

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def begin_auth(self, username: str) -> bool:
        self._attack(self._conn)
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        asyncio.get_running_loop().call_soon(self._attack_behind, self._conn)
        return (ESCAPES, ESCAPES * 1_000, "", [(ESCAPES + "x" * 10_000, True)])

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        return ("", "", "", [("Again", True)])


@asynccontextmanager
async def asks(
    folder: Path, attack: Callable[[Any], None], patch: pytest.MonkeyPatch
) -> AsyncIterator[TermClient]:
    """A client before such a server."""
    patch.setattr("tests.backends.ssh.servers.Accounts", lambda *_: Asks(attack))
    async with (
        scripted(folder) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        yield client


def nothing(conn: Any) -> None:
    """Nothing but what it asks."""


async def test_a_question_is_one_line_without_controls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asks(tmp_path, nothing, monkeypatch) as client:
        prompt = await client.asked("prompt")
        clean(prompt["text"])
        told = [clean(message["text"]) for message in client.messages if message["t"] == "notify"]
        assert len(told) < 5


async def test_questions_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asks(tmp_path, nothing, monkeypatch) as client:
        for _ in range(32):
            await client.asked("prompt")
            await client.answers("yes")
        assert "more than 32 challenges" in await fails(client, "protocol")


def asks_at_once(conn: Any) -> None:
    """Questions behind one that is open."""
    question = String("") * 3 + UInt32(1) + String("Why") + Boolean(True)
    for _ in range(1_000):
        conn.send_packet(MSG_USERAUTH_INFO_REQUEST, question)


async def test_one_question_is_open_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest: a server that asks on takes no answer to the one before."""
    async with asks(tmp_path, asks_at_once, monkeypatch) as client:
        while (await client.asked("prompt"))["text"] != "Why":
            pass
        await client.answers("no")
        assert (await client.asked("prompt"))["text"] in ("Why", "Again")


def floods_with_banners(conn: Any) -> None:
    for _ in range(1_000):
        conn.send_packet(MSG_USERAUTH_BANNER, String(ESCAPES + "x" * 10_000), String(""))


async def test_banners_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asks(tmp_path, floods_with_banners, monkeypatch) as client:
        assert "more than 32 banners" in await fails(client, "protocol")


def leaves_with_words(conn: Any) -> None:
    conn.disconnect(DISC_PROTOCOL_ERROR, ESCAPES + "x" * 100_000, "")


async def test_the_last_words_of_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asks(tmp_path, leaves_with_words, monkeypatch) as client:
        assert "\\x1b]0;root" in await fails(client, "protocol")


# --- the terminal


async def logs_in_to(client: TermClient) -> None:
    await client.asked("password")
    await client.answers(PASSWORD)


Attack = Callable[[Any, int], object]


def packet(kind: int, *parts: bytes) -> Attack:
    """It sends this of the client's channel."""
    return lambda conn, channel: conn.send_packet(kind, UInt32(channel), *parts)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(packet(94, UInt32(999), b"abc"), id="data that is shorter than it says"),
        pytest.param(packet(94, UInt32(1), b"abc"), id="data that is longer than it says"),
        pytest.param(packet(94), id="data without a size"),
        pytest.param(packet(94, UInt32(1 << 31), b"x" * 30_000), id="data of 2 GiB"),
        pytest.param(packet(95, UInt32(1), UInt32(7), b"a"), id="extended data that is cut off"),
        pytest.param(
            lambda conn, channel: conn.send_packet(94, UInt32(channel + 1), String("x")),
            id="data of another channel",
        ),
        pytest.param(packet(93, b"\0"), id="a window that is cut off"),
        pytest.param(packet(97, b"more"), id="an end with more"),
        pytest.param(
            lambda conn, channel: conn.disconnect(DISC_PROTOCOL_ERROR, ESCAPES + "x" * 99_999, ""),
            id="last words",
        ),
        pytest.param(
            lambda conn, channel: conn.disconnect(DISC_BY_APPLICATION, ESCAPES, ""), id="a farewell"
        ),
        pytest.param(
            packet(98, String("exit-signal"), Boolean(False), String("\x1b[2J" * 1_000),
                   Boolean(False), String(ESCAPES), String("")),
            id="a signal that is none",
        ),
    ],
)  # fmt: skip
async def test_a_terminal_ends_with_a_reason(tmp_path: Path, attack: Attack) -> None:
    async def program(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"before")
        await process.stdin.read(1)
        channel: Any = process.channel
        attack(channel.get_connection(), channel._send_chan)
        process.close()

    async with scripted(tmp_path, program) as server, gateway_to(server) as gateway:
        async with term_client(gateway) as client:
            await logs_in_to(client)
            await client.sees("before")
            await client.types("x")
            ended = await client.told("exit")
            clean(ended["error"] or ended["signal"])
        async with term_client(gateway) as client:
            await client.asked("password")


async def test_packets_of_nothing_cost_no_terminal(tmp_path: Path) -> None:
    """Empty data, and packets that are to be ignored, between output."""

    async def program(process: asyncssh.SSHServerProcess[bytes]) -> None:
        channel: Any = process.channel
        conn = channel.get_connection()
        for number in range(200):
            process.stdout.write(b"%d," % number)
            conn.send_packet(94, UInt32(channel._send_chan), String(""))
            conn.send_packet(2, String(bytes(number)))
            conn.send_packet(4, Boolean(True), String(ESCAPES), String(""))
            conn.send_packet(192, Byte(0))
        await process.stdin.read(1)

    wanted = b"".join(b"%d," % number for number in range(200))
    async with (
        scripted(tmp_path, program) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await logs_in_to(client)
        assert await client.sees(wanted) == wanted
