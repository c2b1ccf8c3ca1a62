"""What the store keeps: a store of an earlier version is read by these names and places."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast.core.items import Text
from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import (
    Batch,
    Capabilities,
    EpochEnd,
    Found,
    Record,
    Recovered,
    Row,
    SetAside,
    Stored,
    StoredSession,
)
from holdfast.sessions.tokens import Tokens

MUST = object()
ROW: dict[str, object] = {
    "sid": MUST,
    "epoch": MUST,
    "durability": MUST,
    "created": MUST,
    "gen": 0,
    "state": "connecting",
    "user": "",
    "properties": {},
    "profile": "",
    "data": b"",
    "groups": (),
    "capabilities": Capabilities(),
    "address": "",
    "protocol": "",
    "app": "",
    "known": False,
    "instance": "",
    "resync": "",
    "suspect": 0,
    "suspect_runs": 0,
    "input_mode": "line",
    "tokens": Tokens(),
    "code": b"",
    "code_expires": 0.0,
    "code_before": b"",
    "numbered": False,
    "attempt": 0,
    "detached": 0.0,
    "ends": (),
    "era": 0,
}
CAPABILITIES: dict[str, object] = {
    "client": "",
    "terminal": "",
    "width": 0,
    "height": 0,
    "utf8": True,
    "colors": 0,
    "data": False,
    "binary": False,
    "screen_reader": False,
}


def fields_of(kind: Any) -> dict[str, object]:
    return {
        field.encode_name: field.default
        if field.default is not msgspec.NODEFAULT
        else MUST
        if field.default_factory is msgspec.NODEFAULT
        else field.default_factory()
        for field in msgspec.structs.fields(kind)
    }


@pytest.mark.parametrize(
    ("kind", "fields"), [(Row, ROW), (Capabilities, CAPABILITIES)], ids=["row", "capabilities"]
)
def test_each_field_keeps_its_name_and_its_default(kind: Any, fields: dict[str, object]) -> None:
    assert {**fields_of(kind), **fields} == fields_of(kind), "more may come; what is there stays"


ROW_OF_NOTHING = Row("s", "e", "fast", 1.5)


def test_a_row_is_read_as_it_was_written() -> None:
    row = Row(
        "s", "e", "fast", 1.5,
        user="ann", properties={"a": "b"}, groups=("g",), ends=(EpochEnd("d", 7),),
        capabilities=Capabilities(width=80, utf8=False), tokens=Tokens(current=bytes(31) + b"x"),
    )  # fmt: skip
    for it in (ROW_OF_NOTHING, row):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(it), type=Row) == it


def test_what_a_later_version_adds_is_passed_over() -> None:
    written = msgspec.to_builtins(ROW_OF_NOTHING) | {"tomorrow": 1}
    assert msgspec.convert(written, Row) == ROW_OF_NOTHING


def test_a_row_of_an_earlier_version_has_less() -> None:
    written = {"sid": "s", "epoch": "e", "durability": "fast", "created": 1.5}
    assert msgspec.convert(written, Row) == ROW_OF_NOTHING


def test_capabilities_are_written_where_they_differ() -> None:
    assert msgspec.to_builtins(Capabilities(width=80)) == {"width": 80}
    assert msgspec.to_builtins(Capabilities()) == {}


def test_a_copy_is_not_changed_with_the_row() -> None:
    row = Row("s", "e", "fast", 1.5)
    copy = row.copy()
    row.user = "ann"
    row.tokens.current = b"x"
    assert copy == ROW_OF_NOTHING
    assert copy.tokens == Tokens()


def test_each_part_of_a_record_keeps_its_place() -> None:
    entry = OutputEntry(Text("a"), 1.5, "k", 33)
    queued = Queued(4, Text("b"), 33)
    record = Record(1, [entry, 0], [queued], 2, 3, 4, 5, 6, 7, 8)
    written = [1, [[["text", "a"], 1.5, "k", 33], 0], [[4, ["text", "b"], 33]], 2, 3, 4, 5, 6, 7, 8]
    assert msgspec.to_builtins(record) == [*written, 0, ""]
    read = msgspec.convert(written, Record)
    assert read == record
    assert (read.n, read.base, read.acked, read.maybe_delivered, read.top) == (1, 2, 3, 4, 5)
    assert (read.applied, read.cin, read.offset, read.assumed, read.prompt) == (6, 7, 8, 0, "")
    assert msgspec.convert([*written, 9, "> "], Record) == Record(
        1, [entry, 0], [queued], 2, 3, 4, 5, 6, 7, 8, 9, "> "
    )


def test_an_end_of_an_epoch_keeps_its_places() -> None:
    assert msgspec.to_builtins(EpochEnd("e", 7)) == ["e", 7]


def test_an_empty_batch_changes_nothing() -> None:
    assert fields_of(Batch) == {
        "number": 0,
        "rows": [],
        "records": [],
        "extensions": [],
        "shared": [],
        "snapshots": [],
        "snapshots_shared": [],
        "journal_from": 0,
        "deleted": [],
        "accepted": {},
        "forgotten": [],
        "settings": {},
        "set_aside": [],
        "sync": False,
        "whole": False,
    }


def test_what_is_read_from_a_store_that_is_empty() -> None:
    assert fields_of(Stored) == {
        "clean": MUST,
        "number": 0,
        "journal_bytes": 0,
        "newest": 0.0,
        "heads": [],
        "accepted": {},
        "settings": {},
        "set_aside": [],
        "ended": [],
    }
    assert fields_of(Found) == {"sessions": [], "set_aside": []}
    assert fields_of(Recovered) == {"left": MUST, "set_aside": []}
    assert fields_of(SetAside) == {"sid": MUST, "fault": MUST, "body": MUST, "entry": 0}
    assert fields_of(StoredSession) == {"row": MUST, "records": MUST, "generation": 0}
