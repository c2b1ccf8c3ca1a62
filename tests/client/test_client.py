"""The client against a real gateway, over a network that fails."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar
from unittest.mock import ANY

import msgspec
import pytest
from tests.client.relay import Relay, relayed
from tests.gateway.certificates import certificate
from tests.gateway.running import (
    SECONDS,
    WS,
    Stage,
    configured,
    eventually,
    linked,
    port,
    serving,
    staged,
)
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from holdfast import client as c
from holdfast.app import Authenticate, Refusal
from holdfast.client import connect
from holdfast.core.errors import ClosedError, Reason
from holdfast.core.items import Span
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway
from holdfast.net.tls.contexts import client_context
from holdfast.protocols import holdfast_v1 as wire

T = TypeVar("T")


async def hear(client: c.Client, kind: type[T]) -> T:
    """The next event of this kind; what was before it is dropped."""
    async with asyncio.timeout(SECONDS):
        while True:
            event = await client.receive()
            assert isinstance(event, kind) or not isinstance(event, c.Ended), event
            if isinstance(event, kind):
                return event


async def texts(client: c.Client, upto: str) -> list[str]:
    """The texts that come, up to the one that is `upto`; nothing may be missing."""
    found: list[str] = []
    async with asyncio.timeout(SECONDS):
        while not found or found[-1] != upto:
            match await client.receive():
                case c.Text(d=text):
                    found.append(text)
                case c.Began() | c.Ended() | c.Refused() as event:
                    raise AssertionError((event, found))
                case _:
                    pass
    return found


def at(where: int) -> str:
    return f"ws://127.0.0.1:{where}/"


def of(gateway: Gateway) -> str:
    return at(port(gateway, "ws"))


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


@asynccontextmanager
async def played(
    folder: Path, limits: Limits | None = None
) -> AsyncIterator[tuple[Gateway, Stage, Relay]]:
    """A gateway, an application and a network between them and their client."""
    config = configured(folder, [WS], limits=limits)
    async with staged(config) as (gateway, stage), relayed(port(gateway, "ws")) as relay:
        yield gateway, stage, relay


# --- talking


async def test_every_kind_of_output_and_of_command(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway)) as client,
    ):
        assert not client.online
        client.command("said before there was a connection")
        online = await hear(client, c.Online)
        assert online == c.Online(client.state.sid, fresh=True)
        assert client.online
        await stage.noted("open")
        await stage.noted("text", "said before there was a connection")
        session = stage.session
        assert session.sid == client.state.sid
        await session.text("A room ☃")
        assert (await hear(client, c.Text)).d == "A room ☃"
        await session.formatted("bold", [Span(0, 4, "bold")])
        assert (await hear(client, c.Formatted)).s == ([0, 4, "bold"],)
        await session.data("Room.Info", {"exits": ["n"]})
        data = await hear(client, c.Data)
        assert (data.p, msgspec.json.decode(data.d)) == ("Room.Info", {"exits": ["n"]})
        await session.binary(b"\0\xff")
        assert (await hear(client, c.Binary)).d == b"\0\xff"
        await session.prompt("> ")
        assert (await hear(client, c.Prompt)).d == "> "
        await session.input_mode("secret")
        assert (await hear(client, c.InputMode)).d == "secret"
        client.command("look ☃")
        client.data("Char", {"hp": 1})
        client.interrupt()
        client.resize(100, 30)
        await stage.noted("text", "look ☃")
        await stage.noted("data", "Char", {"hp": 1})
        await stage.noted("interrupt")
        await stage.noted("resize", 100, 30)


async def test_quitting_ends_the_session(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway)) as client,
    ):
        await hear(client, c.Online)
        await stage.noted("open")
        client.quit()
        await stage.noted("close", "client_left")
        ended = await hear(client, c.Ended)
        assert ended == c.Ended("goodbye")
        with pytest.raises(ClosedError):
            await client.receive()
        assert [event async for event in client] == []


async def test_quitting_while_cut_off_ends_the_session_as_soon_as_it_can_be(
    tmp_path: Path,
) -> None:
    async with played(tmp_path) as (_, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await stage.noted("open")
        relay.refuses = True
        relay.cut()
        await hear(client, c.Offline)
        client.command("the last word")
        client.quit()
        assert client.quitting
        relay.refuses = False
        await stage.noted("text", "the last word")
        await stage.noted("close", "client_left")
        assert await hear(client, c.Ended) == c.Ended("goodbye")
        assert not client.quitting
        assert client.state.pending == []


async def test_who_quits_a_session_that_is_gone_by_then_begins_no_other(tmp_path: Path) -> None:
    async with played(tmp_path) as (gateway, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await stage.noted("open")
        relay.refuses = True
        relay.cut()
        await hear(client, c.Offline)
        client.quit()
        (session,) = gateway.manager.sessions.values()
        gateway.manager.close(session, Reason.TIMEOUT)
        relay.refuses = False
        assert await hear(client, c.Ended) == c.Ended("your session had ended already")
        assert not client.quitting
        assert not gateway.manager.sessions


async def test_who_is_sent_away_for_good_stays_away(tmp_path: Path) -> None:
    async with played(tmp_path) as (_, stage, relay), connect(at(relay.port)) as client:
        await stage.noted("open")
        await stage.session.close("kicked")
        assert (await hear(client, c.Bye)).reason == Reason.KICKED.value
        assert await hear(client, c.Ended) == c.Ended("your session was closed")
        assert relay.connections == 1


async def test_what_fails_inside_the_block_comes_out_of_it(tmp_path: Path) -> None:
    async def fail(url: str) -> None:
        async with connect(url) as client:
            await hear(client, c.Online)
            raise LookupError("mine")

    async with staged(configured(tmp_path, [WS])) as (gateway, _):
        with pytest.raises(LookupError, match="mine"):
            await fail(of(gateway))


async def test_a_gateway_says_how_large_a_message_may_be(tmp_path: Path) -> None:
    limits = Limits().but(session={"queue_bytes_max": 1000})
    async with (
        staged(configured(tmp_path, [WS], limits=limits)) as (gateway, stage),
        connect(of(gateway)) as client,
    ):
        client.command("x" * 2000)  # before anything is known
        assert (await hear(client, c.Dropped)).reason == "refused"
        with pytest.raises(ValueError, match="a message of at most 1000 bytes, found about 1024"):
            client.command("x" * 1000)
        client.command("x" * 900)
        client.command("after")
        await stage.heard("x" * 900, "after")


async def test_a_gateway_whose_store_went_back_in_time(tmp_path: Path) -> None:
    """It takes what is said later, and what it has forgotten is told."""
    store, backup = tmp_path / "store", tmp_path / "backup"
    store.mkdir()
    async with serving(configured(store, [WS])) as gateway, linked(gateway, Stage()):
        url = of(gateway)
        async with connect(url) as client:
            client.command("one")
            await client.drain()
            shutil.copytree(store, backup, ignore=shutil.ignore_patterns("link*"))
            client.command("two")
            client.command("three")
            await client.drain()
            state = client.state
    async with (
        staged(configured(backup, [url])) as (_, stage),
        connect(url, state=state) as client,
    ):
        assert await hear(client, c.Uncertain) == c.Uncertain(2, 3)
        client.command("four")
        await stage.noted("text", "four")  # perhaps behind "one": that it was done may be forgotten
        await client.drain()


# --- a network that fails


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause to speak of before the next attempt."""
    monkeypatch.setattr("holdfast.client.reconnector._PAUSE_SECONDS_MAX", 0.001)


@pytest.mark.usefixtures("at_once")
async def test_cut_off_anywhere_everything_comes_once_and_in_order(tmp_path: Path) -> None:
    async with played(tmp_path) as (_, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await stage.noted("open")
        # Within the head, the answer to the hello, or an output.
        relay.budgets = [1, 100, *range(130, 700, 9)]
        cuts = len(relay.budgets)
        for number in range(50):
            client.command(f"command {number}")
        relay.cut()
        await stage.count(1, 200)
        assert await texts(client, "200") == numbers(1, 200)
        await stage.heard(*(f"command {number}" for number in range(50)))
        while relay.budgets:  # what is left of them
            client.reconnect()
            await hear(client, c.Online)
        assert relay.connections > cuts
        await stage.count(201, 210)
        assert await texts(client, "210") == numbers(201, 210)
        assert len(stage.app.sessions) == 1


async def test_the_gateway_is_restarted(tmp_path: Path) -> None:
    stage = Stage()
    async with serving(configured(tmp_path, [WS])) as gateway, linked(gateway, stage):
        url = of(gateway)
    config = configured(tmp_path, [url])
    async with connect(url) as client:
        assert "Connection refused" in (await hear(client, c.Offline)).reason
        async with staged(config) as (gateway, stage):
            await stage.noted("open")
            await stage.count(1, 3)
            assert await texts(client, "3") == numbers(1, 3)
            gateway.stop()
            assert (await hear(client, c.Bye)).code == 1012
        client.command("look")
        async with staged(config) as (gateway, stage):
            await stage.heard("look")
            await stage.count(4, 6)
            assert await texts(client, "6") == numbers(4, 6)


async def test_a_gateway_that_falls_silent_is_left(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"heartbeat_seconds_max": 0.3})
    async with played(tmp_path, limits) as (_, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await stage.noted("open")
        relay.silent = True
        offline = await hear(client, c.Offline)
        assert offline.reason == "nothing was heard from the gateway for too long"
        relay.silent = False
        relay.cut()
        await stage.count(1, 3)
        assert await texts(client, "3") == numbers(1, 3)


async def test_a_quiet_session_is_kept_alive(tmp_path: Path) -> None:
    """The heartbeat is the gateway's, from the first beat on."""
    limits = Limits().but(
        websocket={"heartbeat_seconds_max": 0.7}, connection={"idle_seconds_max": 2.0}
    )
    async with played(tmp_path, limits) as (_, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await asyncio.sleep(2.5)
        await stage.count(1, 1)
        assert await texts(client, "1") == ["1"]
        assert relay.connections == 1


async def test_outputs_are_acknowledged_soon(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway)) as client,
    ):
        await stage.noted("open")
        (session,) = gateway.manager.sessions.values()
        await stage.count(1, 3)
        assert await texts(client, "3") == numbers(1, 3)
        await eventually(lambda: session.out.base == 3)


async def test_who_does_not_read_for_long_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.client.reconnector._EVENTS_MAX", 5)
    limits = Limits().but(websocket={"heartbeat_seconds_max": 0.6})
    async with played(tmp_path, limits) as (_, stage, relay), connect(at(relay.port)) as client:
        await stage.noted("open")
        await stage.count(1, 5)
        await asyncio.sleep(2.4)
        assert client.online
        assert await texts(client, "5") == numbers(1, 5)
        assert relay.connections == 1


async def test_the_limit_of_time_is_for_the_handshake_alone(tmp_path: Path) -> None:
    limits = Limits().but(connection={"handshake_seconds_max": 0.2})
    async with (
        played(tmp_path) as (_, stage, relay),
        connect(at(relay.port), limits=limits) as client,
    ):
        await hear(client, c.Online)
        await asyncio.sleep(0.6)
        await stage.count(1, 1)
        assert await texts(client, "1") == ["1"]
        assert relay.connections == 1


# --- sessions that go elsewhere


async def test_what_is_kept_goes_on_in_the_next_program(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, [WS])) as (gateway, stage):
        async with connect(of(gateway)) as client:
            await stage.noted("open")
            await stage.count(1, 2)
            assert await texts(client, "2") == numbers(1, 2)
        client.command("look")
        kept = msgspec.json.encode(client.state)
        state = msgspec.json.decode(kept, type=c.State)
        async with connect(of(gateway), state=state) as client:
            assert not (await hear(client, c.Online)).fresh
            assert await hear(client, c.Began) == c.Began("fresh")  # on an empty screen
            await stage.heard("look")
            await stage.noted("resync", "fresh")
            await stage.count(3, 4)
            assert await texts(client, "4") == numbers(3, 4)
            assert len(stage.app.sessions) == 1


async def test_the_older_of_two_with_one_token_is_sent_away(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway)) as older,
    ):
        await hear(older, c.Online)
        state = msgspec.json.decode(msgspec.json.encode(older.state), type=c.State)
        async with connect(of(gateway), state=state) as newer:
            await hear(newer, c.Began)
            ended = await hear(older, c.Ended)
            assert ended == c.Ended("your session was taken over by a newer connection")
            await stage.count(1, 1)
            assert await texts(newer, "1") == ["1"]


@pytest.mark.parametrize("attempts", [0, 100])
async def test_a_code_takes_the_session_up_elsewhere(tmp_path: Path, attempts: int) -> None:
    """However often either of the two has connected."""
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway), state=c.State(attempts=attempts)) as phone,
        connect(of(gateway)) as desk,
    ):
        sid = (await hear(phone, c.Online)).sid
        await hear(desk, c.Online)
        phone.ask_code()
        desk.resume((await hear(phone, c.Code)).d)
        assert await hear(phone, c.Ended) == c.Ended(
            "your session was taken over by a newer connection"
        )
        await hear(desk, c.Offline)
        assert await hear(desk, c.Online) == c.Online(sid, fresh=False)
        desk.reconnect()
        await hear(desk, c.Offline)
        assert await hear(desk, c.Online) == c.Online(sid, fresh=False)
        desk.command("look")
        await stage.noted("text", "look")


async def test_a_wrong_code_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        connect(of(gateway)) as client,
    ):
        await hear(client, c.Online)
        sid = client.state.sid
        client.resume("ABCD-2345")
        await hear(client, c.Refused)
        assert await hear(client, c.Online) == c.Online(sid, fresh=False)
        await stage.count(1, 2)
        assert await texts(client, "2") == numbers(1, 2)


async def test_a_session_that_is_gone_is_followed_by_a_new_one(tmp_path: Path) -> None:
    async with played(tmp_path) as (gateway, stage, relay), connect(at(relay.port)) as client:
        await hear(client, c.Online)
        await stage.noted("open")
        relay.cut()
        await hear(client, c.Offline)
        assert not client.online
        await stage.noted("detach", "network_error")
        (session,) = gateway.manager.sessions.values()
        gateway.manager.close(session, Reason.TIMEOUT)
        client.command("lost")
        await hear(client, c.Refused)
        assert await client.receive() == c.Dropped("gone", (wire.Command(1, "lost"),))
        assert await client.receive() == c.Began("expired")
        client.command("look")
        assert (await hear(client, c.Online)).fresh
        await stage.heard("look")


@pytest.mark.parametrize("attempts", [0, 100])
async def test_logging_in_and_taking_up_what_was_left_behind(tmp_path: Path, attempts: int) -> None:
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> str:
        if claim.password != "right":
            raise Refusal("Wrong.")
        return claim.username

    async with serving(configured(tmp_path, [WS])) as gateway, linked(gateway, stage):
        async with connect(of(gateway), state=c.State(attempts=attempts)) as client:
            await hear(client, c.Login)
            client.login("ann", "wrong")
            assert (await hear(client, c.Login)).error == "Wrong."
            client.login("ann", "right")
            await stage.noted("open")
            sid = client.state.sid
        await stage.until(lambda: not stage.session.attached)
        async with connect(of(gateway)) as client:
            await hear(client, c.Login)
            client.login("ann", "right")
            await hear(client, c.Offer)
            client.take_offer()
            assert (await hear(client, c.Online)).sid == client.state.sid == sid
            await stage.noted("resume")
            client.command("look")
            await stage.noted("text", "look")
            client.reconnect()
            await hear(client, c.Offline)
            assert (await hear(client, c.Online)).sid == sid


# --- TLS


def secured(folder: Path) -> tuple[Config, str]:
    """A configuration with one wss listener, and its authority's file."""
    pair = certificate(folder)
    config = configured(folder, [WS])
    listener = ListenerConfig(url="wss://127.0.0.1:0/", certificate=pair)
    return msgspec.structs.replace(config, listener=(listener,)), pair.cert


async def test_wss(tmp_path: Path) -> None:
    config, authority = secured(tmp_path)
    async with staged(config) as (gateway, stage):
        url = f"wss://127.0.0.1:{port(gateway, 'wss')}/"
        async with connect(url, tls=client_context(authority)) as client:
            await stage.noted("open")
            client.command("look")
            await stage.heard("look")
            await stage.count(1, 100)
            assert await texts(client, "100") == numbers(1, 100)


async def test_wss_with_a_stranger(tmp_path: Path) -> None:
    config, _ = secured(tmp_path)
    async with staged(config) as (gateway, _):
        url = f"wss://127.0.0.1:{port(gateway, 'wss')}/"
        async with connect(url) as client:
            offline = await hear(client, c.Offline)
            assert offline.reason.startswith(f"{url}: ")
            assert "certificate verify failed" in offline.reason


# --- servers that are no gateway


@asynccontextmanager
async def server(
    says: Callable[[ServerConnection], Awaitable[None]], subprotocol: str | None = "holdfast.v1"
) -> AsyncIterator[str]:
    """A WebSocket server of another make."""
    spoken = [Subprotocol(subprotocol)] if subprotocol else None

    async def handle(connection: ServerConnection) -> None:
        await says(connection)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, subprotocols=spoken) as running:
        yield at(running.sockets[0].getsockname()[1])


WELCOME = '{"t":"welcome","sid":"S","token":"t","epoch":"E","seq":0,"heartbeat":30}'

FAULTS = {
    "not-json": ("{", "a malformed message: Input data was truncated"),
    "unknown": ('{"t":"what"}', "a malformed message: Invalid value 'what' - at `$.t`"),
    "gap": ('{"t":"text","n":2,"d":""}', "output 2 came after 0"),
}


@pytest.mark.parametrize(("message", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_told_and_the_pauses_grow(message: str, reason: str) -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send(WELCOME)
        await connection.send(message)

    async with server(say) as url, connect(url) as client:
        first, second = await hear(client, c.Offline), await hear(client, c.Offline)
        assert first.reason == second.reason == reason
        assert 0.05 <= first.retry_seconds <= 0.1 <= second.retry_seconds <= 0.2


async def test_a_frame_that_breaks_the_protocol_is_told() -> None:
    async def say(connection: ServerConnection) -> None:
        connection.transport.write(b"\x83\x00")

    async with server(say) as url, connect(url) as client:
        offline = await hear(client, c.Offline)
        assert offline.reason == "opcode 0x3 is reserved"


async def test_a_server_of_another_protocol_is_told() -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send("hello")

    async with server(say, None) as url, connect(url) as client:
        offline = await hear(client, c.Offline)
        assert offline.reason == "the server does not speak holdfast.v1; it chose none"


async def test_signs_of_life_tell_what_was_seen() -> None:
    heard: list[str | bytes] = []

    async def say(connection: ServerConnection) -> None:
        await connection.send(WELCOME.replace("30", "0.7"))
        await connection.send('{"t":"text","n":1,"d":""}')
        heard.append(await connection.recv())
        async for message in connection:
            heard.append(message)
            await connection.send('{"t":"pong"}')

    async with server(say) as url, connect(url) as client:
        await eventually(lambda: len(heard) >= 4)
        assert heard[1:4] == ['{"t":"ping","n":1}'] * 3
        assert client.online


GOODBYES: dict[str, tuple[int, c.Offline | c.Ended]] = {
    "come-back": (2000, c.Offline("tea time", 2.0)),
    "stay-away": (-1, c.Ended("tea time")),
}


@pytest.mark.parametrize(("retry_ms", "event"), GOODBYES.values(), ids=GOODBYES)
async def test_a_goodbye_says_when_to_come_back(retry_ms: int, event: object) -> None:
    async def say(connection: ServerConnection) -> None:
        fields = f'"code":1012,"reason":"shutdown","text":"tea time","retry_ms":{retry_ms}'
        await connection.send(f'{{"t":"bye",{fields}}}')
        await connection.close(1012, "tea time")

    async with server(say) as url, connect(url) as client:
        await hear(client, c.Bye)
        assert await client.receive() == event


@pytest.mark.parametrize(("code", "returns"), [(1000, False), (1012, True), (4001, False)])
async def test_a_close_without_goodbye(code: int, returns: bool) -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.close(code, "why")

    async with server(say) as url, connect(url) as client:
        event = await client.receive()
        assert isinstance(event, c.Offline if returns else c.Ended)
        assert event.reason == "why"


async def test_an_answer_that_is_no_websocket() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with (
        await asyncio.start_server(refuse, "127.0.0.1", 0) as running,
        connect(at(running.sockets[0].getsockname()[1])) as client,
    ):
        assert "503" in (await hear(client, c.Offline)).reason


async def test_a_refusal_for_a_limit_of_rate_keeps_the_token() -> None:
    hellos: list[str | bytes] = []

    async def say(connection: ServerConnection) -> None:
        hellos.append(await connection.recv())
        if len(hellos) == 1:
            await connection.send('{"t":"refused","reason":"too many","retry_ms":50}')
        else:
            await connection.send(WELCOME)

    state = c.State(sid="S", token="t", epoch="E", last=3)
    async with server(say) as url, connect(url, state=state) as client:
        assert (await hear(client, c.Refused)).retry_ms == 50
        assert (await hear(client, c.Offline)).reason == "too many"
        await hear(client, c.Online)
        assert [msgspec.json.decode(hello)["token"] for hello in hellos] == ["t", "t"]


async def test_a_message_that_is_too_large_for_a_gateway_that_does_not_say_so() -> None:
    heard: list[str] = []

    async def say(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(WELCOME)
        async for message in connection:
            if len(message) > 100:
                await connection.close(1009, "at most 100 bytes are taken")
            else:
                heard.append(msgspec.json.decode(message)["d"])

    async with server(say) as url, connect(url) as client:
        for text in ("a", "x" * 200, "b"):
            client.command(text)
        dropped = await hear(client, c.Dropped)
        assert [command.d for command in dropped.commands] == ["x" * 200]  # type: ignore[union-attr]
        assert (await hear(client, c.Offline)).reason == "at most 100 bytes are taken"
        await eventually(lambda: "b" in heard)


async def test_who_answers_nothing_is_left() -> None:
    limits = Limits().but(connection={"handshake_seconds_max": 0.05})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with connect(at(silent.getsockname()[1]), limits=limits) as client:
            assert await hear(client, c.Offline) == c.Offline("timeout", ANY)
