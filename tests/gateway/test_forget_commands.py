"""Commands that wait are dropped: by the application itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.gateway.clients import v1
from tests.gateway.running import WS, acting, configured, eventually, serving

from holdfast.app import App, Session


async def test_an_application_drops_the_commands_that_wait(tmp_path: Path) -> None:
    begun: list[str] = []
    may, dropped = asyncio.Event(), asyncio.Event()
    app = App("stage")

    @app.on_text
    async def text(session: Session, line: str) -> None:
        begun.append(line)
        if line == "1":
            await may.wait()
            await session.forget_commands()
            dropped.set()
            await session.text("stopped")

    async with (
        serving(configured(tmp_path, [WS])) as gateway,
        acting(app, str(gateway.link_address)),
        v1(gateway) as client,
    ):
        await client.expect("welcome")
        count = 40  # more than are under way at one time
        for number in range(1, count + 1):
            await client.say("cmd", c=number, d=str(number) if number < 4 else "x" * 1_000)
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: session.inbox.top == count)
        assert len(session.inbox.entries) == count
        assert session.inbox.waiting
        may.set()
        assert (await client.expect("text"))["d"] == "stopped"
        await client.say("cmd", c=count + 1, d="next")
        await eventually(lambda: begun == ["1", "next"])
        await eventually(lambda: session.inbox.applied == count + 1)
        assert not session.inbox.entries
