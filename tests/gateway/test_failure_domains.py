"""A defect in one connection ends that one: its session waits, and the others get theirs.

The defect is put into a connection's adapter, where no check can find it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.gateway.clients import V1, v1
from tests.gateway.running import Durability, Stage, configured, eventually, linked, serving

from holdfast.core.items import Text
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.notifications import InputModeChanged, Notification, SessionOffered
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.session import Session


class DefectError(Exception):
    """What nobody has thought of."""


def fails(*args: object) -> Any:
    raise DefectError


class BrokenAdapter:
    """An adapter of which some methods are others."""

    def __init__(self, adapter: Adapter, **replaced: Callable[..., Any]) -> None:
        self._adapter = adapter
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


def break_adapter(attachment: Attachment, broken: str | type[Notification]) -> None:
    """Let this method of the connection's adapter raise, or the notification of this kind."""
    adapter = attachment.adapter

    def notify(notification: Notification) -> None:
        if isinstance(notification, broken):  # type: ignore[arg-type]
            fails()
        adapter.notify(notification)

    replaced: dict[str, Any] = {broken: fails} if isinstance(broken, str) else {"notify": notify}
    driver: Any = attachment.driver
    driver.adapter = attachment.adapter = BrokenAdapter(adapter, **replaced)


@asynccontextmanager
async def two_clients(
    folder: Path, durability: Durability
) -> AsyncIterator[tuple[Gateway, Stage, V1]]:
    config = configured(folder, durability=durability)
    async with (
        serving(config) as gateway,
        linked(gateway) as stage,
        v1(gateway) as broken,
        v1(gateway) as sound,
    ):
        for client in (broken, sound):
            await client.expect("welcome")
        await stage.until(lambda: len(stage.app.sessions) == 2)
        yield gateway, stage, sound


def sessions(gateway: Gateway) -> tuple[Session, Session]:
    """The two sessions, in the order in which their clients came."""
    first, second = gateway.manager.sessions.values()
    return first, second


@pytest.mark.parametrize("durability", ["memory", "fast", "durable"])
async def test_an_output_that_cannot_be_encoded_ends_one_connection(
    durability: Durability, tmp_path: Path
) -> None:
    async with two_clients(tmp_path, durability) as (gateway, stage, sound):
        bad, good = sessions(gateway)
        assert isinstance(bad.consumer, Attachment)
        break_adapter(bad.consumer, "encode")
        with structlog.testing.capture_logs() as logs:
            # Both in one tick and one commit, the broken one first.
            for session in (bad, good):
                await stage.app.sessions[session.sid].text("said")
            assert (await sound.expect("text"))["d"] == "said"
            await eventually(lambda: bad.state.detached)
        (failure,) = (log for log in logs if log["event"] == "a connection failed")
        assert failure["session"] == bad.sid
        assert "DefectError" in failure["traceback"]
        await stage.noted("detach", "internal_error")
        await stage.app.sessions[good.sid].text("more")
        assert (await sound.expect("text"))["d"] == "more"
        assert not good.state.detached


SAID: dict[str, tuple[str | type[Notification], Callable[[Stage, Session], Any]]] = {
    "volatile": (
        "encode_volatile",
        lambda stage, bad: stage.app.say(bad.sid, "volatile", Text("x")),
    ),
    "input mode": (
        InputModeChanged,
        lambda stage, bad: stage.app.sessions[bad.sid].input_mode("secret"),
    ),
    "an offer": (SessionOffered, lambda stage, bad: stage.app.sessions[bad.sid].identify("ann")),
    "a goodbye": ("goodbye", lambda stage, bad: stage.app.sessions[bad.sid].close()),
}


@pytest.mark.parametrize("name", SAID)
async def test_whatever_fails_in_a_connection_the_link_and_the_others_stay(
    name: str, tmp_path: Path
) -> None:
    broken, say = SAID[name]
    async with two_clients(tmp_path, "fast") as (gateway, stage, sound):
        bad, good = sessions(gateway)
        assert isinstance(bad.consumer, Attachment)
        connection = bad.consumer.connection
        break_adapter(bad.consumer, broken)
        if name == "an offer":  # of the session that another connection has left
            await stage.app.sessions[good.sid].identify("ann")
            sound.ws.transport.abort()
            await eventually(lambda: good.state.detached)
        await say(stage, bad)
        await eventually(lambda: bad.consumer is None)
        await eventually(lambda: connection.phase.name == "LOST")
        await stage.app.sessions[good.sid].text("said")
        await stage.accepted()
        if good.consumer is not None:
            assert (await sound.expect("text"))["d"] == "said"
        assert stage.app.outgoing.idle


async def test_a_session_that_fails_in_a_commit_leaves_the_others_theirs(tmp_path: Path) -> None:
    async with two_clients(tmp_path, "durable") as (gateway, stage, sound):
        bad, good = sessions(gateway)
        bad.backend = _FailingBackend()  # type: ignore[assignment]
        bad.lagging = True
        with structlog.testing.capture_logs() as logs:
            bad.mark_dirty()
            await stage.app.sessions[good.sid].text("said")
            assert (await sound.expect("text"))["d"] == "said"
            await eventually(lambda: bool(logs))
        (failure,) = (log for log in logs if log["event"] == "a session failed")
        assert failure["session"] == bad.sid
        bad.backend = good.backend


class _FailingBackend:
    relieved = fails
