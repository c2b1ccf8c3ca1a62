"""A session that is loaded late is the one that it would have been if it were loaded at the start.

Two gateways do the same with the same sessions, over any number of runs, with commits, compaction
and kills in between. One loads all of them at each start; the other loads each when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sessions.kept import restore, row
from tests.sessions.test_manager import RecordingBackend
from tests.simulation.disk import finish

from holdfast.core.items import MUST, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions import loading
from holdfast.sessions import manager as manager_module
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.eras import Eras
from holdfast.sessions.folding import fold
from holdfast.sessions.inbox import UNCLEAN_JUMP
from holdfast.sessions.journal import Commit, Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import SharedEntry, shared
from holdfast.sessions.records import Head, Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.sqlite import SQLiteFile

SESSIONS = 4
STORE_LIMITS = StoreLimits(journal_bytes_max=1_500, snapshot_bytes_max=200)
LIMITS = SessionLimits(window_messages_max=8)
NOW = 1_000.0


class Node:
    """A gateway over many runs, without its clients. `eager`: it loads everything at each start."""

    def __init__(self, *, eager: bool, folder: Path | None) -> None:
        self.eager = eager
        self.path = folder / f"{eager}.db" if folder is not None else None
        self.memory = MemoryStore()
        self.file: SQLiteFile | None = None
        self.backend = RecordingBackend()
        self.journal: Journal
        self.manager: SessionManager
        self.sids: list[str] = []
        self.unclean = 0
        """How many of its runs ended so."""
        self.start()

    def start(self) -> None:
        """The next run."""
        self.journal = Journal(STORE_LIMITS, lambda marks: None)
        self.manager = SessionManager(LIMITS, self.journal, lambda action: None)
        self.manager.loader.store = self.memory if self.path is None else _Direct(self)
        stored = finish(self.memory.open()) if self.path is None else self.opened(self.path)
        restore(self.manager, stored, self.backend, NOW)
        if self.eager:
            finish(self.manager.loader.load_all(self.backend, NOW))

    def opened(self, path: Path) -> Any:
        self.file = SQLiteFile(path, STORE_LIMITS)
        return self.file.open()

    def create(self, durability: Durability) -> None:
        session = self.manager.create(self.backend, durability, NOW)
        for step in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(step)
        self.sids.append(session.sid)

    def session(self, number: int) -> Session:
        """The session with this number; it is loaded if it is not."""
        sid = self.sids[number]
        finish(self.manager.loader.load([sid], NOW))
        return self.manager.sessions[sid]

    def write(self, commit: Commit) -> int:
        if self.file is not None:
            return self.file.commit(commit.batch)
        size: int = finish(self.memory.commit(commit.batch))
        return size

    def commit(self, outcome: str) -> None:
        """A commit, as the journal's loop makes it. It may be refused, or end unknown."""
        commit = self.journal.collect()
        if outcome == "refused":
            self.journal.failed(commit, StoreError("full"))
            return
        size = self.write(commit)
        if outcome == "unknown":
            self.journal.failed(commit, StoreError("the connection broke"))
            return
        self.journal.committed(commit, size)
        if self.journal.compaction.recovering:
            recovered = self.file.recover(1) if self.file else finish(self.memory.recover(1))
            if not recovered.left:
                self.journal.compaction.recovered()

    def stop(self, *, clean: bool) -> None:
        if clean:
            for session in self.manager.sessions.values():
                if not session.state.detached:  # a drain ends every connection
                    session.row.detached = NOW
                    session.apply(SessionInput.DROPPED)
            self.commit("stored")
        if self.file is not None:
            self.file.close(clean=clean)
        else:
            finish(self.memory.close(clean=clean))


class _Direct(MemoryStore):
    """Reads the file of a node, without a thread."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    async def take(self, sids: Any) -> Any:
        assert self.node.file is not None
        return self.node.file.find(sids)


def picture(session: Session) -> dict[str, Any]:
    """All that can be seen of a session, but for ids that are drawn by chance."""
    out, inbox, row = session.out, session.inbox, session.row
    return {
        "state": row.state,
        "gen": row.gen,
        "detached": row.detached,
        "groups": row.groups,
        "ends": bool(row.ends),
        "outs": [(entry.item, entry.key) for entry in out.entries],
        "out": (out.base, out.top, out.acked, out.maybe_delivered, out.assumed, out.prompt),
        "in": [(queued.item, queued.cseq % JUMP) for queued in inbox.entries],
        "inbox": (inbox.cin, inbox.offset % JUMP, inbox.applied % JUMP, inbox.size),
        "deliverable": session.deliverable(),
    }


def kept(session: Session) -> dict[str, Any]:
    """What an orderly stop changes nothing of."""
    return {key: value for key, value in picture(session).items() if key in KEPT}


KEPT = ("gen", "groups", "ends", "outs", "out", "in", "inbox")
JUMP = UNCLEAN_JUMP
"""How often it was jumped depends on how many runs the session was loaded in."""


@contextmanager
def same_numbers() -> Iterator[None]:
    """Both nodes draw the same ids."""
    drawn = iter(range(10**6))

    def sid() -> str:
        return f"0190{next(drawn):08x}-0000-7000-8000-000000000000"

    with mock.patch.object(manager_module, "new_sid", sid):
        yield


number = st.integers(0, SESSIONS - 1)
action = st.one_of(
    st.tuples(st.just("say"), number, st.text(max_size=40)),
    st.tuples(st.just("cast"), st.text(max_size=40)),
    st.tuples(st.just("type"), number, st.text("abc", max_size=20)),
    st.tuples(st.just("apply"), number),
    st.tuples(st.just("ack"), number),
    st.tuples(st.just("join"), number),
    st.tuples(st.just("commit"), st.sampled_from(["stored", "stored", "refused", "unknown"])),
    st.tuples(st.just("restart"), st.booleans()),
)


def perform(node: Node, what: str, *rest: Any) -> None:
    match what:
        case "say":
            node.session(rest[0]).emit(Text(rest[1]), MUST, NOW)
        case "cast":
            entry = shared(Text(rest[0]), MUST, NOW)
            assert isinstance(entry, SharedEntry)
            for each in range(SESSIONS):
                node.session(each).emit_shared(entry)
        case "type":
            node.session(rest[0]).receive(Text(rest[1]))
        case "apply":
            session = node.session(rest[0])
            session.applied(session.inbox.top)
        case "ack":
            out = node.session(rest[0]).out
            out.prove(out.top)
            node.session(rest[0]).mark_dirty()
        case "join":
            node.manager.groups.join(node.session(rest[0]), "lobby")
        case "commit":
            node.commit(rest[0])
        case "restart":
            node.stop(clean=rest[0])
            node.unclean += not rest[0]
            node.start()
        case _:
            raise AssertionError(what)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from(list(Durability)[1:]), min_size=SESSIONS, max_size=SESSIONS),
    st.lists(action, max_size=60),
    st.booleans(),
)
def test_a_session_that_is_loaded_late_is_as_one_that_was_loaded_at_the_start(
    durabilities: list[Durability], actions: list[tuple[Any, ...]], in_memory: bool
) -> None:
    with TemporaryDirectory() as name:
        folder = None if in_memory else Path(name)
        nodes = []
        seen: dict[str, dict[str, Any]] = {}
        for eager in (True, False):
            with same_numbers():
                node = Node(eager=eager, folder=folder)
                nodes.append(node)
                for durability in durabilities:
                    node.create(durability)
                node.commit("stored")
                for what, *rest in actions:
                    perform(node, what, *rest)
                seen = {sid: kept(session) for sid, session in node.manager.sessions.items()}
                node.stop(clean=True)
                node.start()
        at_start, on_demand = nodes
        for each, durability in enumerate(durabilities):
            late = on_demand.session(each)
            assert picture(late) == picture(at_start.session(each))
            assert bool(late.row.ends) is (durability is Durability.FAST and on_demand.unclean > 0)
            if late.sid in seen:  # it was loaded before the last, orderly stop
                assert kept(late) == seen[late.sid]
        for node in nodes:
            if node.file is not None:
                node.file.close(clean=True)


@settings(deadline=None, max_examples=40)
@given(st.lists(action, max_size=40))
def test_a_session_of_folded_records_is_as_one_of_the_records(
    actions: list[tuple[Any, ...]],
) -> None:
    with same_numbers():
        node = Node(eager=True, folder=None)
        for _ in range(SESSIONS):
            node.create(Durability.FAST)
        node.commit("stored")
        for what, *rest in actions:
            if what != "restart":
                perform(node, what, *rest)
        node.stop(clean=True)
        finish(node.memory.open())
        for each in finish(node.memory.find(node.sids)).sessions:
            made = [Session(each.row.copy(), node.backend, LIMITS, node.manager) for _ in range(2)]
            made[0].restore(each.records, Eras())
            made[1].restore([fold(each.records)], Eras())
            assert picture(made[0]) == picture(made[1])
            assert fold(each.records).ins == made[0].snapshot().ins


def test_sessions_are_registered_in_the_order_of_their_age_in_small_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, asked = 12_345, 0
    drawn = Random(1)  # they are stored in another order
    rows = [row(detached=float(drawn.randrange(1, 1_000))) for _ in range(count)]
    heads = [Head(it.sid, 0.0, state=it.state, user=it.sid, detached=it.detached) for it in rows]
    age = loading._AGE

    def counted(session: DormantSession) -> Any:
        nonlocal asked
        asked += 1
        return age(session)

    monkeypatch.setattr(loading, "_AGE", counted)
    backend, journal = RecordingBackend(), Journal(StoreLimits(), lambda marks: None)
    manager = SessionManager(SessionLimits(), journal, lambda later: None)
    dormant = manager.loader.dormant
    compared, registered = [0], [0]
    for _ in manager.restoring(Stored(clean=True, heads=heads), lambda head: backend, 2_000.0):
        compared.append(asked)
        registered.append(len(dormant))
    assert max(after - before for before, after in pairwise(compared)) <= 6_100
    assert max(after - before for before, after in pairwise(registered)) <= 1_000
    assert len(dormant) == count
    assert list(dormant) == sorted(dormant, key=age)
