"""Publications of an application over the link: of one that serves sessions, and of one that does
not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.running import TCP, Stage, configured, eventually, serving

from holdfast.app import (
    App,
    Notice,
    Published,
    PublishRefusedError,
    UnknownSessionError,
    UnsendableError,
)
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.publishing import Targets


def address(folder: Path) -> str:
    return f"unix:{folder / 'link'}"


async def linked(app: App) -> None:
    await eventually(lambda: app.linked)


async def test_a_publisher_reaches_sessions_and_is_given_none(tmp_path: Path) -> None:
    config = configured(tmp_path, [TCP])
    stage, publisher = Stage("shop"), App("shop", serves=False)
    async with serving(config) as gateway, asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.app.serve(address(tmp_path)))
        await linked(stage.app)
        tasks.create_task(publisher.serve(address(tmp_path)))
        await linked(publisher)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
        writer.write(b"hello\n")
        await stage.noted("open")
        session = stage.session
        await session.identify("anna")
        await session.join("buyers")
        await eventually(lambda: bool(gateway.manager.groups))
        assert publisher.sessions == {}
        told = await publisher.publish("one", Notice("two"), user="anna", group="sellers")
        assert told == Published(1, 1, Targets(groups=("sellers",)))
        assert await stage.app.publish("three", group="buyers", id="3") == Published(1, 1)
        assert await publisher.publish("three", group="buyers", id="3") == Published(
            1, 1, repeated=True
        )
        with pytest.raises(UnknownSessionError, match="no session s0"):
            await publisher.publish("x", session="s0")
        with pytest.raises(PublishRefusedError, match="was used before") as caught:
            await publisher.publish("four", group="buyers", id="3")
        assert caught.value.code == "id_reused"
        with pytest.raises(UnsendableError):
            await publisher.publish("x", user="anna", delivery="soon")
        with pytest.raises(PublishRefusedError, match="expected 1 to 1000 sessions"):
            await publisher.publish("x")
        await reader.readuntil(b"one\n*** two\nthree\n")
        # Without the instance that serves, clients are told, though a publisher is linked.
        stage.app.stop()
        await reader.readuntil(b"The application is away.")
        writer.transport.abort()
        publisher.stop()


async def test_a_publisher_survives_its_gateway(tmp_path: Path) -> None:
    config = configured(tmp_path, [TCP], app="shop")
    publisher = App("shop", serves=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.serve(address(tmp_path)))
        waiting = tasks.create_task(publisher.publish("x", user="anna"))
        async with serving(config):
            assert await waiting == Published(0, unknown=Targets(users=("anna",)))
        with pytest.raises(TimeoutError):
            await publisher.publish("x", user="anna", seconds_max=0.05)
        async with serving(config):
            assert (await publisher.publish("x", user="anna")).reached == 0
        publisher.stop()


async def test_a_publisher_of_another_application_is_not_taken_for_one_of_this(
    tmp_path: Path,
) -> None:
    """A listener without a name takes the first application that serves."""
    async with serving(configured(tmp_path, [TCP])) as gateway:
        stranger = App("chat", serves=False)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stranger.serve(address(tmp_path)))
            stage = Stage("shop")
            tasks.create_task(stage.app.serve(address(tmp_path)))
            await linked(stage.app)
            assert bound(gateway) == "shop"
            with pytest.raises(TimeoutError):
                await stranger.publish("x", user="anna", seconds_max=0.2)
            assert not stranger.linked
            stranger.stop()
            stage.app.stop()


async def test_a_second_application_is_refused_aloud(tmp_path: Path) -> None:
    stage = Stage("shop")
    async with serving(configured(tmp_path, [TCP])) as gateway, asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.app.serve(address(tmp_path)))
        await linked(stage.app)
        with pytest.raises(ConfigurationError, match="found application 'chat', expected 'shop'"):
            await App("chat").serve(address(tmp_path))
        assert bound(gateway) == "shop"
        stage.app.stop()


def bound(gateway: Gateway) -> str:
    (backend,) = gateway.backends.all
    return backend.app
