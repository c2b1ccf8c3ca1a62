"""Who waits for a commit, and how long a commit waits for more of them."""

from __future__ import annotations

import asyncio

import structlog

from holdfast.sessions.waiters import Settled, StoreUnavailableError, Waiters

LONG = 60.0


def ignore(error: StoreUnavailableError | None) -> None:
    pass


class Setting:
    def __init__(self, seconds: float = LONG) -> None:
        self.hurried = asyncio.Event()
        self.waiters = Waiters(self.hurried.set, seconds)

    def come(self, count: int) -> None:
        for _ in range(count):
            self.waiters.add(ignore)
            self.waiters.gather()

    def commit(self, meanwhile: int) -> None:
        """One commit, in whose time so many come."""
        told = self.waiters.take()
        self.hurried.clear()
        for _ in range(meanwhile):
            self.waiters.add(ignore)
        self.waiters.ended(len(told), urgent=meanwhile > 0)


class Told:
    """Who was told, in order, and of what."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.errors: list[StoreUnavailableError | None] = []

    def by(self, number: int) -> Settled:
        def call(error: StoreUnavailableError | None) -> None:
            self.numbers.append(number)
            self.errors.append(error)

        return call


async def test_a_commit_for_the_first_begins_at_once() -> None:
    setting = Setting()
    setting.come(1)
    assert setting.hurried.is_set()


async def test_one_that_comes_again_and_again_never_waits() -> None:
    setting = Setting()
    for _ in range(3):
        setting.come(1)
        assert setting.hurried.is_set()
        setting.commit(meanwhile=0)
        assert not setting.hurried.is_set()


async def test_a_commit_waits_for_those_who_were_told_of_the_one_before() -> None:
    setting = Setting()
    setting.come(2)
    setting.commit(meanwhile=3)
    assert not setting.hurried.is_set()
    setting.come(1)
    assert not setting.hurried.is_set()
    setting.come(1)
    assert setting.hurried.is_set()
    assert len(setting.waiters.take()) == 5


async def test_a_commit_does_not_wait_for_long() -> None:
    setting = Setting(0.001)
    setting.come(2)
    setting.commit(meanwhile=1)
    await setting.hurried.wait()
    setting.commit(meanwhile=0)
    setting.come(1)  # the others have not come, and are not waited for again
    assert setting.hurried.is_set()


async def test_after_a_refused_commit_only_those_who_came_meanwhile_count() -> None:
    setting = Setting()
    setting.come(2)
    told = setting.waiters.take()
    setting.hurried.clear()
    setting.waiters.add(ignore)
    setting.waiters.put_back(told)
    setting.waiters.ended(0, urgent=True)
    assert setting.hurried.is_set()
    assert len(setting.waiters) == 3


async def test_who_is_put_back_is_told_before_the_others() -> None:
    setting, told = Setting(), Told()
    for number in (0, 1):
        setting.waiters.add(told.by(number))
    refused = setting.waiters.take()
    for number in (2, 3):
        setting.waiters.add(told.by(number))
    setting.waiters.put_back(refused)
    setting.waiters.tell(setting.waiters.take(), None)
    assert told.numbers == [0, 1, 2, 3]


async def test_two_commits_tell_no_more_in_one_pass_than_one_does() -> None:
    waiters, told = Setting().waiters, Told()
    for first in (0, 60):
        waiters.tell([told.by(number) for number in range(first, first + 60)], None)
    assert told.numbers == list(range(50))
    await asyncio.sleep(0)
    assert told.numbers == list(range(100))
    await asyncio.sleep(0)
    assert told.numbers == list(range(120))


async def test_one_that_fails_keeps_nothing_from_the_others() -> None:
    waiters, told, error = Setting().waiters, Told(), StoreUnavailableError("away")

    def fail(_: StoreUnavailableError | None) -> None:
        raise ValueError("mine")

    with structlog.testing.capture_logs() as lines:
        waiters.tell([told.by(1), fail, told.by(2)], error)
    assert told.numbers == [1, 2]
    assert told.errors == [error, error]
    assert [line["event"] for line in lines] == ["a step after a commit failed"]


async def test_a_commit_that_begins_for_another_reason_ends_the_wait() -> None:
    setting = Setting(0.001)
    setting.come(2)
    setting.commit(meanwhile=1)
    setting.come(1)  # and it is still waited for the third
    setting.waiters.take()
    setting.waiters.ended(1, urgent=False)
    later = asyncio.Event()  # set after the time of a timer that was left
    asyncio.get_running_loop().call_later(0.002, later.set)
    await later.wait()
    assert not setting.hurried.is_set()
