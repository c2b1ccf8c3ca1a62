"""`connect`: what can go wrong, and coming back."""

from __future__ import annotations

import asyncio

import pytest
from tests.net.helpers import patience, serving
from tests.websocket.helpers import echo, until, url

from holdfast.core.backoff import Backoff
from holdfast.core.errors import ConfigurationError
from holdfast.net.runtime.timers import Timers
from holdfast.websocket import (
    DeflateSettings,
    DialError,
    HandshakeError,
    Refusal,
    Request,
    ServerWebSocket,
    State,
    connect,
    serve,
)
from holdfast.websocket import client as client_module


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client_module, "_PAUSE_SECONDS_MAX", 0.002)


async def test_nobody_there_is_a_dial_error() -> None:
    async with serve(echo) as server:
        address = url(server)
    with pytest.raises(DialError):
        await connect(address)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        connect("http://127.0.0.1/")


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async with serving() as silent:
        address = await silent.listen("tcp://127.0.0.1:0")
        with pytest.raises(TimeoutError, match="did not answer"):
            # Long enough to get the connection itself on a busy machine.
            await connect(f"ws://127.0.0.1:{address.port}/", open_timeout=1.0)


async def test_a_server_that_hangs_up_is_told_apart() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")

        async def hang_up() -> None:
            (await server.stand()).connection.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            with pytest.raises(HandshakeError, match="before it answered the handshake") as caught:
                await connect(f"ws://127.0.0.1:{address.port}/")
    assert caught.value.status == 0


async def test_an_answer_that_is_no_websocket_is_a_handshake_error() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")

        async def answer() -> None:
            (await server.stand()).connection.write(b"SSH-2.0-OpenSSH\r\n\r\n")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answer())
            with pytest.raises(HandshakeError, match="malformed status line"):
                await connect(f"ws://127.0.0.1:{address.port}/")


async def answer_of(url: str) -> None:
    await connect(url)


async def test_cancelling_while_connecting_leaves_nothing_open() -> None:
    async with serving() as silent:
        address = await silent.listen("tcp://127.0.0.1:0")
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(answer_of(f"ws://127.0.0.1:{address.port}/"))
            stand = await silent.stand()
            connecting.cancel()
        await stand.until_lost()


@pytest.mark.parametrize("settings", [None, "deflate", DeflateSettings(client_max_window_bits=9)])
async def test_compression_is_agreed_on(settings: DeflateSettings | None) -> None:
    async with (
        serve(echo) as server,
        connect(url(server), compression=settings) as ws,
        patience(),
    ):
        assert (ws._core.deflate is None) is (settings is None)
        for _ in range(3):
            await ws.send("again and " * 500)
            assert await ws.recv() == "again and " * 500


async def test_idle_clients_share_what_keeps_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[Timers] = []
    turn = Timers._turn

    def count(self: Timers) -> None:
        turns.append(self)
        turn(self)

    async with serve(echo) as server:
        monkeypatch.setattr(Timers, "_turn", count)
        crowd = [await connect(url(server)) for _ in range(20)]
        for _ in range(3):
            with pytest.raises(DialError):
                await connect("ws://127.0.0.1:1/")
        (timers,) = {each for each in turns if each is not server._runtime.timers}
        for ws in crowd[:-1]:
            await ws.close()
        before = turns.count(timers)
        await until(lambda: turns.count(timers) > before + 1)  # it turns while one is left
        await crowd[-1].close()
        assert timers._handle is None


async def test_reconnecting() -> None:
    served = 0

    async def once(ws: ServerWebSocket) -> None:
        nonlocal served
        served += 1
        await ws.send(str(served))

    got: list[str | bytes] = []
    async with serve(once) as server, patience():
        async for ws in connect(url(server)):
            got.extend([message async for message in ws])
            if len(got) == 3:
                break
        assert ws.state is State.CLOSED
    assert got == ["1", "2", "3"]


async def test_pauses_grow_until_a_connection_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[float] = []

    class Recorded(Backoff):
        __slots__ = ()

        def pause(self, entropy: float, lasted: float = 0.0) -> float:
            chosen.append(super().pause(1.0, 60.0 if len(chosen) == 4 else lasted))
            return 0.0

    async def hang_up(ws: ServerWebSocket) -> None:
        pass

    monkeypatch.undo()
    monkeypatch.setattr(client_module, "Backoff", Recorded)
    async with serve(hang_up) as server, patience():
        async for _ in connect(url(server)):
            if len(chosen) == 6:
                break
    assert chosen == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2]


async def test_reconnecting_waits_for_a_server_that_is_away() -> None:
    asked = 0

    def judge(ws: ServerWebSocket, request: Request) -> Refusal | None:
        nonlocal asked
        asked += 1
        return ws.respond(503, "later") if asked < 4 else None

    async with serve(echo, process_request=judge) as server, patience():
        async for ws in connect(url(server)):
            await ws.send("at last")
            assert await ws.recv() == "at last"
            break
    assert asked == 4


async def test_reconnecting_gives_up_on_what_can_never_succeed() -> None:
    async with serve(echo, process_request=lambda ws, _: ws.respond(404, "no")) as server:
        with pytest.raises(HandshakeError) as caught:
            await anext(aiter(connect(url(server))))
        assert caught.value.status == 404
