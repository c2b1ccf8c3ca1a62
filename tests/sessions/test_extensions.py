"""Outputs that many sessions get at once are one extension in the journal."""

from __future__ import annotations

import random

import pytest
from tests.sessions.test_journal import Setting, active
from tests.sessions.test_manager import RecordingConsumer

from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Prompt, Text
from holdfast.sessions.extensions import MEMBERS_MAX
from holdfast.sessions.outbox import shared
from holdfast.sessions.port import SessionPort
from holdfast.sessions.records import Batch, Extension
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.base import StoreFullError


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def group(
    setting: Setting, count: int, durability: Durability = Durability.FAST
) -> list[Session]:
    """Sessions that wait for their clients, and are stored as they are."""
    sessions = [active(setting, durability) for _ in range(count)]
    for session in sessions:
        session.apply(SessionInput.DROPPED)
    await setting.commit()
    return sessions


def tell(sessions: list[Session], text: str, delivery: str = MUST) -> None:
    entry = shared(Prompt(text) if delivery != MUST else Text(text), delivery, 1.0)
    assert entry is not None
    for session in sessions:
        session.emit_shared(entry)


def kept(session: Session) -> tuple[object, ...]:
    """What a restart must bring back of a session's logs."""
    out, inbox = session.out, session.inbox
    outs = [(entry.item, entry.time) for entry in out.entries]
    ins = [(queued.cseq, queued.item) for queued in inbox.entries]
    return out.base, outs, out.acked, out.prompt, inbox.kept(), inbox.applied, ins


def members(batch: Batch) -> list[int]:
    return [len(keys) for keys, _ in batch.extensions]


async def test_sessions_with_the_same_news_are_in_one_extension(setting: Setting) -> None:
    sessions = await group(setting, 5)
    tell(sessions, "a")
    tell(sessions[:2], "b")
    batch = await setting.commit()
    assert batch.records == []
    assert sorted(members(batch)) == [2, 3]
    assert [entry.item for entry in batch.shared] == [Text("a"), Text("b")]
    assert (await setting.commit()).extensions == []  # what is stored is not stored again


async def test_an_extension_is_smaller_than_records(setting: Setting) -> None:
    sessions = await group(setting, 1_000)
    before = setting.journal.written_bytes
    tell(sessions, "x" * 64)
    await setting.commit()
    told = setting.journal.written_bytes - before
    assert told <= 36 * len(sessions)


async def test_an_extension_has_so_many_sessions(setting: Setting) -> None:
    sessions = await group(setting, MEMBERS_MAX + 1)
    tell(sessions, "a")
    assert members(await setting.commit()) == [MEMBERS_MAX, 1]


@pytest.mark.parametrize("first", [True, False])
async def test_a_session_with_other_news_has_a_record(setting: Setting, *, first: bool) -> None:
    sessions = await group(setting, 3)
    if first:
        sessions[0].emit(Text("own"), MUST, 1.0)
    tell(sessions, "a")
    if not first:
        sessions[0].emit(Text("own"), MUST, 1.0)
    batch = await setting.commit()
    ((key, record),) = batch.records
    assert (key, record.top) == (sessions[0].journal_key, 2)
    assert members(batch) == [2]


async def test_a_prompt_for_many_is_in_a_record_of_each(setting: Setting) -> None:
    sessions = await group(setting, 2)
    tell(sessions, "a")
    tell(sessions, "> ", "latest:prompt")
    batch = await setting.commit()
    assert [record.prompt for _, record in batch.records] == ["> ", "> "]
    assert batch.extensions == []


async def test_output_that_a_client_may_have_is_told_of_beside_it(setting: Setting) -> None:
    (session,) = await group(setting, 1)
    tell([session], "a")
    SessionPort.mark_delivered(session)
    ((_, record),) = (await setting.commit()).records
    assert record.maybe_delivered == 1


async def test_a_durable_session_is_told_once_its_extension_is_stored(setting: Setting) -> None:
    sessions = await group(setting, 2, Durability.DURABLE)
    consumer = RecordingConsumer()
    sessions[0].attach(consumer, numbered=False)
    await setting.commit()
    told = consumer.delivered
    tell(sessions, "a")
    assert (consumer.delivered, sessions[0].deliverable()) == (told, 0)
    batch = await setting.commit()
    assert (members(batch), batch.sync) == ([2], True)
    assert (consumer.delivered, sessions[0].deliverable()) == (told + 1, 1)


async def test_a_closed_session_is_not_in_an_extension(setting: Setting) -> None:
    sessions = await group(setting, 2)
    tell(sessions, "a")
    setting.manager.close(sessions[0], Reason.KICKED)
    assert members(await setting.commit()) == [1]


async def test_a_refused_extension_is_stored_as_records(setting: Setting) -> None:
    sessions = await group(setting, 3)
    tell(sessions, "a")
    commit = setting.journal.collect()
    tell(sessions, "b")
    setting.journal.failed(commit, StoreFullError("full"))
    batch = await setting.commit()
    assert [record.top for _, record in batch.records] == [2, 2, 2]
    manager = await setting.reopened()
    assert [kept(manager.sessions[s.sid])[1] for s in sessions] == [kept(s)[1] for s in sessions]


@pytest.mark.parametrize("seed", range(8))
async def test_a_restart_finds_what_there_was_before(setting: Setting, seed: int) -> None:
    """Own outputs, commands and outputs for some sessions in any order, commits that fail, and a
    journal that is cleaned."""
    draw = random.Random(seed)
    sessions = await group(setting, 6)
    for number in range(150):
        some = draw.sample(sessions, draw.randint(1, 6))
        what = draw.random()
        if what < 0.5:
            tell(some, f"all {number}")
        elif what < 0.6:
            tell(some, f"> {number}", "latest:prompt")
        elif what < 0.7:
            some[0].emit(Text(f"own {number}"), MUST, 1.0)
        elif what < 0.8:
            some[0].receive(Text(f"command {number}"))
        elif what < 0.85:
            some[0].applied(some[0].inbox.top)
        elif what < 0.9:
            setting.journal.failed(setting.journal.collect(), StoreFullError("full"))
        else:
            await setting.commit()
    await setting.commit()
    expected = {session.sid: kept(session) for session in sessions}
    manager = await setting.reopened()
    assert {sid: kept(session) for sid, session in manager.sessions.items()} == expected


def test_a_place_that_is_not_there_is_an_error() -> None:
    extension = Extension.of([0], [3, 4], [1 << 40, 7])
    assert [extension.position(place) for place in (0, 1)] == [(3, 1 << 40), (4, 7)]
    with pytest.raises(ValueError, match="it has 2 sessions, and none at place 2"):
        extension.position(2)


async def test_an_extension_has_256_sessions_at_most(setting: Setting) -> None:
    sessions = await group(setting, 513)
    tell(sessions, "a")
    assert members(await setting.commit()) == [256, 256, 1]
