"""GCRA: no more than the burst at once, and no more than the rate in the long run."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import rate as rate_module
from holdfast.core.limits import WebSocketLimits
from holdfast.core.rate import DebtByKey, Flow, FlowRates, Rate, RateByKey, flow_rates, shared_rate

# Sixteenths of a second, and rates that are powers of two: exact in floating point.
rates = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0, 16.0])
bursts = st.integers(1, 8)
steps = st.lists(st.integers(0, 64).map(lambda sixteenths: sixteenths / 16), max_size=40)


def admitted(rate: Rate, times: list[float]) -> list[bool]:
    due = 0.0
    verdicts = []
    for now in times:
        found = rate.next(due, now)
        due = due if found is None else found
        verdicts.append(found is not None)
    return verdicts


def running_sum(gaps: list[float], start: float = 0.0) -> list[float]:
    times = []
    for gap in gaps:
        start += gap
        times.append(start)
    return times


class TokenBucket:
    """The same rule in its other form, with exact arithmetic."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = Fraction(per_second)
        self._burst = Fraction(burst)
        self._tokens = self._burst
        self._last = Fraction(0)

    def take(self, now: float) -> bool:
        gained = (Fraction(now) - self._last) * self._per_second
        self._tokens = min(self._burst, self._tokens + gained)
        self._last = Fraction(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@given(per_second=rates, burst=bursts, gaps=steps)
def test_a_rate_admits_what_a_token_bucket_admits(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    times = running_sum(gaps)
    bucket = TokenBucket(per_second, burst)
    assert admitted(Rate(per_second, burst), times) == [bucket.take(now) for now in times]


@given(per_second=rates, burst=bursts, gaps=steps)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    times = running_sum(gaps)
    taken = [
        now
        for now, good in zip(times, admitted(Rate(per_second, burst), times), strict=True)
        if good
    ]
    for i, first in enumerate(taken):
        for j, last in enumerate(taken[i:], 1):
            assert j <= burst + (last - first) * per_second


@pytest.mark.parametrize("now", [0.0, 1e3, 1.7e9], ids=["zero", "loop-time", "wall-clock"])
def test_the_whole_burst_fits_in_one_moment(now: float) -> None:
    verdicts = admitted(Rate(8.0, 5), [now] * 7)
    assert verdicts == [True] * 5 + [False] * 2


def test_a_refused_event_costs_nothing() -> None:
    rate = Rate(1.0, 1)
    times = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 2.0]
    assert admitted(rate, times) == [True, False, False, False, True, False, True]


@given(
    per_second=rates,
    burst=bursts,
    events=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 32)), max_size=40),
)
def test_each_key_has_the_rate_for_itself(
    per_second: float, burst: int, events: list[tuple[str, int]]
) -> None:
    rate = Rate(per_second, burst)
    by_key = RateByKey(rate)
    times = running_sum([gap / 16 for _, gap in events])
    verdicts: dict[str, list[bool]] = {key: [] for key in "abc"}
    alone: dict[str, list[float]] = {key: [] for key in "abc"}
    for (key, _), now in zip(events, times, strict=True):
        exhausted = by_key.exhausted(key, now)
        verdicts[key].append(by_key.spend(key, now))
        assert exhausted is not verdicts[key][-1]
        alone[key].append(now)
    for key in "abc":
        assert verdicts[key] == admitted(rate, alone[key])


def test_asking_spends_nothing() -> None:
    by_key = RateByKey(Rate(1.0, 1))
    for _ in range(3):
        assert not by_key.exhausted("a", 0.0)
    assert by_key.spend("a", 0.0)
    assert by_key.exhausted("a", 0.0)


def test_the_keys_are_bounded_and_the_quiet_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_module, "_KEYS_MAX", 3)
    by_key = RateByKey(Rate(1.0, 1))
    by_key.spend("quiet", 0.0)
    by_key.spend("busy", 10.0)
    for number in range(4):
        by_key.spend(f"new{number}", 10.0)
        assert len(by_key._due) <= 3
        if number == 0:
            assert by_key.exhausted("busy", 10.0), "someone quiet had to go, not someone busy"
    assert by_key.exhausted("new3", 10.0)


@given(st.floats(0.00001, 1000.0), st.integers(1, 50), st.floats(0.0, 2e9))
def test_a_burst_is_whole_whatever_is_rounded(per_second: float, burst: int, now: float) -> None:
    """Neither the sums of a burst nor the time after a wait take an event away."""
    rate = Rate(per_second, burst)
    verdicts = admitted(rate, [now] * (burst + 1))
    assert verdicts == [True] * burst + [False]
    due = rate.spend(0.0, now, burst)
    assert rate.next(due, rate.when(due)) is not None


def test_how_long_to_wait_is_told() -> None:
    rates = RateByKey(Rate(2.0, 1))
    assert rates.wait("a", 10.0) == 0.0
    assert rates.spend("a", 10.0)
    assert not rates.spend("a", 10.0)
    assert rates.wait("a", 10.0) == 0.5
    assert rates.wait("b", 10.0) == 0.0
    assert rates.spend("a", 10.5)


def test_what_has_happened_is_a_debt() -> None:
    rate = Rate(2.0, 1)
    assert rate.spend(0.0, 10.0) == 10.5
    assert rate.spend(10.5, 10.0) == 11.0
    assert rate.spend(10.5, 10.5, 4) == 12.5
    assert rate.when(12.5) == 12.5
    assert rate.when(12.5, 3) == 13.5


def test_several_events_at_once_need_room_for_all() -> None:
    rate = Rate(2.0, 4)
    assert rate.next(0.0, 10.0, 4) == 12.0
    assert rate.next(0.0, 10.0, 5) is None
    assert rate.next(10.5, 10.0, 3) == 12.0


def test_a_key_is_quiet_once_nothing_is_left_of_what_it_did() -> None:
    by_key = RateByKey(Rate(2.0, 4))
    assert by_key.quiet("a", 0.0), "it did nothing yet"
    assert by_key.spend("a", 10.0)
    assert not by_key.quiet("a", 10.25)
    assert by_key.quiet("a", 10.5)
    assert by_key.quiet("b", 10.25)


def test_a_key_without_events_waits_for_nothing_from_the_first_moment() -> None:
    assert RateByKey(Rate(4.0, 1)).wait("a", 0.0) == 0.0


@pytest.mark.parametrize(
    ("messages", "size", "verdicts"),
    [
        (1, 0, [True, True, True, False]),
        (3, 0, [True, False]),
        (4, 0, [False]),
        (0, 40, [True, True, False]),
        (0, 80, [True, False]),
        (0, 81, [False]),
        (1, 30, [True, True, False]),
    ],
)
def test_a_flow_has_a_burst_of_messages_and_one_of_bytes(
    messages: int, size: int, verdicts: list[bool]
) -> None:
    flow = Flow(FlowRates(Rate(1.0, 3), Rate(8.0, 80)))
    assert [flow.admit(messages, size, 100.0) for _ in verdicts] == verdicts


def test_a_flow_goes_on_at_its_rates() -> None:
    flow = Flow(FlowRates(Rate(1.0, 2), Rate(8.0, 80)))
    assert flow.admit(2, 80, 0.0)
    assert not flow.admit(1, 0, 0.9375)
    assert not flow.admit(1, 9, 1.0), "what was refused costs nothing"
    assert flow.admit(1, 8, 1.0)
    assert not flow.admit(0, 1, 1.0)
    assert flow.admit(2, 80, 100.0), "no more than the burst is saved up"
    assert not flow.admit(1, 0, 100.0)


def test_the_rates_of_a_listener_are_those_of_its_limits() -> None:
    limits = WebSocketLimits(
        messages_per_second_max=2.0,
        message_burst_max=3,
        bytes_per_second_max=4.0,
        bytes_burst_max=5,
    )
    rates = flow_rates(limits)
    assert (rates.messages.interval, rates.messages.tolerance // 0.5) == (0.5, 3)
    assert (rates.bytes.interval, rates.bytes.tolerance // 0.25) == (0.25, 5)
    assert flow_rates(limits) is rates
    shared = shared_rate(2.0, 3)
    assert (shared.interval, shared.tolerance // 0.5) == (0.5, 3)
    assert shared_rate(2.0, 3) is shared


def test_an_event_of_a_flow_counts_by_the_rate_of_its_kind() -> None:
    flow = Flow(FlowRates(Rate(4.0, 2), Rate(0.5, 2)))
    assert flow.admit(2, 2, 100.0)
    assert not flow.admit(1, 0, 100.125)
    assert flow.admit(1, 0, 100.25)
    assert not flow.admit(0, 1, 101.5)
    assert flow.admit(0, 1, 102.0)


def test_a_flow_goes_on_elsewhere_with_what_it_has_left() -> None:
    flow = Flow(FlowRates(Rate(1.0, 2), Rate(8.0, 80)))
    assert flow.admit(2, 40, 10.0)
    taken = flow.snapshot(11.0)
    assert taken == (1.0, 4.0)
    other = Flow(FlowRates(Rate(1.0, 2), Rate(8.0, 80)))
    other.restore(taken, 500.0)
    assert not other.admit(2, 0, 500.0)
    assert other.admit(1, 48, 500.0)
    assert flow.snapshot(1000.0) == (0.0, 0.0)


def test_who_owes_nothing_any_more_is_forgotten_before_anybody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_module, "_KEYS_MAX", 2)
    by_key, debts = RateByKey(Rate(1.0, 2)), DebtByKey(Rate(1.0, 1))
    for _ in range(2):
        by_key.spend("busy", 9.0)
    by_key.spend("quiet", 9.0)
    by_key.spend("new", 10.0)
    assert not by_key.quiet("busy", 10.0)
    debts.spend("busy", 9.0, 3)
    debts.spend("quiet", 9.0, 1)
    debts.spend("new", 10.0, 1)
    assert debts.when("busy") == 12.0
    debts.spend("busy", 10.0, 1)
    debts.spend("other", 10.5, 1)
    assert debts.when("other") == 11.5
    assert sum(debts.when(key) > 10.5 for key in ("busy", "quiet", "new")) == 1


def test_a_debt_grows_with_each_event_and_a_new_key_has_none() -> None:
    debts = DebtByKey(Rate(2.0, 1))
    assert debts.when("a") <= 0.0
    debts.spend("a", 10.0, 4)
    assert debts.when("a") == 12.0
    debts.spend("a", 10.0, 1)
    assert debts.when("a") == 12.5
    assert debts.when("b") <= 0.0
