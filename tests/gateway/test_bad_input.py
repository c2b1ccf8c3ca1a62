"""Whatever comes over the network ends at most the connection that it came on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.gateway.adapters.wire import CLOSE, frames
from tests.gateway.certificates import certificate
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import (
    SECONDS,
    Stage,
    configured,
    eventually,
    linked,
    port,
    serving,
    staged,
)
from tests.protocols.websocket.wire import frame

from holdfast.app import App
from holdfast.backends import link
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway

SHORT = Limits().but(connection={"handshake_seconds_max": 0.3, "close_seconds_max": 0.2})
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: holdfast.v1\r\n\r\n"
)


@asynccontextmanager
async def raw(
    gateway: Gateway, scheme: str, **options: object
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to a listener."""
    where = port(gateway, scheme)
    reader, writer = await asyncio.open_connection("127.0.0.1", where, **options)  # type: ignore[arg-type]
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything that the gateway says until it closes."""
    async with asyncio.timeout(SECONDS):
        return await reader.read()


async def answer(gateway: Gateway, scheme: str, data: bytes) -> bytes:
    """What the gateway says to `data`, until it closes."""
    async with raw(gateway, scheme) as (reader, writer):
        writer.write(data)
        return await to_the_end(reader)


@asynccontextmanager
async def watched(config: Config) -> AsyncIterator[tuple[Gateway, Stage]]:
    """A gateway at which somebody plays on, undisturbed by what else happens."""
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await client.say("cmd", c=1, d="before")
        await stage.noted("text", "before")
        yield gateway, stage
        await client.say("cmd", c=2, d="after")
        await stage.noted("text", "after")
        await eventually(lambda: len(gateway.pool) == 1)


# --- WebSocket


HELLO = HANDSHAKE + frame(1, b'{"t":"hello"}')


BAD_FRAMES: dict[str, tuple[bytes, int]] = {
    "unmasked": (frame(1, b"x", key=None), 1002),
    "reserved-bit": (frame(1, b"x", rsv=4), 1002),
    "unknown-opcode": (frame(3, b"x"), 1002),
    "long-control-frame": (frame(9, bytes(126)), 1002),
    "lonely-continuation": (frame(0, b"x"), 1002),
    "not-utf-8": (frame(1, b"\xff"), 1007),
    "too-large": (frame(1, bytes(70_000)), 1009),
    "too-large-to-be-true": (b"\x81\xff" + (1 << 62).to_bytes(8, "big") + bytes(4), 1009),
    "bad-close-code": (frame(8, b"\x03\xed"), 1002),
    "not-json": (frame(1, b"look"), 1002),
    "unknown-message": (frame(1, b'{"t":"dance"}'), 1002),
    "binary": (frame(2, b"look"), 1002),
    "enormous-number": (frame(1, b'{"t":"resize","width":' + b"9" * 40 + b',"height":1}'), 1002),
}


@asynccontextmanager
async def welcomed(
    gateway: Gateway,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection that has become a session of holdfast.v1."""
    async with raw(gateway, "ws") as (reader, writer):
        writer.write(HELLO)
        await reader.readuntil(b'"heartbeat":30.0')
        await reader.readuntil(b"}")
        yield reader, writer


@pytest.mark.parametrize(("data", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_a_bad_frame_is_answered_with_its_code(
    tmp_path: Path, data: bytes, code: int
) -> None:
    async with watched(configured(tmp_path)) as (gateway, _), welcomed(gateway) as (reader, writer):
        writer.write(data)
        *_, (opcode, payload) = frames(await to_the_end(reader))
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)


async def test_a_command_before_hello_is_a_fault(tmp_path: Path) -> None:
    async with watched(configured(tmp_path, limits=SHORT)) as (gateway, _):
        command = frame(1, b'{"t":"cmd","c":1,"d":"look"}')
        said = await answer(gateway, "ws", HANDSHAKE + command)
        (_, bye), (opcode, payload) = frames(said.partition(b"\r\n\r\n")[2])
        assert json.loads(bye)["text"] == "expected hello first"
        assert (opcode, payload) == (CLOSE, b"\x03\xeaexpected hello first")


async def test_too_many_fragments(tmp_path: Path) -> None:
    few = Limits().but(websocket={"fragments_max": 10})
    async with (
        watched(configured(tmp_path, limits=few)) as (gateway, _),
        welcomed(gateway) as (reader, writer),
    ):
        writer.write(frame(1, b"", fin=False) + frame(0, b"", fin=False) * 20)
        *_, (opcode, payload) = frames(await to_the_end(reader))
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xf1")  # 1009


HEADS: dict[str, tuple[bytes, bytes]] = {
    "nonsense": (b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 400 "),
    "endless": (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000, b"HTTP/1.1 431 "),
    "many-headers": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"HTTP/1.1 431 "),
    "old-version": (HANDSHAKE.replace(b": 13", b": 8"), b"HTTP/1.1 426 "),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b""),
}


@pytest.mark.parametrize(("data", "status"), HEADS.values(), ids=HEADS)
async def test_a_bad_head(tmp_path: Path, data: bytes, status: bytes) -> None:
    quick = Limits().but(connection={"handshake_seconds_max": 0.3})
    async with watched(configured(tmp_path, limits=quick)) as (gateway, _):
        assert (await answer(gateway, "ws", data)).startswith(status)


async def test_impatience_before_a_plain_handshake_is_answered_is_bounded(tmp_path: Path) -> None:
    async with watched(configured(tmp_path)) as (gateway, _):
        request = HANDSHAKE.replace(b"Sec-WebSocket-Protocol: holdfast.v1\r\n", b"")
        async with raw(gateway, "ws") as (reader, writer):
            writer.write(request + frame(1, b"look") * 1000)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")


# --- Telnet and lines


NOT_TELNET: dict[str, tuple[bytes, bytes]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"This port speaks Telnet.\r\n"),
    "ssh": (b"SSH-2.0-OpenSSH_9\r\n", b"This port speaks Telnet.\r\n"),
    "tls": (b"\x16\x03\x01\x02\x00", b"\x15\x03\x01\x00\x02\x02\x28"),
    "a-flood-of-negotiation": (
        b"\xff\xfd\x63" * 1000,
        b"*** Too many commands and negotiations.\r\n",
    ),
    "overlong-subnegotiations": (
        (b"\xff\xfa\x18" + b"x" * 2000 + b"\xff\xf0") * 3,
        b"*** Too many overlong subnegotiations.\r\n",
    ),
}


@pytest.mark.parametrize(("data", "end"), NOT_TELNET.values(), ids=NOT_TELNET)
async def test_what_is_no_telnet(tmp_path: Path, data: bytes, end: bytes) -> None:
    async with watched(configured(tmp_path)) as (gateway, _):
        assert (await answer(gateway, "telnet", data)).endswith(end)


NO_LINES: dict[str, tuple[bytes, bytes]] = {
    "http": (b"POST / HTTP/1.1\r\nHost: x\r\n\r\ndrop sword\r\n", b"lines of text.\n"),
    "ssh": (b"SSH-2.0-OpenSSH_9\r\n", b"lines of text.\n"),
    "tls": (b"\x16\x03\x01\x02\x00", b"\x15\x03\x01\x00\x02\x02\x28"),
}


@pytest.mark.parametrize(("data", "end"), NO_LINES.values(), ids=NO_LINES)
async def test_what_is_no_client_of_lines(tmp_path: Path, data: bytes, end: bytes) -> None:
    async with watched(configured(tmp_path)) as (gateway, stage):
        assert (await answer(gateway, "tcp", data)).endswith(end)
        assert stage.texts == []


async def test_half_a_subnegotiation_does_not_swallow_the_session(tmp_path: Path) -> None:
    async with (
        watched(configured(tmp_path)) as (gateway, stage),
        person(gateway, "telnet") as someone,
    ):
        someone.sends(b"\xff\xfa\x18\xff\xf0\xff\xf0\xff\x01look\r\n")
        await someone.shown_code()
        await stage.noted("text", "look")


@pytest.mark.parametrize("scheme", ["tcp", "telnet"])
async def test_a_line_that_is_too_long_is_discarded_with_a_word(
    tmp_path: Path, scheme: str
) -> None:
    async with (
        watched(configured(tmp_path)) as (gateway, stage),
        person(gateway, scheme) as someone,
    ):
        await someone.shown_code()
        someone.types("x" * 20_000, "look")
        await someone.sees("*** That line was too long and was not taken")
        await stage.heard("look")


async def test_who_sends_on_and_on_gets_to_read_why_it_is_sent_away(tmp_path: Path) -> None:
    """A socket that is closed with unread bytes in it is reset, and the answer with it."""
    async with (
        watched(configured(tmp_path)) as (gateway, _),
        raw(gateway, "telnet") as (
            reader,
            writer,
        ),
    ):
        writer.write(b"\xff\xfd\x63" * 1_000_000)
        await writer.drain()
        writer.write_eof()
        assert b"*** Too many commands" in await to_the_end(reader)


async def test_of_a_line_without_end_a_person_is_told_once(tmp_path: Path) -> None:
    async with watched(configured(tmp_path)) as (gateway, stage), person(gateway, "tcp") as someone:
        await someone.shown_code()
        for _ in range(5):
            someone.sends(b"x" * 20_000)
            await asyncio.sleep(0)
        someone.types("", "look")
        await stage.heard("look")
        await list(stage.app.sessions.values())[-1].text("done")
        assert (await someone.sees("done\n")).count("too long") == 1


@pytest.mark.parametrize("scheme", ["ws", "telnet", "tcp"])
async def test_noise(tmp_path: Path, scheme: str) -> None:
    quick = Limits().but(
        connection={"handshake_seconds_max": 0.3}, telnet={"negotiation_seconds_max": 0.1}
    )
    dice = random.Random(4711)
    async with watched(configured(tmp_path, limits=quick)) as (gateway, _):
        for size in (1, 10, 100, 1000, 10_000):
            async with raw(gateway, scheme) as (_, writer):
                writer.write(dice.randbytes(size))
                await writer.drain()
        await eventually(lambda: len(gateway.listeners.clients.connections) == 1)


# --- those who do not go on

HALF_OPEN: dict[str, tuple[bytes, bytes]] = {
    "half-a-head": (HANDSHAKE[:60], b"HTTP/1.1 408 "),
    "no-hello": (HANDSHAKE, b"HTTP/1.1 101 "),
    "half-a-hello": (HANDSHAKE + frame(1, b'{"t":"hello"}')[:9], b"HTTP/1.1 101 "),
}


@pytest.mark.parametrize(("data", "begin"), HALF_OPEN.values(), ids=HALF_OPEN)
async def test_a_handshake_that_does_not_go_on_is_ended(
    tmp_path: Path, data: bytes, begin: bytes
) -> None:
    async with watched(configured(tmp_path, limits=SHORT)) as (gateway, _):
        said = await answer(gateway, "ws", data)
        assert said.startswith(begin)
        assert b"nothing was heard from you for too long" in said


async def test_a_connection_without_a_request_is_closed_without_an_answer(tmp_path: Path) -> None:
    """A browser that opens connections in advance takes an answer on one of them for its next
    request's."""
    async with watched(configured(tmp_path, limits=SHORT)) as (gateway, _):
        assert await answer(gateway, "ws", b"") == b""
    async with serving(configured(tmp_path)) as gateway, raw(gateway, "ws") as (reader, _):
        await eventually(lambda: len(gateway.listeners.clients.connections) == 1)
        gateway.stop()
        assert await to_the_end(reader) == b""


async def test_others_are_served_while_handshakes_hang(tmp_path: Path) -> None:
    long = Limits().but(connection={"handshake_seconds_max": 60})
    async with staged(configured(tmp_path, limits=long)) as (gateway, stage):
        hanging = [
            await asyncio.open_connection("127.0.0.1", port(gateway, "ws")) for _ in range(200)
        ]
        for _, writer in hanging:
            writer.write(HANDSHAKE[:30])
        await eventually(lambda: len(gateway.listeners.clients.connections) == 200)
        async with v1(gateway) as client:
            await client.say("cmd", c=1, d="look")
            await stage.heard("look")
        for _, writer in hanging:
            writer.transport.abort()


async def test_a_tls_handshake_that_does_not_go_on_is_ended(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=SHORT)
    secure = ListenerConfig(
        url="tls://127.0.0.1:0", certificate=certificate(tmp_path), durability="memory"
    )
    config = Config(
        listener=(*config.listener, secure),
        store=config.store,
        link=config.link,
        limits=config.limits,
    )
    async with watched(config) as (gateway, _):
        assert await answer(gateway, "tls", b"\x16\x03\x01") == b""
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        options = {"ssl": context, "server_hostname": "localhost"}
        async with raw(gateway, "tls", **options) as (reader, writer):
            writer.write(b"look\n")
            await reader.readuntil(b"connect again and type")


async def test_who_is_idle_for_too_long_is_sent_away_and_may_come_back(tmp_path: Path) -> None:
    idle = Limits().but(connection={"idle_seconds_max": 0.3})
    async with (
        staged(configured(tmp_path, limits=idle)) as (gateway, stage),
        person(gateway, "tcp") as someone,
    ):
        code = await someone.shown_code()
        assert await someone.rest() == (
            "*** Nothing was heard from you for too long.\n"
            f'*** Connect again and type "resume {code}".\n'
        )
        await stage.noted("detach", "timeout")


async def test_a_silent_websocket_is_pinged_and_then_given_up(tmp_path: Path) -> None:
    quick = SHORT.but(websocket={"heartbeat_seconds_max": 0.7})
    async with (
        staged(configured(tmp_path, limits=quick)) as (gateway, stage),
        plain(gateway) as lively,  # it answers pings
    ):
        async with raw(gateway, "ws") as (reader, writer):
            writer.write(HELLO)
            said = await to_the_end(reader)
            opcodes = [opcode for opcode, _ in frames(said.partition(b"\r\n\r\n")[2])]
            assert 9 in opcodes
            assert b"nothing was heard from you" in said
        await lively.ws.send("still here")
        await stage.noted("text", "still here")


async def test_who_answers_pings_is_not_silent_whenever_it_last_spoke(tmp_path: Path) -> None:
    beat = 0.8
    quick = Limits().but(websocket={"heartbeat_seconds_max": beat})

    async def speaks(gateway: Gateway, after: float) -> None:
        async with plain(gateway) as client:
            await asyncio.sleep(after)
            await client.ws.send("here")
            await asyncio.sleep(4 * beat)
            assert client.ws.close_code is None, after

    async with (
        staged(configured(tmp_path, limits=quick)) as (gateway, _),
        asyncio.TaskGroup() as tasks,
    ):
        for number in range(40):
            tasks.create_task(speaks(gateway, number / 40 * 2 * beat))


# --- too many


async def test_no_more_connections_than_the_limit(tmp_path: Path) -> None:
    few = Limits().but(connection={"connections_max": 2})
    async with serving(configured(tmp_path, limits=few)) as gateway:
        count = gateway.listeners.clients.connections.__len__
        async with raw(gateway, "tcp"):
            async with raw(gateway, "tcp"):
                await eventually(lambda: count() == 2)
                async with raw(gateway, "tcp") as (reader, _):
                    with contextlib.suppress(ConnectionError):
                        assert await to_the_end(reader) == b""
            await eventually(lambda: count() == 1)
            async with raw(gateway, "tcp") as (reader, _):
                assert await reader.readline()


# --- Unix sockets and the rest of the addresses


async def test_a_unix_socket_is_a_listener_of_lines(tmp_path: Path) -> None:
    config = configured(tmp_path, [f"unix:{tmp_path / 'clients'}"])
    async with staged(config) as (_, stage):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "clients"))
        writer.write(b"look\n")
        await stage.heard("look")
        assert (stage.session.protocol, stage.session.address) == ("unix", "unix")
        code = (await reader.readline()).decode().split('"resume ')[1].split('"')[0]
        writer.close()
        await stage.noted("detach", "client_left")
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "clients"))
        writer.write(f"resume {code}\n".encode())
        assert await reader.readline() == b"*** Welcome back. Your session goes on.\n"
        writer.transport.abort()
    assert not socket_file(tmp_path)


def socket_file(folder: Path) -> bool:
    return (folder / "clients").exists()


async def test_two_listeners_lead_to_two_applications(tmp_path: Path) -> None:
    config = configured(tmp_path)
    first, second, _ = config.listener
    config = Config(
        listener=(
            ListenerConfig(url=first.url, backend=link.Config("chat")),
            ListenerConfig(url=second.url, backend=link.Config("mud")),
        ),
        store=config.store,
        link=config.link,
    )
    async with (
        serving(config) as gateway,
        linked(gateway, Stage("chat")) as chat,
        linked(gateway, Stage("mud")) as mud,
        v1(gateway) as client,
        person(gateway, "telnet") as someone,
    ):
        await client.say("cmd", c=1, d="hello")
        await someone.shown_code()
        someone.types("look")
        await chat.heard("hello")
        await mud.heard("look")


async def test_an_unknown_application_is_told_what_is_expected(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, app="chat")) as gateway:
        with pytest.raises(ConfigurationError) as caught:
            await App("mud").serve(str(gateway.link_address))
        assert str(caught.value) == (
            f"{gateway.link_address}: found application 'mud', expected one of: chat"
        )
