"""Rates: how often something may happen, in one float each (GCRA, a leaky bucket as a meter)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from holdfast.core.limits import WebSocketLimits

_ROUNDING: Final = 1 / 128
"""Of an event: more than the rounded sums of a burst, which would take its last event away."""


class Rate:
    """A rate limit: `per_second` events sustained, `burst` at once. Its users share it."""

    __slots__ = ("interval", "tolerance")

    def __init__(self, per_second: float, burst: int) -> None:
        self.interval = 1.0 / per_second
        """Between two events, in seconds."""
        self.tolerance = (burst + _ROUNDING) * self.interval
        """How long before its turn, in seconds, an event may come."""

    def next(self, due: float, now: float, count: int = 1) -> float | None:
        """Account for `count` events at `now`.

        `due` is the result of the previous call, or 0. Return the new value, or `None` if the
        events come too soon.
        """
        due = (due if due > now else now) + count * self.interval
        return due if due <= now + self.tolerance else None

    def spend(self, due: float, now: float, count: int = 1) -> float:
        """As `next`, for events that have happened: what comes too soon is a debt."""
        return (due if due > now else now) + count * self.interval

    def when(self, due: float, count: int = 1) -> float:
        """When `count` events after those that led to `due` come no longer too soon."""
        return due + (count + _ROUNDING) * self.interval - self.tolerance


class FlowRates(NamedTuple):
    """Rate limits of the connections of one listener."""

    messages: Rate
    bytes: Rate


@lru_cache(maxsize=64)
def shared_rate(per_second: float, burst: int) -> Rate:
    """This rate, made once."""
    return Rate(per_second, burst)


@lru_cache(maxsize=64)
def flow_rates(limits: WebSocketLimits) -> FlowRates:
    """The rates in `limits`, made once."""
    return FlowRates(
        Rate(limits.messages_per_second_max, limits.message_burst_max),
        Rate(limits.bytes_per_second_max, limits.bytes_burst_max),
    )


class Flow:
    """Rate limits of one connection: messages and bytes."""

    __slots__ = ("_bytes_due", "_messages_due", "_rates")

    def __init__(self, rates: FlowRates) -> None:
        self._rates = rates
        self._messages_due = self._bytes_due = 0.0

    def admit(self, messages: int, size: int, now: float) -> bool:
        """Account for `messages` in `size` bytes; false if they come too soon."""
        message_rate, byte_rate = self._rates
        # What `Rate.next` does, without a call for each of both.
        messages_due, bytes_due = self._messages_due, self._bytes_due
        if messages_due < now:
            messages_due = now
        if bytes_due < now:
            bytes_due = now
        messages_due += messages * message_rate.interval
        bytes_due += size * byte_rate.interval
        if messages_due > now + message_rate.tolerance or bytes_due > now + byte_rate.tolerance:
            return False
        self._messages_due, self._bytes_due = messages_due, bytes_due
        return True

    def snapshot(self, now: float) -> tuple[float, float]:
        """The connection's place in both rates, in seconds from `now`."""
        return max(0.0, self._messages_due - now), max(0.0, self._bytes_due - now)

    def restore(self, taken: tuple[float, float], now: float) -> None:
        """Go on where `taken` was made."""
        self._messages_due, self._bytes_due = now + taken[0], now + taken[1]


_KEYS_MAX: Final = 10_000


class RateByKey:
    """One rate limit for each key (an address, say). Keys without recent events are forgotten."""

    __slots__ = ("_due", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._due: dict[str, float] = {}

    def exhausted(self, key: str, now: float) -> bool:
        """Whether the next event of `key` would come too soon."""
        return self._rate.next(self._due.get(key, 0.0), now) is None

    def quiet(self, key: str, now: float) -> bool:
        """Whether nothing is left to account for of what `key` did."""
        return self._due.get(key, 0.0) <= now

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next event of `key` does not come too soon."""
        return max(0.0, self._rate.when(self._due.get(key, 0.0)) - now)

    def spend(self, key: str, now: float) -> bool:
        """Account for one event of `key`; false if it comes too soon."""
        before = self._due.pop(key, 0.0)
        due = self._rate.next(before, now)
        if due is None:
            self._due[key] = before  # too soon now, and as soon as before later
            return False
        if len(self._due) >= _KEYS_MAX:
            self._due = {k: d for k, d in self._due.items() if d > now}
            while len(self._due) >= _KEYS_MAX:
                self._due.pop(next(iter(self._due)))
        self._due[key] = due
        return True


class DebtByKey:
    """One rate for each key, of events that have happened: what comes too soon is a debt."""

    __slots__ = ("_due", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._due: dict[str, float] = {}

    def spend(self, key: str, now: float, count: int) -> None:
        """Account for `count` events of `key`."""
        due = self._due.pop(key, 0.0)
        if len(self._due) >= _KEYS_MAX:
            self._due = {k: d for k, d in self._due.items() if d > now}
            while len(self._due) >= _KEYS_MAX:
                self._due.pop(next(iter(self._due)))
        self._due[key] = self._rate.spend(due, now, count)

    def when(self, key: str) -> float:
        """When the next event of `key` comes no longer too soon. It may be past."""
        return self._rate.when(self._due.get(key, 0.0))
