"""What of a store cannot be read, and what is taken up all the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from holdfast.core.items import Text
from holdfast.sessions.outbox import Entry
from holdfast.sessions.records import Record, Row
from holdfast.sessions.stores.reading import Reader

encode = msgspec.msgpack.encode


def row(sid: str) -> bytes:
    return encode(Row(sid=sid, epoch="e", durability="fast", created=0.0))


def record(n: int, text: str = "x") -> Record:
    outs = [Entry(Text(text), 1.0, "", 33)]
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


def an_unreadable_row(reader: Reader) -> None:
    reader.row("bad", b"\xc1")


def a_row_of_text(reader: Reader) -> None:
    reader.row("bad", "look")  # type: ignore[arg-type]


def a_row_without_its_fields(reader: Reader) -> None:
    reader.row("bad", encode({"sid": "bad"}))


def a_row_of_another_session(reader: Reader) -> None:
    reader.row("bad", row("other"))


def an_orphan_snapshot(reader: Reader) -> None:
    reader.snapshot("bad", encode(record(1)))


def an_unreadable_snapshot(reader: Reader) -> None:
    reader.row("bad", row("bad"))
    reader.snapshot("bad", b"\x90")


def an_unreadable_record(reader: Reader) -> None:
    reader.row("bad", row("bad"))
    reader.entry(1, entry(good=record(1, "a"), bad="nonsense"))


def a_record_that_shares_what_is_not_there(reader: Reader) -> None:
    reader.row("bad", row("bad"))
    shares = record(1)
    shares.outs = [7]
    reader.entry(1, entry(bad=shares))


FAULTS: dict[str, tuple[Callable[[Reader], None], str]] = {
    "row": (an_unreadable_row, "its row cannot be read"),
    "row-of-text": (a_row_of_text, "its row cannot be read"),
    "row-without-fields": (a_row_without_its_fields, "missing required field `epoch`"),
    "row-of-another": (a_row_of_another_session, "it is the row of other"),
    "orphan-snapshot": (an_orphan_snapshot, "a snapshot without a session that can be read"),
    "snapshot": (an_unreadable_snapshot, "its snapshot cannot be read"),
    "shared": (a_record_that_shares_what_is_not_there, "it holds an output that is not there"),
    "record": (an_unreadable_record, "its record in entry 1 of the journal cannot be read"),
}


@pytest.mark.parametrize(("spoil", "words"), FAULTS.values(), ids=FAULTS)
def test_one_session_that_cannot_be_read_costs_no_other(
    spoil: Callable[[Reader], None], words: str
) -> None:
    reader = Reader()
    reader.row("good", row("good"))
    spoil(reader)
    reader.entry(2, entry(good=record(2, "b"), bad=record(2)))
    assert list(reader.sessions) == ["good"]
    assert reader.sessions["good"].records[-1] == record(2, "b")
    assert {kept.sid for kept in reader.set_aside} == {"bad"}
    assert words in reader.set_aside[0].fault
    assert reader.complete


def test_what_is_known_of_a_session_is_set_aside_with_what_cannot_be_read() -> None:
    reader = Reader()
    reader.row("bad", row("bad"))
    reader.entry(1, entry(bad=record(1, "typed")))
    reader.entry(2, entry(bad=[]))
    bodies = [kept.body for kept in reader.set_aside]
    assert bodies[0] == encode([])
    assert b"typed" in bodies[1]


def test_the_journal_goes_on_after_an_entry_that_cannot_be_read() -> None:
    reader = Reader()
    reader.row("good", row("good"))
    reader.entry(1, b"\xc1")
    reader.entry(2, entry(good=record(2)))
    assert reader.sessions["good"].records == [record(2)]
    assert [(kept.sid, kept.entry) for kept in reader.set_aside] == [("", 1)]
    assert not reader.complete  # news may be missing: no session may go on as if it had them all
