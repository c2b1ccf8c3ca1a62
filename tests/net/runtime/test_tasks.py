"""Tasks that end nothing but themselves."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.net.runtime.tasks import consists_of, spawn


async def test_what_a_task_raises_ends_no_other() -> None:
    failures: list[Exception] = []

    async def fail() -> None:
        raise ValueError("a defect")

    async with asyncio.TaskGroup() as tasks:
        spawn(tasks, fail(), failures.append)

    assert [str(error) for error in failures] == ["a defect"]


async def test_what_is_to_begin_after_the_end_does_not_begin() -> None:
    began: list[bool] = []

    async def begin() -> None:
        began.append(True)

    async with asyncio.TaskGroup() as tasks:
        pass
    spawn(tasks, begin(), lambda error: None)  # else: a coroutine is never awaited

    await asyncio.sleep(0)
    assert not began


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), True),
        (ConnectionResetError(), True),
        (ValueError(), False),
        (ExceptionGroup("", [OSError(), ExceptionGroup("", [OSError()])]), True),
        (ExceptionGroup("", [OSError(), ExceptionGroup("", [ValueError()])]), False),
    ],
    ids=repr,
)
def test_a_group_consists_of_a_kind_if_all_its_errors_do(error: Exception, expected: bool) -> None:
    assert consists_of(error, OSError) is expected
