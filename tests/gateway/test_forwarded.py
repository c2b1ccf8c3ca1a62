"""Clients behind an HTTP proxy: each counts for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from msgspec import structs
from tests.gateway.clients import V1
from tests.gateway.running import WS, configured, eventually, port, serving, staged
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, parse
from holdfast.gateway.gateway import Gateway
from holdfast.net.server.forwarded import ForwardedOptions


def behind(folder: Path, trust: str = "127.0.0.0/8", **limits: float) -> Config:
    config = configured(folder, [WS])
    listener = structs.replace(config.listener[0], forwarded=ForwardedOptions((trust,)))
    limits_ = config.limits.but(connection=limits) if limits else config.limits
    return structs.replace(config, listener=(listener,), limits=limits_)


@asynccontextmanager
async def coming(
    gateway: Gateway, *forwarded: str, name: str = "X-Forwarded-For"
) -> AsyncIterator[V1]:
    async with connect(
        f"ws://127.0.0.1:{port(gateway, 'ws')}/",
        subprotocols=[Subprotocol("holdfast.v1")],
        additional_headers=[(name, value) for value in forwarded],
        proxy=None,
        ping_interval=None,
        close_timeout=1,
    ) as ws:
        client = V1(ws)
        await client.say("hello")
        yield client


async def address(gateway: Gateway, *forwarded: str, name: str = "X-Forwarded-For") -> str:
    """Where the gateway says that a client comes from."""
    async with coming(gateway, *forwarded, name=name) as client:
        sid = (await client.expect("welcome"))["sid"]
        return gateway.manager.sessions[sid].row.address


async def test_the_address_of_a_client(tmp_path: Path) -> None:
    async with staged(behind(tmp_path)) as (gateway, _):
        assert await address(gateway, "203.0.113.7") == "203.0.113.7:0"
        assert await address(gateway, "192.0.2.66, 203.0.113.7") == "203.0.113.7:0", "forged"
        assert await address(gateway, "192.0.2.66", "203.0.113.7") == "203.0.113.7:0", "forged"
        assert await address(gateway, "2001:db8::7, 127.0.0.9") == "[2001:db8::7]:0"
        for other in ("unknown", "", "203.0.113.7, anna"):
            assert (await address(gateway, other)).startswith("127.0.0.1:")
        assert (await address(gateway, "for=203.0.113.7", name="Forwarded")).startswith("127.")
        await eventually(lambda: not gateway.listeners.clients.connections)
        assert gateway.listeners.clients._admission.networks == 0


async def test_a_peer_that_is_not_trusted_speaks_for_itself(tmp_path: Path) -> None:
    async with staged(behind(tmp_path, "10.0.0.0/8")) as (gateway, _):
        assert (await address(gateway, "203.0.113.7")).startswith("127.0.0.1:")
    async with staged(configured(tmp_path, [WS])) as (gateway, _):
        assert (await address(gateway, "203.0.113.7")).startswith("127.0.0.1:")


async def test_limits_by_address_are_those_of_the_client(tmp_path: Path) -> None:
    config = behind(tmp_path, connections_per_address_max=1)
    with structlog.testing.capture_logs() as logs:
        async with serving(config) as gateway:
            async with coming(gateway, "203.0.113.7") as first, coming(gateway, "203.0.113.8"):
                await first.say("ping")
                async with coming(gateway, "203.0.113.7") as second:
                    bye = await second.expect("bye")
                    assert (bye["reason"], bye["text"]) == (
                        "crowded",
                        "too many connections from your address",
                    )
            await eventually(lambda: not gateway.listeners.clients.connections)
            assert gateway.listeners.clients._admission.networks == 0
    refused = [line for line in logs if line["event"] == "refused"]
    assert [line["peer"] for line in refused] == ["203.0.113.7:0"]


def test_a_network_that_is_none_is_refused() -> None:
    text = '[[listener]]\nurl = "ws://127.0.0.1:1/"\nbackend = "echo"\ndurability = "memory"\n'
    with pytest.raises(ConfigurationError, match=r"listener\[0\].forwarded.trust: expected"):
        parse(f'{text}forwarded = {{ trust = ["everybody"] }}\n')
    with pytest.raises(ConfigurationError, match=r"forwarded: expected only for ws and wss"):
        parse(text.replace("ws:", "tcp:").replace("1/", "1") + 'forwarded = { trust = ["unix"] }\n')
