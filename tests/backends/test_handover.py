"""Sessions go from one instance to another: nothing is done twice, and one speaks at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.backends.node import AppEnd, Client, Node, apps, node
from tests.net.helpers import patience

from holdfast.backends.link.assignment import AWAY
from holdfast.core.errors import Reason
from holdfast.core.items import Output, Resized, Text
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session


def say_to(session: Session, bseq: int, text: str) -> m.Emit:
    return m.Emit(session.sid, bseq, "must", Text(text))


async def two(it: Node, one_more: Any) -> tuple[AppEnd, AppEnd, Session, Client]:
    """Two instances; the first one holds a session."""
    first, second = await one_more(), await one_more()
    await first.hello("i1", oldest=1)
    session, client = it.open()
    await first.take(1)
    await second.hello("i2", oldest=1)
    return first, second, session, client


# --- what an heir remembers


async def test_an_heir_is_asked_what_it_remembers_before_it_gets_a_session(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, _ = await two(it, one_more)
        it.say(session, "one", "two", "three")
        second.remembered = {session.sid: 2, "another": 7}
        first.cut()
        assert await second.take(2) == ["adopted", ("three", 3)]
        assert second.asked == [[session.sid]]
        assert session.inbox.applied == 2


async def test_nothing_is_sent_for_a_session_while_its_heir_is_asked(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, client = await two(it, one_more)
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        second.answers[m.REMEMBER] = lambda _: answer
        first.cut()
        await second.until(lambda end: end.asked)
        it.say(session, "one")
        it.backend().resized(session, Resized(80, 24))
        second.emit(say_to(session, 1, "of an earlier time"))
        await second.until(lambda end: end.refused)
        assert second.events == []
        answer.set_result({})
        assert await second.take(2) == ["adopted", ("one", 1)]
        second.emit(say_to(session, 2, "now"))
        await second.until(lambda end: end.accepted and end.accepted[-1] == 2)
        assert client.texts == ["now"]
        assert AWAY not in client.shown


async def test_a_session_that_ends_while_its_heir_is_asked_is_never_told_of(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, _ = await two(it, one_more)
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        second.answers[m.REMEMBER] = lambda _: answer
        first.cut()
        await second.until(lambda end: end.asked)
        it.manager.close(session, Reason.KICKED)
        answer.set_result({})
        assert await second.take_all() == []


async def test_very_many_sessions_are_handed_over_part_after_part(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1", oldest=1)
        sessions = [it.open()[0] for _ in range(600)]
        await first.take(600)
        await second.hello("i2", oldest=1)
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        second.answers[m.REMEMBER] = lambda _: answer
        first.cut()
        await second.until(lambda end: end.asked)
        assert [len(sids) for sids in second.asked] == [250]
        answer.set_result({sessions[0].sid: 0})
        assert set(await second.take(600)) == {"adopted"}
        assert [len(sids) for sids in second.asked] == [250, 250, 100]
        assert [sid for sids in second.asked for sid in sids] == [one.sid for one in sessions]


async def test_the_clients_of_very_many_sessions_are_told_in_several_passes(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        clients = [it.open()[1] for _ in range(600)]
        await end.take(600)
        told = set()
        show = clients[0].show

        def look(item: Output, *, always: bool = False) -> None:
            show(item, always=always)
            asyncio.get_running_loop().call_soon(lambda: told.add(sum(map(is_told, clients))))

        for number in (0, 249, 250, 499):
            clients[number].show = look  # type: ignore[method-assign]
        end.cut()
        await end.until_unlinked()
        await clients[-1].until_shown()
        assert len(told) > 1  # others had their turn in between
        assert all(client.notices == [AWAY] for client in clients[1:249])


def is_told(client: Client) -> bool:
    return bool(client.shown)


def _fails(_: object) -> dict[str, int]:
    raise RequestError("internal_error", "the answer failed")


@pytest.mark.parametrize("answer", [_fails, lambda _: "what?"], ids=["error", "nonsense"])
async def test_who_cannot_say_what_it_remembers_gets_no_session(
    answer: Any, tmp_path: Path
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, _ = await two(it, one_more)
        third = await one_more()
        await third.hello("i3", oldest=1)
        for _ in range(3):  # the second has the least to do
            it.backend().assignment.linked["i3"].hold(it.open()[0])
        second.answers[m.REMEMBER] = answer
        first.cut()
        assert "expected an answer to remember" in await second.until_unlinked()
        await third.until(lambda end: any(e.sid == session.sid for e in end.events))


async def test_how_long_an_instance_may_take_to_remember_is_bounded(tmp_path: Path) -> None:
    limits = Limits().but(link={"remember_seconds_max": 0.05})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        first, second, _, _ = await two(it, one_more)
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        second.answers[m.REMEMBER] = lambda _: answer
        first.cut()
        assert "no answer in 0.05 seconds" in await second.until_unlinked()
        answer.set_result({})


async def test_that_an_heir_has_a_session_is_stored_before_it_is_told(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, _, _ = await two(it, one_more)
        await it.journal.settled()
        it.store.gate.clear()
        first.cut()
        await second.until(lambda end: end.asked)
        assert await second.take_all() == []
        it.store.gate.set()
        assert await second.take(1) == ["adopted"]
        (kept,) = (await it.store.open()).heads
        assert kept.instance == "i2"


# --- an instance that was away while its sessions moved


async def test_who_was_away_is_told_what_has_moved_and_what_has_ended(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, _ = await two(it, one_more)
        first.cut()
        await second.take(1)
        again = await one_more()
        welcome = await again.hello("i1", oldest=1, applied={session.sid: 0, "ended": 3})
        assert welcome.sessions == []
        assert await again.take(2) == ["moved", ("closed", "timeout")]


async def test_who_was_away_does_not_speak_for_what_has_moved(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, client = await two(it, one_more)
        it.say(session, "one")
        first.cut()
        await second.take(2)
        again = await one_more()
        await again.hello("i1", oldest=1, sent=1, applied={session.sid: 1})
        again.emit(say_to(session, 1, "late"))
        again.peer.notify(m.UPDATE, m.Update(session.sid, 2, user="mallory"))
        again.peer.notify(m.JOIN, m.Membership("g", 3, [session.sid]))
        again.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 4, "key"))
        again.applied(session, 1)
        with pytest.raises(RequestError, match="has moved to another instance"):
            await again.request(m.CLOSE, m.Close(session.sid), bool)
        assert [refused.bseq for refused in again.refused] == [1, 2, 3, 4]
        assert (client.texts, session.row.user, session.row.groups) == ([], "", ())
        assert session.inbox.applied == 0, "the other one has it to do"
        second.emit(say_to(session, 1, "said"))
        await second.until(lambda end: end.accepted)
        assert client.texts == ["said"]


async def test_what_comes_back_to_an_instance_is_its_own_again(tmp_path: Path) -> None:
    """It was away, another held the session meanwhile, and is gone as well."""
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, client = await two(it, one_more)
        first.cut()
        await second.take(1)
        second.cut()
        await client.until_shown()
        again = await one_more()
        welcome = await again.hello("i1", oldest=1, sent=1, applied={session.sid: 0})
        again.emit(say_to(session, 1, "late"))
        assert welcome.sessions == []
        assert await again.take(2) == ["moved", "adopted"]
        assert [refused.bseq for refused in again.refused] == [1]
        again.emit(say_to(session, 2, "in time"))
        await again.until(lambda end: end.accepted[-1:] == [2])
        assert client.texts == ["in time"]


# --- after a restart of the gateway


def _restarted(it: Node, *instances: str) -> list[Session]:
    """Sessions as a gateway takes them up that these instances held."""
    sessions = []
    for instance in instances:
        session, _ = it.open()
        session.row.known, session.row.instance = True, instance
        sessions.append(session)
    it.backend().restore(Stored(clean=True))
    return sessions


async def test_sessions_go_back_to_the_instance_that_held_them(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        one, other = _restarted(it, "i1", "i2")
        second = await one_more()
        assert [i.sid for i in (await second.hello("i2")).sessions] == [other.sid]
        first = await one_more()
        assert [i.sid for i in (await first.hello("i1")).sessions] == [one.sid]
        assert await second.take_all() == []


async def test_who_does_not_come_back_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    limits = Limits().but(link={"return_seconds_max": 1.0})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        for session in _restarted(it, "gone", "gone", "gone", "gone"):
            it.say(session, "look")
        first, second = await one_more(), await one_more()
        await first.hello("i1")
        await second.hello("i2")
        assert await first.take_all() == []
        for end in (first, second):  # in equal shares
            assert await end.take(4) == ["adopted", "adopted", ("look", 1), ("look", 1)]


# --- an instance that leaves


async def leave(end: AppEnd) -> None:
    await end.request(m.LEAVING, m.Leaving(), m.Leaving)


async def test_an_instance_that_leaves_is_sent_no_command_and_no_session(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, _ = await two(it, one_more)
        await leave(first)
        it.say(session, "one")
        it.backend().resized(session, Resized(80, 24))
        assert await first.take_all() == [Resized(80, 24)]
        for _ in range(2):
            it.open()
        assert await second.take(2) == ["opened", "opened"]


async def test_what_an_instance_gives_back_moves_behind_what_it_has_done(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second, session, client = await two(it, one_more)
        it.say(session, "one", "two", "three")
        await first.take(3)
        await leave(first)
        first.emit(say_to(session, 1, "did one"))
        first.applied(session, 1)
        first.peer.notify(m.RELEASE, [session.sid, "another"])
        assert await second.take(3) == ["adopted", ("two", 2), ("three", 3)]
        assert client.texts == ["did one"]
        assert client.notices == []


async def test_what_is_given_back_waits_if_there_is_no_other_instance(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1", oldest=1)
        session, client = it.open()
        await leave(first)
        first.peer.notify(m.RELEASE, [session.sid])
        await client.until_shown()
        assert client.notices == [AWAY]
        assert it.open()[1].notices == [AWAY]
        second = await one_more()
        await second.hello("i2", oldest=1)
        async with patience():
            await second.until(lambda end: len(end.events) == 2)
        assert sorted(await second.take(2)) == ["adopted", "opened"]
