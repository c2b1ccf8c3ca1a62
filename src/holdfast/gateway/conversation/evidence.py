"""Evidence that a client which cannot acknowledge has received its output.

Best first: the answer to a probe written after it; the acknowledgement of the peer's kernel
(the program at the other end may not have read the bytes, and the last ones may have arrived
without it); the time since it was written.

Time proves nothing for a client that can do better: one that answers probes, or acknowledges
outputs by number, has only what it confirmed. Output that is neither proven nor old is shown
again on the next connection, as output that the user may have seen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from holdfast.core.limits import SessionLimits
from holdfast.net.transport.tcp_info import Delivery
from holdfast.sessions.outbox import Outbox

_NEVER = float("inf")


class Written:
    """Which outputs end where in the bytes of a connection, oldest first."""

    __slots__ = ("numbers", "offsets", "times")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.offsets: list[int] = []
        self.times: list[float] = []
        """Output up to `numbers[i]` ended at byte `offsets[i]`, written at `times[i]`."""

    def forget(self, count: int) -> bool:
        """Drop the oldest `count` entries. Returns whether none is left."""
        del self.numbers[:count], self.offsets[:count], self.times[:count]
        return not self.numbers


class Evidence:
    """The evidence on one connection. Times are the runtime's."""

    __slots__ = (
        "_limits",
        "_out",
        "asked",
        "exact",
        "misses",
        "mute",
        "next",
        "pending",
        "written",
    )

    def __init__(self, limits: SessionLimits, out: Outbox, *, exact: bool = False) -> None:
        self._limits = limits
        self._out = out
        self.written: Written | None = None
        """Output that was written and is not proven; `None` if there is none."""
        self.asked = 0
        """Up to which output the newest probe asks."""
        self.pending = 0
        """The same, while that probe is not answered."""
        self.next = 0.0
        """Before then nothing is `due`."""
        self.misses = 0
        self.mute = False
        """Whether the protocol or the client has no probes."""
        self.exact = exact
        """Whether the client confirms what it has, so that its age proves nothing."""

    def wrote(self, number: int, offset: int, now: float) -> None:
        """Output up to `number` ends at byte `offset` of the connection. Hot path."""
        written = self.written
        if written is None:
            written = self.written = Written()
        numbers = written.numbers
        numbers.append(number)
        written.offsets.append(offset)
        written.times.append(now)
        window = self._limits.window_messages_max
        if len(numbers) > window + window // 8:  # not one by one, with every output
            written.forget(len(numbers) - window)

    # --- probes

    @property
    def due(self) -> float:
        """When `probing` and `age` are to be called next, if ever."""
        if self._out.sent <= self._out.acked:
            return _NEVER
        if self.mute or self.misses >= self._limits.probe_misses_max:
            return self.next if self.ages else _NEVER
        return self.next

    def probing(self, now: float) -> int:
        """The probe that is due: the output that it asks for, or 0. An unanswered one is missed."""
        self.next = now + self._limits.probe_interval_seconds_max
        out = self._out
        if self.pending:
            self.misses += 1
            self.pending = 0
        if self.mute or self.misses >= self._limits.probe_misses_max or out.sent <= out.acked:
            return 0
        return out.sent

    def probed(self, number: int) -> None:
        """A probe was sent that asks for everything up to `number`."""
        self.asked = self.pending = number

    def not_probed(self) -> None:
        """The client cannot be asked: it has no probes, or owes the answer to the last one."""
        if not self.asked:
            self.mute = True

    def proven(self, number: int) -> bool:
        """A probe that asks for `number` was answered. Returns whether that proves anything new.

        An answer that comes late proves no more than its own probe asked for.
        """
        number = min(number, self.asked)
        self.exact = True
        self.misses = 0
        if number >= self.pending:
            self.pending = 0
        if number <= self._out.acked:
            return False
        self._prove(number)
        return True

    def acknowledges(self) -> None:
        """The client acknowledges outputs by number, and has just done so."""
        self.exact = True
        self._forget(self._out.acked)

    # --- age

    @property
    def ages(self) -> bool:
        """Whether output counts as delivered when it is old: nothing better is to be had."""
        return not self.exact and (self.mute or self.misses >= self._limits.probe_misses_max)

    def age(self, delivery: Delivery | None, now: float) -> bool:
        """Count old output as delivered. Returns whether there was any.

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
        """Note, at the loss of the connection, which output the client may have."""
        self.age(delivery, now)
        out = self._out
        arrived = out.sent
        if delivery is not None:
            arrived = self._upto(delivery.acked)
            # Kernels acknowledge late (RFC 1122 section 4.2.3.2): what was sent just now may be
            # there, too.
            late = self._limits.acknowledging_seconds_max
            if self._written_before(now - late) <= arrived:
                arrived = self._upto(delivery.sent)
        # What an earlier connection left is still true.
        out.maybe_delivered = max(out.maybe_delivered, out.acked, arrived)

    # --- inside

    def _prove(self, number: int) -> None:
        self._out.prove(number)
        self._forget(number)

    def _forget(self, number: int) -> None:
        written = self.written
        if written is not None and written.forget(bisect_right(written.numbers, number)):
            self.written = None

    def _upto(self, offset: int) -> int:
        """The newest output that is whole in the first `offset` bytes of the connection."""
        written = self.written
        if written is None:
            return self._out.acked
        known = bisect_right(written.offsets, offset)
        return written.numbers[known - 1] if known else self._out.acked

    def _written_before(self, when: float) -> int:
        """The newest output that was written before `when`."""
        written = self.written
        if written is None:
            return self._out.acked
        known = bisect_left(written.times, when)
        return written.numbers[known - 1] if known else self._out.acked
