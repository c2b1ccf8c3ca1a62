"""How many terminals there may be."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.backends.terminal.places import Place, Places, Reservation
from holdfast.core.errors import LimitExceededError
from holdfast.core.limits import TerminalLimits

PLACE = Place("192.0.2.1", "box", "ann")


async def test_a_hundred_at_once_never_exceed_a_limit_of_ten() -> None:
    places = Places(TerminalLimits(terminals_max=10))
    got: list[Reservation] = []

    async def opens() -> None:
        await asyncio.sleep(0)
        try:
            got.append(places.reserve(PLACE))
        except LimitExceededError:
            return
        await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(100):
            tasks.create_task(opens())
    assert len(got) == 10


@pytest.mark.parametrize(
    ("limit", "place"),
    [
        ("terminals_max", Place("192.0.2.2", "other", "kim")),
        ("terminals_per_network_max", Place("192.0.2.1", "other", "kim")),
        ("terminals_per_target_max", Place("192.0.2.2", "box", "kim")),
        ("terminals_per_user_max", Place("192.0.2.2", "box", "ann")),
        ("logins_max", Place("192.0.2.2", "other", "kim")),
    ],
)
def test_each_limit(limit: str, place: Place) -> None:
    places = Places(TerminalLimits(**{limit: 1}))
    first = places.reserve(PLACE)
    before = dict(places.taken)
    with pytest.raises(LimitExceededError, match="at most 1"):
        places.reserve(place)
    assert places.taken == before, "nothing is taken where one limit is reached"
    first.release()
    places.reserve(place)


def test_a_login_that_is_over_makes_room_for_another() -> None:
    places = Places(TerminalLimits(logins_max=1))
    first = places.reserve(PLACE)
    first.logged_in()
    second = places.reserve(PLACE)
    for reservation in (first, first, second):
        reservation.release()
    assert not places.taken
