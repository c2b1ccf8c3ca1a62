"""The JavaScript client in a browser, behind proxies that let no WebSocket through."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from playwright.async_api import Browser
from tests.gateway.running import SECONDS, Stage, configured, eventually, staged
from tests.ports import free_port
from tests.programs import listens, need, started

from holdfast.gateway.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = """
<!doctype html>
<script type="module">
  import { Session } from "/live/holdfast.js";
  const url = new URL("/live", location.href.replace(/^http/, "ws")).href;
  const session = new Session(url);
  window.texts = [];
  session.on("text", ({ d }) => window.texts.push(d));
  window.session = session;
</script>
"""
PROXIES = {
    "nginx": """
daemon off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:FRONT;
        location / {
            proxy_pass http://127.0.0.1:BACK;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }
    }
}
""",
    "haproxy": """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend site
    bind 127.0.0.1:FRONT
    http-request del-header Upgrade
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:BACK
""",
}
COMMANDS = {
    "nginx": ("-p", ".", "-c", "proxy.conf", "-e", "stderr"),
    "haproxy": ("-f", "proxy.conf"),
}


@asynccontextmanager
async def behind(folder: Path, name: str) -> AsyncIterator[tuple[Gateway, Stage, str]]:
    """A gateway with an application behind this proxy, and the address of its page."""
    program = need(name)
    front, back = free_port(), free_port()
    text = PROXIES[name].replace("FRONT", str(front)).replace("BACK", str(back))
    (folder / "proxy.conf").write_text(text)
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text(PAGE)
    config = configured(folder, [f"ws://127.0.0.1:{back}/live"], pages=str(site))
    listener = structs.replace(config.listener[0], origins=(f"http://127.0.0.1:{front}",))
    environment = os.environ | {"HOME": str(folder)}
    async with (
        staged(structs.replace(config, listener=(listener,))) as (gateway, stage),
        started(program, *COMMANDS[name], cwd=folder, env=environment) as process,
    ):
        await listens(front, process)
        yield gateway, stage, f"http://127.0.0.1:{front}/"


@pytest.mark.parametrize("name", PROXIES)
async def test_where_no_websocket_opens_a_session_runs_on_a_stream(
    name: str, tmp_path: Path, browser: Browser
) -> None:
    async with behind(tmp_path, name) as (gateway, stage, address):
        page = await browser.new_page()
        page.set_default_timeout(SECONDS * 1000)
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.goto(address)
        await page.wait_for_function("() => window.session?.state.name === 'online'")
        assert len(sockets) == 2
        await stage.noted("open")
        (session,) = gateway.manager.sessions.values()
        assert session.row.protocol == "sse"
        await stage.count(1, 5)
        await page.wait_for_function("() => window.texts.length === 5")
        await page.evaluate("for (const text of ['a', 'b']) window.session.command(text)")
        await stage.has_heard(2)
        for connection in list(gateway.listeners.clients.connections):
            connection.abort()
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        await page.evaluate("window.session.command('c')")
        await stage.count(6, 9)
        await page.wait_for_function("() => window.texts.length === 9")
        assert await page.evaluate("window.texts") == [str(number) for number in range(1, 10)]
        await stage.heard("a", "b", "c")
        assert len(sockets) == 2  # the next connection is a stream at once
        await page.evaluate("window.session.quit()")
        await eventually(lambda: not gateway.manager.sessions)
        await page.close()
