"""The links of an application to several nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.app.gateways import QUICK, FakeGateway, fake_gateway, running
from tests.net.helpers import patience

from holdfast.app import App
from holdfast.app.publishing import UnknownSessionError
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.sessions.publishing import Published, Targets


@contextlib.asynccontextmanager
async def two_nodes(tmp_path: Path) -> AsyncIterator[tuple[FakeGateway, FakeGateway]]:
    """Two nodes, which name each other."""
    async with fake_gateway(tmp_path, name="a") as a, fake_gateway(tmp_path, name="b") as b:
        a.node, b.node = "a", "b"
        a.nodes = b.nodes = addresses(a, b)
        yield a, b


def addresses(*gateways: FakeGateway) -> list[m.NodeAddress]:
    return [m.NodeAddress(each.node, str(each.address)) for each in gateways]


def names(app: App) -> list[str]:
    return sorted(node.name for node in app.nodes if node.linked)


async def until(app: App, *linked: str) -> None:
    async with patience():
        await app.progress.until(lambda: names(app) == sorted(linked))


async def test_one_address_leads_to_all_nodes(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        assert [hello.instance for hello in a.hellos + b.hellos] == [app.instance] * 2
        await app.broadcast("g", "to all")
        await a.until(lambda gateway: gateway.numbers == [1])
        await b.until(lambda gateway: gateway.numbers == [1])


async def test_an_address_that_does_not_answer_is_followed_by_the_next(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (_, b):
        wrong = f"unix:{tmp_path / 'missing'}"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(app.serve([wrong, str(b.address)]))
            await until(app, "a", "b")
            app.stop()


async def test_sessions_of_each_node_are_at_their_node(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        for gateway, sid in ((a, "at-a"), (b, "at-b")):
            gateway.tell(m.SessionEvent(sid, 0, m.Opened(m.SessionInfo(sid, "active"))))
        async with patience():
            await app.progress.until(lambda: len(app.sessions) == 2 and app.idle)
        for sid in ("at-a", "at-b"):
            await app.sessions[sid].text("hello")
        for gateway, sid in ((a, "at-a"), (b, "at-b")):
            await gateway.until(lambda it: it.outputs)
            assert [output.sid for output in gateway.outputs] == [sid]
        b.cut()
        await b.until_linked(2)
        assert b.hellos[-1].applied == {"at-b": 0}


async def test_a_node_that_comes_or_goes_is_logged_once(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    with structlog.testing.capture_logs() as logs:
        async with two_nodes(tmp_path) as (a, b), running(app, a.address):
            await until(app, "a", "b")
            for _ in range(3):
                a.peer.notify(m.NODES, m.Nodes(addresses(a, b)))
                b.peer.notify(m.NODES, m.Nodes(addresses(a, b)))
            for gateway in (a, b):
                gateway.peer.notify(m.NODES, m.Nodes(addresses(a)))
            b.cut()
            await until(app, "a")
            async with patience():
                await app.progress.until(lambda: len(app.nodes) == 1)
            a.peer.notify(m.NODES, m.Nodes(addresses(a, b)))
            await until(app, "a", "b")
    told = [(log["event"], log["node"]) for log in logs if log["event"].startswith("node ")]
    assert [each for each in told if each[1] == "b"] == [
        ("node found", "b"),
        ("node gone", "b"),
        ("node found", "b"),
    ]


async def test_a_node_is_there_that_any_of_them_names(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    with structlog.testing.capture_logs() as logs:
        async with (
            fake_gateway(tmp_path, name="c") as c,
            two_nodes(tmp_path) as (a, b),
            running(app, a.address),
        ):
            c.node, c.nodes = "c", addresses(c)
            b.nodes = addresses(b, c)
            await until(app, "a", "b", "c")
    assert [log["node"] for log in logs if log["event"] == "node gone"] == []


async def test_a_node_without_an_address_of_its_own_is_linked_again(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        a.nodes = b.nodes = addresses(b)
        await until(app, "a", "b")
        a.cut()
        await a.until_linked(2)
        await until(app, "a", "b")


async def test_the_first_node_is_not_looked_for_at_the_addresses_of_others(tmp_path: Path) -> None:
    """It ended, was there again, and ended before it was linked: one more link to another node
    would supersede that node's own, and what was said there would be nobody's."""
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), asyncio.TaskGroup() as tasks:
        tasks.create_task(app.serve([str(a.address), str(b.address)]))
        await until(app, "a", "b")
        for gateway in (a, b):
            gateway.peer.notify(m.NODES, m.Nodes(addresses(b)))
        a.cut()
        async with patience():
            await app.progress.until(lambda: len(app.nodes) == 1)
        missing = m.NodeAddress("a", f"unix:{tmp_path / 'missing'}")
        b.peer.notify(m.NODES, m.Nodes([missing, *addresses(b)]))
        b.tell(m.SessionEvent("s", 0, m.Opened(m.SessionInfo("s", "active"))))
        async with patience():
            await app.progress.until(lambda: "s" in app.sessions)
        assert len(app.nodes) == 2
        b.peer.notify(m.NODES, m.Nodes(addresses(b)))
        async with patience():
            await app.progress.until(lambda: len(app.nodes) == 1 or len(b.hellos) > 1)
        assert (names(app), len(b.hellos)) == (["b"], 1)
        app.stop()


async def test_another_node_at_a_nodes_address_is_not_taken_for_it(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        b.node = "c"
        b.cut()
        await b.until(lambda it: any("expected the node 'b', found 'c'" in end for end in it.ends))
        assert names(app) == ["a"]
        assert len(b.hellos) == 1


async def test_a_node_inherits_the_sessions_of_another(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        a.accepting = False
        a.tell(m.SessionEvent("s", 0, m.Opened(m.SessionInfo("s", "active"))))
        async with patience():
            await app.progress.until(lambda: "s" in app.sessions and app.idle)
        session = app.sessions["s"]
        for text in ("one", "two", "three"):
            await session.text(text)
        await a.until(lambda it: len(it.numbers) == 3)
        a.node = "dead"  # nothing that answers there is this node
        a.cut()
        await until(app, "b")
        b.peer.notify(m.INHERITED, m.Inherited("a", 0, 1))
        b.tell(m.SessionEvent("s", 0, m.Adopted(m.SessionInfo("s", "active"))))
        b.peer.notify(m.NODES, m.Nodes(addresses(b)))
        await b.until(lambda it: len(it.numbers) == 2)
        assert [output.item.text for output in b.outputs] == ["two", "three"]
        async with patience():
            await app.progress.until(lambda: len(app.nodes) == 1)
        await session.text("four")
        await b.until(lambda it: len(it.numbers) == 3)


@pytest.mark.parametrize("told", ["before the next run", "after it"])
async def test_a_node_is_there_again_before_another_one_has_told_of_its_sessions(
    tmp_path: Path, told: str
) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b):
        a.run = 1
        async with running(app, a.address):
            await until(app, "a", "b")
            a.accepting = False
            a.tell(m.SessionEvent("s", 0, m.Opened(m.SessionInfo("s", "active"))))
            async with patience():
                await app.progress.until(lambda: "s" in app.sessions and app.idle)
            session = app.sessions["s"]
            for text in ("one", "two", "three"):
                await session.text(text)
            await a.until(lambda it: len(it.numbers) == 3)
            inherited = m.Inherited("a", 1, 1)
            a.run = 4
            if told == "before the next run":
                a.node = "not there yet"
                a.cut()
                await until(app, "b")
                b.peer.notify(m.INHERITED, inherited)
                b.tell(m.SessionEvent("s", 0, m.Adopted(m.SessionInfo("s", "active"))))
                await b.until(lambda it: len(it.numbers) == 2)
                a.node = "a"
            else:
                a.fresh = 3
                a.cut()
            await a.until_linked(2)
            await until(app, "a", "b")
            if told == "after it":
                b.peer.notify(m.INHERITED, inherited)
                b.tell(m.SessionEvent("s", 0, m.Adopted(m.SessionInfo("s", "active"))))
            await session.text("four")
            await b.until(lambda it: len(it.numbers) == 3)
            assert [output.item.text for output in b.outputs] == ["two", "three", "four"]
            assert len(a.numbers) == 3
            assert a.hellos[-1].run == (0 if told == "before the next run" else 1)


async def test_a_node_whose_run_before_is_told_to_have_ended_after_hello_is_greeted_again(
    tmp_path: Path,
) -> None:
    """The outputs are numbered anew then. It would take the first ones for repeats."""
    app, answered = App("chat", limits=QUICK), asyncio.Event()
    async with two_nodes(tmp_path) as (a, b):
        a.run = 1
        async with running(app, a.address):
            await until(app, "a", "b")

            async def welcome_late() -> Any:
                await answered.wait()
                return a.welcome()

            a.run, a.fresh = 4, 2
            a.on_hello = lambda hello: welcome_late() if hello.run else a.welcome()
            a.cut()
            await a.until(lambda it: it.asked == 2)
            b.peer.notify(m.INHERITED, m.Inherited("a", 1, 2))
            async with patience():
                await app.progress.until(lambda: app.home.run == 0)
            a.fresh = 0
            answered.set()
            await a.until(lambda it: it.asked == 3)
            await until(app, "a", "b")
            assert (a.hellos[-1].run, a.hellos[-1].oldest) == (0, 1)


async def test_questions_are_asked_at_every_node(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        for gateway, sids in ((a, "13"), (b, "24")):
            found = [m.SessionInfo(sid, "active", user="ann") for sid in sids]
            gateway.answers[m.LIST] = found
            gateway.answers[m.MEMBERS] = m.Members(2, 1, found)
        assert sorted(found.sid for found in await app.sessions_of("ann")) == ["1", "2", "3", "4"]
        assert [found.sid for found in await app.members("g")] == ["1", "2", "3", "4"]
        assert await app.count_members("g") == (4, 2)
        assert await app.close_sessions_of("ann") == 4
        assert a.requests.count(m.CLOSE) == b.requests.count(m.CLOSE) == 2


async def test_a_publication_reaches_the_sessions_of_all_nodes(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with two_nodes(tmp_path) as (a, b), running(app, a.address):
        await until(app, "a", "b")
        a.answers[m.PUBLISH] = Published(2, 1, Targets(users=("bob", "nobody"), groups=("g",)))
        b.answers[m.PUBLISH] = Published(1, 1, Targets(users=("ann", "nobody")))
        found = await app.publish("x", user=["ann", "bob", "nobody"], group="g")
        assert found == Published(3, 2, Targets(users=("nobody",)))
        unknown = RequestError(m.UNKNOWN_SESSION, "no such session")
        a.answers[m.PUBLISH] = unknown
        assert (await app.publish("x", session="s")).reached == 1
        b.answers[m.PUBLISH] = unknown
        with pytest.raises(UnknownSessionError):
            await app.publish("x", session="s")
