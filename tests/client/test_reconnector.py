"""Keeping connected: against real servers, with pauses that are looked at and not waited for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.net.helpers import Serving, patience, serving, unix

from holdfast.client import reconnector as module
from holdfast.client.gateway_addresses import GatewayAddresses
from holdfast.client.reconnector import Ended, Offline, Reconnector
from holdfast.core.backoff import Backoff
from holdfast.core.errors import ClosedError
from holdfast.core.limits import Limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection

Shown = str | Offline | Ended


class ClientHandler(module.ClientHandler):
    """Reads text, a word an event; how it ends is what the test says."""

    def __init__(
        self, connection: Connection, reconnector: Reconnector[str, ClientHandler]
    ) -> None:
        super().__init__(connection)
        self.reason = "cut off"
        self.data = b""
        self._reconnector = reconnector

    def connected(self) -> None:
        pass

    def received(self, data: bytes) -> None:
        self.data += data
        for word in data.decode().split():
            match word.partition("="):
                case ("online", _, lasted):
                    self.online_at = self.connection.time() - float(lasted or 0)
                case ("elsewhere", _, _):
                    self.elsewhere = True
                case ("retry", _, ""):
                    self.retry_seconds = None
                case ("retry", _, seconds):
                    self.retry_seconds = float(seconds)
                case _:
                    self._reconnector.put(word)

    def lost(self, cause: Exception | None) -> None:
        self._reconnector.lost()


class Kept:
    """A running reconnector and what came of it."""

    def __init__(
        self, reconnector: Reconnector[str, ClientHandler], running: asyncio.Task[None]
    ) -> None:
        self.reconnector = reconnector
        self.running = running

    async def next(self) -> Shown:
        async with patience():
            return await self.reconnector.receive()

    async def offline(self) -> Offline:
        event = await self.next()
        assert isinstance(event, Offline), event
        return event


@contextlib.asynccontextmanager
async def kept(
    address: str | Address | list[Address], limits: Limits | None = None
) -> AsyncIterator[Kept]:
    """Keep connected to `address` while the block runs."""
    several = address if isinstance(address, list) else [address]
    parsed = [parse_address(each) if isinstance(each, str) else each for each in several]

    def make(connection: Connection) -> ClientHandler:
        return ClientHandler(connection, reconnector)

    reconnector: Reconnector[str, ClientHandler] = Reconnector(
        GatewayAddresses(parsed, lambda addresses: None), make, limits or Limits(), None
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reconnector.run())
        try:
            yield Kept(reconnector, running)
        finally:
            running.cancel()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause might be; it is none at all."""
    chosen: list[float] = []

    class Noted(Backoff):
        def pause(self, entropy: float, lasted: float = 0.0) -> float:
            chosen.append(super().pause(1.0, lasted))
            return 0.0

    monkeypatch.setattr(module, "Backoff", Noted)
    return chosen


async def ended(server: Serving, number: int, last_words: str = "") -> None:
    """Let the server end its connection of this number, once it stands."""
    stand = await server.stand(number)
    stand.connection.write(last_words.encode())
    stand.connection.close()


# --- pauses


async def test_pauses_grow_while_nobody_answers(tmp_path: Path, pauses: list[float]) -> None:
    async with kept(unix(tmp_path)) as it:
        for _ in range(10):
            assert await it.offline() == Offline(
                f"{unix(tmp_path)}: No such file or directory", 0.0
            )
    assert pauses[:10] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[10.0] * 3]


async def test_pauses_differ_from_client_to_client(tmp_path: Path) -> None:
    waits = set()
    for _ in range(5):
        async with kept(unix(tmp_path)) as it:
            waits.add((await it.offline()).retry_seconds)
    assert len(waits) == 5
    assert all(0.05 <= wait <= 0.1 for wait in waits)


async def test_pauses_grow_until_a_connection_has_lasted(
    tmp_path: Path, pauses: list[float]
) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        for number, words in enumerate(["", "", "online", "online=9", "online=10", "online=1", ""]):
            await ended(server, number, words)
            assert await it.offline() == Offline("cut off", 0.0)
    assert pauses[:7] == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2, 0.4]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("asked", "pause"),
    [("0", 0.0), ("0.001", 0.001), ("2000", 2000.0), ("3600", 3600.0), ("1e300", 3600.0)],
)
async def test_the_gateway_may_ask_for_a_longer_pause(
    tmp_path: Path, asked: str, pause: float
) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        await ended(server, 0, f"online retry={asked}")
        assert await it.offline() == Offline("cut off", pause)


async def test_a_shorter_one_than_ours_is_not_taken(tmp_path: Path) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        await ended(server, 0, "online retry=0.001")
        assert 0.05 <= (await it.offline()).retry_seconds <= 0.1


# --- several addresses


@pytest.mark.usefixtures("pauses")
async def test_a_try_that_makes_no_session_is_followed_by_the_next_address(tmp_path: Path) -> None:
    missing = unix(tmp_path / "missing")
    async with serving() as server:
        listens = await server.listen(unix(tmp_path))
        async with kept([parse_address(missing), listens]) as it:
            assert (await it.offline()).reason == f"{missing}: No such file or directory"
            await ended(server, 0, "retry=0.001")  # refused, and asked to come back
            assert await it.offline() == Offline("cut off", 0.001)
            assert (await it.offline()).reason == f"{missing}: No such file or directory"
            await ended(server, 1, "online")
            assert (await it.offline()).reason == "cut off"
            await ended(server, 2, "online")  # it comes back to where its session is
            assert (await it.offline()).reason == "cut off"
            await ended(server, 3, "online elsewhere")
            assert (await it.offline()).reason == "cut off"
            assert (await it.offline()).reason == f"{missing}: No such file or directory"
            await server.stand(4)


async def test_pauses_double_in_each_round_of_all_addresses(
    tmp_path: Path, pauses: list[float]
) -> None:
    several = [parse_address(unix(tmp_path / name)) for name in "ab"]
    async with kept(several) as it:
        for _ in range(5):
            await it.offline()
    assert pauses[:5:2] == pytest.approx([0.1, 0.2, 0.4])
    assert pauses[0] < pauses[1] < pauses[2]


# --- the end


async def test_who_shall_not_come_back_stays_away(tmp_path: Path) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        await ended(server, 0, "online a retry=")
        assert [await it.next(), await it.next()] == ["a", Ended("cut off")]
        async with patience():
            await it.running
        with pytest.raises(ClosedError, match="the session has ended"):
            await it.next()
        assert [event async for event in it.reconnector.events()] == []
        assert len(server.stands) == 1


async def test_events_end_with_the_session(tmp_path: Path) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        await ended(server, 0, "a b retry=")
        async with patience():
            assert [event async for event in it.reconnector.events()] == [
                "a",
                "b",
                Ended("cut off"),
            ]


@pytest.mark.parametrize("steps", range(8))
async def test_cancelled_at_any_step_it_lets_go_of_everything(tmp_path: Path, steps: int) -> None:
    async with serving() as server:
        async with kept(await server.listen(unix(tmp_path))) as it:
            for _ in range(steps):
                await asyncio.sleep(0)
            it.running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await it.running
            if steps:  # a task that was cancelled before its first step has done nothing
                with pytest.raises(ClosedError):
                    await it.next()
        for stand in server.stands:
            await stand.until_lost()


# --- in a hurry


async def test_a_pause_can_be_cut_short(tmp_path: Path) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        await ended(server, 0, "retry=3600")
        assert (await it.offline()).retry_seconds == 3600
        it.reconnector.reconnect()
        await ended(server, 1, "retry=3600")
        await it.offline()
        await asyncio.sleep(0.02)
        assert len(server.stands) == 2, "the next pause was cut short, too"


async def test_a_connection_can_be_changed_for_a_new_one_at_once(tmp_path: Path) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        stand = await server.stand()
        stand.connection.write(b"a")
        assert await it.next() == "a"
        assert it.reconnector.handler is not None
        it.reconnector.handler.retry_seconds = 3600
        it.reconnector.reconnect()
        await stand.until_lost()
        await it.offline()
        await server.stand(1)


# --- limits


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many events may wait."""
    monkeypatch.setattr(module, "_EVENTS_MAX", 10)
    return 10


async def until(condition: Callable[[], object]) -> None:
    async with patience():
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def test_who_does_not_read_gets_no_more(tmp_path: Path, few: int) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        stand = await server.stand()
        stand.connection.write(b"x " * few)
        await until(lambda: it.reconnector.full)
        stand.connection.write(b"y")
        await asyncio.sleep(0.02)
        assert it.reconnector.handler is not None
        assert b"y" not in it.reconnector.handler.data
        assert [await it.next() for _ in range(few + 1)] == ["x"] * few + ["y"]


async def test_and_is_not_connected_again_before_there_is_room(
    tmp_path: Path, few: int, pauses: list[tuple[float, float]]
) -> None:
    async with serving() as server, kept(await server.listen(unix(tmp_path))) as it:
        stand = await server.stand()
        stand.connection.write(b"x " * 3 * few)
        await until(lambda: it.reconnector.full)
        assert it.reconnector.handler is not None
        it.reconnector.handler.connection.abort()  # what is not read from does not tell of its end
        await until(lambda: pauses)
        await asyncio.sleep(0.02)
        assert len(server.stands) == 1
        assert [await it.next() for _ in range(3 * few)] == ["x"] * 3 * few
        await it.offline()
        stand = await server.stand(1)
        stand.connection.write(b"y")
        assert await it.next() == "y"


async def test_a_dial_has_a_limit_of_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = Limits().but(connection={"handshake_seconds_max": 0.05})
        url = f"tls://127.0.0.1:{silent.getsockname()[1]}"
        async with kept(url, limits) as it:
            assert (await it.offline()).reason == f"{url}: no answer within 0.05 s"


async def test_so_has_the_handshake_after_it(tmp_path: Path) -> None:
    limits = Limits().but(connection={"handshake_seconds_max": 0.05})

    async with serving() as server, kept(await server.listen(unix(tmp_path)), limits) as it:
        await server.stand()
        await it.offline()
        await server.stand(1)
