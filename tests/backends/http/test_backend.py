"""The backend `http` in a real gateway, at a real HTTP server that comes, goes and misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from msgspec import structs
from tests.backends.http.endpoints import QUICK, behind, endpoint, person
from tests.gateway.running import eventually, serving

from holdfast.backends.http.signature import HEADER, verify
from holdfast.core.errors import ConfigurationError, Reason
from holdfast.gateway.config import check
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.records import Found
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.stores.sqlite import SQLiteStore


def port(gateway: Gateway) -> int:
    return gateway.addresses[0].port


async def test_events_come_in_order_and_answers_are_outputs(tmp_path: Path) -> None:
    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = lambda body: {
            "items": [event["text"].upper() for event in body["events"] if "text" in event],
            "identify": "anna",
            "join": ["buyers"],
            "store": {"seen": len(app.requests)},
        }
        async with person(port(gateway)) as anna:
            anna.types("look")
            await anna.hears("LOOK")
            first = app.requests[0]
            assert first["app"] == "shop"
            assert first["session"]["stored"] is None
            assert first["session"]["protocol"] == "tcp"
            (session,) = gateway.manager.sessions.values()
            keys = [headers["Idempotency-Key"] for headers in app.headers]
            assert keys[0] in (f"{session.sid}:0.1", f"{session.sid}:1.1")
            anna.types(*map(str, range(200)))
            await anna.hears(*map(str, range(200)))
            assert app.busiest == 1
            last = app.requests[-1]["session"]
            assert (last["user"], last["groups"]) == ("anna", ["buyers"])
            assert last["stored"]["seen"] >= 1
            assert max(len(request["events"]) for request in app.requests) > 1
        await app.until("detached")
    assert app.told == ["opened", "look", *map(str, range(200)), "detached"]
    numbers = [event["n"] for event in app.events if "n" in event]
    assert numbers == list(range(1, 202))


async def test_many_sessions_are_served_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slowly(body: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"items": [event["text"] for event in body["events"] if "text" in event]}

    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = slowly
        async with person(port(gateway)) as one, person(port(gateway)) as two:
            one.types("a", "b")
            two.types("c")
            await eventually(lambda: app.busy == 2)
            gate.set()
            await one.hears("a", "b")
            await two.hears("c")


async def test_an_endpoint_that_is_away_gets_everything_once_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with (
        endpoint() as app,
        serving(behind(tmp_path, app.url)) as gateway,
        person(port(gateway)) as anna,
    ):
        anna.types("one")
        await anna.hears("you said one")
        await app.stop()
        anna.types("two", "three")
        assert (await anna.line()).startswith("*** The application is away.")
        await app.start()
        await anna.hears("you said two", "you said three")
    assert [told for told in app.told if told != "detached"] == ["opened", "one", "two", "three"]


STATUSES = [500, 502, 503, 429, 408, 302, 307]


async def test_a_failure_is_tried_again_with_the_same_body_and_key(tmp_path: Path) -> None:
    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        pending = list(STATUSES)

        def answer(body: dict[str, Any]) -> Any:
            if pending:
                headers = {"Location": f"{app.url}/elsewhere", "Retry-After": "0"}
                return web.Response(status=pending.pop(0), headers=headers, text="no")
            return {"items": ["done"]}

        app.answer = answer
        async with person(port(gateway)) as anna:
            anna.types("go")
            lines = await anna.until("done")
            assert len(lines) == 2  # the user is told once, whatever fails how often
        tries = len(STATUSES) + 1
        assert len(set(app.bodies[:tries])) == 1
        assert len({headers["Idempotency-Key"] for headers in app.headers[:tries]}) == 1
        assert not any("elsewhere" in str(request) for request in app.requests)


async def test_an_endpoint_that_fails_for_long_gets_more_than_was_kept(tmp_path: Path) -> None:
    """What its client says beyond the queue of the session waits in the client."""
    limits = QUICK.but(session={"queue_messages_max": 8}, http={"backoff_seconds_max": 0.02})
    said = [str(number) for number in range(100)]
    async with endpoint() as app, serving(behind(tmp_path, app.url, limits=limits)) as gateway:
        works = app.answer
        app.answer = lambda body: web.Response(status=500)
        async with person(port(gateway)) as anna:
            anna.types(*said)
            notices = await anna.until(
                "*** Too much is waiting already. What you have typed since is taken when there is"
                " room."
            )
            await eventually(lambda: len(app.requests) >= 60)
            (session,) = gateway.manager.sessions.values()
            assert len(session.inbox.take()) <= 8
            session.inbox.rewind()
            failed, app.answer = len(app.requests), works
            lines = await anna.until("you said 99")
            assert lines[-100:] == [f"you said {text}" for text in said]
            assert len(set(notices)) == len(notices)
            assert len(lines) == 100, "each notice is shown once"
    applied = [event for request in app.requests[failed:] for event in request["events"]]
    assert [event["text"] for event in applied if "text" in event] == said


async def test_how_long_to_wait_is_respected(tmp_path: Path) -> None:
    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        times: list[float] = []

        def answer(body: dict[str, Any]) -> Any:
            times.append(time.monotonic())
            if len(times) == 1:
                return web.Response(status=503, headers={"Retry-After": "1"})
            return {"items": ["done"]}

        app.answer = answer
        async with person(port(gateway)) as anna:
            anna.types("go")
            await anna.until("done")
        assert times[1] - times[0] >= 1.0


async def test_what_is_refused_is_told_and_the_next_goes_on(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def answer(body: dict[str, Any]) -> Any:
        await gate.wait()
        texts = [event["text"] for event in body["events"] if "text" in event]
        if "bad" in texts:
            return web.json_response({"error": "no such thing"}, status=422)
        return {"items": texts}

    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = answer
        async with person(port(gateway)) as anna:
            anna.types("one")
            await eventually(lambda: app.busy == 1)
            anna.types("two", "bad", "three")
            gate.set()
            await anna.hears(
                "one", "two", "*** The application refused what you typed: no such thing", "three"
            )
    keys = [headers["Idempotency-Key"] for headers in app.headers]
    assert len(set(keys)) == len(keys)


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": (web.Response, "malformed"),
    "no such key": ({"itmes": []}, "itmes"),
    "half of it": ({"items": ["not this either", {"text": 1}]}, "Expected"),
    "too many items": ({"items": ["x"] * 1001}, "items: expected at most 1000, found 1001"),
    "too large": ({"items": ["x" * 2_000_000]}, "expected at most 1048576 bytes"),
    "a large item": ({"items": ["x" * 600_000]}, "at most 524288 bytes"),
    "a line of a header": ({"identify": "a\r\nX: y", "close": "because"}, "close: expected"),
}


async def test_an_answer_that_is_none_is_not_carried_out_and_told(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:

            def answer(body: dict[str, Any]) -> Any:
                text = body["events"][-1].get("text", "")
                if text not in BAD:
                    return {}
                wrong = BAD[text][0]
                return web.Response(text="<html>") if wrong is web.Response else wrong

            app.answer = answer
            async with person(port(gateway)) as anna:
                for name in BAD:
                    anna.types(name)
                    await anna.hears("*** The application's answer could not be read.")
    faults = [line["fault"] for line in lines if line["event"] == "malformed answer"]
    for fault, (_, words) in zip(faults, BAD.values(), strict=True):
        assert words in fault


async def test_an_answer_that_never_ends_is_given_up_and_asked_for_again(tmp_path: Path) -> None:
    limits = QUICK.but(http={"request_seconds_max": 0.3, "backoff_seconds_max": 0.05})
    hang = [True, True]

    async def answer(body: dict[str, Any]) -> Any:
        if hang:
            hang.pop()
            await asyncio.sleep(20)
        return {"items": ["done"]}

    async with endpoint() as app:
        async with serving(behind(tmp_path, app.url, limits=limits)) as gateway:
            app.answer = answer
            async with person(port(gateway)) as anna:
                anna.types("go")
                await anna.until("done")
        assert len({headers["Idempotency-Key"] for headers in app.headers[:3]}) == 1


async def test_an_answer_ends_a_session_and_its_end_is_an_event(tmp_path: Path) -> None:
    async with endpoint() as app, serving(behind(tmp_path, app.url)) as gateway:
        app.answer = lambda body: {"items": ["bye"], "close": "kicked"}
        async with person(port(gateway)) as anna:
            anna.types("quit")
            await anna.hears("bye")
            await anna.ends()
        await app.until("closed")
        assert app.events[-1]["reason"] == "kicked"
        assert app.headers[-1]["Idempotency-Key"].endswith(":closed")
        await eventually(lambda: not gateway.journal._batch.settings)
    async with serving(behind(tmp_path, app.url)) as gateway:
        assert gateway.manager.total == 0
    assert app.told.count("closed") == 1


async def test_what_a_session_that_has_ended_had_to_say_outlives_its_gateway(
    tmp_path: Path,
) -> None:
    async with endpoint() as app:
        config = behind(tmp_path, app.url)
        async with serving(config) as gateway, person(port(gateway)) as anna:
            anna.types("one")
            await anna.hears("you said one")
            await app.stop()
            anna.types("two")
            assert (await anna.line()).startswith("*** The application is away.")
            (session,) = gateway.manager.sessions.values()
            gateway.manager.close(session, Reason.KICKED)
        await app.start()
        async with serving(behind(tmp_path, app.url)):
            await app.until("two", "closed")
        async with serving(behind(tmp_path, app.url)):
            pass
    assert app.told == ["opened", "one", "two", "closed"]


async def test_a_gateway_that_is_started_anew_sends_what_was_left(tmp_path: Path) -> None:
    async with endpoint() as app:
        config = behind(tmp_path, app.url)
        async with serving(config) as gateway, person(port(gateway)) as anna:
            code = anna.code
            anna.types("one")
            await anna.hears("you said one")
            await app.stop()
            anna.types("two")
            assert (await anna.line()).startswith("*** The application is away.")
        await app.start()
        async with serving(behind(tmp_path, app.url)) as gateway:
            await app.until("two", "detached")
            async with person(port(gateway)) as anna:
                anna.types(f"resume {code}")
                await anna.until("you said two")
                await app.until("resumed")
                anna.types("three")
                await anna.until("you said three")
    (first, *_) = app.requests
    own = [one for one in app.requests if one["session"]["sid"] == first["session"]["sid"]]
    events = [event for request in own for event in request["events"]]
    told = [event.get("text", event["type"]) for event in events]
    assert told[:6] == ["opened", "one", "two", "detached", "resumed", "three"]
    assert [event["e"] for event in events if "e" in event][:3] == [1, 2, 3]


async def test_commands_that_were_left_are_sent_once_the_store_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, faults = SQLiteStore.take, [StoreError("disk: an error")] * 3

    async def failing(store: SQLiteStore, sids: Sequence[str]) -> Found:
        if faults:
            raise faults.pop()
        return await take(store, sids)

    async with endpoint() as app:
        config = behind(tmp_path, app.url)
        async with serving(config) as gateway, person(port(gateway)) as anna:
            anna.types("one")
            await anna.hears("you said one")
            await app.stop()
            anna.types("two")
            assert (await anna.line()).startswith("*** The application is away.")
        await app.start()
        monkeypatch.setattr(SQLiteStore, "take", failing)
        with structlog.testing.capture_logs() as lines:
            async with serving(config):
                await app.until("two", "detached")
    assert faults == []
    failures = [line for line in lines if line["event"] == "sessions not loaded"]
    assert {line["error"] for line in failures} == {"disk: an error"}


async def test_each_request_is_signed_with_every_secret(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("an old secret of some length\n")
    new.write_text("a new secret of some length\n")
    files = (str(new), str(old))
    async with endpoint() as app:
        config = behind(tmp_path, app.url, secret_files=files)
        async with serving(config) as gateway, person(port(gateway)) as anna:
            anna.types("x")
            await anna.hears("you said x")
    header, body = app.headers[0][HEADER], app.bodies[0]
    for path in (old, new):
        assert verify([path.read_bytes().strip()], header, body, time.time())
    assert not verify([b"another secret of some length"], header, body, time.time())


async def test_several_endpoints_share_the_requests_and_stand_in_for_each_other(
    tmp_path: Path,
) -> None:
    async with (
        endpoint() as one,
        endpoint() as two,
        serving(behind(tmp_path, one.url, two.url)) as gateway,
        person(port(gateway)) as anna,
    ):
        for number in range(6):
            anna.types(str(number))
            await anna.hears(f"you said {number}")
        assert one.requests
        assert two.requests
        await one.stop()
        for number in range(6):
            anna.types(str(number))
            await anna.until(f"you said {number}")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"endpoint": ()}, "listener\\[0\\].endpoint: expected a URL, found none"),
    "no scheme": ({"endpoint": "app.internal/x"}, "endpoint: expected a URL as in"),
    "another scheme": ({"endpoint": "ftp://app/x"}, "endpoint: expected a URL as in"),
    "no host": ({"endpoint": "https:///x"}, "endpoint: expected a URL as in"),
    "a password": ({"endpoint": "https://u:p@app/x"}, "found 'https://app/x'"),
    "a port": ({"endpoint": "https://app:port/x"}, "endpoint: expected a URL as in"),
    "two lines": ({"endpoint": "https://app/x\r\nX: y"}, "endpoint: expected a URL as in"),
    "no name": ({"endpoint": "https://app/", "app": "*"}, "app: expected 1 to 64 letters"),
    "a name": ({"endpoint": "https://app/", "app": "my shop"}, "app: expected 1 to 64 letters"),
    "no file": (
        {"endpoint": "https://app/", "secret_files": ("/nowhere",)},
        "secret_files: .*file",
    ),
    "no ca": ({"endpoint": "https://app/", "ca": "/nowhere"}, "ca: expected a file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_configuration_that_cannot_work_is_refused(name: str, tmp_path: Path) -> None:
    keys, fault = FAULTS[name]
    config = behind(tmp_path, "https://app/")
    (listener,) = config.listener
    backend = structs.replace(listener.backend, **keys)
    config = structs.replace(config, listener=(structs.replace(listener, backend=backend),))
    with pytest.raises(ConfigurationError, match=fault):
        check(config)


def test_two_listeners_of_one_application_have_the_same_keys(tmp_path: Path) -> None:
    one, other = behind(tmp_path, "https://a/"), behind(tmp_path, "https://b/")
    both = structs.replace(one, listener=one.listener + other.listener)
    with pytest.raises(ConfigurationError, match=r"listener\[1\].backend: expected the keys of"):
        check(both)
    check(structs.replace(one, listener=one.listener * 2))
    short = tmp_path / "short"
    short.write_text("short")
    with pytest.raises(ConfigurationError, match="at least 16 characters, found 5"):
        check(behind(tmp_path, "https://a/", secret_files=(str(short),)))
