"""Which failures of an outage are reported."""

from __future__ import annotations

from holdfast.core.outage import Outage


def reports(outage: Outage, seconds: int) -> list[int]:
    """The seconds at which a failure is reported, with an attempt each second."""
    return [now for now in range(seconds) if outage.failed(now)]


def test_an_outage_is_reported_at_once_and_then_at_growing_intervals() -> None:
    assert reports(Outage(), 2_500) == [0, 10, 30, 70, 150, 310, 630, 1_230, 1_830, 2_430]


def test_an_outage_says_how_long_it_lasts() -> None:
    outage = Outage()
    assert outage.seconds(5.0) == 0.0
    outage.failed(100.0)
    outage.failed(103.0)
    assert (outage.attempts, outage.seconds(103.5)) == (2, 3.5)


def test_a_success_ends_it() -> None:
    outage = Outage()
    reports(outage, 100)
    outage.ended()
    assert outage.seconds(500.0) == 0.0
    assert [now for now in range(500, 545) if outage.failed(now)] == [500, 510, 530]


def test_an_outage_that_was_announced_is_reported_later() -> None:
    outage = Outage()
    outage.announced(100.0)
    reported = [now for now in range(100, 125) if outage.failed(float(now))]
    assert reported == [110, 120]
    outage.ended()
    assert outage.failed(125.0), "the next one was not announced"


def test_the_outage_after_one_that_was_announced_is_reported_at_once() -> None:
    outage = Outage()
    outage.announced(0.0)
    outage.ended()
    assert outage.failed(0.5)
