"""The last events of sessions that have ended, in a real gateway, at a real HTTP server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from msgspec import structs
from tests.backends.http.endpoints import QUICK, Endpoint, behind, endpoint, person
from tests.gateway.running import eventually, serving

from holdfast.backends.http.backend import HttpBackend
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.records import Batch

FEW = QUICK.but(http={"backoff_seconds_max": 0.05, "events_max": 3})
SMALL = QUICK.but(http={"backoff_seconds_max": 0.05, "events_bytes_max": 1_000})


def port(gateway: Gateway) -> int:
    return gateway.addresses[0].port


def end(gateway: Gateway) -> None:
    (session,) = gateway.manager.sessions.values()
    gateway.manager.close(session, Reason.KICKED)


def named(body: dict[str, Any]) -> list[str]:
    """The events of a request: what was typed, or what has happened."""
    return [event.get("text", event["type"]) for event in body["events"]]


async def ended(app: Endpoint, folder: Path, limits: Limits, *lines: str) -> None:
    """A session ends whose application is away and has these lines to come."""
    async with (
        serving(behind(folder, app.url, limits=limits)) as gateway,
        person(port(gateway)) as anna,
    ):
        anna.types("first")
        await anna.hears("you said first")
        await app.stop()
        anna.types(*lines)
        assert (await anna.line()).startswith("*** The application is away.")
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: session.inbox.top == len(lines) + 1)
        end(gateway)
    app.requests.clear()
    await app.start()


async def test_a_batch_that_is_refused_after_the_end_costs_one_command(tmp_path: Path) -> None:
    gates = {"one": asyncio.Event(), "bad": asyncio.Event()}
    applied = list[str]()

    async def answer(body: dict[str, Any]) -> Any:
        events = named(body)
        for event in events:
            if event in gates:
                await gates[event].wait()
        if "bad" in events:
            return web.Response(status=422)
        applied.extend(events)
        return {}

    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = answer
        async with person(port(gateway)) as anna:
            anna.types("one")
            await eventually(lambda: "one" in app.told)
            anna.types("two", "bad", "three")
            (session,) = gateway.manager.sessions.values()
            await eventually(lambda: session.inbox.top == 4)
            gates["one"].set()
            await app.until("two", "bad", "three")
            end(gateway)
            gates["bad"].set()
            await eventually(lambda: "closed" in applied)
    assert applied == ["opened", "one", "two", "three", "closed"]


async def test_the_last_events_are_several_requests_in_order(tmp_path: Path) -> None:
    lines = [str(number) for number in range(10)]
    async with endpoint() as app:
        await ended(app, tmp_path, FEW, *lines)
        async with serving(behind(tmp_path, app.url, limits=FEW)):
            await app.until("closed")
    assert app.told == [*lines, "closed"]
    assert max(len(request["events"]) for request in app.requests) == 3
    assert app.busiest == 1
    keys = [headers["Idempotency-Key"].partition(":")[2] for headers in app.headers]
    assert keys[-4:] == ["4", "7", "10", "closed"]


async def test_the_last_events_respect_the_bytes_of_a_request(tmp_path: Path) -> None:
    lines = [str(number) * 600 for number in range(6)]
    async with endpoint() as app:
        await ended(app, tmp_path, SMALL, *lines)
        async with serving(behind(tmp_path, app.url, limits=SMALL)):
            await app.until("closed")
    assert app.told == [*lines, "closed"]
    assert max(len(request["events"]) for request in app.requests) == 2


async def test_of_the_last_events_only_those_are_lost_that_are_refused(tmp_path: Path) -> None:
    applied = list[str]()

    def answer(body: dict[str, Any]) -> Any:
        events = named(body)
        if "bad" in events or len(events) > 2:
            return web.Response(status=413 if len(events) > 2 else 422)
        applied.extend(events)
        return {}

    async with endpoint() as app:
        await ended(app, tmp_path, QUICK, "a", "b", "bad", "c")
        app.answer = answer
        async with serving(behind(tmp_path, app.url)):
            await eventually(lambda: "closed" in applied)
        app.requests.clear()
        async with serving(behind(tmp_path, app.url)):
            pass
    assert applied == ["a", "b", "c", "closed"]
    assert app.requests == []
    keys = [headers["Idempotency-Key"].partition(":")[2] for headers in app.headers]
    alone = ["2:alone", "3:alone", "4:alone", "5:alone", "closed:alone"]
    assert keys[-6:] == ["closed", *alone]


async def test_the_last_events_that_are_applied_do_not_come_again(tmp_path: Path) -> None:
    away = True

    def answer(body: dict[str, Any]) -> Any:
        return web.Response(status=503 if away and "closed" in named(body) else 200)

    async with endpoint() as app:
        await ended(app, tmp_path, FEW, "a", "b", "c", "d")
        app.answer = answer
        async with serving(behind(tmp_path, app.url, limits=FEW)):
            await app.until("a", "b", "c", "d", "closed")
        app.requests.clear()
        away = False
        async with serving(behind(tmp_path, app.url, limits=FEW)):
            await app.until("closed")
    assert app.told == ["d", "closed"]


async def test_the_last_events_are_sent_although_the_delivery_before_them_failed(
    tmp_path: Path,
) -> None:
    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = lambda body: {"close": "kicked"} if "quit" in named(body) else {}
        async with person(port(gateway)) as anna:
            (session,) = gateway.manager.sessions.values()
            backend = session.backend
            assert isinstance(backend, HttpBackend)
            carry_out = backend._answers.carry_out

            def failing(*given: Any, **named: Any) -> None:
                carry_out(*given, **named)
                if named["typed"]:
                    raise RuntimeError("a defect")

            backend._answers = SimpleNamespace(carry_out=failing)  # type: ignore[assignment]
            anna.types("quit")
            await app.until("closed")


async def test_the_last_events_are_stored_in_the_commit_that_deletes_their_session(
    tmp_path: Path,
) -> None:
    """A crash between two commits would lose them."""
    async with endpoint() as app:
        config = behind(tmp_path, app.url)
        (listener,) = config.listener
        listener = structs.replace(listener, durability="durable")
        async with (
            serving(structs.replace(config, listener=(listener,))) as gateway,
            person(port(gateway)) as anna,
        ):
            anna.types("look")
            await anna.hears("you said look")
            (session,) = gateway.manager.sessions.values()
            commits: list[tuple[bool, list[str], list[str]]] = []
            commit = gateway._store.commit

            async def noting(batch: Batch) -> int:
                kept = [key for key in batch.settings if key.endswith(session.sid)]
                commits.append((session.sid in batch.deleted, kept, list(app.told)))
                return await commit(batch)

            gateway._store.commit = noting  # type: ignore[method-assign]
            end(gateway)
            await app.until("closed")
            (deleting,) = [each for each in commits if each[0]]
            assert deleting[1], "its last events are in another commit"
            assert "closed" not in deleting[2], "they were sent before that is durable"


async def test_what_came_during_a_delivery_that_failed_is_sent_although_nothing_follows(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    failed = False

    async def slowly(body: dict[str, Any]) -> dict[str, Any]:
        if "one" in named(body):
            await gate.wait()
        return {"items": [event["text"] for event in body["events"] if "text" in event]}

    async with (
        endpoint() as app,
        serving(behind(tmp_path, app.url)) as gateway,
        person(port(gateway)) as anna,
    ):
        await app.until("opened")
        app.answer = slowly
        (session,) = gateway.manager.sessions.values()
        backend = session.backend
        assert isinstance(backend, HttpBackend)
        carry_out = backend._answers.carry_out

        def failing(*given: Any, **named: Any) -> None:
            nonlocal failed
            carry_out(*given, **named)
            if named["typed"] and not failed:
                failed = True
                raise RuntimeError("a defect")

        backend._answers = SimpleNamespace(carry_out=failing)  # type: ignore[assignment]
        anna.types("one")
        await app.until("one")
        anna.types("two", "three")
        await eventually(lambda: session.inbox.top == 3)
        gate.set()
        await anna.hears("one", "two", "three")
        assert failed
        assert app.told == ["opened", "one", "two", "three"]
