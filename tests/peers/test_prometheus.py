"""A real Prometheus scrapes a gateway under load: every panel has data, alerts are right."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import structs
from tests.backends.pty.running import OWN, SHELL
from tests.backends.terminal.client import term_client
from tests.backends.test_upstreams import LIMITS, at, bridged
from tests.examples.dashboard import ALERTS, panels
from tests.gateway.admin.asking import TOKEN, ask
from tests.gateway.clients import person, v1
from tests.gateway.running import SECONDS, TCP, WS, eventually, linked, port, serving
from tests.gateway.servers import Mud, mud
from tests.net.helpers import patience
from tests.peers.prometheus import Prometheus, prometheus, written
from tests.programs import need

from holdfast.backends import pty
from holdfast.backends.link.server_config import LinkConfig
from holdfast.backends.pty.config import PtyOptions
from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.terminal import TerminalSession

_CONNECTIONS_MAX: Final = 7
_HELD: Final = 3
"""Of those that stay while the panels are looked at."""
UNIT_TESTS: Final = ALERTS.with_name("alerts.test.yml")


def promtool(*arguments: str) -> tuple[int, str]:
    """The exit code of promtool, and what it says."""
    done = subprocess.run(
        [need("promtool"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout


def test_promtool_accepts_the_rules_and_the_page_s_configuration(tmp_path: Path) -> None:
    code, said = promtool("check", "config", str(written(tmp_path, 9180, TOKEN)))
    assert code == 0, said
    assert "rules found" in said


def test_the_alerts_fire_when_they_should() -> None:
    code, said = promtool("test", "rules", str(UNIT_TESTS))
    assert code == 0, said


def configured(folder: Path, it: Mud) -> Config:
    """A gateway with a client of every kind, an application and an upstream."""
    connection = structs.replace(LIMITS.connection, connections_max=_CONNECTIONS_MAX)
    link = structs.replace(LIMITS.link, heartbeat_seconds_max=1.0)
    terminal = structs.replace(LIMITS.terminal, terminals_max=1)
    limits: Limits = structs.replace(LIMITS, connection=connection, link=link, terminal=terminal)
    config = bridged(folder, at(it), urls=(TCP,), limits=limits)
    (folder / "admin.token").write_text(TOKEN)
    return structs.replace(
        config,
        listener=(
            *config.listener,
            ListenerConfig(url=WS),
            ListenerConfig(url=WS, backend=pty.Config(PtyOptions(command=SHELL, user=OWN))),
        ),
        link=LinkConfig(listen=f"unix:{folder / 'link'}"),
        admin=AdminConfig(listen="tcp://127.0.0.1:0", token_file=str(folder / "admin.token")),
    )


@asynccontextmanager
async def under_load(gateway: Gateway, it: Mud) -> AsyncIterator[None]:
    """Clients who come, type, are turned away, are closed, and come back too late."""
    shell = gateway.addresses[-1].port
    async with (
        person(gateway, "tcp") as player,
        v1(gateway) as visitor,
        term_client(shell) as terminal,
    ):
        await terminal.told("opened")
        await terminal.types("echo $((6 * 7))\n")
        await terminal.sees("42")
        async with term_client(shell) as one_more:
            await one_more.ends()
        await player.shown_code()
        visit = await it.visit()
        player.types("look")
        visit.says("A fountain without water.\r\n")
        await player.sees("A fountain")
        welcome = await visitor.expect("welcome")
        await visitor.say("cmd", c=1, d="hello")
        await visitor.expect("ack")
        async with v1(gateway, token=welcome["token"], epoch="of old", last=0) as again:
            token = (await again.expect("reset"))["token"]
        async with v1(gateway) as other:
            sid = (await other.expect("welcome"))["sid"]
            answer = await ask(gateway, f"/api/sessions/{sid}", "DELETE", token=TOKEN)
            assert answer.status == 200
            await other.closed()
        await fill(gateway)
        async with asyncio.TaskGroup() as tasks:
            going_on = tasks.create_task(go_on(gateway, token))
            yield
            going_on.cancel()


async def go_on(gateway: Gateway, token: str) -> None:
    """Send output to everybody and let a client come back, again and again."""
    while True:
        for session in list(gateway.manager.sessions.values()):
            if not isinstance(session, TerminalSession):
                session.emit(Text("The fountain is still without water."), MUST, gateway.clock())
        async with v1(gateway, token=token, epoch="of old", last=0) as again:
            token = (await again.expect("reset"))["token"]
        await asyncio.sleep(0.1)


async def fill(gateway: Gateway) -> None:
    """Connect until a client is turned away."""
    async with patience():
        held = []
        while not sum(gateway.listeners.clients.refusals.values()):
            held.append(await asyncio.open_connection("127.0.0.1", port(gateway, "tcp")))
        for _, writer in held:
            writer.transport.abort()
        await eventually(lambda: len(gateway.listeners.clients.connections) <= _HELD)


async def assert_every_panel_has_data(scraped: Prometheus) -> None:
    for _, queries in panels():
        for query in queries:
            asked = query.replace("$instance", ".*").replace("$__rate_interval", "30s")
            # A share of what has not happened between two scrapes is no number.
            await scraped.until(asked, has_numbers)


def has_numbers(found: list[dict[str, Any]]) -> bool:
    return bool(found) and all(sample["value"][1] != "NaN" for sample in found)


def admin_port(gateway: Gateway) -> int:
    assert gateway.admin_address is not None
    return gateway.admin_address.port


async def test_every_panel_has_data_under_load_and_a_gateway_that_ends_is_noticed(
    tmp_path: Path,
) -> None:
    need("prometheus")
    async with (
        mud() as it,
        serving(configured(tmp_path, it)) as gateway,
        linked(gateway),
        prometheus(tmp_path, admin_port(gateway), TOKEN) as scraped,
    ):
        await scraped.until("holdfast_store_writable")
        async with under_load(gateway, it):
            await assert_every_panel_has_data(scraped)
            assert await scraped.query("ALERTS") == []
        gateway.stop()
        await scraped.until('ALERTS{alertname="HoldfastDown"}')
