"""Sessions that move between the nodes of a gateway: without a gateway and without a clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.net.helpers import patience

from holdfast.app import App, RefusedError, Session
from holdfast.app.node import Node
from holdfast.core.items import Text
from holdfast.core.limits import LinkLimits
from holdfast.link import messages as m

LEAVES = m.Moved(elsewhere=True)


class Moving:
    """An application with two nodes, `a` and `b`, and its session `s`, which is at `a`."""

    def __init__(self, tasks: asyncio.TaskGroup, limits: LinkLimits) -> None:
        self.app = App("test", limits=limits)
        self.a, self.b = self.app.home, Node(limits.window_bytes_max)
        self.heard: list[Any] = []
        self.gate = asyncio.Event()
        self.app.dispatcher.spawn = tasks.create_task
        self.app.on_text(self._text)
        for name in ("open", "adopt", "close", "move"):
            getattr(self.app, f"on_{name}")(self._hear(name))
        self.tell(self.a, m.Opened(m.SessionInfo("s", "active")))

    @property
    def session(self) -> Session:
        return self.app.sessions["s"]

    def _hear(self, name: str) -> Any:
        async def hear(session: Session, *args: object) -> None:
            self.heard.append(name)

        return hear

    async def _text(self, session: Session, text: str) -> None:
        await self.gate.wait()
        self.heard.append(text)
        await session.text(f"answer to {text}")

    def tell(self, node: Node, event: m.Event, cseq: int = 0) -> None:
        self.app.dispatcher.receive([m.SessionEvent("s", cseq, event)], node)

    def adopted(self, node: Node, applied: int = 0) -> None:
        self.tell(node, m.Adopted(m.SessionInfo("s", "active", applied=applied)))

    def accepts(self, node: Node, number: int) -> None:
        node.outgoing.accepted(number)
        self.app.dispatcher.moves.accepted()

    async def idle(self) -> None:
        self.gate.set()
        async with patience():
            await self.app.progress.until(lambda: self.app.idle)


@contextlib.asynccontextmanager
async def moving(limits: LinkLimits | None = None) -> AsyncIterator[Moving]:
    async with asyncio.TaskGroup() as tasks:
        it = Moving(tasks, limits or LinkLimits())
        await it.idle()
        it.heard.clear()
        yield it


def said(node: Node) -> list[tuple[int, str]]:
    """What is sent to a node: numbers and texts."""
    return [
        (params.bseq, params.item.text)
        for method, batch in node.outgoing.take()
        for params in (batch if method == m.EMIT else [batch])
    ]


def sids_and_texts(node: Node) -> list[tuple[str, str]]:
    return [(call.sid, call.item.text) for _, batch in node.outgoing.take() for call in batch]


async def test_outputs_follow_a_session_to_the_node_that_has_it_then() -> None:
    async with moving() as it:
        await it.session.text("one")
        assert said(it.a) == [(1, "one")]
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        it.accepts(it.a, 1)
        await it.session.text("three")
        assert said(it.a) == said(it.b) == []
        it.adopted(it.b)
        await it.session.text("four")
        assert said(it.b) == [(1, "two"), (2, "three"), (3, "four")]
        assert said(it.a) == []
        assert it.heard == [], "the session is this instance's all the time"


async def test_they_wait_until_the_first_node_has_stored_what_it_has() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        it.adopted(it.b)
        await it.session.text("three")
        assert said(it.b) == []
        it.accepts(it.a, 1)
        assert said(it.b) == [(1, "two"), (2, "three")]


async def test_what_a_node_that_died_had_not_stored_is_said_at_the_one_that_has_its_sessions() -> (
    None
):
    async with moving() as it:
        for text in ("one", "two", "three"):
            await it.session.text(text)
        await it.app.broadcast("g", "to others")
        before = it.a.outgoing
        it.app.dispatcher.unlink(it.a)
        await it.session.text("four")
        it.app.dispatcher.moves.ended(it.a, 1)
        assert it.a.outgoing is not before
        await it.session.text("five")
        it.adopted(it.b)
        await it.session.text("six")
        assert [text for _, text in said(it.b)] == ["two", "three", "four", "five", "six"]


async def test_nothing_is_said_at_a_node_that_died_before_another_one_has_its_sessions() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.app.dispatcher.unlink(it.a)
        it.app.dispatcher.moves.ended(it.a, 0)
        it.accepts(it.b, 0)
        it.app.dispatcher.moves.relinked(it.a)
        assert said(it.a) == []
        it.adopted(it.b)
        assert [text for _, text in said(it.b)] == ["one"]


@pytest.mark.parametrize("first", ["adopted", "settled"])
async def test_the_next_run_of_a_node_gets_nothing_that_was_said_to_the_one_before(
    first: str,
) -> None:
    """It was started again before another node told that it has the sessions."""
    async with moving() as it:
        for text in ("one", "two", "three"):
            await it.session.text(text)
        it.app.dispatcher.unlink(it.a)
        before = it.app.dispatcher.moves.replaced(it.a, 3)
        await it.session.text("four")
        assert (it.a.outgoing.oldest, it.a.outgoing.sent, said(it.a)) == (4, 3, [])
        if first == "adopted":
            it.adopted(it.b)
            assert said(it.b) == []
        it.app.dispatcher.moves.settle(before, 1)
        if first == "settled":
            assert said(it.a) == said(it.b) == []
            it.adopted(it.b)
        await it.session.text("five")
        assert [text for _, text in said(it.b)] == ["two", "three", "four", "five"]


async def test_the_next_run_of_a_node_that_does_not_have_a_session_repeats_nothing() -> None:
    """What the run before had stored, it does not know: the one that has the session tells."""
    async with moving() as it:
        for text in ("one", "two"):
            await it.session.text(text)
        it.app.dispatcher.unlink(it.a)
        before = it.app.dispatcher.moves.replaced(it.a, 2)
        it.app.dispatcher.moves.relinked(it.a)
        it.app.dispatcher.welcome([], it.a, ["s"])
        await it.session.text("three")
        it.app.dispatcher.moves.settle(before, 1)
        it.adopted(it.b)
        assert [text for _, text in said(it.b)] == ["two", "three"]


async def test_the_order_of_both_news_of_a_death_does_not_matter() -> None:
    async with moving() as it:
        await it.session.text("one")
        await it.session.text("two")
        it.app.dispatcher.unlink(it.a)
        it.adopted(it.b)
        await it.session.text("three")
        assert said(it.b) == []
        it.app.dispatcher.moves.ended(it.a, 1)
        assert [text for _, text in said(it.b)] == ["two", "three"]


async def test_a_node_dies_while_a_session_moves_from_it() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        it.adopted(it.b)
        it.app.dispatcher.moves.ended(it.a, 0)
        assert [text for _, text in said(it.b)] == ["one", "two"]


async def test_a_session_that_comes_back_at_once_goes_on() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        it.adopted(it.a)
        assert [text for _, text in said(it.a)] == ["one", "two"]
        it.tell(it.a, LEAVES)
        it.adopted(it.b)
        it.accepts(it.a, 2)
        it.tell(it.b, LEAVES)
        await it.session.text("three")
        it.adopted(it.a)
        assert [text for _, text in said(it.a)] == ["three"]


async def test_a_session_is_at_the_node_that_welcomes_it() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.app.dispatcher.unlink(it.a)
        it.adopted(it.b)
        assert it.session.outgoing is it.a.outgoing, "what was said at the first one is not stored"
        it.app.dispatcher.welcome([m.SessionInfo("s", "active")], it.a)
        assert it.session.node is it.a
        await it.session.text("two")
        assert [text for _, text in said(it.a)] == ["one", "two"]


async def test_what_was_said_while_a_node_gives_a_session_away_twice_follows_it() -> None:
    """The first time, it could not; the application was not linked when that was told."""
    async with moving() as it:
        await it.session.text("one")
        for text in ("two", "three"):
            it.tell(it.a, LEAVES)
            await it.session.text(text)
        it.accepts(it.a, 1)
        it.adopted(it.b)
        await it.session.text("four")
        assert [text for _, text in said(it.b)] == ["two", "three", "four"]


async def test_what_was_said_follows_a_session_that_is_given_on_at_once() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        it.adopted(it.b)
        it.tell(it.b, LEAVES)
        await it.session.text("three")
        it.accepts(it.a, 1)
        it.adopted(it.b)
        assert [text for _, text in said(it.b)] == ["two", "three"]


async def test_what_a_node_has_not_stored_of_a_session_that_it_gave_is_said_elsewhere() -> None:
    """It was given while the application was not linked: it hears that with the welcome."""
    async with moving() as it:
        for text in ("one", "two"):
            await it.session.text(text)
        said(it.a)
        it.app.dispatcher.unlink(it.a)
        await it.session.text("three")
        it.a.outgoing.relink(1, 1_000)
        it.app.dispatcher.moves.relinked(it.a)
        it.app.dispatcher.welcome([], it.a, ["s"])
        await it.session.text("four")
        it.adopted(it.b)
        await it.session.text("five")
        assert [text for _, text in said(it.b)] == ["two", "three", "four", "five"]
        # Its numbers go on there, for no session.
        again = [(call.bseq, call.sid) for _, batch in it.a.outgoing.take() for call in batch]
        assert again == [(2, ""), (3, "")]


async def test_a_node_that_is_linked_again_stores_nothing_of_a_session_between_two_others() -> None:
    async with moving() as it:
        await it.session.text("one")
        said(it.a)
        it.app.dispatcher.unlink(it.a)
        it.adopted(it.b)
        it.tell(it.b, LEAVES)
        it.a.outgoing.relink(0, 1_000)
        it.app.dispatcher.moves.relinked(it.a)
        await it.session.text("two")
        assert [call.sid for _, batch in it.a.outgoing.take() for call in batch] == [""]
        it.adopted(it.b)
        assert [text for _, text in said(it.b)] == ["one", "two"]


async def test_a_session_that_could_not_be_given_is_told_of_by_a_welcome() -> None:
    """The application was not linked when its node took it back."""
    async with moving() as it:
        it.tell(it.a, LEAVES)
        await it.session.text("one")
        it.app.dispatcher.unlink(it.a)
        it.a.outgoing.relink(0, 1_000)
        it.app.dispatcher.moves.relinked(it.a)
        it.app.dispatcher.welcome([m.SessionInfo("s", "active")], it.a)
        await it.session.text("two")
        assert said(it.a) == [(1, "one"), (2, "two")]


async def test_events_of_a_node_that_has_not_the_session_are_ignored() -> None:
    async with moving() as it:
        it.gate.clear()
        it.tell(it.a, Text("begun"), 1)
        it.tell(it.a, LEAVES)
        it.adopted(it.b)
        it.tell(it.a, Text("of another time"), 2)
        it.tell(it.a, m.Closed("kicked"))
        it.tell(it.b, Text("begun"), 1)  # it is not applied there yet
        it.tell(it.b, Text("next"), 2)
        await it.idle()
        assert it.heard == ["begun", "next"]
        assert said(it.b) == [(1, "answer to begun"), (2, "answer to next")]
        assert it.b.take_applied() == [m.Applied("s", 2)]
        assert it.a.take_applied() == []


@pytest.mark.parametrize("told", ["event", "welcome"])
async def test_a_node_that_tells_late_that_it_had_a_session_does_not_get_it_back(told: str) -> None:
    """Another node has got the session since: its news came first."""
    async with moving() as it:
        it.tell(it.b, m.Adopted(m.SessionInfo("s", "active", gen=3)))
        late = m.SessionInfo("s", "active", gen=2)
        if told == "event":
            it.tell(it.a, m.Adopted(late))
        else:
            it.app.dispatcher.welcome([late], it.a)
        it.tell(it.a, LEAVES)
        await it.session.text("one")
        assert said(it.b) == [(1, "one")]
        it.tell(it.a, m.Adopted(m.SessionInfo("s", "active", gen=4)))
        assert it.session.node is it.a


async def test_a_command_counts_as_applied_after_its_answer_alone() -> None:
    async with moving() as it:
        await it.session.text("one")
        it.gate.clear()
        it.tell(it.a, Text("look"), 1)
        it.tell(it.a, LEAVES)
        it.adopted(it.b)
        await it.idle()
        assert it.heard == ["look"]
        assert said(it.b) == []
        assert it.b.take_applied() == it.a.take_applied() == []
        it.accepts(it.a, 1)
        assert said(it.b) == [(1, "answer to look")]
        assert it.b.take_applied() == [m.Applied("s", 1)]


async def test_a_session_that_another_instance_gets_is_moved_after_a_while() -> None:
    async with moving(LinkLimits(elsewhere_seconds_max=0.01)) as it:
        it.tell(it.a, LEAVES)
        async with patience():
            await it.app.progress.until(lambda: "move" in it.heard)
            await it.idle()
        assert "s" not in it.app.sessions
        it.adopted(it.b)
        await it.idle()
        assert it.heard == ["move", "adopt"]
        assert it.session.node is it.b


@pytest.mark.parametrize("stored", [True, False])
async def test_what_is_kept_for_a_session_that_another_instance_gets_is_told(stored: bool) -> None:
    """Also what its node may have stored and did not tell. It is not said later."""
    refused: list[RefusedError] = []
    async with moving(LinkLimits(elsewhere_seconds_max=0.01)) as it:

        @it.app.on_error
        async def failed(session: Session, error: RefusedError) -> None:
            refused.append(error)
            it.app.progress.move()

        await it.session.text("one")
        it.tell(it.a, LEAVES)
        await it.session.text("two")
        await it.session.join("g")
        if stored:
            it.accepts(it.a, 1)
        async with patience():
            await it.app.progress.until(lambda: "move" in it.heard and bool(refused))
            await it.idle()
        (error,) = refused
        assert error.outputs == [Text("two")] if stored else [Text("one"), Text("two")]
        it.adopted(it.b)
        await it.session.text("three")
        assert said(it.b) == [(1, "three")]
        assert [sid for sid, _ in sids_and_texts(it.a)] == ([] if stored else [""])


async def test_what_is_kept_is_told_at_once_when_another_instance_has_the_session() -> None:
    """A node tells so that is linked again. What waited for the session is nobody's then."""
    refused: list[RefusedError] = []
    async with moving(LinkLimits(elsewhere_seconds_max=3_600.0)) as it:

        @it.app.on_error
        async def failed(session: Session, error: RefusedError) -> None:
            refused.append(error)
            it.app.progress.move()

        it.tell(it.a, LEAVES)
        await it.session.text("one")
        it.tell(it.a, m.Moved())
        async with patience():
            await it.app.progress.until(lambda: bool(refused))
        await it.idle()
        assert [error.outputs for error in refused] == [[Text("one")]]
        assert not it.app.dispatcher.moves._between
        it.a.outgoing.emit("s", "must", Text("late"))
        it.app.dispatcher.refusals.refused(m.Refused(1, "no", m.UNKNOWN_SESSION), it.a)
        async with patience():
            await it.app.progress.until(lambda: len(refused) == 2)
        assert refused[1].outputs == [Text("late")]


@pytest.mark.parametrize("how", [m.Closed("kicked"), m.Moved()])
async def test_a_session_that_has_come_back_is_not_given_up_for_an_earlier_move(
    how: m.Event,
) -> None:
    async with moving(LinkLimits(elsewhere_seconds_max=0.02)) as it:
        it.tell(it.a, LEAVES)
        it.tell(it.a, how)
        await it.idle()
        it.adopted(it.a)
        await it.idle()
        await asyncio.sleep(0.05)  # longer than it would be given up after
        await it.idle()
        assert it.heard.count("move") == isinstance(how, m.Moved)
        assert not it.session.ended


@pytest.mark.parametrize("code", ["", m.UNKNOWN_SESSION])
async def test_a_call_that_a_node_refuses_is_told(code: str) -> None:
    told: list[tuple[Session | None, RefusedError]] = []
    async with moving() as it:

        @it.app.on_error
        async def failed(session: Session | None, error: RefusedError) -> None:
            told.append((session, error))
            it.app.progress.move()

        def refuse(number: int) -> None:
            it.app.dispatcher.refusals.refused(m.Refused(number, "no", code), it.a)

        await it.session.text("one")
        await it.app.say("another", "must", Text("two"))
        refuse(1)
        refuse(2)
        it.accepts(it.a, 2)
        refuse(3)
        expected = [it.session] if code else [it.session, None, None]
        async with patience():
            await it.app.progress.until(lambda: len(told) == len(expected))
        assert [session for session, _ in told] == expected
        texts = [error.outputs for _, error in told]
        assert texts == ([[Text("one")]] if code else [[Text("one")], [Text("two")], []])


async def test_calls_for_a_session_move_with_new_numbers() -> None:
    async with moving() as it:
        await it.session.join("g")
        await it.session.store({"n": 1})
        await it.session.text("one")
        it.app.dispatcher.unlink(it.a)
        it.adopted(it.b)
        await it.app.broadcast("g", "to all")
        it.app.dispatcher.moves.ended(it.a, 0)
        methods = [method for method, _ in it.b.outgoing.take()]
        assert methods == [m.JOIN, m.UPDATE, m.EMIT]
        assert it.b.outgoing.number == 3
