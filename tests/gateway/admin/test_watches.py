"""Operators who watch sessions, over bare sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs
from tests.backends.pty.running import config as shell
from tests.backends.terminal.client import term_client
from tests.gateway.admin.asking import ANYWHERE, administered, ask, told
from tests.gateway.clients import V1, v1
from tests.gateway.running import WS, Stage, configured, eventually, serving, staged

from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.session import Session

WATCHED = structs.replace(ANYWHERE, watch=True)


@asynccontextmanager
async def scene(
    folder: Path, limits: Limits | None = None
) -> AsyncIterator[tuple[Gateway, Stage, V1, Session]]:
    """An application and one client of it, whose session may be watched."""
    config = administered(configured(folder, [WS], limits=limits), WATCHED)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
        (session,) = gateway.manager.sessions.values()
        yield gateway, stage, client, session


async def begun(gateway: Gateway, session: Session) -> int:
    """Begin to watch; the watch's number."""
    answer = await told(gateway, f"/api/sessions/{session.sid}/watch", method="POST")
    number: int = answer["watch"]
    return number


async def seen(gateway: Gateway, number: int, after: int = 0) -> Any:
    return await told(gateway, f"/api/watches/{number}?after={after}")


async def items_of(gateway: Gateway, number: int, after: int) -> Any:
    """The outputs that come: an answer without any was waited for long enough."""
    while not (found := await seen(gateway, number, after))["items"]:
        pass
    return found["items"]


def viewers(session: Session) -> int:
    return len(session.viewers) if session.viewers is not None else 0


async def test_nobody_watches_where_it_is_not_configured(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [WS]))
    async with staged(config) as (gateway, _), v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        answer = await ask(gateway, f"/api/sessions/{sid}/watch", "POST")
        assert answer.status == 403
        assert "admin.watch is false" in json.loads(answer.body)["error"]
        assert gateway.manager.sessions[sid].viewers is None


async def test_an_operator_sees_what_the_client_sees(tmp_path: Path) -> None:
    async with scene(tmp_path) as (gateway, stage, client, session):
        await stage.session.text("before")
        await client.texts("before")
        number = await begun(gateway, session)
        assert viewers(session) == 1
        assert gateway.context.security.counts[SecurityEvent.OPERATOR_ACTED] == 1
        explained = await told(gateway, f"/api/sessions/{session.sid}/explain")
        assert explained["viewers"] == ["an operator"]
        first = await seen(gateway, number)
        assert first["items"] == [{"text": "before"}]
        assert (first["n"], first["lost"], first["terminal"], first["ended"]) == (1, 0, False, "")

        await stage.session.text("one")
        await stage.session.text("two")
        await client.texts("two")
        await client.say("ack", n=3)
        await eventually(lambda: session.out.base == 3)  # the session keeps them no longer
        second = await seen(gateway, number, first["n"])
        assert second["items"] == [{"text": "one"}, {"text": "two"}]
        assert await seen(gateway, number, first["n"]) == second  # its answer may have been lost

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(items_of(gateway, number, second["n"]))
            await stage.session.data("Char.Vitals", {"hp": 3})
        assert waiting.result() == [{"package": "Char.Vitals", "data": {"hp": 3}}]

        await told(gateway, f"/api/watches/{number}", method="DELETE")
        assert viewers(session) == 0
        assert session.viewers is not None
        assert session.viewers.invitations == []
        assert (await ask(gateway, f"/api/watches/{number}")).status == 404


async def test_a_watch_ends_with_its_session(tmp_path: Path) -> None:
    async with scene(tmp_path) as (gateway, stage, _, session):
        number = await begun(gateway, session)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(seen(gateway, number))
            await stage.session.text("the last")
            await stage.session.close()
        found, items = waiting.result(), list(waiting.result()["items"])
        while not found["ended"]:
            found = await seen(gateway, number, found["n"])
            items += found["items"]
        assert items == [{"text": "the last"}]
        assert found["ended"] == "the session has ended"


async def test_what_nobody_asks_for_is_lost_and_then_ends(tmp_path: Path) -> None:
    limits = Limits().but(
        admin={"watches_max": 1, "watch_silent_seconds_max": 60.0},
        session={"viewer_unacknowledged_max": 1024},
    )
    async with scene(tmp_path, limits) as (gateway, stage, client, session):
        number = await begun(gateway, session)
        answer = await ask(gateway, f"/api/sessions/{session.sid}/watch", "POST")
        assert answer.status == 409
        assert json.loads(answer.body) == {"error": "1 sessions are watched already"}
        for each in range(10):
            await stage.session.text(f"{each}" * 300)
        await client.texts("9" * 300)
        await eventually(lambda: session.out.sent == 10)
        found = await seen(gateway, number)
        while found["n"] < 10:
            await asyncio.sleep(0)
            found = await seen(gateway, number)
        kept = [item["text"][0] for item in found["items"]]
        assert found["lost"] + len(kept) == 10
        assert kept[-1] == "9"
        assert sum(300 for _ in kept) <= 1024

    limits = Limits().but(admin={"watch_silent_seconds_max": 0.2})
    async with scene(tmp_path / "again", limits) as (gateway, _, client, session):
        await begun(gateway, session)
        await eventually(lambda: viewers(session) == 0)
        assert client.ws.state.name == "OPEN"


async def test_a_terminal_is_watched_in_bytes() -> None:
    async with (
        serving(administered(shell(), WATCHED)) as gateway,
        term_client(gateway) as owner,
    ):
        await owner.told("opened")
        (session,) = gateway.manager.sessions.values()
        await owner.types("echo BE''FORE\r")
        await owner.sees("BEFORE\r\n")
        number = await begun(gateway, session)
        await owner.types("echo AF''TER\r")
        await owner.sees("AFTER\r\n")
        output, after = b"", 0
        found: Any = {}
        while b"AFTER\r\n" not in output:
            found = await seen(gateway, number, after)
            assert (found["terminal"], found["columns"], found["rows"]) == (True, 80, 24)
            output += b"".join(base64.b64decode(item["binary"]) for item in found["items"])
            after = found["n"]
            assert after == len(output)
        assert b"BEFORE\r\n" in output
        await owner.say("revoke", id=1)
        while not found["ended"]:
            found = await seen(gateway, number, found["n"])
        assert found["ended"] == "the invitation was revoked"
