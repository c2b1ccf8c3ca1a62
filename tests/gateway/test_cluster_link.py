"""One application behind several gateways on one PostgreSQL database."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from msgspec import structs
from tests.cli.process import program, run
from tests.gateway.admin.asking import administered
from tests.gateway.clients import v1, v1_at
from tests.gateway.running import SECONDS, WS, acting, configured, eventually, serving
from tests.gateway.test_cluster import others_of
from tests.gateway.test_metrics import scraped
from tests.gateway.test_postgresql import LIMITS, acknowledged
from tests.ports import free_port
from tests.postgresql import Cluster

from holdfast.app import App, Session
from holdfast.backends.link.server_config import LinkConfig
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.sessions.records import Found
from holdfast.sessions.stores.base import StoreError


class Chat:
    """An application that answers, and the nodes that it may link to."""

    def __init__(self, url: str, folder: Path) -> None:
        self.app = App("chat")
        self.called: list[str] = []
        self.heard: list[str] = []
        self.url = url
        self.folder = folder
        for name in ("open", "adopt", "move", "close"):
            getattr(self.app, f"on_{name}")(self._noting(name))

        @self.app.on_text
        async def answer(session: Session, text: str) -> None:
            self.heard.append(text)
            await session.text(f"re: {text}")

    def _noting(self, name: str):  # type: ignore[no-untyped-def]
        async def note(session: Session, *args: object) -> None:
            self.called.append(name)

        return note

    @property
    def session(self) -> Session:
        (session,) = self.app.sessions.values()
        return session

    def config(self, node: str, durability: Literal["fast", "durable"] = "fast") -> Config:
        folder = self.folder / node
        folder.mkdir(exist_ok=True)
        config = configured(folder, [WS], durability=durability, limits=LIMITS)
        return structs.replace(config, node=node, store=StoreConfig(url=self.url))

    async def until_linked(self, *names: str) -> None:
        async with asyncio.timeout(SECONDS):
            await self.app.progress.until(
                lambda: sorted(node.name for node in self.app.nodes if node.linked) == list(names)
            )

    @asynccontextmanager
    async def at(self, gateway: Gateway) -> AsyncIterator[None]:
        """Link it to this gateway, and so to all, while the block runs."""
        async with acting(self.app, str(gateway.link_address)):
            yield


@pytest_asyncio.fixture
async def chat(postgresql: Cluster, tmp_path: Path) -> AsyncIterator[Chat]:
    database = await postgresql.empty_database()
    yield Chat(postgresql.url(database), tmp_path)
    await postgresql.give_back(database)


async def test_an_application_finds_all_gateways_and_keeps_a_session_that_moves(
    chat: Chat,
) -> None:
    async with (
        serving(chat.config("a")) as first,
        serving(chat.config("b")) as second,
        chat.at(first),
    ):
        await chat.until_linked("a", "b")
        last, hello, seen = 0, dict[str, object](), set[Session]()
        for turn, gateway in enumerate([first, second, first, second, second, first], 1):
            async with v1(gateway, **hello) as client:
                entered = await client.expect("welcome" if turn == 1 else "resumed")
                await client.say("cmd", c=turn, d=f"{turn}")
                last += 2 if turn > 1 else 1
                wanted = [f"while away {turn - 1}"] if turn > 1 else []
                found = await client.texts(f"re: {turn}")
                assert [text for _, text in found] == [*wanted, f"re: {turn}"]
                seen.add(chat.session)
                assert chat.session.node.name == gateway.config.node
                hello = {"token": entered["token"], "epoch": entered["epoch"], "last": last}
            await chat.session.text(f"while away {turn}")
        assert seen == {chat.session}
        assert chat.called == ["open"]
        assert chat.heard == [f"{turn}" for turn in range(1, 7)]


async def test_an_application_goes_on_with_the_sessions_of_a_gateway_that_has_ended(
    chat: Chat,
) -> None:
    async with serving(administered(chat.config("b"))) as second, chat.at(second):
        hurried = LIMITS.but(drain={"moves_seconds_max": 1e-9})
        async with serving(structs.replace(chat.config("a"), limits=hurried)) as first:
            await chat.until_linked("a", "b")
            for backend in first.backends.all:  # so that nothing moves before it has ended
                backend.moves.may_move = lambda session: False  # type: ignore[method-assign]
            async with v1(first) as client:
                welcome = await client.expect("welcome")
                await client.say("cmd", c=1, d="one")
                await client.texts("re: one")
                hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
                session = chat.session
        await session.text("while away")
        async with v1(second, **hello) as client:
            await client.expect("resumed")
            await client.say("cmd", c=2, d="two")
            found = await client.texts("re: two")
            assert [text for _, text in found] == ["while away", "re: two"]
        assert chat.session is session
        assert chat.heard == ["one", "two"]
        seen = await scraped(second)
        assert seen["holdfast_sessions_adopted_total"] == 1
        assert seen["holdfast_sessions_moved_total{in}"] == 0
        assert seen["holdfast_node_adoption_seconds_count"] == 1
        assert seen["holdfast_nodes_fenced_total"] == 0  # it has said that it stops


async def test_sessions_that_a_store_does_not_give_at_once_get_their_application_later(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(chat.config("b")) as second, chat.at(second):
        async with serving(chat.config("a")) as first:
            await chat.until_linked("a", "b")
            async with v1(first) as client:
                welcome = await client.expect("welcome")
                await client.say("cmd", c=1, d="one")
                await client.texts("re: one")
            assert second._store is not None
            take, failures = second._store.take, list[str]()

            async def fail_twice(sids: Sequence[str]) -> Found:
                if len(failures) < 2:
                    failures.extend(sids)
                    raise StoreError("the connection is broken")
                return await take(sids)

            monkeypatch.setattr(second._store, "take", fail_twice)
            for backend in first.backends.all:  # it is adopted, and does not move before
                monkeypatch.setattr(backend.moves, "may_move", lambda session: None)
        await eventually(lambda: len(failures) == 2)
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
        async with v1(second, **hello) as client:
            await client.expect("resumed")
            await client.say("cmd", c=2, d="two")
            await client.texts("re: two")


async def test_broadcasts_and_questions_reach_all_gateways(chat: Chat) -> None:
    async with (
        serving(chat.config("a")) as first,
        serving(chat.config("b")) as second,
        chat.at(first),
        v1(first) as one,
        v1(second) as two,
    ):
        await chat.until_linked("a", "b")
        for client in (one, two):
            await client.expect("welcome")
            await client.say("cmd", c=1, d="here")
            await client.texts("re: here")
        for session in chat.app.sessions.values():
            await session.identify("ann")
            await session.join("g")
        await chat.app.broadcast("g", "to all")
        for client in (one, two):
            await client.texts("to all")
        assert len(await chat.app.sessions_of("ann")) == 2
        assert await chat.app.count_members("g") == (2, 2)
        assert (await chat.app.publish("published", user="ann")).reached == 2
        for client in (one, two):
            await client.texts("published")


async def test_operators_see_all_gateways(chat: Chat) -> None:
    first, second = (administered(chat.config(node)) for node in "ab")
    async with serving(first) as one, serving(second) as other, chat.at(one):
        await chat.until_linked("a", "b")
        async with v1(one) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.texts("re: one")
        await eventually(lambda: one.journal.idle)
        code, out, err = await run("nodes", "--admin", str(one.admin_address))
        assert (code, err) == (0, "")
        nodes = [json.loads(line) for line in out.splitlines()]
        assert [(node["name"], node["link"], node["sessions"], node["here"]) for node in nodes] == [
            ("a", str(one.link_address), 1, True),
            ("b", str(other.link_address), 0, False),
        ]
        assert nodes[0]["silent_seconds"] == 0
        async with v1(other, token=welcome["token"], epoch=welcome["epoch"], last=1) as client:
            await client.expect("resumed")
        seen = await scraped(one)
        assert seen["holdfast_nodes"] == 2
        assert 0 <= seen["holdfast_store_sign_age_seconds"] < LIMITS.store.lease_seconds_max
        assert seen["holdfast_sessions_moved_total{out}"] == 1
        async with v1(other, token="A" * 64, epoch="e", last=0) as client:
            await client.expect("refused")
        seen = await scraped(other)
        assert seen["holdfast_sessions_moved_total{in}"] == 1
        assert {key: value for key, value in seen.items() if "_fetched_total" in key} == {
            "holdfast_sessions_fetched_total{here}": 1,
            "holdfast_sessions_fetched_total{kept}": 0,
            "holdfast_sessions_fetched_total{later}": 0,
            "holdfast_sessions_fetched_total{unknown}": 1,
        }


async def test_what_a_killed_gateway_had_not_stored_is_said_at_the_one_that_has_its_sessions(
    chat: Chat, tmp_path: Path
) -> None:
    port = free_port()
    path = tmp_path / "a.toml"
    path.write_text(
        f'node = "a"\n[store]\nurl = "{chat.url}"\n[limits.store]\nbeat_seconds_max = 0.1\n'
        f'[link]\nlisten = "unix:{tmp_path / "a.sock"}"\n'
        f'[[listener]]\nurl = "ws://127.0.0.1:{port}/"\ndurability = "durable"\n'
    )
    async with (
        serving(chat.config("b", "durable")) as second,
        chat.at(second),
        program("serve", str(path), folder=tmp_path) as it,
    ):
        await it.logged("listening for clients")
        await chat.until_linked("a", "b")
        async with v1_at(port) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.texts("re: one")
            (session,) = chat.app.sessions.values()
            it.send(signal.SIGSTOP)  # what is said now does not get there
            for number in range(3):
                await session.text(f"unheard {number}")
            await asyncio.sleep(0)
            it.send(signal.SIGKILL)
            await it.ends()
            await session.text("while away")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
        async with v1_at(second.addresses[0].port, **hello) as client:
            await client.expect("resumed")
            await client.say("cmd", c=2, d="two")
            found = [text for _, text in await client.texts("re: two")]
        assert found == ["unheard 0", "unheard 1", "unheard 2", "while away", "re: two"]
        assert chat.heard == ["one", "two"]
        assert chat.session is session
        assert chat.called == ["open"]


async def test_sessions_of_a_gateway_that_stops_go_to_one_with_their_application(
    chat: Chat,
) -> None:
    """They are served on, by the same instance, before their clients are back."""
    patient = LIMITS.but(drain={"moves_seconds_max": SECONDS})
    other = structs.replace(chat.config("c"), link=LinkConfig())
    async with (
        serving(chat.config("b")) as second,
        serving(other) as third,
        chat.at(second),
    ):
        async with serving(structs.replace(chat.config("a"), limits=patient)) as first:
            await chat.until_linked("a", "b")
            async with v1(first) as client:
                welcome = await client.expect("welcome")
                await client.say("cmd", c=1, d="one")
                await client.texts("re: one")
                session = chat.session
                await eventually(lambda: sum(run.accepts for run in others_of(first)) == 2)
                await eventually(lambda: sum(bool(run.apps) for run in others_of(first)) == 1)
                first.stop()
                assert (await client.closed())[0] == 1012
            await eventually(lambda: session.node.name == "b")
            await session.text("while away")
        assert (second.manager.counts.moved_in, third.manager.counts.moved_in) == (1, 0)
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
        async with v1(second, **hello) as client:
            await client.expect("resumed")
            await client.say("cmd", c=2, d="two")
            found = await client.texts("re: two")
            assert [text for _, text in found] == ["while away", "re: two"]
        assert chat.called == ["open"]


async def test_sessions_go_to_a_gateway_that_has_their_application(chat: Chat) -> None:
    """One that the application cannot reach tells their clients to go there."""
    hasty = LIMITS.but(store={"unlinked_seconds_max": 0.2})
    alone = structs.replace(chat.config("b"), link=LinkConfig(), limits=hasty)
    async with serving(chat.config("a")) as first:
        earlier = Chat(chat.url, chat.folder)
        async with earlier.at(first):
            await earlier.until_linked("a")  # so that it is known who may enter
        await eventually(lambda: first.journal.idle)
        async with serving(alone) as second, v1(second) as client, chat.at(first):
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await acknowledged(client)
            assert (await client.closed())[0] == 4506
            hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
            async with v1(second, **hello) as client:
                assert (await client.closed())[0] == 4506  # it would have to wait here
            async with v1(first, **hello) as client:
                await client.expect("resumed")
                await client.texts("re: one")
        assert chat.called == ["open"]
        assert chat.heard == ["one"]
