"""What the status of an answer means for the request. Pure."""

from __future__ import annotations

import email.utils
from datetime import UTC
from enum import Enum, auto
from typing import Final

from holdfast.backends.http.requester import Reply

_LATER: Final = frozenset({408, 425, 429})


class Outcome(Enum):
    """What became of a request."""

    APPLIED = auto()
    REFUSED = auto()
    """The application will never handle it: the user is told, and the session goes on."""
    LATER = auto()
    """It is sent again."""


def outcome_of(reply: Reply) -> Outcome:
    """2xx is applied, 4xx is refused; anything else, redirects too, is sent again."""
    if 200 <= reply.status < 300:
        return Outcome.APPLIED
    if 400 <= reply.status < 500 and reply.status not in _LATER:
        return Outcome.REFUSED
    return Outcome.LATER


def retry_seconds(value: str, now: float) -> float:
    """The seconds of a `Retry-After` (RFC 9110 section 10.2.3); 0 for none."""
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)
