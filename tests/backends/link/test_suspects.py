"""Which commands are taken for the end of the application, and which never."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backends.node import AppEnd, Node, apps, node
from tests.sessions.test_manager import Setting

from holdfast.backends.link.suspects import Suspects
from holdfast.backends.link.trials import SET_ASIDE
from holdfast.core.errors import Reason
from holdfast.core.items import Text
from holdfast.core.limits import Limits, SessionLimits
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session

RUNS = 3
BRIEF = Limits().but(session={"suspect_seconds_max": 0.05})


class World:
    """Sessions with a command each, of which some end the application that begins them, and some
    hang; nothing takes longer than a moment, but for those."""

    def __init__(self, deadly: set[int], hung: set[int], count: int) -> None:
        setting = Setting()
        limits = SessionLimits(sessions_max=count)
        setting.manager = SessionManager(limits, setting.journal, setting.later.append)
        self.sessions = [setting.active()[0] for _ in range(count)]
        self.deadly = {self.sessions[index] for index in deadly}
        self.hung = {self.sessions[index] for index in hung} - self.deadly
        self.suspects = Suspects(RUNS)
        self.aside: list[Session] = []
        self.deaths = 0
        for session in self.sessions:
            session.inbox.accept(Text("x"))

    def run(self) -> bool:
        """One run of the application. Whether it died."""
        todo = [session for session in self.sessions if session.inbox.entries]
        while todo:
            for session in todo:
                if session.row.suspect and self.suspects.holds(session):
                    if self.suspects.admit(session):
                        session.inbox.take_within(1)
                else:
                    session.inbox.take()
            if self._dies():
                return True
            todo = self._progress()
        return False

    def _dies(self) -> bool:
        if not any(session.inbox.forwarded_bytes for session in self.deadly):
            return False
        self.deaths += 1
        aside = self.suspects.run_ended(f"i{self.deaths}", self.sessions, died=True)
        for session in self.sessions:
            session.inbox.rewind()
        for session in aside:
            session.inbox.apply(session.inbox.oldest)
            self.suspects.clear(session)
        self.aside += aside
        return True

    def _progress(self) -> list[Session]:
        for session in self.sessions:
            if session.inbox.forwarded_bytes and session not in self.hung:
                session.inbox.apply(session.inbox.oldest)
                self.suspects.clear(session)
        ready = self.suspects.next()
        return ready or [*self.suspects.time_over(self.suspects.tried), *self.suspects.next()]


@settings(deadline=None)
@given(st.data(), st.integers(1, 100))
def test_what_ends_the_application_is_set_aside_and_nothing_else(
    data: st.DataObject, count: int
) -> None:
    indexes = st.integers(0, count - 1)
    deadly = data.draw(st.sets(indexes, max_size=2))
    hung = data.draw(st.sets(indexes, max_size=5))
    world = World(deadly, hung, count)
    while world.run():
        assert world.deaths <= RUNS * max(1, len(deadly)) + 1, "it dies for ever"
    assert set(world.aside) == world.deadly
    left = {session for session in world.sessions if session.inbox.entries}
    assert left == world.hung


async def dies(it: Node, end: AppEnd) -> None:
    end.cut()
    await end.until_unlinked()
    while it.backend().instances:
        await it.journal.settled()


@pytest.mark.parametrize("other_is_there", [False, True], ids=["alone", "two instances"])
async def test_a_command_that_ended_three_runs_is_set_aside(
    other_is_there: bool, tmp_path: Path
) -> None:
    async with node(tmp_path, BRIEF) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello("i1")
        session, client = it.open()
        it.say(session, "boom", "after")
        assert await end.take(3) == ["opened", ("boom", 1), ("after", 2)]
        with structlog.testing.capture_logs() as logs:
            for number in (2, 3):
                last, end = end, await one_more()
                if other_is_there:
                    await end.hello(f"i{number}")
                    last.cut()
                else:
                    await dies(it, last)
                    await end.hello(f"i{number}")
                await end.until(lambda end: end.events or other_is_there)
                while ("boom", 1) not in (heard := await end.take_all()):
                    pass
                assert ("after", 2) not in heard  # it was only behind it
            assert not [log for log in logs if log["log_level"] == "error"]
            await dies(it, end)
        (told,) = (log for log in logs if log["log_level"] == "error")
        assert (told["session"], told["command"], told["runs"]) == (session.sid, 1, 3)
        assert client.outputs[-1] == SET_ASIDE
        assert (session.inbox.applied, session.row.suspect) == (1, 0)
        end = await one_more()
        await end.hello("i4")
        assert await end.take(2) == ["adopted", ("after", 2)]


async def test_a_program_that_is_killed_again_and_again_loses_no_command(tmp_path: Path) -> None:
    """Each run dies before it has lasted: after two of them the command is not sent any more."""
    async with node(tmp_path) as it, apps(it) as one_more:
        session, client = it.open()
        for number in range(1, 8):
            end = await one_more()
            await end.hello(f"i{number}")
            if number == 1:
                it.say(session, "innocent")
            if number <= 2:
                while ("innocent", 1) not in await end.take_all():
                    pass
            else:
                assert await end.take(1) == ["adopted"]
            await dies(it, end)
        assert (session.row.suspect, session.row.suspect_runs) == (1, 2)
        assert SET_ASIDE not in client.outputs


async def test_a_run_that_says_goodbye_has_not_died(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open()
        for number in range(1, 6):
            end = await one_more()
            await end.hello(f"i{number}")
            if number == 1:
                it.say(session, "slow", "next")
            while ("next", 2) not in await end.take_all():
                pass
            end.peer.close("the application is stopping")
            await end.until_unlinked()
            await it.journal.settled()
        assert session.row.suspect == 0


async def test_a_run_that_comes_back_has_only_lost_its_link(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open()
        for number in range(1, 6):
            end = await one_more()
            await end.hello("i1")
            if number == 1:
                it.say(session, "slow", "next")
            while ("next", 2) not in await end.take_all():
                pass
            await dies(it, end)
            assert (session.row.suspect, session.row.suspect_runs) == (1, 1)


async def test_a_suspect_holds_others_for_a_while_and_no_longer(tmp_path: Path) -> None:
    async with node(tmp_path, BRIEF) as it, apps(it) as one_more:
        sessions = [it.open()[0] for _ in range(3)]
        for number in (1, 2):  # two runs die: now each is tried alone
            end = await one_more()
            await end.hello(f"i{number}")
            if number == 1:
                for session in sessions:
                    it.say(session, "hang", "next")
            await end.until(lambda end: sum(event.cseq == 1 for event in end.events) == 3)
            await dies(it, end)
        assert [session.row.suspect_runs for session in sessions] == [2, 2, 2]
        end = await one_more()
        await end.hello("i3")
        late, _ = it.open()
        it.say(late, "hello")
        await end.until(lambda end: len(end.events) == 11)
        cseqs = {session.sid: 0 for session in sessions}
        tried = [event for event in end.events if event.sid in cseqs]
        assert [event.cseq for event in tried if event.cseq == 1] == [1, 1, 1]
        assert sum(event.cseq == 2 for event in tried) == 3, "who has passed is held no longer"


async def test_a_session_that_ends_is_no_suspect(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello("i1")
        session, _ = it.open()
        it.say(session, "boom")
        await end.take(2)
        await dies(it, end)
        end = await one_more()
        await end.hello("i2")
        assert await end.take(2) == ["adopted", ("boom", 1)]
        it.manager.close(session, Reason.KICKED)
        await dies(it, end)
        assert it.backend()._trials.suspects.tried == []


async def test_how_often_is_kept_with_the_session(tmp_path: Path) -> None:
    """The next gateway goes on counting."""
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello("i1")
        session, _ = it.open()
        it.say(session, "boom")
        await end.take(2)
        await dies(it, end)
        await it.journal.settled()
        (stored,) = (await it.store.find([session.sid])).sessions
        assert (stored.row.suspect, stored.row.suspect_runs) == (1, 1)
