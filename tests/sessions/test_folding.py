"""Records that add up to one, and those that say again what was stored already."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.sessions.kept import row
from tests.sessions.test_manager import Setting

from holdfast.core.items import Text
from holdfast.core.limits import SessionLimits
from holdfast.sessions.eras import Eras
from holdfast.sessions.folding import fold
from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Record
from holdfast.sessions.session import Session


def record(
    n: int, outs: str, top: int, ins: Sequence[int] = (), *, base: int = 0, applied: int = 0
) -> Record:
    """One with an output for each letter of `outs`, the last of which has the number `top`."""
    entries = [OutputEntry(Text(text), 1.0, "", 33) for text in outs]
    commands = [Queued(cseq, Text(str(cseq)), 33) for cseq in ins]
    offset = max((*ins, applied))
    return Record(n, entries, commands, base, base, 0, top, applied, 0, offset)


CASES = {
    "one": ([record(1, "ab", 2)], "ab", 0, []),
    "after-another": ([record(1, "ab", 2), record(2, "c", 3)], "abc", 0, []),
    "acknowledged": ([record(1, "ab", 2), record(2, "c", 3, base=1)], "bc", 1, []),
    "all-acknowledged": ([record(1, "ab", 2), record(2, "", 2, base=2)], "", 2, []),
    "a-gap": ([record(1, "ab", 2), record(2, "d", 4, base=3)], "d", 3, []),
    "commands": ([record(1, "", 0, [1, 2]), record(2, "", 0, [3])], "", 0, [1, 2, 3]),
    "applied": ([record(1, "", 0, [1, 2]), record(2, "", 0, [3], applied=2)], "", 0, [3]),
    "said-again": ([record(1, "ab", 2), record(2, "abc", 3)], "abc", 0, []),
    "said-again-in-part": ([record(1, "abc", 3), record(2, "cd", 4, base=2)], "cd", 2, []),
    "typed-again": ([record(1, "", 0, [1, 2]), record(2, "", 0, [1, 2, 3])], "", 0, [1, 2, 3]),
    "typed-again-and-applied": (
        [record(1, "", 0, [1, 2]), record(2, "", 0, [2, 3], applied=1)],
        "",
        0,
        [2, 3],
    ),
}


@pytest.mark.parametrize(("records", "outs", "base", "ins"), CASES.values(), ids=CASES)
def test_records_add_up_in_a_snapshot_as_in_a_session(
    records: list[Record], outs: str, base: int, ins: list[int]
) -> None:
    folded = fold(records)
    assert "".join(entry.item.text for entry in folded.outs) == outs  # type: ignore[union-attr]
    assert (folded.base, folded.top) == (base, records[-1].top)
    assert [queued.cseq for queued in folded.ins] == ins
    setting = Setting()
    session = Session(row(), setting.backend, SessionLimits(), setting.manager)
    session.restore(records, Eras())
    assert [entry.item for entry in session.out.entries] == [Text(text) for text in outs]
    assert (session.out.base, session.out.top) == (base, records[-1].top)
    assert [queued.cseq for queued in session.inbox.entries] == ins
    assert session.snapshot() == folded
