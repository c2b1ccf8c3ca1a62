"""What a program's own functions raise ends one connection at most, and is logged."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.net.helpers import PATIENCE_SECONDS, Stand, call, patience, until

from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import parse_address
from holdfast.net.connection.observer import Observer
from holdfast.net.connection.stream import Stream, StreamClosedError, serve
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import consists_of, restarted, spawn
from holdfast.net.server.lifecycle import ServerState
from holdfast.net.server.server import Server

HOOKS = ["state_changed", "opened", "read", "wrote", "closed", "failed"]
ANYWHERE = "tcp://127.0.0.1:0"


class Failing(Observer):
    """Raises in one of its methods."""

    def __init__(self, hook: str) -> None:
        def fail(*_: Any) -> None:
            raise ValueError(f"a defect in {hook}")

        setattr(self, hook, fail)


@pytest.mark.parametrize("hook", HOOKS)
async def test_an_observer_that_raises_ends_a_connection_in_order_and_no_server(hook: str) -> None:
    runtime = Runtime(asyncio.get_running_loop())
    stands: list[Stand] = []

    class Answering(Stand):
        def received(self, data: bytes) -> None:
            super().received(data)
            self.connection.write(data)
            if data == b"fail":
                raise ValueError("a defect in a handler")

    def factory(connection: Any) -> Stand:
        stands.append(Answering(connection))
        return stands[-1]

    def answered(number: int) -> bool:
        return len(stands) == number and bool({"received", "lost"} & {*stands[-1].calls})

    server = Server(ConnectionLimits(), runtime, observer=Failing(hook))
    with capture_logs() as logs:
        server.start()
        address = await server.listen(parse_address(ANYWHERE), factory)
        for number, words in enumerate((b"hello", b"fail"), start=1):
            async with call(address) as caller:
                caller.writer.write(words)
                await until(partial(answered, number))
        for stand in stands:
            await stand.until_lost()
            assert stand.calls[0] == "connected"
            assert stand.calls.count("lost") == 1
        await until(lambda: not server.connections)
        await server.drain(PATIENCE_SECONDS)
    assert server.state is ServerState.STOPPED
    assert any(entry["event"] == "an observer failed" for entry in logs)


async def test_the_owner_that_fails_keeps_no_handler_from_hearing_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    closed = Server.closed

    def fail(self: Server, connection: Any) -> None:
        closed(self, connection)
        raise ValueError("a defect")

    async def handler(stream: Stream) -> None:
        heard.append(str(await stream.read(10)))

    monkeypatch.setattr(Server, "closed", fail)
    async with serve(handler, ANYWHERE) as server:
        async with call(server.addresses[0]):
            pass
        await until(lambda: heard)


def in_groups(error: Exception) -> ExceptionGroup[Any]:
    return ExceptionGroup("outer", [ExceptionGroup("inner", [error, StreamClosedError("gone")])])


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (StreamClosedError("gone"), []),
        (in_groups(StreamClosedError("gone")), []),
        (in_groups(ValueError("a defect")), ["a handler failed"]),
        (ValueError("a defect"), ["a handler failed"]),
    ],
    ids=["end", "ends", "ends-and-a-defect", "defect"],
)
async def test_a_handler_need_not_care_for_the_end(error: Exception, logged: list[str]) -> None:
    async def handler(stream: Stream) -> None:
        await stream.read(10)
        raise error

    with capture_logs() as logs:
        async with serve(handler, ANYWHERE) as server, call(server.addresses[0]) as caller:
            await caller.write(b"x")
            await caller.dropped()
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == logged


# --- tasks


def test_an_error_that_stands_in_groups_is_found() -> None:
    assert consists_of(ValueError(), ValueError)
    assert consists_of(in_groups(StreamClosedError("gone")), StreamClosedError)
    assert not consists_of(in_groups(ValueError()), StreamClosedError)


async def fail() -> None:
    raise ValueError("a defect")


async def test_a_contained_task_cancels_no_other() -> None:
    failed: list[Exception] = []
    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(asyncio.sleep(0.01, "done"))
        spawn(tasks, fail(), failed.append)
    assert other.result() == "done"
    assert [str(error) for error in failed] == ["a defect"]


async def test_work_that_never_begins_is_closed() -> None:
    """Else Python warns of a coroutine that nobody awaited."""
    begun: list[str] = []
    failed: list[Exception] = []

    async def work(name: str) -> None:
        begun.append(name)

    async with asyncio.TaskGroup() as tasks:
        task = spawn(tasks, work("cancelled"), failed.append)
        assert task is not None
        task.cancel()
    assert spawn(tasks, work("late"), failed.append) is None
    gc.collect()
    assert (begun, failed) == ([], [])


async def test_a_loop_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.net.runtime import tasks

    monkeypatch.setattr(tasks, "_PAUSE_SECONDS", 0.001)
    runs: list[Callable[[], object]] = []

    async def work() -> None:
        runs.append(work)
        if len(runs) < 3:
            await fail()

    with capture_logs() as logs:
        import structlog

        async with patience():
            await restarted(work, structlog.get_logger("test"), "a loop failed", of="this test")
    assert len(runs) == 3
    assert [(entry["event"], entry["of"]) for entry in logs] == [("a loop failed", "this test")] * 2
