"""The application inside a web site with two workers, as the page on it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
from tests.docs.following import blocks
from tests.docs.pages import ROOT
from tests.gateway.clients import V1, v1
from tests.gateway.running import SECONDS, WS, configured, eventually, serving
from tests.ports import free_port
from tests.programs import missing

from holdfast.gateway.gateway import Gateway

PAGE = ROOT / "docs" / "howto" / "embed.md"


@asynccontextmanager
async def workers(folder: Path, gateway: Gateway, port: int) -> AsyncIterator[None]:
    """The page's site in two processes, which have linked."""
    (site,) = [block for block in blocks(PAGE) if block.title == "shop_site.py"]
    (folder / site.title).write_text(site.text)
    link = gateway.backends.links["site"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "shop_site:site", "--workers", "2",
        "--port", str(port), "--log-level", "warning",
        cwd=folder, env=os.environ | {"HOLDFAST_LINK": str(gateway.link_address)},
    )  # fmt: skip
    try:
        await eventually(lambda: link.instances == 2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(SECONDS):
            await process.wait()


async def answered_by(client: V1, number: int) -> str:
    """Which worker answers a command."""
    await client.say("cmd", c=number, d="hello")
    text = (await client.expect("text"))["d"]
    found = re.fullmatch(r"hello \(worker (\d+)\)", text)
    assert found is not None, text
    return found[1]


@pytest.mark.timeout(300)
async def test_a_site_with_two_workers_is_an_application(tmp_path: Path) -> None:
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        missing("FastAPI is not installed (./dev setup)")
    port = free_port()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving(configured(tmp_path, [WS], app="site")))
        async with workers(tmp_path, gateway, port):
            clients = [await stack.enter_async_context(v1(gateway)) for _ in range(4)]
            for client in clients:
                await client.expect("welcome")
            before = {await answered_by(client, 1) for client in clients}
            assert len(before) == 2, "both workers have sessions"
            async with (
                aiohttp.ClientSession() as browser,
                browser.post(f"http://127.0.0.1:{port}/announcements?text=tea") as answer,
            ):
                assert await answer.json() == {"reached": 4}
            for client in clients:
                assert (await client.expect("text"))["d"] == "tea"
        for client in clients:
            await client.say("cmd", c=2, d="hello")  # it waits for a worker
        async with workers(tmp_path, gateway, port):
            for client in clients:
                text = (await client.expect("text"))["d"]
                assert text.startswith("hello (worker ")
                assert not any(worker in text for worker in before)
