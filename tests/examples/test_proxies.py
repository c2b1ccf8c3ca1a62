"""The configurations of HTTP proxies in front of a gateway, each with the real proxy."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.gateway.clients import V1
from tests.gateway.running import eventually, serving
from tests.ports import free_port
from tests.programs import listens, need, started
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from holdfast.gateway.config import parse
from holdfast.gateway.gateway import Gateway

EXAMPLES = Path(__file__).parents[2] / "examples" / "proxies"
COMMANDS = {
    "nginx.conf": ("nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"),
    "haproxy.cfg": ("haproxy", "-f", "haproxy.cfg"),
    "Caddyfile": ("caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"),
}
ORIGIN = Origin("https://shop.example")


def moved(name: str, ports: dict[str, int]) -> str:
    text = (EXAMPLES / name).read_text()
    for before, after in ports.items():
        text = text.replace(before, str(after))
    return text


@asynccontextmanager
async def proxied(folder: Path, name: str) -> AsyncIterator[tuple[Gateway, int]]:
    """A gateway behind this proxy, and the proxy's port."""
    command, *arguments = COMMANDS[name]
    program = need(command)
    ports = {"8000": free_port(), "8081": free_port()}
    (folder / name).write_text(moved(name, ports))
    environment = os.environ | {"HOME": str(folder)}
    async with (
        serving(parse(moved("gateway.toml", ports))) as gateway,
        started(program, *arguments, cwd=folder, env=environment) as process,
    ):
        await listens(ports["8000"], process)
        yield gateway, ports["8000"]


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_gateway_behind_a_proxy(name: str, tmp_path: Path) -> None:
    async with proxied(tmp_path, name) as (gateway, port):
        url = f"127.0.0.1:{port}/live"
        async with (
            aiohttp.ClientSession() as browser,
            browser.get(f"http://{url}/holdfast.js") as answer,
        ):
            assert answer.status == 200
            assert "export class Session" in await answer.text()
        async with connect(
            f"ws://{url}",
            subprotocols=[Subprotocol("holdfast.v1")],
            origin=ORIGIN,
            additional_headers={"X-Forwarded-For": "192.0.2.66"},  # forged
            local_addr=("127.0.0.2", 0),
            proxy=None,
        ) as ws:
            client = V1(ws)
            await client.say("hello")
            sid = (await client.expect("welcome"))["sid"]
            assert gateway.manager.sessions[sid].row.address == "127.0.0.2:0"
            await client.say("cmd", c=1, d="through")
            assert (await client.expect("text"))["d"] == "through"
        with pytest.raises(InvalidStatus) as raised:
            async with connect(f"ws://{url}", origin=Origin("https://evil.example"), proxy=None):
                pass
        assert raised.value.response.status_code == 403
        await eventually(lambda: not gateway.pool)
