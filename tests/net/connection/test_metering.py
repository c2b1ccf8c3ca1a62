"""How fast a connection may send: exactly the limit passes, and a byte more waits."""

from __future__ import annotations

import pytest

from holdfast.core.limits import KIB
from holdfast.net.connection.metering import METER_BYTES, Bucket, Meter


@pytest.mark.parametrize("rate", [64 * KIB, 1_000 * KIB])
def test_what_is_free_is_free_to_the_byte(rate: int) -> None:
    free = max(METER_BYTES, rate // 5)  # what may come at once
    assert Bucket(rate).spend(free, 100.0) == pytest.approx(0.0, abs=1e-12)
    assert Bucket(rate).spend(free + rate, 100.0) == pytest.approx(1.0)
    assert Bucket(rate).spend(free + 1, 100.0) == pytest.approx(1 / rate, rel=0.01)


def test_the_rate_is_kept_from_then_on() -> None:
    bucket = Bucket(METER_BYTES)
    waits = [bucket.spend(METER_BYTES, 100.0 + second) for second in range(50)]
    assert waits == pytest.approx([0.0] * 50)
    assert bucket.spend(METER_BYTES, 149.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("own", "shared"), [(64 * KIB, 128 * KIB), (128 * KIB, 64 * KIB)])
def test_the_slower_of_its_own_rate_and_the_shared_one_holds(own: int, shared: int) -> None:
    meter = Meter(own, Bucket(shared))
    assert meter.spend(3 * 64 * KIB, 100.0) == pytest.approx(2.0)


def test_others_of_the_network_use_the_shared_rate_alone() -> None:
    shared = Bucket(64 * KIB)
    first, second = (Meter(1_000 * KIB, shared) for _ in range(2))
    assert first.spend(64 * KIB, 100.0) == 0.0
    assert second.spend(64 * KIB, 100.0) == pytest.approx(1.0)
