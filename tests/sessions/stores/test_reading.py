"""What of a store cannot be read, and what is taken up all the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from holdfast.core.items import Text
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Found, Record, Row
from holdfast.sessions.stores.reading import Heads, Reader, Snapshot
from holdfast.sessions.stores.tail import Excerpts, Tail

encode = msgspec.msgpack.encode


def row(sid: str) -> bytes:
    return encode(Row(sid=sid, epoch="e", durability="fast", created=0.0))


def record(n: int, text: str = "x") -> Record:
    outs = [OutputEntry(Text(text), 1.0, "", 33)]
    return Record(
        n=n,
        outs=outs,
        ins=[],
        base=0,
        acked=0,
        maybe_delivered=0,
        top=n,
        applied=0,
        cin=0,
        offset=0,
    )


def entry(**records: object) -> bytes:
    return encode(list(records.items()))


class Store:
    """Rows, snapshots and a journal, as a store would have them."""

    def __init__(self) -> None:
        self.rows = {"good": row("good"), "bad": row("bad")}
        self.snapshots: dict[str, bytes] = {}
        self.journal: dict[int, bytes] = {}

    def read(self) -> tuple[Found, Tail]:
        """Everything that can be read, and what is set aside."""
        heads, tail = Heads(), Tail()
        for sid, body in self.rows.items():
            heads.row(sid, body)
        for sid, body in self.snapshots.items():
            if sid not in heads.heads:
                heads.orphan(sid, body)
        for number, body in self.journal.items():
            tail.entry(number, body, encode([]), heads.heads)
        rows = [(sid, self.rows[sid]) for sid in heads.heads]
        snapshots = {sid: Snapshot(body, []) for sid, body in self.snapshots.items()}
        excerpts = Excerpts({}, {})
        for number, pieces in tail.pieces(heads.heads).items():
            excerpts.take(pieces, self.journal[number], encode([]))
        found = Reader(tail).read(rows, snapshots, excerpts)
        found.set_aside = heads.set_aside + tail.set_aside + found.set_aside
        return found, tail


def an_unreadable_row(store: Store) -> None:
    store.rows["bad"] = b"\xc1"


def a_row_of_text(store: Store) -> None:
    store.rows["bad"] = "look"  # type: ignore[assignment]


def a_row_without_its_fields(store: Store) -> None:
    store.rows["bad"] = encode({"sid": "bad"})


def a_row_in_no_state(store: Store) -> None:
    store.rows["bad"] = encode(
        Row(sid="bad", epoch="e", durability="fast", created=0.0, state="asleep")
    )


def a_row_with_a_field_of_another_type(store: Store) -> None:
    fields = msgspec.msgpack.decode(store.rows["bad"])
    store.rows["bad"] = encode({**fields, "gen": "seven"})


def a_row_of_another_session(store: Store) -> None:
    store.rows["bad"] = row("other")


def an_orphan_snapshot(store: Store) -> None:
    del store.rows["bad"]
    store.snapshots["bad"] = encode(record(1))


def an_unreadable_snapshot(store: Store) -> None:
    store.snapshots["bad"] = b"\x90"


def an_unreadable_record(store: Store) -> None:
    store.journal[1] = entry(good=record(1, "a"), bad="nonsense")


def a_record_that_shares_what_is_not_there(store: Store) -> None:
    shares = record(1)
    shares.outs = [7]
    store.journal[1] = entry(bad=shares)


FAULTS: dict[str, tuple[Callable[[Store], None], str]] = {
    "row": (an_unreadable_row, "its row cannot be read"),
    "row-of-text": (a_row_of_text, "its row cannot be read"),
    "row-without-fields": (a_row_without_its_fields, "missing required field `created`"),
    "row-in-no-state": (a_row_in_no_state, "'asleep' is not a valid SessionState"),
    "row-of-another-type": (a_row_with_a_field_of_another_type, "Expected `int`, got `str`"),
    "row-of-another": (a_row_of_another_session, "it is the row of other"),
    "orphan-snapshot": (an_orphan_snapshot, "a snapshot without a session that can be read"),
    "snapshot": (an_unreadable_snapshot, "its snapshot cannot be read"),
    "shared": (a_record_that_shares_what_is_not_there, "it holds an output that is not there"),
    "record": (an_unreadable_record, "its record in entry 1 of the journal cannot be read"),
}


@pytest.mark.parametrize(("spoil", "words"), FAULTS.values(), ids=FAULTS)
def test_one_session_that_cannot_be_read_costs_no_other(
    spoil: Callable[[Store], None], words: str
) -> None:
    store = Store()
    spoil(store)
    store.journal[2] = entry(good=record(2, "b"), bad=record(2))
    found, tail = store.read()
    assert [session.row.sid for session in found.sessions] == ["good"]
    assert found.sessions[0].records[-1] == record(2, "b")
    assert {kept.sid for kept in found.set_aside} == {"bad"}
    assert words in found.set_aside[0].fault
    assert tail.complete


def test_what_is_known_of_a_session_is_set_aside_with_what_cannot_be_read() -> None:
    store = Store()
    store.journal = {1: entry(bad=record(1, "typed")), 2: entry(bad=[])}
    found, _ = store.read()
    bodies = [kept.body for kept in found.set_aside]
    assert bodies[0] == encode([])
    assert b"typed" in bodies[1]


def test_a_snapshot_is_set_aside_with_a_row_that_cannot_be_read() -> None:
    store = Store()
    a_row_with_a_field_of_another_type(store)
    store.snapshots["bad"] = encode(record(1, "typed"))
    found, _ = store.read()
    assert b"typed" in found.set_aside[1].body


def test_the_journal_goes_on_after_an_entry_that_cannot_be_read() -> None:
    store = Store()
    store.journal = {1: b"\xc1", 2: entry(good=record(2))}
    found, tail = store.read()
    assert found.sessions[0].records == [record(2)]
    assert [(kept.sid, kept.entry) for kept in found.set_aside] == [("", 1)]
    assert not tail.complete  # news may be missing: no session may go on as if it had them all
    assert tail.number == 2


def test_of_the_journal_only_what_somebody_still_needs_is_kept() -> None:
    store = Store()
    store.journal = {1: entry(good=record(1), bad=record(1), gone=record(1))}
    _, tail = store.read()
    assert sorted(tail.sids(10)) == ["bad", "good"]
    assert tail.sids(1) == ["good"]
    tail.forget(["good"])
    assert tail.sids(10) == ["bad"]
