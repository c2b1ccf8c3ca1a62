from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.backends.node import SECRET, apps, node

from holdfast.backends.link import secrets as strangers
from holdfast.backends.link.config import ANY_APP
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import RequestError


@pytest.mark.parametrize(
    ("fields", "code", "fault"),
    [
        pytest.param(
            {"protocol": 2}, "protocol", "found link protocol 2, expected 1", id="protocol"
        ),
        pytest.param({"secret": ""}, "secret", "the link's secret is wrong", id="no-secret"),
        pytest.param({"secret": "s3cre"}, "secret", "the link's secret is wrong", id="short"),
        pytest.param({"secret": "é" * 6}, "secret", "the link's secret is wrong", id="not-ascii"),
        pytest.param(
            {"app": "mud"},
            "unknown_app",
            "found application 'mud', expected one of: chat, game",
            id="app",
        ),
        pytest.param(
            {"protocol": 2, "secret": "wrong"}, "protocol", "protocol 2", id="protocol-first"
        ),
        pytest.param(
            {"secret": "wrong", "app": "mud"}, "secret", "secret is wrong", id="secret-before-app"
        ),
    ],
)
async def test_a_hello_is_refused_with_what_was_expected(
    fields: dict[str, Any], code: str, fault: str, tmp_path: Path
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backend("game")
        end = await one_more()
        with pytest.raises(RequestError, match=fault) as caught:
            await end.hello(**fields)
        assert caught.value.code == code
        assert SECRET not in str(caught.value)
        if code == "secret":
            assert await end.until_unlinked() == "the link's secret is wrong"
        else:
            await end.hello()  # it may try again on the same link


async def test_the_secret_is_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    class Spy:
        @staticmethod
        def compare_digest(given: bytes, known: bytes) -> bool:
            compared.append((given, known))
            return hmac.compare_digest(given, known)

    monkeypatch.setattr(strangers, "hmac", Spy)
    async with node(tmp_path) as it, apps(it) as one_more:
        await (await one_more()).hello()
    assert compared == [(SECRET.encode(), SECRET.encode())]


async def test_a_wrong_secret_is_logged_without_it(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        with structlog.testing.capture_logs() as logs, pytest.raises(RequestError):
            await end.hello(secret="swordfish")
        assert [entry["event"] for entry in logs] == ["link_refused"]
        assert "swordfish" not in str(logs)
        assert SECRET not in str(logs)


async def test_the_welcome_says_what_the_application_must_know(tmp_path: Path) -> None:
    limits = Limits().but(link={"heartbeat_seconds_max": 7.5, "window_bytes_max": 12_345})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        welcome = await (await one_more()).hello()
        assert welcome == m.Welcome(
            gateway="holdfast",
            node="node-1",
            heartbeat_s=7.5,
            window=12_345,
            accepted=0,
            sessions=[],
        )


@pytest.mark.parametrize(
    "method", [m.EMIT, m.LIST, m.CLOSE, m.UPDATE, m.BROADCAST, m.JOIN, m.APPLIED]
)
async def test_before_its_hello_an_application_may_call_nothing(
    method: str, tmp_path: Path
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        with pytest.raises(RequestError) as caught:
            await end.request(method, [], object)
        assert caught.value.code == "unknown_method"


async def test_a_second_hello_is_an_unknown_method(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        with pytest.raises(RequestError) as caught:
            await end.hello()
        assert caught.value.code == "unknown_method"


async def test_each_application_has_its_own_backend(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backend("game")
        chat, game = await one_more(), await one_more()
        await chat.hello("i1", app="chat")
        await game.hello("i2", app="game")
        session, _ = it.open("game")
        it.say(session, "look")
        assert await game.take(2) == ["opened", ("look", 1)]
        assert await chat.take_all() == []


async def test_a_backend_for_any_application_takes_one_of_any_name(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backends.clear()
        it.backend(ANY_APP)
        end = await one_more()
        await end.hello(app="whatever")
        it.open(ANY_APP)
        assert await end.take(1) == ["opened"]


async def test_a_link_that_never_said_hello_ends_unnoticed(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        good, bad = await one_more(), await one_more()
        await good.hello()
        bad.cut()
        await bad.until_unlinked()
        it.open()
        assert await good.take(1) == ["opened"]


async def test_what_is_durable_is_told_to_its_instance_alone(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1")
        await second.hello("i2")
        it.hub.accepted({"chat/i1": 5, "chat/gone": 9, "game/i2": 7})
        await first.until(lambda end: end.accepted)
        assert first.accepted == [5]
        await second.synchronise()
        assert second.accepted == []
