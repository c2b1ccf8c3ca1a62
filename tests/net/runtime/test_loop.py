from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from holdfast.net.runtime import loop as loop_module
from holdfast.net.runtime.loop import calm_collector, done_within, new_event_loop, run, unwrapped


def group(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("a group", list(errors))


def test_the_main_coroutine_s_result_is_run_s() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    expected = new_event_loop()
    expected.close()
    assert run(main()) == type(expected).__module__


def test_uvloop_runs_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    assert loop_module.new_event_loop is uvloop.new_event_loop


def test_what_is_raised_comes_out_as_it_is() -> None:
    error = ValueError("as it is")
    with pytest.raises(ValueError, match="as it is") as caught, unwrapped():
        raise error
    assert caught.value is error


def test_nothing_raised_is_nothing_raised() -> None:
    with unwrapped():
        pass


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_one_error_in_a_group_comes_out_alone(depth: int) -> None:
    inner = ValueError("the one")
    error: BaseException = inner
    for _ in range(depth):
        error = group(error)
    with pytest.raises(ValueError, match="the one") as caught, unwrapped():
        raise error
    assert caught.value is inner


def test_an_error_keeps_its_cause() -> None:
    cause = OSError("the cause")
    error = ValueError("the effect")
    error.__cause__ = cause
    with pytest.raises(ValueError, match="the effect") as caught, unwrapped():
        raise group(error)
    assert caught.value.__cause__ is cause


def test_several_errors_come_out_in_their_group() -> None:
    errors = (ValueError("one"), KeyError("two"))
    with pytest.raises(ExceptionGroup) as caught, unwrapped():
        raise group(group(*errors))
    assert caught.value.exceptions == errors


def test_an_interrupt_from_the_keyboard_comes_out_too() -> None:
    with pytest.raises(KeyboardInterrupt), unwrapped():
        raise group(KeyboardInterrupt())


async def fail(message: str) -> None:
    raise ValueError(message)


async def test_a_task_s_error_ends_its_group_and_comes_out_alone() -> None:
    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail("in a task"))
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="in a task"), unwrapped():
        await serve()


async def test_what_is_done_in_time_is_told_and_what_is_not_is_cancelled() -> None:
    never = asyncio.Event()
    assert await done_within(asyncio.sleep(0), 10.0)
    assert not await done_within(never.wait(), 0.01)
    with pytest.raises(ValueError, match="by itself"):
        await done_within(fail("by itself"), 10.0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_it_waits_in_a_task_that_is_being_cancelled_too() -> None:
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(await done_within(asyncio.Event().wait(), 0.01))
            ended.append(await done_within(asyncio.sleep(0.01), 10.0))

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
    assert ended == [False, True]


@pytest.fixture
def collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("collector")
def test_the_collector_leaves_alone_what_stays() -> None:
    frozen = gc.get_freeze_count()
    stays: list[object] = [[]]
    calm_collector()
    assert gc.get_freeze_count() > frozen
    assert not any(one is stays for one in gc.get_objects())
    assert gc.get_threshold()[0] >= 100_000
    assert gc.isenabled(), "cycles are still collected, only more rarely"


def test_a_program_may_open_as_many_files_as_the_system_allows_it() -> None:
    look = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    code = f"from holdfast.net.runtime.loop import allow_files; allow_files(); {look}"
    command = 'ulimit -Sn 100; ulimit -Hn 200; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "(200, 200)\n"
