"""A batch as the values of the function `commit_1`. Hot path: one call for each group commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holdfast.sessions.records import Batch, SetAside
from holdfast.sessions.stores.postgres.schema import PLACE_BITS

_encode: Final = msgspec.msgpack.Encoder().encode


def place(inc: int, number: int) -> int:
    """The place of a journal's entry among the entries of all runs."""
    return inc << PLACE_BITS | number


def values_of(inc: int, number: int | None, batch: Batch) -> list[Any]:
    """The function's values for `batch`. Without a number, nothing is added to the journal."""
    entry, shared = _encode(batch.news), _encode(batch.shared)
    return [
        inc,
        number,
        batch.sync,
        entry,
        shared,
        batch.journal_from,
        list(batch.accepted) or None,
        list(batch.accepted.values()) or None,
        *_rows(batch),
        [sid for sid, _ in batch.snapshots] or None,
        [_encode(record) for _, record in batch.snapshots] or None,
        _encode(batch.snapshots_shared) if batch.snapshots_shared else None,
        batch.deleted or None,
        batch.forgotten or None,
        list(batch.settings) or None,
        list(batch.settings.values()) or None,
        *_set_aside(batch.set_aside),
    ]


def size_of(values: Sequence[Any]) -> int:
    """By how much the journal grows with these values."""
    return len(values[3]) + len(values[4])


def weight_of(values: Sequence[Any]) -> int:
    """About how much memory these values take."""
    rows, snapshots = values[15] or (), values[17] or ()
    return size_of(values) + sum(map(len, rows)) + sum(map(len, snapshots))


def _rows(batch: Batch) -> Sequence[list[Any] | None]:
    rows = batch.rows
    if not rows:
        return (None,) * 8
    return (
        [row.sid for row in rows],
        [_text(row.app) for row in rows],
        [_text(row.user) for row in rows],
        [row.state for row in rows],
        [row.detached for row in rows],
        [row.code for row in rows],
        [row.code_before for row in rows],
        [_encode(row) for row in rows],
    )


def _set_aside(parts: Sequence[SetAside]) -> Sequence[list[Any] | None]:
    if not parts:
        return (None,) * 4
    return (
        [_text(kept.sid) for kept in parts],
        [_text(kept.fault) for kept in parts],
        [kept.body for kept in parts],
        [kept.entry for kept in parts if kept.entry],
    )


def _text(value: str) -> str:
    """A text that PostgreSQL can store: no text of it has a zero byte."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value
