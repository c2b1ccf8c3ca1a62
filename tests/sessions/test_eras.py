"""Unclean stops, counted."""

from __future__ import annotations

import msgspec
from structlog.testing import capture_logs

from holdfast.sessions.eras import KEY, Eras, read_eras


def test_an_unclean_stop_ends_an_era() -> None:
    first = Eras().after_unclean_stop(10.0, promised=True)
    second = first.after_unclean_stop(20.0, promised=False)
    third = second.after_unclean_stop(30.0, promised=True)
    assert (third.now, third.broken) == (3, 2)
    assert [third.stopped(era) for era in range(4)] == [10.0, 20.0, 30.0, None]
    assert Eras().stopped(0) is None


def test_of_very_many_eras_the_newest_are_known() -> None:
    eras = Eras()
    for number in range(1_500):
        eras = eras.after_unclean_stop(float(number), promised=True)
    assert len(eras.begun) == 1_000
    assert eras.stopped(1_499) == 1_499.0
    assert eras.stopped(500) == 500.0
    assert eras.stopped(0) == 500.0  # the oldest that is known


def test_eras_are_kept_in_the_settings_of_a_store() -> None:
    eras = Eras(2, 1, (1.0, 2.0))
    assert read_eras({KEY: msgspec.msgpack.encode(eras)}) == eras
    assert read_eras({}) == Eras()
    with capture_logs() as logs:
        assert read_eras({KEY: b"damaged"}) == Eras()
    assert [log["event"] for log in logs] == ["unreadable eras of the store"]
