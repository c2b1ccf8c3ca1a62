"""When a gateway may still send, and when it must end. No clock and no store are asked."""

from __future__ import annotations

import pytest

from holdfast.core.limits import StoreLimits
from holdfast.sessions.membership import Membership
from holdfast.sessions.stores.base import StoreBusyError, StoreFencedError
from holdfast.sessions.stores.memory import MemoryStore

LIMITS = StoreLimits(beat_seconds_max=0.001, lease_seconds_max=10.0)


class Answering(MemoryStore):
    """A store whose answers to signs of life are given, and take some time each."""

    def __init__(self, answers: list[tuple[float, Exception | None]]) -> None:
        super().__init__()
        self.now = 0.0
        self.seen: list[bool] = []
        self.membership = Membership(
            self, LIMITS, lambda: self.seen.append(self.membership.lasts()), lambda: self.now
        )
        self._answers = answers

    async def beat(self) -> None:
        seconds, error = self._answers.pop(0)
        self.now += seconds
        if error is not None:
            raise error


FENCED = StoreFencedError("taken")
BUSY = StoreBusyError("away")


async def test_it_lasts_for_most_of_the_lease_from_before_the_sign_was_sent() -> None:
    store = Answering([(0.0, None), (1.0, None), (0.0, FENCED)])
    assert not store.membership.lasts()
    await store.membership.begin()
    assert store.membership.lasts()
    with pytest.raises(StoreFencedError, match="taken"):
        await store.membership.run()
    assert store.seen == [True]
    store = Answering([(7.9, None)])
    await store.membership._beat()
    assert store.membership.lasts()
    store.now = 8.0  # the sign was sent at 0
    assert not store.membership.lasts()


async def test_a_late_answer_prolongs_nothing() -> None:
    store = Answering([(8.5, None), (0.5, None)])
    await store.membership._beat()
    assert not store.membership.lasts()
    await store.membership._beat()  # sent at 8.5
    assert store.membership.lasts()
    assert store.seen == [False, True]


async def test_a_store_that_does_not_answer_is_asked_again() -> None:
    store = Answering([(0.0, None), (5.0, BUSY), (5.0, BUSY), (0.0, None), (0.0, FENCED)])
    await store.membership.begin()
    for lasts in (True, False, True):
        await store.membership._beat()
        assert store.membership.lasts() is lasts
    with pytest.raises(StoreFencedError):
        await store.membership.run()


async def test_nothing_is_sent_after_a_refused_commit() -> None:
    store = Answering([(0.0, None)])
    await store.membership.begin()
    store.membership.fenced(FENCED)
    assert not store.membership.lasts()
    with pytest.raises(StoreFencedError, match="taken"):
        await store.membership.run()


async def test_how_old_the_newest_answered_sign_is() -> None:
    store = Answering([(2.0, None), (3.0, BUSY)])
    store.now = 100.0
    await store.membership.begin()
    assert store.membership.sign_age() == 2.0
    await store.membership._beat()
    assert store.membership.sign_age() == 5.0
