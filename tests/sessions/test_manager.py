from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from msgspec import structs
from structlog.testing import capture_logs
from tests.sessions.kept import keep, row, take_up

from holdfast.core.errors import BusyError, LimitExceededError, Reason
from holdfast.core.ids import new_sid
from holdfast.core.items import MUST, Output, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.claims import Claim, ClaimRefusal
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.records import Found, Row
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput, SessionState
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.tokens import Tokens, hash_code

LIMITS = SessionLimits(
    sessions_max=5,
    groups_max=2,
    detached_seconds_max=100.0,
    attach_failure_burst_max=3,
    application_data_bytes_max=10,
)
ADDRESS = "192.0.2.1"


class RecordingBackend:
    def __init__(self) -> None:
        self.told: list[tuple[str, Session, Reason | None]] = []
        self.keeping = False
        """Whether a session that is known has something behind it."""

    def commanded(self, session: Session) -> None:
        self.told.append(("commanded", session, None))

    def detached(self, session: Session, reason: Reason) -> None:
        self.told.append(("detached", session, reason))

    def relieved(self, session: Session) -> None:
        pass

    def forget_commands(self, session: Session) -> int:
        return 0

    def keeps(self, *, known: bool) -> bool:
        return self.keeping and known

    def ending(self, session: Session, reason: Reason) -> None:
        pass

    def ended(self, session: Session, reason: Reason) -> None:
        self.told.append(("ended", session, reason))


class RecordingConsumer:
    def __init__(self) -> None:
        self.closed: list[Reason] = []
        self.delivered = 0
        self.shown: list[Output] = []
        self.acknowledged: list[int] = []
        self.offered = 0

    def deliver(self) -> None:
        self.delivered += 1

    def show(self, item: Output, *, always: bool = False) -> None:
        self.shown.append(item)

    def acknowledge(self, cin: int) -> None:
        self.acknowledged.append(cin)

    def make_room(self) -> None:
        self.offered += 1

    def change_input_mode(self) -> None: ...

    def change_viewers(self) -> None: ...

    def close(self, reason: Reason) -> None:
        self.closed.append(reason)

    def fail(self, error: Exception) -> None:
        raise AssertionError("a consumer that failed") from error


class HeldStore(MemoryStore):
    """A store like another, that is not read before `gate` is set."""

    def __init__(self, like: MemoryStore) -> None:
        super().__init__()
        self.__dict__.update(like.__dict__)
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def take(self, sids: Sequence[str]) -> Found:
        self.asked.set()
        await self.gate.wait()
        return await super().take(sids)


class CountingStore(MemoryStore):
    """A store like another, with what was taken from it."""

    def __init__(self, like: MemoryStore) -> None:
        super().__init__()
        self.__dict__.update(like.__dict__)
        self.taken: list[Sequence[str]] = []

    async def take(self, sids: Sequence[str]) -> Found:
        self.taken.append(sids)
        await asyncio.sleep(0)
        return await super().take(sids)


class Setting:
    """A manager with everything around it recorded."""

    def __init__(self) -> None:
        self.backend = RecordingBackend()
        self.later: list[Callable[[], bool]] = []
        self.journal = Journal(StoreLimits(), lambda marks: None)
        self.manager = SessionManager(LIMITS, self.journal, self.later.append)

    def active(self, user: str = "") -> tuple[Session, RecordingConsumer]:
        session = self.manager.create(self.backend, Durability.FAST, 0.0)
        consumer = RecordingConsumer()
        session.open(consumer, numbered=False)
        for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given)
        self.manager.set_user(session, user)
        return session, consumer

    def token(self, session: Session) -> str:
        return self.manager.claims.issue_token(Claim(session, None))


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_there_are_only_so_many_sessions(setting: Setting) -> None:
    for _ in range(5):
        setting.active()
    with pytest.raises(BusyError, match="5 sessions"):
        setting.manager.create(setting.backend, Durability.FAST, 0.0)


def test_a_token_gives_its_session_with_the_secret_that_proved_it(setting: Setting) -> None:
    session, _ = setting.active()
    claim = setting.manager.claims.by_token(setting.token(session), 0.0)
    assert isinstance(claim, Claim)
    assert claim.session is session
    assert claim.secret is not None


@pytest.mark.parametrize(
    "forged", ["", "junk", Tokens().issue(new_sid())], ids=["empty", "junk", "of-another"]
)
def test_a_forged_token_gives_nothing(setting: Setting, forged: str) -> None:
    setting.active()
    assert setting.manager.claims.by_token(forged, 0.0) is ClaimRefusal.UNKNOWN


def test_wrong_codes_of_one_address_are_limited_and_a_right_token_passes(setting: Setting) -> None:
    session, _ = setting.active()
    token = setting.token(session)
    judged = {setting.manager.claims.by_token("junk", 0.0) for _ in range(100)}
    assert judged == {ClaimRefusal.UNKNOWN}
    answers = [
        setting.manager.claims.by_code("ABCD2345", ADDRESS, 0.0, exclude=None) for _ in range(4)
    ]
    assert answers == [ClaimRefusal.UNKNOWN] * 3 + [ClaimRefusal.RATE]
    assert isinstance(setting.manager.claims.by_token(token, 0.0), Claim)


def test_where_many_guess_from_everywhere_each_network_has_one_wrong_code_at_a_time(
    setting: Setting,
) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None))
    claim_by_code = setting.manager.claims.by_code
    for number in range(LIMITS.node_attach_failure_burst_max):
        assert (
            claim_by_code("A" * 12, f"10.0.{number}.1", 0.0, exclude=None) is ClaimRefusal.UNKNOWN
        )
    assert claim_by_code("A" * 12, "one", 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    assert claim_by_code("A" * 12, "one", 0.0, exclude=None) is ClaimRefusal.RATE
    assert claim_by_code(code, "one", 0.0, exclude=None) is ClaimRefusal.RATE
    # Who has not been wrong is not disturbed.
    assert isinstance(claim_by_code(code, "another", 0.0, exclude=None), Claim)


def test_a_code_is_valid_as_long_as_its_session_unless_it_expires(setting: Setting) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None))
    assert isinstance(setting.manager.claims.by_code(code, ADDRESS, 1e9, exclude=None), Claim)


def test_a_code_may_expire_before_its_session(setting: Setting) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None), 100.0)
    assert isinstance(setting.manager.claims.by_code(code, ADDRESS, 99.0, exclude=None), Claim)
    assert (
        setting.manager.claims.by_code(code, ADDRESS, 101.0, exclude=None) is ClaimRefusal.UNKNOWN
    )


@pytest.mark.parametrize(("user", "seconds"), [("", 60.0), ("ann", 600.0)])
def test_a_session_is_refused_at_the_moment_it_expires(user: str, seconds: float) -> None:
    def expired(now: float) -> tuple[Session, str, str, Setting]:
        setting = Setting()
        limits = structs.replace(LIMITS, unclaimed_seconds_max=60.0, detached_seconds_max=600.0)
        setting.manager = SessionManager(limits, setting.journal, setting.later.append)
        session, consumer = setting.active(user)
        token = setting.token(session)
        code = setting.manager.claims.issue_code(Claim(session, None))
        session.lost(consumer, Reason.NETWORK_ERROR, 1_000.0)
        assert setting.manager.population.expires(session) == 1_000.0 + seconds
        return session, token, code, setting

    for early in (True, False):
        now = 1_000.0 + seconds - (0.01 if early else 0.0)
        session, token, code, setting = expired(now)
        claims = setting.manager.claims
        assert isinstance(claims.by_token(token, now), Claim) is early
        assert (session.sid in setting.manager.sessions) is early
        session, token, code, setting = expired(now)
        claims = setting.manager.claims
        assert isinstance(claims.by_code(code, ADDRESS, now, exclude=None), Claim) is early
        session, token, code, setting = expired(now)
        newer, _ = setting.active(user)
        offered = setting.manager.claims.newest_of_user(newer, now)
        assert (offered is session) is (early and bool(user))


def test_a_retired_token_in_a_cookie_is_refused_and_ends_nothing(setting: Setting) -> None:
    session, consumer = setting.active()
    old = setting.token(session)
    claim = setting.manager.claims.by_token(old, 0.0)
    assert isinstance(claim, Claim)
    newest = setting.manager.claims.issue_token(claim)
    session.row.tokens.confirm()
    assert setting.manager.claims.by_token(old, 0.0, revoke=False) is ClaimRefusal.REPLACED
    assert consumer.closed == []
    assert isinstance(setting.manager.claims.by_token(newest, 0.0, revoke=False), Claim)


def test_a_retired_token_closes_the_session(setting: Setting) -> None:
    session, consumer = setting.active()
    stolen = setting.token(session)
    claim = setting.manager.claims.by_token(stolen, 0.0)
    assert isinstance(claim, Claim)
    setting.manager.claims.issue_token(claim)
    session.row.tokens.confirm()
    assert setting.manager.claims.by_token(stolen, 0.0) is ClaimRefusal.REVOKED
    assert session.state is SessionState.CLOSED
    assert consumer.closed == [Reason.KICKED]
    assert setting.backend.told[-1] == ("ended", session, Reason.KICKED)
    assert session.sid not in setting.manager.sessions


def test_a_code_works_once_however_it_is_typed(setting: Setting) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None))
    typed = f" {code[:4].lower()}-{code[4:8]} {code[8:]} "
    claim = setting.manager.claims.by_code(typed, ADDRESS, 0.0, exclude=None)
    assert isinstance(claim, Claim)
    assert claim.secret is None
    newer = setting.manager.claims.issue_code(claim)
    # Nobody knows yet whether the newer one has arrived.
    assert setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None) == claim
    setting.manager.claims.confirm(session)
    assert setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    assert isinstance(setting.manager.claims.by_code(newer, ADDRESS, 0.0, exclude=None), Claim)


def test_a_code_whose_successor_never_arrived_brings_another(setting: Setting) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None))
    lost = ""
    for _ in range(3):
        claim = setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None)
        assert isinstance(claim, Claim)
        lost = setting.manager.claims.issue_code(claim)
    claim = setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None)
    assert isinstance(claim, Claim)
    setting.manager.claims.use_up_code(claim)
    assert setting.manager.claims.by_code(lost, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    setting.manager.claims.confirm(session)
    assert setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN


def test_a_newer_code_voids_the_older(setting: Setting) -> None:
    session, _ = setting.active()
    older = setting.manager.claims.issue_code(Claim(session, None))
    newer = setting.manager.claims.issue_code(Claim(session, None))
    assert setting.manager.claims.by_code(older, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    assert isinstance(setting.manager.claims.by_code(newer, ADDRESS, 0.0, exclude=None), Claim)


@pytest.mark.parametrize("what", ["renew", "void_codes"])
def test_codes_of_others_are_void_once_a_session_has_a_user(setting: Setting, what: str) -> None:
    session, _ = setting.active()
    claims = setting.manager.claims
    code = claims.issue_code(Claim(session, None))
    claim = claims.by_code(code, ADDRESS, 0.0, exclude=None)
    assert isinstance(claim, Claim)
    newer = claims.issue_code(claim)
    if what == "renew":
        claims.renew(session, new_token=False)
        assert isinstance(claims.by_code(newer, ADDRESS, 0.0, exclude=None), Claim)
    else:
        claims.void_codes(session)
        assert claims.by_code(newer, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    assert claims.by_code(code, ADDRESS, 0.0, exclude=None) is ClaimRefusal.UNKNOWN
    assert session.row.code_before == b""


def test_one_s_own_code_is_not_used_up(setting: Setting) -> None:
    session, _ = setting.active()
    code = setting.manager.claims.issue_code(Claim(session, None))
    assert setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=session) is ClaimRefusal.OWN
    assert isinstance(setting.manager.claims.by_code(code, ADDRESS, 0.0, exclude=None), Claim)


def test_a_session_that_is_not_ready_cannot_be_taken(setting: Setting) -> None:
    session = setting.manager.create(setting.backend, Durability.FAST, 0.0)
    session.open(RecordingConsumer(), numbered=False)
    claim = setting.manager.claims.by_token(setting.token(session), 0.0)
    assert claim is ClaimRefusal.TOO_EARLY


def test_the_newest_waiting_session_of_the_same_user_is_offered(setting: Setting) -> None:
    sessions = [setting.active("ann")[0] for _ in range(2)]
    other, _ = setting.active("bob")
    for now, session in enumerate([*sessions, other]):
        session.detach(Reason.NETWORK_ERROR, float(now))
    back, _ = setting.active("ann")
    claim = setting.manager.claims.by_user(back, 0.0)
    assert claim is not None
    assert claim.session is sessions[1]
    nobody, _ = setting.active("")
    assert setting.manager.claims.by_user(nobody, 0.0) is None


def test_a_drop_before_the_choice_of_a_profile_ends_the_session(setting: Setting) -> None:
    session = setting.manager.create(setting.backend, Durability.FAST, 0.0)
    consumer = RecordingConsumer()
    session.open(consumer, numbered=False)
    session.lost(consumer, Reason.NETWORK_ERROR, 1.0)
    assert session.sid not in setting.manager.sessions
    assert setting.backend.told == [("ended", session, Reason.NETWORK_ERROR)]


def test_who_does_not_come_back_is_let_go_in_the_order_of_leaving(setting: Setting) -> None:
    sessions = [setting.active("ann")[0] for _ in range(3)]
    for now, session in zip((10.0, 30.0, 20.0), sessions, strict=True):
        session.detach(Reason.NETWORK_ERROR, now)
    setting.manager.expire(115.0)
    assert sessions[0].state is SessionState.CLOSED
    assert sessions[1].state is sessions[2].state is SessionState.DETACHED_ACTIVE
    assert ("ended", sessions[0], Reason.TIMEOUT) in setting.backend.told


def test_a_takeover_closes_the_older_and_only_it(setting: Setting) -> None:
    session, older = setting.active()
    newer = RecordingConsumer()
    before = session.row.gen
    session.attach(newer, numbered=True)
    assert older.closed == [Reason.SUPERSEDED]
    assert newer.closed == []
    assert session.row.gen == before + 1
    session.lost(older, Reason.NETWORK_ERROR, 1.0)
    assert session.consumer is newer
    assert session.state is SessionState.ACTIVE


def test_outputs_of_one_tick_are_delivered_once(setting: Setting) -> None:
    session, consumer = setting.active()
    for _ in range(3):
        session.emit(Text("x"), MUST, 0.0)
    assert len(setting.later) == 1
    setting.later.pop()()
    assert consumer.delivered == 1


def test_a_session_that_fails_keeps_no_other_from_its_output(setting: Setting) -> None:
    (bad, broken), (good, consumer) = setting.active(), setting.active()

    def fail() -> None:
        raise ValueError("broken")

    broken.deliver = fail  # type: ignore[method-assign]
    for _ in range(2):
        bad.emit(Text("1"), MUST, 1.0)
        good.emit(Text("1"), MUST, 1.0)
        with capture_logs() as logs:
            setting.later.pop()()
        assert [line["event"] for line in logs] == ["a session failed"]
    assert consumer.delivered == 2


def test_a_backend_that_fails_at_the_end_of_a_session_does_not_keep_it(setting: Setting) -> None:
    session, consumer = setting.active()

    def fail(session: Session, reason: Reason) -> None:
        raise ValueError("broken")

    setting.backend.ending = setting.backend.ended = fail  # type: ignore[method-assign]
    with capture_logs() as logs:
        setting.manager.close(session, Reason.KICKED)
    assert [line["event"] for line in logs if "traceback" in str(line)] == ["a backend failed"] * 2
    assert consumer.closed == [Reason.KICKED]
    assert setting.journal.collect().batch.deleted == [session.sid]


def test_outputs_for_very_many_are_delivered_in_several_ticks_and_in_order(
    setting: Setting,
) -> None:
    setting.manager = SessionManager(SessionLimits(), setting.journal, setting.later.append)
    clients = [setting.active() for _ in range(600)]
    for session, _ in clients:
        session.emit(Text("x"), MUST, 0.0)
    (deliver,) = setting.later
    served = [0]
    while deliver():
        served.append(sum(consumer.delivered for _, consumer in clients))
        assert all(consumer.delivered for _, consumer in clients[: served[-1]])
        clients[0][0].emit(Text("more"), MUST, 0.0)  # it comes behind the others
        assert clients[0][1].delivered == 1
    assert max(later - before for before, later in pairwise(served)) <= 250
    assert [consumer.delivered for _, consumer in clients] == [2] + [1] * 599
    assert setting.later == [deliver]


def test_groups_know_their_members_and_end_with_them(setting: Setting) -> None:
    (ann, _), (bob, _) = setting.active(), setting.active()
    setting.manager.groups.join(ann, "lobby")
    setting.manager.groups.join(bob, "lobby")
    setting.manager.groups.join(ann, "lobby")
    assert list(setting.manager.groups.members("lobby")) == [ann, bob]
    setting.manager.groups.leave(ann, "lobby")
    setting.manager.groups.leave(ann, "lobby")
    assert list(setting.manager.groups.members("lobby")) == [bob]
    setting.manager.close(bob, Reason.KICKED)
    assert list(setting.manager.groups.members("lobby")) == []
    assert len(setting.manager.groups) == 0


def test_a_session_is_in_so_many_groups_and_keeps_so_much_data(setting: Setting) -> None:
    session, _ = setting.active()
    for group in ("a", "b"):
        setting.manager.groups.join(session, group)
    with pytest.raises(LimitExceededError, match="in 2 groups; it cannot join 'c'"):
        setting.manager.groups.join(session, "c")
    setting.manager.set_data(session, b"0123456789")
    with pytest.raises(LimitExceededError, match="11 bytes; at most 10"):
        setting.manager.set_data(session, b"0123456789+")
    assert session.row.data == b"0123456789"


def test_a_closed_session_is_closed_once(setting: Setting) -> None:
    session, consumer = setting.active()
    setting.manager.close(session, Reason.KICKED)
    setting.manager.close(session, Reason.TIMEOUT)
    assert consumer.closed == [Reason.KICKED]
    assert [told for told, _, _ in setting.backend.told] == ["ended"]
    assert isinstance(session.row, Row)


async def test_one_session_that_cannot_be_taken_up_keeps_no_other_out(setting: Setting) -> None:
    good, bad, strange = row(), row(), row(state="asleep")
    store = await keep([good, bad, strange])
    store._snapshots[bad.sid] = b"damaged", 0
    with capture_logs() as logs:
        await take_up(setting.manager, store, setting.backend)
        assert [entry["sid"] for entry in logs] == [strange.sid]
        assert "'asleep' is not a valid SessionState" in logs[0]["fault"]
        await setting.manager.loader.load_all(setting.backend, 0.0)
    assert list(setting.manager.sessions) == [good.sid]
    assert setting.manager.total == 1
    assert logs[1]["sid"] == bad.sid
    batch = setting.journal.collect().batch
    assert set(batch.deleted) == {strange.sid, bad.sid}
    assert {kept.sid for kept in batch.set_aside} == {strange.sid, bad.sid}
    assert setting.manager.counts.set_aside == len(batch.set_aside)


async def test_a_session_that_cannot_be_restored_is_set_aside_whole(setting: Setting) -> None:
    bad = row(durability="some", data=b"application data")
    await take_up(setting.manager, await keep([bad], "said"), setting.backend)
    bad.tokens = None  # type: ignore[assignment]
    found = await setting.manager.loader.find([bad.sid])
    assert found[bad.sid].row.durability == "some"
    setting.manager.loader._owner = None  # type: ignore[assignment]
    await setting.manager.loader.load([bad.sid], 0.0)
    assert setting.manager.find(bad.sid) is None
    (kept,) = setting.journal.collect().batch.set_aside
    assert "it cannot be loaded: " in kept.fault
    assert b"application data" in kept.body


async def test_a_session_that_the_store_has_lost_is_not_there_any_more(setting: Setting) -> None:
    lost = row(user="ann")
    store = await keep([lost])
    await take_up(setting.manager, store, setting.backend)
    del store._rows[lost.sid]
    with capture_logs() as logs:
        await setting.manager.loader.load([lost.sid], 0.0)
    assert setting.manager.total == 0
    assert [entry["sid"] for entry in logs] == [lost.sid]


async def test_a_session_that_never_became_active_ends_with_its_groups(setting: Setting) -> None:
    early = row(state="connecting", groups=("lobby",))
    await take_up(setting.manager, await keep([early]), setting.backend)
    assert setting.manager.total == 0
    assert setting.journal.collect().batch.deleted == [early.sid]
    assert setting.manager.counts.closed[Reason.SHUTDOWN.value] == 1


# --- loading


async def test_a_session_is_loaded_once_whoever_asks_for_it(setting: Setting) -> None:
    kept = row(user="ann", groups=("lobby",))
    await take_up(setting.manager, await keep([kept], "a", "b"), setting.backend)
    manager = setting.manager
    assert (manager.total, len(manager.sessions)) == (1, 0)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(manager.loader.load([kept.sid], 0.0))
    session = manager.sessions[kept.sid]
    assert (manager.total, len(manager.sessions), len(manager.loader.dormant)) == (1, 1, 0)
    assert list(manager.groups.members("lobby")) == [session]
    await manager.loader.load([kept.sid, "never"], 0.0)
    assert manager.sessions[kept.sid] is session


async def test_sessions_that_many_want_are_read_together(setting: Setting) -> None:
    rows = [row() for _ in range(300)]
    store = CountingStore(await keep(rows))
    await take_up(setting.manager, store, setting.backend)
    async with asyncio.TaskGroup() as tasks:
        for kept in rows:
            tasks.create_task(setting.manager.loader.load([kept.sid], 0.0))
    assert len(setting.manager.sessions) == 300
    # The first one comes alone, and none of the next ones waits for many others.
    assert [len(sids) for sids in store.taken] == [1, 20, 40, 80, 100, 59]


async def test_one_who_waits_no_more_does_not_keep_others_from_their_sessions(
    setting: Setting,
) -> None:
    rows = [row() for _ in range(3)]
    store = HeldStore(await keep(rows))
    await take_up(setting.manager, store, setting.backend)
    load = setting.manager.loader.load
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(load([rows[0].sid, rows[1].sid], 0.0))
        await store.asked.wait()
        tasks.create_task(load([rows[1].sid, rows[2].sid], 0.0))
        first.cancel()
        store.gate.set()
    assert {rows[1].sid, rows[2].sid} <= setting.manager.sessions.keys()


async def test_a_session_that_ends_while_it_is_loaded_stays_ended(setting: Setting) -> None:
    kept = row()
    store = HeldStore(await keep([kept]))
    await take_up(setting.manager, store, setting.backend)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(setting.manager.loader.load([kept.sid], 0.0))
        await store.asked.wait()
        dormant = setting.manager.find(kept.sid)
        assert dormant is not None
        setting.manager.end(dormant, Reason.KICKED)
        store.gate.set()
    assert setting.manager.total == 0
    assert not setting.manager.sessions
    assert setting.journal.collect().batch.deleted == [kept.sid]


async def test_the_window_of_a_session_that_is_loaded_late_is_no_older_than_others(
    setting: Setting,
) -> None:
    kept = row()
    await take_up(setting.manager, await keep([kept], "old"), setting.backend)
    await setting.manager.loader.load([kept.sid], LIMITS.window_age_seconds_max + 1.0)
    out = setting.manager.sessions[kept.sid].out
    assert (out.entries, out.base, out.top) == ([], 1, 1)


async def test_the_token_and_the_codes_of_a_dormant_session_say_that_it_is_to_be_loaded(
    setting: Setting,
) -> None:
    kept = row(code=hash_code("AAAA2222"), code_before=hash_code("EEEE3333"))
    token = kept.tokens.issue(kept.sid)
    await take_up(setting.manager, await keep([kept]), setting.backend)
    manager = setting.manager
    assert manager.claims.dormant_of_token(token) == kept.sid
    assert manager.claims.dormant_of_token("junk") is None
    assert manager.claims.dormant_of_code("aaaa-2222") == kept.sid
    assert manager.claims.dormant_of_code("EEEE-3333") == kept.sid
    assert manager.claims.dormant_of_code("CCCC-4444") is None
    await manager.loader.load([kept.sid], 0.0)
    assert manager.claims.dormant_of_token(token) is None
    assert manager.claims.dormant_of_code("AAAA-2222") is None
    assert isinstance(manager.claims.by_token(token, 0.0), Claim)
    assert isinstance(manager.claims.by_code("EEEE-3333", ADDRESS, 0.0, exclude=None), Claim)


async def test_the_code_of_a_dormant_session_that_ended_is_unknown(setting: Setting) -> None:
    kept = row(code=hash_code("AAAA2222"))
    await take_up(setting.manager, await keep([kept]), setting.backend)
    dormant = setting.manager.find(kept.sid)
    assert dormant is not None
    setting.manager.end(dormant, Reason.KICKED)
    setting.manager.end(dormant, Reason.KICKED)
    assert setting.manager.counts.closed[Reason.KICKED.value] == 1
    assert setting.manager.claims.dormant_of_code("AAAA-2222") is None
    assert not setting.manager.claims._codes
