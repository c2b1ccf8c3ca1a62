"""What proves that a client which cannot acknowledge has its output.

Best first: the answer to a probe written after it; the peer's kernel having
acknowledged its bytes (the program at the other end may not have read them, and what
was sent last may have arrived all the same); nothing but the time since it was written here.

Time proves nothing of a client that can do better: one that answers probes, or acknowledges
outputs by number, has only what it has confirmed. What is neither proven nor old is shown
again on the next connection, as what the person may have seen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from holdfast.core.limits import SessionLimits
from holdfast.net.transport.tcp_info import Delivery
from holdfast.sessions.outbox import Outbox

_NEVER = float("inf")


class Evidence:
    """The evidence on one connection. Times are the runtime's."""

    __slots__ = (
        "_asked",
        "_exact",
        "_limits",
        "_misses",
        "_mute",
        "_numbers",
        "_offsets",
        "_out",
        "_pending",
        "_times",
        "next",
    )

    def __init__(self, limits: SessionLimits, out: Outbox, *, exact: bool = False) -> None:
        self._limits = limits
        self._out = out
        self._offsets: list[int] = []
        self._numbers: list[int] = []
        self._times: list[float] = []
        """Output up to `_numbers[i]` ended at byte `_offsets[i]`, written at `_times[i]`."""
        self._asked = 0
        """Up to which output the newest probe asks."""
        self._pending = 0
        """The same, while that probe is not answered."""
        self.next = 0.0
        """Before then nothing is `due`."""
        self._misses = 0
        self._mute = False
        """Whether the protocol or the client has no probes."""
        self._exact = exact
        """Whether the client confirms what it has, so that its age proves nothing."""

    def wrote(self, number: int, offset: int, now: float) -> None:
        """Output up to `number` ends at byte `offset` of the connection. Hot path."""
        self._numbers.append(number)
        self._offsets.append(offset)
        self._times.append(now)
        window = self._limits.window_messages_max
        if len(self._numbers) > window + window // 8:  # not one by one, with every output
            self._forget(len(self._numbers) - window)

    # --- probes

    @property
    def due(self) -> float:
        """When `probing` and `age` are to be called next, if ever."""
        if self._out.sent <= self._out.acked:
            return _NEVER
        if self._mute or self._misses >= self._limits.probe_misses_max:
            return self.next if self.ages else _NEVER
        return self.next

    def probing(self, now: float) -> int:
        """The probe that is due: the output that it asks for, or 0. An unanswered one is missed."""
        self.next = now + self._limits.probe_interval_seconds_max
        out = self._out
        if self._pending:
            self._misses += 1
            self._pending = 0
        if self._mute or self._misses >= self._limits.probe_misses_max or out.sent <= out.acked:
            return 0
        return out.sent

    def probed(self, number: int) -> None:
        """A probe was sent that asks for everything up to `number`."""
        self._asked = self._pending = number

    def not_probed(self) -> None:
        """The client cannot be asked: it has no probes, or owes the answer to the last one."""
        if not self._asked:
            self._mute = True

    def proven(self, number: int) -> bool:
        """A probe that asks for `number` was answered. Returns whether that proves anything new.

        An answer that comes late proves no more than its own probe asked for.
        """
        number = min(number, self._asked)
        self._exact = True
        self._misses = 0
        if number >= self._pending:
            self._pending = 0
        if number <= self._out.acked:
            return False
        self._prove(number)
        return True

    def acknowledges(self) -> None:
        """The client acknowledges outputs by number."""
        self._exact = True

    # --- age

    @property
    def ages(self) -> bool:
        """Whether output counts as delivered when it is old: nothing better is to be had."""
        return not self._exact and (self._mute or self._misses >= self._limits.probe_misses_max)

    def age(self, delivery: Delivery | None, now: float) -> bool:
        """Let go of what is old. Returns whether there was anything.

        `delivery` is how far the bytes have come, if that is known.
        """
        if not self.ages:
            return False
        reached = self._upto(delivery.acked) if delivery is not None else self._out.sent
        old = min(reached, self._written_before(now - self._limits.unproven_seconds_max))
        if old <= self._out.acked:
            return False
        self._prove(old)
        self._out.assumed = old
        return True

    def close(self, delivery: Delivery | None, now: float) -> None:
        """The connection is lost: what the client has, and what it may have."""
        self.age(delivery, now)
        out = self._out
        seen = out.sent
        if delivery is not None:
            seen = self._upto(delivery.acked)
            # Kernels acknowledge late (RFC 1122 section 4.2.3.2): what was sent just now may be
            # there, too.
            late = self._limits.acknowledging_seconds_max
            if self._written_before(now - late) <= seen:
                seen = self._upto(delivery.sent)
        out.maybe_delivered = max(
            out.maybe_delivered, out.acked, seen
        )  # what an earlier connection left is still true

    # --- inside

    def _prove(self, number: int) -> None:
        self._out.prove(number)
        self._forget(bisect_right(self._numbers, number))

    def _forget(self, count: int) -> None:
        del self._numbers[:count], self._offsets[:count], self._times[:count]

    def _upto(self, offset: int) -> int:
        """The newest output that is whole in the first `offset` bytes of the connection."""
        known = bisect_right(self._offsets, offset)
        return self._numbers[known - 1] if known else self._out.acked

    def _written_before(self, when: float) -> int:
        """The newest output that was written before `when`."""
        known = bisect_left(self._times, when)
        return self._numbers[known - 1] if known else self._out.acked
