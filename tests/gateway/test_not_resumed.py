"""Listeners with `resume = false`: a session ends with its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs
from tests.gateway.clients import GMCP, IAC, WILL, person, v1
from tests.gateway.running import SECONDS, TCP, TELNET, WS, configured, eventually, port, serving
from websockets.asyncio.client import connect

from holdfast.gateway.gateway import Gateway


@asynccontextmanager
async def unresuming(folder: Path, *resuming: str) -> AsyncIterator[Gateway]:
    """A gateway whose listeners resume nothing, but those of these schemes."""
    config = configured(folder, (WS, TELNET, TCP), backend="echo", durability="durable")
    listeners = [
        structs.replace(listener, resume=listener.address.scheme in resuming)
        for listener in config.listener
    ]
    async with serving(structs.replace(config, listener=tuple(listeners))) as gateway:
        yield gateway


async def test_a_terminals_session_ends_with_its_connection(tmp_path: Path) -> None:
    async with unresuming(tmp_path) as gateway:
        for scheme in ("telnet", "tcp"):
            async with person(gateway, scheme) as someone:
                someone.types("hello")
                assert "resume" not in await someone.sees("hello\n")
                (session,) = gateway.manager.sessions.values()
                assert not session.persistent
                someone.drop()
            await eventually(lambda: not gateway.manager.sessions)


async def test_a_client_that_counts_gets_no_token(tmp_path: Path) -> None:
    async with unresuming(tmp_path) as gateway:
        async with v1(gateway) as page:
            assert (await page.expect("welcome"))["token"] == ""
            await page.say("code")
            notice = await page.expect("notice")
            assert notice["d"] == "This session ends with its connection: it cannot be resumed."
            page.drop()
        await eventually(lambda: not gateway.manager.sessions)
        for late in (False, True):
            async with person(gateway, "telnet", GMCP) as someone:
                if late:
                    someone.types("hello")
                    await someone.sees("hello\n")
                else:
                    await someone.is_sent(bytes((IAC, WILL, GMCP)))
                someone.tells("Holdfast.Hello", {})
                assert (await someone.told("Holdfast.Welcome"))["token"] == ""
                someone.drop()
            await eventually(lambda: not gateway.manager.sessions)


async def test_a_browser_gets_no_cookie(tmp_path: Path) -> None:
    async with (
        unresuming(tmp_path) as gateway,
        connect(f"ws://127.0.0.1:{port(gateway, 'ws')}/", proxy=None, ping_interval=None) as ws,
    ):
        assert ws.response is not None
        assert "Set-Cookie" not in ws.response.headers
        await ws.send("hello")
        async with asyncio.timeout(SECONDS):
            assert await ws.recv() == "hello"


async def test_a_session_of_another_listener_is_not_resumed(tmp_path: Path) -> None:
    async with (
        unresuming(tmp_path, "tcp") as gateway,
        person(gateway, "tcp") as someone,
        person(gateway, "telnet") as other,
    ):
        other.types(f"resume {await someone.shown_code()}")
        await other.sees(
            "*** That does not resume a session: its session is not one of those that are served"
            " here.\n"
        )
        other.types("hello")
        await other.sees("hello\n")
        assert len(gateway.manager.sessions) == 2
