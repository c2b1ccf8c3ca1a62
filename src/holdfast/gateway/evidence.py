"""What proves that a client which cannot acknowledge has its output.

Best first: the answer to a probe written after it; the peer's kernel having
acknowledged its bytes (the program at the other end may not have read them, and what
was sent last may have arrived all the same); nothing but the time that has passed.
"""

from __future__ import annotations

from bisect import bisect_right

from holdfast.core.limits import SessionLimits
from holdfast.net.tcp_info import Delivery
from holdfast.sessions.outbox import Outbox

_NEVER = float("inf")


class Evidence:
    """The evidence on one connection. Times are the wheel's, unless they say otherwise."""

    __slots__ = ("_asked", "_limits", "_misses", "_next", "_numbers", "_offsets", "_out")

    def __init__(self, limits: SessionLimits, out: Outbox) -> None:
        self._limits = limits
        self._out = out
        self._offsets: list[int] = []
        self._numbers: list[int] = []
        """Output up to `_numbers[i]` ended at byte `_offsets[i]` of the connection."""
        self._asked: int | None = None
        """Up to which output the outstanding probe asks."""
        self._next = 0.0
        self._misses = 0

    def wrote(self, number: int, offset: int) -> None:
        """Output up to `number` ends at byte `offset` of the connection. Hot path."""
        self._numbers.append(number)
        self._offsets.append(offset)
        if len(self._numbers) > self._limits.window_messages_max:
            del self._numbers[0], self._offsets[0]

    @property
    def due(self) -> float:
        """When the next probe is due, if ever."""
        if self._misses >= self._limits.probe_misses_max:
            return _NEVER
        if self._asked is None and self._out.sent <= self._out.acked:
            return _NEVER
        return self._next

    def probing(self, now: float) -> bool:
        """A probe is due: whether to send one. One that stayed unanswered counts as missed."""
        if self._asked is not None:
            self._misses += 1
            self._asked = None
        self._next = now + self._limits.probe_interval_seconds_max
        if self._misses >= self._limits.probe_misses_max or self._out.sent <= self._out.acked:
            return False
        self._asked = self._out.sent
        return True

    def give_up(self) -> None:
        """The protocol or the client has no probes."""
        self._misses = self._limits.probe_misses_max
        self._asked = None

    def proven(self) -> bool:
        """The probe was answered. Returns whether that proves anything new."""
        asked, self._asked = self._asked, None
        self._misses = 0
        if asked is None or asked <= self._out.acked:
            return False
        self._out.prove(asked)
        return True

    def close(self, delivery: Delivery | None, wall: float) -> None:
        """The connection is lost: what the client has, and what it may have.

        `delivery` is how far the bytes have come, if that is known; `wall` the
        wall clock.
        """
        out = self._out
        limits = self._limits
        seen = out.sent
        if delivery is not None:
            seen = self._upto(delivery.acked)
            # Kernels acknowledge late (RFC 1122 section 4.2.3.2): what was sent just now may be
            # there, too.
            if out.older(wall - limits.acknowledging_seconds_max) <= seen:
                seen = self._upto(delivery.sent)
        # What has been on its way for so long has arrived, or the connection would have broken.
        old = out.older(wall - limits.unproven_seconds_max)
        out.seen = seen
        out.prove(min(seen, old))

    def _upto(self, offset: int) -> int:
        """The newest output that is whole in the first `offset` bytes of the connection."""
        known = bisect_right(self._offsets, offset)
        return self._numbers[known - 1] if known else self._out.acked
