"""One operator's watch on a session, without a network: what it keeps, and what it has lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sessions.test_manager import RecordingBackend

from holdfast.core.items import MUST, Text, size_of
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.gateway.admin.watches import Watch, WatchedOutput
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability

SIZE = size_of(Text("0"))


def watched(bytes_max: int) -> tuple[Session, Watch]:
    later: list[Callable[[], bool]] = []
    manager = SessionManager(
        SessionLimits(), Journal(StoreLimits(), lambda marks: None), later.append
    )
    session = manager.create(RecordingBackend(), Durability.FAST, 0.0)
    _, token = manager.invitations.invite(session, 60.0, 0.0)
    invited = manager.invitations.find(token, 0.0)
    assert invited is not None
    watch = Watch(1, invited, bytes_max)
    invited.viewers.add(invited.invitation, watch)
    return session, watch


def texts(found: WatchedOutput) -> list[object]:
    return [item["text"] for item in found.items]


def say(session: Session, first: int, last: int) -> None:
    for number in range(first, last + 1):
        session.emit(Text(str(number)), MUST, 0.0)


async def test_outputs_that_the_session_lets_go_unseen_are_counted_each_time() -> None:
    session, watch = watched(1_000)
    say(session, 1, 5)
    session.out.skip_to(3)
    watch.deliver()
    found = await watch.read(0, 0.0)
    assert (texts(found), found.n, found.lost) == (["4", "5"], 5, 3)
    say(session, 6, 9)
    session.out.skip_to(7)
    watch.deliver()
    found = await watch.read(5, 0.0)
    assert (texts(found), found.n, found.lost) == (["8", "9"], 9, 5)


@pytest.mark.parametrize(("bytes_max", "kept"), [(3 * SIZE, 3), (3 * SIZE - 1, 2), (1, 1)])
async def test_so_much_is_kept_for_an_operator_and_no_more(bytes_max: int, kept: int) -> None:
    session, watch = watched(bytes_max)
    say(session, 1, 4)
    watch.deliver()
    found = await watch.read(0, 0.0)
    assert texts(found) == ["1", "2", "3", "4"][4 - kept :]
    assert (found.n, found.lost) == (4, 4 - kept)
    found = await watch.read(2, 0.0)
    assert texts(found) == ["3", "4"][-kept:], "those before are let go"


async def test_the_size_of_the_screen_is_that_of_the_client_or_the_usual_one() -> None:
    session, watch = watched(1_000)
    found = await watch.read(0, 0.0)
    assert (found.columns, found.rows, found.n, found.terminal) == (80, 24, 0, False)
    session.row.capabilities = type(session.row.capabilities)(width=100, height=30)
    found = await watch.read(0, 0.0)
    assert (found.columns, found.rows) == (100, 30)
