"""Whether a client can continue where it was in a session's output."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from holdfast.sessions.session import Session


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
    if position.last > session.deliverable:
        return ResetReason.AHEAD
    return ResetReason.TRIMMED if position.last < session.out.base else None


def reset_position(session: Session, position: ClientPosition | None, reason: ResetReason) -> int:
    """After which number the output goes on for a client at `position` that must be reset.

    What is kept follows, unless the client begins with an empty screen of its own will.
    """
    deliverable = session.deliverable
    if position is None or reason is ResetReason.FRESH:
        return deliverable
    known = 0
    if reason is ResetReason.EPOCH:
        ends = {end.epoch: end.top for end in session.row.ends}
        known = ends.get(position.epoch, 0)  # up to there it has everything
    return min(max(session.out.beginning()[0], known), deliverable)
