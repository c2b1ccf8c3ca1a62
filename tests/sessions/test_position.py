"""Whether a client continues where it was, and where it goes on if it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.sessions.test_manager import RecordingBackend

from holdfast.core.items import MUST, Text
from holdfast.core.limits import SessionLimits, StoreLimits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.position import (
    ClientPosition,
    ResetReason,
    reset_position,
    reset_reason,
    why_reset,
)
from holdfast.sessions.records import EpochEnd
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability

BASE, TOP = 3, 8
"""The outputs that the session keeps are those after the one number, up to the other."""


def session(durability: Durability = Durability.FAST) -> Session:
    """A session of the epoch `now`, with two epochs before it whose ends are known."""
    later: list[Callable[[], bool]] = []
    manager = SessionManager(
        SessionLimits(), Journal(StoreLimits(), lambda marks: None), later.append
    )
    it = manager.create(RecordingBackend(), durability, 0.0)
    for number in range(1, TOP + 1):
        it.emit(Text(str(number)), MUST, 0.0)
    it.out.skip_to(BASE)
    it.row.epoch = "now"
    it.row.ends = (EpochEnd("older", 2), EpochEnd("before", 5))
    return it


REASONS = {
    "all of it": ("now", TOP, None),
    "none of the kept": ("now", BASE, None),
    "some are gone": ("now", BASE - 1, ResetReason.TRIMMED),
    "more than there is": ("now", TOP + 1, ResetReason.AHEAD),
    "the only epoch": ("", TOP, None),
    "the only epoch, and more": ("", TOP + 1, ResetReason.AHEAD),
    "all of the epoch before": ("before", 5, None),
    "more than the epoch before had": ("before", 6, ResetReason.EPOCH),
    "an epoch whose end is gone": ("older", 2, ResetReason.TRIMMED),
    "an unknown epoch": ("another", 4, ResetReason.EPOCH),
}


@pytest.mark.parametrize(("epoch", "last", "reason"), REASONS.values(), ids=REASONS)
def test_a_client_continues_if_nothing_that_it_needs_is_lost(
    epoch: str, last: int, reason: ResetReason | None
) -> None:
    assert reset_reason(session(), ClientPosition(epoch, last)) is reason


def test_what_is_not_stored_is_ahead_of_a_durable_session() -> None:
    it = session(Durability.DURABLE)
    assert it.deliverable() == 0
    assert reset_reason(it, ClientPosition("now", 4)) is ResetReason.AHEAD
    assert reset_position(it, ClientPosition("now", 4), ResetReason.AHEAD) == 0


POSITIONS = {
    "fresh": (ClientPosition("now", 5), ResetReason.FRESH, TOP),
    "without a position": (None, ResetReason.TRIMMED, TOP),
    "trimmed": (ClientPosition("now", 1), ResetReason.TRIMMED, BASE),
    "ahead": (ClientPosition("now", 99), ResetReason.AHEAD, BASE),
    "an unknown epoch": (ClientPosition("another", 99), ResetReason.EPOCH, BASE),
    "beyond the end of an epoch": (ClientPosition("before", 7), ResetReason.EPOCH, 5),
    "beyond an end that is gone": (ClientPosition("older", 7), ResetReason.EPOCH, BASE),
}


@pytest.mark.parametrize(("position", "reason", "after"), POSITIONS.values(), ids=POSITIONS)
def test_what_is_kept_follows_a_reset(
    position: ClientPosition | None, reason: ResetReason, after: int
) -> None:
    assert reset_position(session(), position, reason) == after


EXPLAINED = {
    "fresh": (
        ClientPosition("now", 5),
        ResetReason.FRESH,
        "the client has begun with an empty display",
    ),
    "without a position": (
        None,
        ResetReason.TRIMMED,
        "the client has begun with an empty display",
    ),
    "trimmed": (
        ClientPosition("now", 1),
        ResetReason.TRIMMED,
        "the client has outputs up to 1; outputs up to 3 are gone",
    ),
    "ahead": (
        ClientPosition("now", 99),
        ResetReason.AHEAD,
        "the client has outputs up to 99; the newest is 8",
    ),
    "beyond the end of an epoch": (
        ClientPosition("before", 7),
        ResetReason.EPOCH,
        "the client has outputs up to 7 of the epoch 'before', which ended with output 5;"
        " it is 'now' now",
    ),
    "an unknown epoch of any length": (
        ClientPosition("e" * 41, 7),
        ResetReason.EPOCH,
        f"the client has outputs up to 7 of the epoch '{'e' * 40}', which is not known;"
        " it is 'now' now",
    ),
}


@pytest.mark.parametrize(("position", "reason", "why"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_reset_is_explained(
    position: ClientPosition | None, reason: ResetReason, why: str
) -> None:
    assert why_reset(session(), position, reason) == why
