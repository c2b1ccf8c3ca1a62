"""Changing sessions from behind: numbered once, refused with a reason, and of one backend alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import Struct
from tests.sessions.kept import keep, row

from holdfast.backends.base import BaseBackend
from holdfast.core.items import MUST, VOLATILE, Output, Prompt, Text
from holdfast.core.limits import Limits, SessionLimits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.port import Caller, GapError, SessionMovedError, SessionPort
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput, SessionState

NOW = 5.0


class Said(Struct):
    sid: str
    bseq: int
    item: Output
    delivery: str = MUST


class Remote(Caller):
    """A caller that notes what is refused, and speaks no more for the sessions in `lost`."""

    def __init__(self, key: str = "chat/i1", accepted: int = 0, maybe_delivered: int = 0) -> None:
        super().__init__(key, accepted, maybe_delivered)
        self.refused: list[tuple[int, str]] = []
        self.lost: set[Session] = set()

    def may_change(self, session: Session) -> bool:
        return session not in self.lost

    def refuse(self, number: int, fault: str, *, unknown: bool = False) -> None:
        self.refused.append((number, fault))


class Told:
    """The host: what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Session]] = []

    def user_changed(self, session: Session) -> None:
        self.calls.append(("user", session))

    def deselected(self, session: Session) -> None:
        self.calls.append(("deselected", session))


class Setting:
    """Two backends on one node, a port of the first, and a caller."""

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.journal = Journal(Limits().store, lambda marks: None)
        self.manager = SessionManager(limits or SessionLimits(), self.journal, lambda _: None)
        self.backend, self.other = BaseBackend(), BaseBackend()
        self.host = Told()
        self.port = SessionPort(self.backend, self.manager, self.journal, self.host, lambda: NOW)
        self.caller = Remote()

    def session(
        self, durability: Durability = Durability.FAST, *, foreign: bool = False
    ) -> Session:
        backend = self.other if foreign else self.backend
        session = self.manager.create(backend, durability, 0.0)
        for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given)
        return session

    @property
    def durable(self) -> dict[str, int]:
        """What the next commit keeps of callers."""
        return dict(self.journal.collect().batch.accepted)


def texts(session: Session) -> list[str]:
    return [entry.item.text for entry in session.out.entries if isinstance(entry.item, Text)]


# Every numbered change, for a session in the group `g`.
CHANGES: dict[str, Callable[[Setting, Session, int], None]] = {
    "emit": lambda it, s, n: it.port.emit_numbered(it.caller, [Said(s.sid, n, Text("x"))]),
    "broadcast": lambda it, s, n: it.port.broadcast(it.caller, n, "g", Text("x")),
    "update": lambda it, s, n: it.port.update(it.caller, n, s.sid, profile=f"p{n}"),
    "input-mode": lambda it, s, n: it.port.change_input_mode(it.caller, n, s.sid, "key"),
    "join": lambda it, s, n: it.port.join(it.caller, n, f"new{n}", [s.sid]),
    "leave": lambda it, s, n: it.port.leave(it.caller, n, "g", [s.sid]),
    "refuse": lambda it, s, n: it.port.refuse(it.caller, n, "no such call"),
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def state(session: Session) -> object:
    row = session.row
    return (texts(session), row.profile, row.input_mode, list(row.groups), row.user, row.data)


@each_change
def test_a_change_counts_once_and_its_number_is_kept(
    change: Callable[[Setting, Session, int], None],
) -> None:
    it = Setting()
    session = it.session()
    it.manager.groups.join(session, "g")
    before = state(session)
    change(it, session, 1)
    after, refused = state(session), list(it.caller.refused)
    assert (after != before) is not bool(refused)
    assert (it.caller.accepted, it.durable) == (1, {"chat/i1": 1})
    change(it, session, 1)
    assert (state(session), it.caller.refused, it.caller.accepted) == (after, refused, 1)
    change(it, session, 2)
    assert (it.caller.accepted, it.durable) == (2, {"chat/i1": 2})


@each_change
def test_a_number_left_out_is_an_error_and_changes_nothing(
    change: Callable[[Setting, Session, int], None],
) -> None:
    it = Setting()
    session = it.session()
    before = state(session)
    with pytest.raises(GapError, match="output 2 came after 0: some are missing"):
        change(it, session, 2)
    assert (state(session), it.caller.accepted, it.durable) == (before, 0, {})


def test_of_a_batch_what_is_new_is_said_and_what_cannot_be_is_refused() -> None:
    it = Setting(SessionLimits(output_bytes_max=10))
    it.caller.accepted = 2
    session, foreign, lost = it.session(), it.session(foreign=True), it.session()
    it.caller.lost.add(lost)
    it.port.emit_numbered(
        it.caller,
        [
            Said(session.sid, 2, Text("again")),
            Said(session.sid, 3, Text("new")),
            Said(session.sid, 4, Text("too long to be said")),
            Said(session.sid, 5, Text("x"), "sometimes"),
            Said(foreign.sid, 6, Text("x")),
            Said("nobody", 7, Text("x")),
            Said(lost.sid, 8, Text("x")),
            Said(session.sid, 9, Prompt(">"), "latest:prompt"),
            Said(session.sid, 10, Text("shown"), VOLATILE),
        ],
    )
    assert texts(session) == ["new"]
    assert texts(foreign) == texts(lost) == []
    assert [number for number, _ in it.caller.refused] == [4, 5, 6, 7, 8]
    assert it.caller.refused[4][1] == f"session {lost.sid} has moved to another instance"
    assert (it.caller.accepted, it.durable) == (10, {"chat/i1": 10})
    assert session.out.entries[0].time == NOW


def test_who_holds_a_session_by_its_route_is_not_asked() -> None:
    it = Setting()
    session = it.session()
    session.route = it.caller
    it.caller.lost.add(session)
    it.port.emit_numbered(it.caller, [Said(session.sid, 1, Text("mine"))])
    assert texts(session) == ["mine"]


@pytest.mark.parametrize("last", [1, 2])
def test_what_a_gateway_before_may_have_shown_counts_as_maybe_delivered(last: int) -> None:
    it = Setting()
    it.caller = Remote(maybe_delivered=last)
    session = it.session()
    it.manager.groups.join(session, "g")
    it.port.emit_numbered(it.caller, [Said(session.sid, 1, Text("1"))])
    assert session.out.maybe_delivered == 1
    it.port.broadcast(it.caller, 2, "g", Text("2"))
    assert session.out.maybe_delivered == min(2, last)
    it.port.emit_numbered(it.caller, [Said(session.sid, 3, Text("3"))])
    it.port.broadcast(it.caller, 4, "g", Text("4"))
    assert (session.out.top, session.out.maybe_delivered) == (4, last)


def test_a_broadcast_is_for_the_backend_s_members_but_one() -> None:
    it = Setting()
    members = [it.session(), it.session(), it.session(foreign=True)]
    outsider = it.session()
    for session in members:
        it.manager.groups.join(session, "g")
    it.port.broadcast(it.caller, 1, "g", Text("hi"), exclude=members[1].sid)
    assert [texts(session) for session in (*members, outsider)] == [["hi"], [], [], []]


def test_an_update_tells_the_host_of_another_user_alone() -> None:
    it = Setting()
    session = it.session()
    it.port.update(it.caller, 1, session.sid, user="ann", profile="p", data=b"d")
    assert (session.row.user, session.row.profile, session.row.data) == ("ann", "p", b"d")
    it.port.update(it.caller, 2, session.sid, user="ann")
    assert it.host.calls == [("user", session)]
    it.port.update(it.caller, 3, session.sid, deselect=True)
    it.port.update(it.caller, 4, session.sid, deselect=True)  # it is selecting: nothing to do
    assert it.host.calls[1:] == [("deselected", session)]
    assert session.state is SessionState.SELECTING


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda it, sid: it.port.update(it.caller, 1, sid, data=b"xx"), "application data of 2"),
        (lambda it, sid: it.port.update(it.caller, 1, sid, user="x" * 99), "user: expected at"),
        (lambda it, sid: it.port.join(it.caller, 1, "x" * 99, [sid]), "group: expected at most"),
        (lambda it, sid: it.port.join(it.caller, 1, "h", [sid]), "it cannot join 'h'"),
        (
            lambda it, sid: it.port.change_input_mode(it.caller, 1, sid, "loud"),
            "input_mode: expected",
        ),
        (
            lambda it, sid: it.port.broadcast(it.caller, 1, "g", Text("x"), "never"),
            "delivery: expected must",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_refused(
    change: Callable[[Setting, str], None], fault: str
) -> None:
    limits = SessionLimits(groups_max=1, name_bytes_max=9, application_data_bytes_max=1)
    it = Setting(limits)
    session = it.session()
    it.manager.groups.join(session, "g")
    before = state(session)
    change(it, session.sid)
    ((number, told),) = it.caller.refused
    assert number == 1
    assert fault in told
    assert (state(session), it.caller.accepted) == (before, 1)


def test_a_session_that_has_moved_is_no_longer_the_caller_s() -> None:
    it = Setting()
    session, foreign = it.session(), it.session(foreign=True)
    assert it.port.held(it.caller, session.sid) is session
    assert it.port.held(it.caller, foreign.sid) is it.port.held(it.caller, "nobody") is None
    it.caller.lost.add(session)
    with pytest.raises(SessionMovedError, match="has moved to another instance"):
        it.port.held(it.caller, session.sid)
    it.port.join(it.caller, 1, "g", [session.sid])
    assert it.caller.refused == [(1, f"session {session.sid} has moved to another instance")]


def test_only_the_backend_s_own_sessions_are_found() -> None:
    it = Setting()
    session, foreign = it.session(), it.session(foreign=True)
    assert list(it.port.sessions) == [session]
    assert it.port.find(session.sid) is session
    assert it.port.find(foreign.sid) is None
    assert set(it.port.by_sid) == {session.sid, foreign.sid}


def test_commands_are_taken_once_until_they_are_rewound() -> None:
    it = Setting()
    session = it.session()
    for text in ("a", "b", "c"):
        session.receive(Text(text))
    assert [queued.item for queued in it.port.take_within(session, 1)] == [Text("a")]
    assert [queued.item for queued in it.port.take(session)] == [Text("b"), Text("c")]
    it.port.applied(session, 1)
    it.port.rewind(session)
    assert [queued.cseq for queued in it.port.take(session)] == [2, 3]


class Client:
    """A consumer that takes so many outputs, if any."""

    def __init__(self, session: Session, takes: int) -> None:
        self._session = session
        self._takes = takes

    def deliver(self) -> None:
        out = self._session.out
        if self._takes > out.sent:
            out.take(min(self._takes, out.top))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


def test_how_full_the_window_is_with_and_without_a_client() -> None:
    it = Setting(SessionLimits(window_messages_max=8, window_bytes_max=1 << 20))
    session = it.session()
    for text in ("a", "b", "c", "d"):
        it.port.emit(session, Text(text), MUST, NOW)
    assert not session.attached
    assert it.port.fill(session) == 4 / 8
    assert not it.port.is_delivered(session)
    session.open(Client(session, takes=3), numbered=False)
    assert it.port.fill(session) == 1 / 8
    assert not it.port.is_delivered(session)
    session.open(Client(session, takes=9), numbered=False)
    assert it.port.fill(session) == 0.0
    assert it.port.is_delivered(session)


def test_the_window_s_bytes_count_as_well_as_its_messages() -> None:
    it = Setting(SessionLimits(window_messages_max=1000, window_bytes_max=1000))
    session = it.session()
    it.port.emit(session, Text("x" * 400), MUST, NOW)
    assert it.port.fill(session) == session.out.size / 1000 > 0.4


@pytest.mark.parametrize("named", [True, False], ids=["some", "all"])
async def test_a_backend_loads_its_own_sessions_alone(named: bool) -> None:
    it = Setting()
    own, foreign = row(app="own"), row(app="other")
    store = await keep([own, foreign])
    it.manager.loader.store = store
    backends = {"own": it.backend, "other": it.other}
    for _ in it.manager.restoring(await store.open(), lambda head: backends[head.app], NOW):
        pass
    assert [one.sid for one in it.port.dormant] == [own.sid]
    await it.port.load([foreign.sid, own.sid, "unknown"] if named else None)
    assert list(it.port.by_sid) == [own.sid]
    assert list(it.port.dormant) == []
