"""The journal of the run before: where in it a session's records are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import msgspec
import pytest

from holdfast.core.ids import new_sid, pack_sid
from holdfast.core.items import Text
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Head, Record, Row, StoredSession
from holdfast.sessions.stores.tail import Excerpts, Piece, Pieces, Tail

encode = msgspec.msgpack.encode
NOTHING = encode([])


def record(n: int, text: str = "x") -> Record:
    return Record(n, [OutputEntry(Text(text), 1.0, "", 33)], [], 0, 0, 0, n, 0, 0, 0)


def heads(sids: Sequence[str]) -> dict[str, Head]:
    return {sid: Head(sid, 0.0) for sid in sids}


def stored(sid: str) -> StoredSession:
    return StoredSession(Row(sid=sid, epoch="e", durability="fast", created=0.0), [])


def read(tail: Tail, journal: dict[int, bytes], sid: str) -> list[Record]:
    """The records that `tail` finds for a session in `journal`."""
    session, excerpts = stored(sid), Excerpts({}, {})
    for number, pieces in tail.pieces([sid]).items():
        excerpts.take(pieces, journal[number], NOTHING)
    tail.add_to(session, excerpts)
    return session.records


@pytest.mark.parametrize("count", [1, 15, 16, 65_536])
def test_the_records_of_an_entry_of_any_size_are_found(count: int) -> None:
    sids = [f"{number:06}" for number in range(count)]
    journal = {1: encode([(sid, record(1, sid)) for sid in sids])}
    tail = Tail()
    tail.entry(1, journal[1], NOTHING, heads(sids))
    for sid in {sids[0], sids[count // 2], sids[-1]}:
        assert read(tail, journal, sid) == [record(1, sid)]


def test_ids_of_sessions_are_read_as_they_were_and_as_they_are_written() -> None:
    sids = [new_sid() for _ in range(3)]
    journal = {
        1: encode([(sid, record(1, sid)) for sid in sids]),
        2: encode([(pack_sid(sid), record(2, sid)) for sid in sids]),
    }
    tail = Tail()
    for number, body in journal.items():
        tail.entry(number, body, NOTHING, heads(sids))
    for sid in sids:
        assert read(tail, journal, sid) == [record(1, sid), record(2, sid)]


def test_an_entry_that_is_gone_costs_the_session_that_needs_it() -> None:
    tail = Tail()
    tail.entry(1, encode([("one", record(1))]), NOTHING, heads(["one"]))
    with pytest.raises(Exception, match="its record in entry 1 of the journal cannot be read"):
        tail.add_to(stored("one"), Excerpts({}, {}))


def test_pieces_are_kept_by_session_and_in_order() -> None:
    pieces = Pieces()
    first, second, other = Piece(1, 0, 10), Piece(2, 5, 10), Piece(1, 10, 7)
    pieces.add("one", first)
    pieces.add("other", other)
    pieces.add("one", second)
    assert (pieces.of("one"), pieces.of("other"), pieces.of("nobody")) == (
        [first, second],
        [other],
        [],
    )
    assert list(pieces) == ["one", "other"]
    pieces.forget("one")
    assert (len(pieces), pieces.of("one"), pieces.of("other")) == (1, [], [other])
    pieces.forget("other")
    pieces.add("one", second)
    assert pieces.of("one") == [second]


def test_a_long_journal_takes_little_memory() -> None:
    sids = [f"{number:036}" for number in range(10_000)]
    known = heads(sids)
    body = encode([(sid, record(1, "x" * 300)) for sid in sids])
    tail = Tail()
    tracemalloc.start()
    try:
        tail.entry(1, body, NOTHING, known)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(sids) < 120
