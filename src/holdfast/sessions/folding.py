"""A session's snapshot and the records after it, as one snapshot.

The same as loading the session and taking a snapshot of it, but for the limits
of its window, which hold when it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Record


def fold(records: Sequence[Record]) -> Record:
    """One record with all that `records`, which are in order, add up to."""
    outs: list[OutputEntry | int] = []
    ins: list[Queued] = []
    base = 0
    for record in records:
        top = base + len(outs)
        first = record.top - len(record.outs)
        if first > top:  # what is between was done with before its commit
            outs, base = [], first
        outs += record.outs[repeated(first, base + len(outs)) :]
        if record.base > base:
            del outs[: record.base - base]
            base = record.base
        ins += news(ins, record.ins)
        ins = [queued for queued in ins if queued.cseq > record.applied]
    newest = records[-1]
    return replace(newest, outs=outs, ins=ins, base=base)


def repeated(first: int, top: int) -> int:
    """Return how many of a record's outputs, which follow number `first`, an earlier record has
    stored.

    Some, if a commit was stored and its outcome was unknown: its records were repeated.
    """
    return max(0, top - first)


def news(known: Sequence[Queued], ins: Sequence[Queued]) -> Sequence[Queued]:
    """Those of a record's commands that no earlier record has stored."""
    if not known or not ins or ins[0].cseq > known[-1].cseq:
        return ins
    newest = known[-1].cseq
    return [queued for queued in ins if queued.cseq > newest]
