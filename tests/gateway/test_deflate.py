"""Compression at the gateway: agreed on where the listener allows it, in order with all else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs
from tests.gateway.running import SECONDS, WS, configured, eventually, serving
from tests.gateway.test_config import listener

from holdfast import client
from holdfast.core.errors import ConfigurationError
from holdfast.core.items import Text
from holdfast.gateway.adapters.events import Numbered
from holdfast.gateway.config import Config, parse
from holdfast.gateway.conversation.output import Attachment
from holdfast.protocols.holdfast_v1 import SUBPROTOCOL
from holdfast.protocols.websocket import CLIENT_DEFAULTS, DeflateSettings
from holdfast.websocket import connect

LINES = [f"{number}: a line that is long enough to be worth compressing" for number in range(50)]


def with_deflate(folder: Path, deflate: DeflateSettings | None) -> Config:
    """One WebSocket listener with an echo behind it."""
    config = configured(folder, [WS], backend="echo", durability="memory")
    (listener,) = config.listener
    return structs.replace(config, listener=(structs.replace(listener, deflate=deflate),))


@pytest.mark.parametrize("deflate", [None, DeflateSettings()], ids=["plain", "deflate"])
async def test_a_session_over_compressed_messages(
    tmp_path: Path, deflate: DeflateSettings | None
) -> None:
    async with serving(with_deflate(tmp_path, deflate)) as gateway, asyncio.timeout(SECONDS):
        url = f"ws://127.0.0.1:{gateway.addresses[0].port}/"
        async with client.connect(url, deflate=CLIENT_DEFAULTS) as session:
            heard: list[str] = []
            async for event in session:
                if isinstance(event, client.Online):
                    for line in LINES:
                        session.command(line)
                elif isinstance(event, client.Text):
                    heard.append(event.d)
                if len(heard) == len(LINES):
                    break
            assert heard == LINES
        async with connect(url, subprotocols=[SUBPROTOCOL]) as ws:
            assert (ws._core.deflate is None) is (deflate is None)


async def test_what_becomes_large_is_taken_little_by_little(tmp_path: Path) -> None:
    """A thousand to one: what waits for its turn is bounded as it is inflated, not as it came."""
    message = f'{{"t":"cmd","c":%d,"d":"{"x" * 60_000}"}}'
    async with (
        serving(with_deflate(tmp_path, DeflateSettings())) as gateway,
        connect(
            f"ws://127.0.0.1:{gateway.addresses[0].port}/",
            subprotocols=[SUBPROTOCOL],
            compression=DeflateSettings(),
        ) as bomb,
        asyncio.timeout(SECONDS),
    ):
        await bomb.send('{"t":"hello"}')
        await bomb.recv()
        for c in range(1, 500):  # 30 MB
            await bomb.send(message % c)
        (session,) = gateway.manager.sessions.values()
        assert isinstance(session.consumer, Attachment)
        intake = session.consumer.driver.intake
        await eventually(lambda: intake.held is not None)
        assert intake.held is not None
        held = [event.item for event in intake.held.events if isinstance(event, Numbered)]
        waiting = sum(len(item.text) for item in held if isinstance(item, Text))
        assert waiting <= 128 * 1024  # none, if it is what it becomes that came too fast
        assert session.inbox.top < 499
        assert len(intake.held.unread) < 256 * 1024


def test_the_parameters_are_read_from_the_file() -> None:
    config = parse(
        listener('url = "ws://127.0.0.1:1"\ndeflate = { server_max_window_bits = 10, level = 9 }')
    )
    assert config.listener[0].deflate == DeflateSettings(server_max_window_bits=10, level=9)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "deflate = { level = 10 }",
            r"listener\[0\].deflate.level: expected a number from 1 to 9",
        ),
        ("deflate = { bits = 10 }", r"listener\[0\].deflate.bits: not a known key"),
        ("deflate = true", r"listener\[0\].deflate: expected"),
    ],
)
def test_what_is_wrong_is_told(line: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse(listener(f'url = "ws://127.0.0.1:1"\n{line}'))


def test_only_a_websocket_is_compressed() -> None:
    with pytest.raises(ConfigurationError, match=r"deflate: expected only for ws and wss"):
        parse(listener('url = "tcp://127.0.0.1:1"\ndeflate = {}'))
