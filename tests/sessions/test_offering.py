"""Which sessions are offered to which other nodes, and when again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.sessions.test_dormant import dormant

from holdfast.core.errors import Reason
from holdfast.core.limits import StoreLimits
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.offering import Offering
from holdfast.sessions.stores.base import OtherRun

LIMITS = StoreLimits(claim_seconds_max=5.0)


class Place:
    """The other nodes, what is under way to them, and the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.offers: list[tuple[int, list[str]]] = []
        self.offered: dict[str, Reason] = {}
        self.moving = 0
        self.busy: set[str] = set()
        here: Any = self
        self.offering = Offering(here, LIMITS, here, lambda: self.now)

    def can_leave(self, session: DormantSession) -> bool:
        return session.sid not in self.busy

    async def offer(self, sids: Sequence[str], run: int) -> None:
        self.offers.append((run, list(sids)))

    async def to(
        self, sessions: Sequence[DormantSession], *runs: OtherRun, count: int = 100
    ) -> int:
        """Offer these sessions; `offers` has the new offers alone."""
        self.offers.clear()
        return await self.offering.offer(sessions, count, runs, Reason.SHUTDOWN)


def run(number: int, *apps: str, accepts: bool = True) -> OtherRun:
    return OtherRun(number, f"node {number}", "", 0.0, apps, accepts)


def sessions(*sids: str, app: str = "app") -> list[DormantSession]:
    made = [dormant(sid) for sid in sids]
    for one in made:
        one.app = app
    return made


async def test_nodes_take_turns_and_those_alone_that_take_sessions() -> None:
    place = Place()
    left = await place.to(sessions(*"abcd"), run(1), run(2), run(3, accepts=False))
    assert left == 4
    assert sorted(number for number, _ in place.offers) == [1, 2]
    assert sorted(sid for _, sids in place.offers for sid in sids) == list("abcd")
    assert all(len(sids) == 2 for _, sids in place.offers)
    assert place.offered == dict.fromkeys("abcd", Reason.SHUTDOWN)


async def test_a_session_goes_where_its_application_is_or_anywhere() -> None:
    place = Place()
    await place.to(sessions(*"ab", app="chat"), run(1, "shop"), run(2, "chat"))
    assert place.offers == [(2, ["a", "b"])]
    await place.to(sessions("c", app="mail"), run(1, "shop"), run(2, "chat"))
    assert len(place.offers) == 1
    await place.to(sessions("d"))
    await place.to(sessions("d"), run(1, accepts=False))
    assert place.offers == []


async def test_an_offer_is_made_again_when_nobody_has_taken_it() -> None:
    place, both = Place(), sessions(*"ab")
    await place.to(both, run(1))
    place.now += 4.75
    await place.to(both, run(1))
    assert place.offers == []
    place.now += 0.25
    await place.to(both, run(1))
    assert place.offers == [(1, ["a", "b"])]


async def test_those_whose_clients_are_here_go_first_and_so_many_at_once() -> None:
    place = Place()
    away, longer, here = sessions("away", "longer", "here")
    away.detached, longer.detached, here.detached = 20.0, 10.0, 0.0
    assert await place.to([away, longer, here], run(1), count=2) == 3
    assert place.offers == [(1, ["here", "longer"])]
    await place.to([away, longer, here], run(1), count=2)
    assert place.offers == [(1, ["away"])]


async def test_what_cannot_leave_or_has_left_is_not_offered() -> None:
    place = Place()
    place.busy = {"a"}
    place.moving = 3
    assert await place.to(sessions(*"abc"), run(1)) == 2 + 3
    assert place.offers == [(1, ["b", "c"])]
    assert await place.to(sessions("c"), run(1)) == 1 + 3
    assert place.offered == {"c": Reason.SHUTDOWN}, "the others are gone"
    await place.to(sessions(*"bc"), run(1))
    assert place.offers == [(1, ["b"])], "it is here again"
