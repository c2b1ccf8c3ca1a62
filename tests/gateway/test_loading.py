"""Sessions of an earlier run of the gateway: they are loaded when somebody needs them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from structlog.testing import capture_logs
from tests.gateway.admin.asking import administered, ask
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import TCP, WS, configured, eventually, linked, serving

from holdfast.backends import link
from holdfast.backends.link.config import ANY_APP
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.link.peer import RequestError
from holdfast.sessions.records import Found
from holdfast.sessions.stores.base import StoreError


def echoing(folder: Path, *, limits: Limits | None = None) -> Config:
    """Nobody but their clients needs these sessions."""
    return administered(configured(folder, [WS, TCP], backend="echo", limits=limits))


def dormant(gateway: Gateway) -> int:
    """How many sessions are not loaded."""
    return len(gateway.manager.loader.dormant)


async def a_session(config: Config) -> dict[str, Any]:
    """A session of a client that numbers its commands, and has said "one". Its `hello`."""
    async with serving(config) as gateway, v1(gateway) as client:
        welcome = await client.expect("welcome")
        await client.say("cmd", c=1, d="one")
        await client.expect("text")
        await client.expect("ack")
    return {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}


async def test_a_start_loads_nothing_and_a_client_what_is_its_own(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    hello = await a_session(config)
    async with serving(config) as gateway, v1(gateway) as client:
        await client.expect("welcome")  # of another
        assert dormant(gateway) == 1
    async with serving(config) as gateway:
        assert (dormant(gateway), gateway.manager.total) == (2, 2)
        async with v1(gateway, **hello) as client:
            await client.say("cmd", c=2, d="two")  # at once: it waits until the session is there
            resumed = await client.expect("resumed")
            assert (resumed["from"], resumed["to"], resumed["cin"]) == (1, 1, 1)
            assert await client.texts("two") == [(1, "one"), (2, "two")]
        assert (dormant(gateway), gateway.manager.total) == (1, 2)


async def test_after_an_unclean_stop_a_session_is_as_whole_as_what_was_stored(
    tmp_path: Path,
) -> None:
    config = echoing(tmp_path)
    killed = tmp_path / "killed"
    killed.mkdir()
    async with serving(config) as gateway, v1(gateway) as client:
        welcome = await client.expect("welcome")
        await client.say("cmd", c=1, d="one")
        await client.expect("ack")
        _copy_store(tmp_path, killed)
    hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
    async with serving(echoing(killed)) as gateway:
        assert dormant(gateway) == 1
    async with serving(echoing(killed)) as gateway, v1(gateway, **hello) as client:
        resumed = await client.expect("resumed")
        assert resumed["epoch"] != welcome["epoch"]  # its log may have lost a tail, two runs ago
        assert await client.texts("one") == [(1, "one")]


def _copy_store(folder: Path, to: Path) -> None:
    """As it is on the disk now."""
    for file in folder.glob("sessions.db*"):
        shutil.copy(file, to)


async def test_a_terminal_takes_up_a_dormant_session_by_its_code(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        someone.types("one")
        await someone.sees("one\n")
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        someone.types(f"resume {code}", "two")
        await someone.sees("Welcome back")
        await someone.sees("two\n")
        assert (dormant(gateway), gateway.manager.total) == (0, 1)


async def test_a_browser_takes_up_a_dormant_session_by_its_cookie(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    async with serving(config) as gateway, plain(gateway) as client:
        await client.ws.send("one")
        assert await client.texts("one") == ["one"]
    async with serving(config) as gateway, plain(gateway, client.cookie) as again:
        await again.ws.send("two")
        await again.texts("two")
        assert (dormant(gateway), gateway.manager.total) == (0, 1)


async def test_a_wrong_secret_gives_nothing_of_a_dormant_session(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    hello = await a_session(config)
    raw = bytearray(base64.urlsafe_b64decode(hello["token"]))
    raw[-1] ^= 1
    forged = base64.urlsafe_b64encode(raw).decode()
    async with serving(config) as gateway:
        async with v1(gateway, token=forged) as thief:
            assert (await thief.hear())["t"] == "refused"
            await thief.say("hello")  # a new session may begin on the same connection
            await thief.expect("welcome")
        async with v1(gateway, **hello) as client:
            await client.expect("resumed")


async def test_a_refused_code_of_a_dormant_session_leaves_the_present_one_as_it_was(
    tmp_path: Path,
) -> None:
    config = echoing(tmp_path)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        code = await someone.shown_code()
    web, terminal = config.listener
    elsewhere = structs.replace(terminal, backend=link.Config("stage"))
    config = structs.replace(config, listener=(web, elsewhere))
    async with serving(config) as gateway, linked(gateway) as stage:
        async with person(gateway, "tcp") as someone:
            await someone.shown_code()
            await stage.noted("open")
            for _ in range(2):  # the first time it is loaded
                someone.types(f"resume {code}", "still here")
                await someone.sees("its session is not one of those that are served here")
                await stage.noted("text", "still here")
                await stage.session.text("said")
                await someone.sees("said\n")
        assert gateway.manager.total == 2


async def test_a_session_that_cannot_be_read_now_can_be_taken_up_later(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    hello = await a_session(config)
    async with serving(config) as gateway:
        store = gateway._store
        take, faults = store.take, [StoreError("disk: an error")]

        async def failing(sids: Sequence[str]) -> Found:
            if faults:
                raise faults.pop()
            return await take(sids)

        store.take = failing  # type: ignore[method-assign]
        with capture_logs() as logs:
            async with v1(gateway, **hello) as client:
                assert (await client.expect("bye"))["reason"] == "internal_error"
        assert "disk: an error" in {log.get("error") for log in logs}
        async with v1(gateway, **hello) as client:
            await client.expect("resumed")


async def test_a_client_that_goes_while_its_session_is_loaded_costs_nothing(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    hello = await a_session(config)
    async with serving(config) as gateway:
        async with v1(gateway, **hello) as client:
            client.drop()
        async with v1(gateway, **hello) as client:
            await client.expect("resumed")
        await eventually(lambda: all(s.consumer is None for s in gateway.manager.sessions.values()))
        assert gateway.manager.total == 1


# --- who else asks


async def test_dormant_sessions_are_listed_and_ended_and_stay_dormant(tmp_path: Path) -> None:
    config = echoing(tmp_path)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        someone.types("one")
        await someone.sees("one\n")
        (before,) = json.loads((await ask(gateway, "/api/sessions")).body)["items"]
    async with serving(config) as gateway:
        page = json.loads((await ask(gateway, "/api/sessions?state=detached_active&app=echo")).body)
        (item,) = page["items"]
        assert page["total"] == 1
        expected = {**before, "state": "detached_active", "connection": 0}
        expected["detached"], expected["expires"] = item["detached"], item["expires"]
        assert item == expected
        assert item["expires"] >= item["detached"] + gateway.manager.limits.unclaimed_seconds_max
        assert item["detached"] > before["created"]
        assert (item["outputs"], item["window_messages"]) == (1, 1)
        assert json.loads((await ask(gateway, f"/api/sessions/{item['sid']}")).body) == item
        assert json.loads((await ask(gateway, "/api/sessions?protocol=ws")).body)["items"] == []
        assert dormant(gateway) == 1
        assert (await ask(gateway, f"/api/sessions/{item['sid']}", "DELETE")).status == 200
        assert (await ask(gateway, f"/api/sessions/{item['sid']}")).status == 404
        assert gateway.manager.total == 0
    async with serving(config) as gateway:
        assert gateway.manager.total == 0


async def test_an_application_gets_its_sessions_when_it_links(tmp_path: Path) -> None:
    config = configured(tmp_path)
    async with serving(config) as gateway, linked(gateway) as stage:
        for _ in range(3):
            async with v1(gateway) as client:
                await client.expect("welcome")
                await stage.noted("open")
    async with serving(config) as gateway:
        assert dormant(gateway) == 3
        with pytest.raises(RequestError, match="3 of its sessions are kept"):
            gateway.backends.links[ANY_APP].bind("another")
        async with linked(gateway) as stage:
            await stage.until(lambda: len(stage.app.sessions) == 3)
            assert (dormant(gateway), len(gateway.manager.sessions)) == (0, 3)


async def test_an_application_waits_for_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    config = configured(tmp_path)
    async with serving(config) as gateway, linked(gateway) as stage, v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
    async with serving(config) as gateway:
        store = gateway._store
        take, faults = store.take, [StoreError("disk: an error")] * 2

        async def failing(sids: Sequence[str]) -> Found:
            if faults:
                raise faults.pop()
            return await take(sids)

        store.take = failing  # type: ignore[method-assign]
        async with linked(gateway) as stage:
            await stage.until(lambda: len(stage.app.sessions) == 1)
        assert faults == []
