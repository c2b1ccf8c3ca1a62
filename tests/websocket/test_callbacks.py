"""What a program's own functions raise or return wrongly costs one client, and no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.websocket.helpers import echo, opened, patience, raw, until, url, with_headers

from holdfast.websocket import (
    ConnectionClosed,
    Request,
    ServerWebSocket,
    connect,
    serve,
)

OFFERING = with_headers(b"Sec-WebSocket-Protocol: a")


def refuse_with(*answer: Any) -> Any:
    return lambda ws, _: ws.respond(*answer)


def add_header(*header: Any) -> Any:
    def judge(ws: ServerWebSocket, request: Request) -> None:
        ws.response_headers.append(header)

    return judge


def fail(*_: Any) -> Any:
    raise ValueError("a defect")


WRONG: dict[str, dict[str, Any]] = {
    "process_request-raises": {"process_request": fail},
    "wrong-value": {"process_request": lambda ws, _: "go away"},
    "wrong-status": {"process_request": refuse_with(101, "go on")},
    "status-that-is-no-number": {"process_request": refuse_with("404", "no")},
    "text-that-cannot-be-encoded": {"process_request": refuse_with(404, "\ud800")},
    "header-of-the-refusal": {"process_request": refuse_with(404, "no", [("X", "a\r\nY: b")])},
    "header-of-the-answer": {"process_request": add_header("X", "a\r\nY: b")},
    "header-that-cannot-be-encoded": {"process_request": add_header("X", "\u20ac")},
    "header-that-is-none": {"process_request": add_header("X")},
    "select_subprotocol-raises": {"select_subprotocol": fail},
    "select_subprotocol-invents": {"select_subprotocol": lambda ws, _: "b"},
    "select_subprotocol-gives-no-text": {"select_subprotocol": lambda ws, _: 42},
}


@pytest.mark.parametrize("later", [False, True], ids=["at-once", "later"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_a_handshake_that_fails_is_answered_500_and_logged(
    wrong: dict[str, Any], later: bool
) -> None:
    process = wrong.get("process_request", lambda ws, _: None)
    select = wrong.get("select_subprotocol")

    async def process_later(ws: ServerWebSocket, request: Request) -> Any:
        await asyncio.sleep(0)
        return process(ws, request) if request.path == "/wrong" else None

    def process_now(ws: ServerWebSocket, request: Request) -> Any:
        return process(ws, request) if request.path == "/wrong" else None

    def select_now(ws: ServerWebSocket, offered: Any) -> Any:
        assert ws.request is not None
        return select(ws, offered) if select and ws.request.path == "/wrong" else None

    async with (
        serve(
            echo,
            process_request=process_later if later else process_now,
            select_subprotocol=select_now,
        ) as server,
        connect(url(server)) as before,
        patience(),
    ):
        with capture_logs() as logs:
            request = OFFERING.replace(b"GET /", b"GET /wrong")
            async with raw(server, request=request) as caller:
                answer = await caller.read_all()
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), answer
        assert [entry["event"] for entry in logs] == ["a handshake failed"]
        await before.send("still here")
        assert await before.recv() == "still here"
        async with connect(url(server)) as after:
            await after.send("and so am I")
            assert await after.recv() == "and so am I"


@pytest.mark.parametrize(
    "end", [fail, asyncio.CancelledError], ids=["an-error", "a-cancellation-of-its-own"]
)
async def test_a_handler_that_ends_in_any_way_closes_its_websocket(end: Any) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        if await ws.recv() == "end":
            raise end()
        await echo(ws)

    async with serve(handler) as server, connect(url(server)) as other, patience():
        await other.send("stay")
        async with connect(url(server)) as ws:
            await ws.send("end")
            with pytest.raises(ConnectionClosed):
                await ws.recv()
        await other.send("still here")
        assert await other.recv() == "still here"


async def read_in_a_group(ws: ServerWebSocket) -> None:
    async def read() -> None:
        while True:
            await ws.recv()

    async with asyncio.TaskGroup() as outer:

        async def inner() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())

        outer.create_task(inner())


async def test_a_group_of_nothing_but_the_end_is_no_failure() -> None:
    with capture_logs() as logs:
        async with serve(read_in_a_group) as server, patience():
            async with connect(url(server)) as ws:
                await ws.send("hello")
            async with opened(server):
                pass
            await until(lambda: not server.connections)
    assert logs == []


async def test_a_group_with_another_failure_is_logged() -> None:
    async def handler(ws: ServerWebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ws.wait_closed())
            await ws.recv()
            fail()

    with capture_logs() as logs:
        async with serve(handler) as server, connect(url(server)) as ws, patience():
            await ws.send("hello")
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.code == 1011
    assert [entry["event"] for entry in logs] == ["a handler failed"]


@pytest.mark.parametrize(("code", "reason"), [(999, ""), (1006, ""), (5000, ""), (1000, "\ud800")])
async def test_a_close_that_cannot_be_said_changes_nothing(code: int, reason: str) -> None:
    async with serve(echo) as server, connect(url(server)) as ws, patience():
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
            await ws.close(code, reason)
        await ws.send("still here")
        assert await ws.recv() == "still here"
        with pytest.raises(ValueError):  # noqa: PT011
            server.close(code, reason)
    assert ws.close_code == 1000
