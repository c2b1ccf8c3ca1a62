"""Whether a client can continue where it was in a session's output."""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

from holdfast.sessions.session import Session

_EPOCH_CHARS_MAX: Final = 40
"""Of a client's epoch in a sentence."""


class ResetReason(Enum):
    """Why a client cannot continue where it was."""

    EPOCH = "epoch"
    TRIMMED = "trimmed"
    AHEAD = "ahead"
    FRESH = "fresh"
    """The client begins with an empty display: a page was loaded anew."""


class ClientPosition(Struct, frozen=True):
    """How much of which output log a client has."""

    epoch: str
    """Empty: of the one log that a session has which is not stored."""
    last: int


def reset_reason(session: Session, position: ClientPosition) -> ResetReason | None:
    """Why a client at `position` must be reset, or `None` if nothing it needs is lost."""
    row = session.row
    if position.epoch and position.epoch != row.epoch:
        # The numbers of an older epoch are ours up to where it ended, if we know where.
        ends = {end.epoch: end.top for end in row.ends}
        if position.epoch not in ends or position.last > ends[position.epoch]:
            return ResetReason.EPOCH
    if position.last > session.deliverable():
        return ResetReason.AHEAD
    return ResetReason.TRIMMED if position.last < session.out.base else None


def reset_position(session: Session, position: ClientPosition | None, reason: ResetReason) -> int:
    """After which number the output goes on for a client at `position` that must be reset.

    What is kept follows, unless the client begins with an empty screen of its own will.
    """
    deliverable = session.deliverable()
    if position is None or reason is ResetReason.FRESH:
        return deliverable
    known = 0
    if reason is ResetReason.EPOCH:
        ends = {end.epoch: end.top for end in session.row.ends}
        known = ends.get(position.epoch, 0)  # up to there it has everything
    return min(max(session.out.beginning()[0], known), deliverable)


def why_reset(session: Session, position: ClientPosition | None, reason: ResetReason) -> str:
    """Explain a reset in one sentence: what the client has, and what there is."""
    if position is None or reason is ResetReason.FRESH:
        return "the client has begun with an empty display"
    row, has = session.row, f"the client has outputs up to {position.last}"
    match reason:
        case ResetReason.TRIMMED:
            return f"{has}; outputs up to {session.out.base} are gone"
        case ResetReason.AHEAD:
            return f"{has}; the newest is {session.deliverable()}"
        case ResetReason.EPOCH:
            ends = {end.epoch: end.top for end in row.ends}
            if position.epoch in ends:
                known = f"which ended with output {ends[position.epoch]}"
            else:
                known = "which is not known"
            epoch = position.epoch[:_EPOCH_CHARS_MAX]
            return f"{has} of the epoch {epoch!r}, {known}; it is {row.epoch!r} now"
