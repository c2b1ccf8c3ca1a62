"""Who may have how many sessions, who makes room, and how long each waits."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.sessions.kept import keep, row, take_up
from tests.sessions.test_manager import RecordingBackend, RecordingConsumer

from holdfast.core.errors import BusyError, LimitExceededError, Reason
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.records import Row
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.memory import MemoryStore

LIMITS = SessionLimits(
    sessions_max=6,
    sessions_per_network_max=3,
    sessions_per_user_max=2,
    detached_seconds_max=1_000.0,
    unclaimed_seconds_max=60.0,
)


class Setting:
    def __init__(self) -> None:
        self.backend = RecordingBackend()
        self.journal = Journal(StoreLimits(), lambda marks: None)
        self.manager = SessionManager(LIMITS, self.journal, lambda action: None)

    def come(self, network: str = "", *, user: str = "", kept: bytes = b"") -> Session:
        session = self.manager.create(self.backend, Durability.MEMORY, 0.0, network)
        session.open(RecordingConsumer(), numbered=False)
        for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given)
        if user:
            self.manager.set_user(session, user)
        if kept:
            self.manager.set_data(session, kept)
        return session

    def left(self, network: str = "", *, user: str = "", kept: bytes = b"") -> Session:
        session = self.come(network, user=user, kept=kept)
        session.detach(Reason.NETWORK_ERROR, 0.0)
        return session

    async def take_up(self, *rows: Row, now: float = 0.0) -> MemoryStore:
        """A run of the gateway begins, with these sessions in its store."""
        store = await keep(rows)
        await take_up(self.manager, store, self.backend, now)
        return store

    def kept(self, *rows: Row) -> list[bool]:
        return [self.manager.find(row.sid) is not None for row in rows]

    def there(self, *sessions: Session) -> list[bool]:
        return [session.sid in self.manager.sessions for session in sessions]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_what_nobody_would_miss_waits_a_short_time_and_the_rest_a_long_one(
    setting: Setting,
) -> None:
    brief, kept, known = setting.left(), setting.left(kept=b"x"), setting.left(user="ann")
    setting.manager.expire(59.0)
    assert setting.there(brief, kept, known) == [True, True, True]
    setting.manager.expire(61.0)
    assert setting.there(brief, kept, known) == [False, True, True]
    setting.manager.expire(1_001.0)
    assert setting.there(kept, known) == [False, False]


@pytest.mark.parametrize("what", ["data", "group", "user", "profile"])
def test_what_is_kept_while_a_session_waits_makes_it_wait_on(setting: Setting, what: str) -> None:
    session = setting.left()
    match what:
        case "data":
            setting.manager.set_data(session, b"x")
        case "group":
            setting.manager.groups.join(session, "lobby")
        case "user":
            setting.manager.set_user(session, "ann")
        case _:
            session.row.profile = "mage"
    setting.manager.expire(61.0)
    assert setting.there(session) == [True]
    setting.manager.expire(1_001.0)
    assert setting.there(session) == [False]


async def test_nobody_is_late_for_a_gateway_that_was_not_there(setting: Setting) -> None:
    await setting.take_up(row(detached=1.0), now=500.0)
    setting.manager.expire(559.0)
    assert setting.manager.total == 1
    setting.manager.expire(561.0)
    assert setting.manager.total == 0


def test_the_first_that_nobody_would_miss_makes_room(setting: Setting) -> None:
    known = [setting.left(f"n{n}", user=f"u{n}") for n in range(2)]
    kept = setting.left("n2", kept=b"x")
    first, second = setting.left("n3"), setting.left("n4")
    here = setting.come("n5")
    with capture_logs() as logs:
        setting.come("n6")
        assert setting.there(first, second) == [False, True]
        setting.come("n7")
        assert setting.there(second, kept) == [False, True]
        setting.come("n8")
        assert setting.there(kept, here, *known) == [False, True, True, True]
        with pytest.raises(BusyError, match="6 sessions"):
            setting.come("n9")
    assert [log["event"] for log in logs] == ["evicted", "session closed"] * 3
    assert setting.manager.counts.closed["crowded"] == 3
    assert ("ended", first, Reason.CROWDED) in setting.backend.told


def test_who_became_somebody_does_not_make_room(setting: Setting) -> None:
    sessions = [setting.left(f"n{n}") for n in range(6)]
    setting.manager.set_user(sessions[0], "ann")
    setting.manager.set_data(sessions[1], b"x")
    setting.come("n6")
    assert setting.there(*sessions[:3]) == [True, True, False]


def test_one_network_has_so_many_and_its_own_make_room(setting: Setting) -> None:
    other = setting.left("b")
    old, _, known = setting.left("a"), setting.come("a"), setting.left("a", user="ann")
    setting.come("a")
    assert setting.there(old, other, known) == [False, True, True]
    with pytest.raises(BusyError, match="3 sessions of a"):
        setting.come("a")
    setting.come("b")


def test_a_session_counts_where_its_client_is(setting: Setting) -> None:
    sessions = [setting.left("a") for _ in range(3)]
    sessions[0].attach(RecordingConsumer(), numbered=False)
    setting.manager.attached(sessions[0], "b")
    setting.come("a")
    assert setting.there(*sessions) == [True, True, True]
    setting.come("a")
    assert setting.there(*sessions) == [True, False, True]


def test_a_user_has_so_many_and_the_one_that_waited_longest_makes_room(setting: Setting) -> None:
    first = setting.come("a", user="ann")
    second = setting.left("b", user="ann")
    third = setting.come("c", user="ann")
    assert setting.there(first, second, third) == [True, False, True]
    late = setting.come("d")
    with pytest.raises(LimitExceededError, match="2 sessions open"):
        setting.manager.set_user(late, "ann")
    assert late.row.user == ""
    setting.manager.set_user(late, "bob")


def test_a_sweep_takes_a_part_at_a_time(setting: Setting) -> None:
    limits = SessionLimits(sessions_max=1_000)
    setting.manager = SessionManager(limits, setting.journal, lambda action: None)
    for _ in range(500):
        setting.left()
    sweeps = 1
    while setting.manager.expire(61.0):
        sweeps += 1
    assert sweeps == 3
    assert not setting.manager.sessions


def test_nothing_is_left_of_sessions_that_have_ended(setting: Setting) -> None:
    for number in range(50):
        session = setting.come(f"n{number}", user=f"u{number}")
        if number % 2:
            session.detach(Reason.NETWORK_ERROR, 0.0)
        setting.manager.close(session, Reason.KICKED)
    population = setting.manager.population
    assert not population._networks
    assert not population._users
    assert not list(population.waiting())
    assert population.total == 0


# --- what is not loaded


@pytest.mark.parametrize("what", ["data", "groups", "user", "profile", "known", "nothing"])
async def test_a_dormant_session_is_missed_as_it_would_be_if_it_were_loaded(
    setting: Setting, what: str
) -> None:
    values = {"data": b"x", "groups": ("lobby",), "user": "ann", "profile": "mage", "known": True}
    fields: dict[str, Any] = {what: values[what]} if what in values else {}
    for loaded in (False, True):
        it = Setting()
        it.backend.keeping = True
        session = row(detached=0.0, **fields)
        await it.take_up(session)
        if loaded:
            await it.manager.loader.load([session.sid], 0.0)
        it.manager.expire(61.0)
        assert it.kept(session) == [what != "nothing"]
        it.manager.expire(1_001.0)
        assert it.kept(session) == [False]


async def test_a_dormant_session_that_nobody_comes_back_for_is_deleted(setting: Setting) -> None:
    store = await setting.take_up(early := row(user="ann", detached=1.0), row(detached=900.0))
    setting.manager.expire(1_000.5)
    assert setting.manager.total == 1
    setting.manager.expire(1_001.0)
    commit = setting.journal.collect()
    assert early.sid in commit.batch.deleted
    await store.commit(commit.batch)
    assert early.sid not in {head.sid for head in (await store.open()).heads}
    assert setting.manager.counts.closed[Reason.TIMEOUT.value] == 2


async def test_the_sessions_of_the_store_wait_in_the_order_in_which_they_were_left(
    setting: Setting,
) -> None:
    rows = [row(user=f"u{n}", detached=float(n)) for n in (30, 10, 20)]
    await setting.take_up(*rows)
    await setting.manager.loader.load([rows[2].sid], 0.0)  # it keeps its place
    setting.manager.expire(1_015.0)
    assert setting.kept(*rows) == [True, False, True]
    setting.manager.expire(1_025.0)
    assert setting.kept(*rows) == [True, False, False]


async def test_dormant_sessions_count_for_the_node_their_network_and_their_user(
    setting: Setting,
) -> None:
    anonymous = [row(address=f"192.0.2.{n}:1", detached=float(n)) for n in (1, 2)]
    crowd = [row(user=f"c{n}", address="192.0.2.9:1") for n in range(3)]
    await setting.take_up(*anonymous, *crowd)
    with pytest.raises(BusyError, match=r"3 sessions of 192\.0\.2\.9"):
        setting.come("192.0.2.9")
    setting.come("n1")
    with capture_logs() as logs:
        setting.come("n2")
    assert setting.kept(*anonymous) == [False, True]
    assert [log["event"] for log in logs] == ["evicted", "session closed"]


async def test_a_user_with_too_many_loses_the_one_that_is_away_for_longest(
    setting: Setting,
) -> None:
    old, new = row(user="ann", detached=1.0), row(user="ann", detached=2.0)
    await setting.take_up(old, new)
    setting.come(user="ann")
    assert setting.kept(old, new) == [False, True]
    await setting.manager.loader.load([new.sid], 0.0)
    setting.come(user="ann")
    assert setting.kept(new) == [False]
    with pytest.raises(LimitExceededError):
        setting.come(user="ann")


async def test_the_newest_other_session_of_a_user_is_found_where_it_is(setting: Setting) -> None:
    old, new = row(user="ann", detached=1.0), row(user="ann", detached=2.0)
    await setting.take_up(old, new)
    (session,) = [await _loaded(setting, old)]
    newest = setting.manager.claims.newest_of_user(session, 0.0)
    assert newest is not None
    assert newest.sid == new.sid
    assert setting.manager.claims.by_user(session, 0.0) is None  # it is to be loaded
    other = await _loaded(setting, new)
    claim = setting.manager.claims.by_user(session, 0.0)
    assert claim is not None
    assert claim.session is other


async def _loaded(setting: Setting, row: Row) -> Session:
    await setting.manager.loader.load([row.sid], 0.0)
    return setting.manager.sessions[row.sid]
