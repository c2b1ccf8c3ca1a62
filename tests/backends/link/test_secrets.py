"""Who may link, and what those may take who have not shown that they may."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.app.gateways import QUICK
from tests.backends.node import SECRET, apps, node
from tests.gateway.certificates import certificate
from tests.net.certificates import AUTHORITY
from tests.net.helpers import patience

from holdfast.app import App
from holdfast.backends.link.secrets import Secrets
from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig, check
from holdfast.gateway.gateway import Gateway
from holdfast.link import messages as m
from holdfast.link.peer import RequestError


@pytest.mark.parametrize(
    ("common", "by_app", "app", "given", "may"),
    [
        pytest.param("", {}, "chat", "", True, id="none-is-asked"),
        pytest.param("", {}, "chat", "x", False, id="another-than-none"),
        pytest.param("abc", {}, "chat", "abc", True, id="the-common-one"),
        pytest.param("abc", {}, "chat", "abd", False, id="a-wrong-one"),
        pytest.param("abc", {"chat": "own"}, "chat", "own", True, id="its-own"),
        pytest.param("abc", {"chat": "own"}, "chat", "abc", False, id="not-the-common-one"),
        pytest.param("abc", {"chat": "own"}, "mud", "abc", True, id="others-have-the-common-one"),
        pytest.param("abc", {"chat": "own"}, "mud", "own", False, id="another-s"),
        pytest.param("", {"chat": "own"}, "mud", "", False, id="who-is-not-listed"),
    ],
)
def test_which_secret_an_application_must_know(
    common: str, by_app: dict[str, str], app: str, given: str, may: bool
) -> None:
    assert Secrets(common, by_app).match(app, given) is may


async def test_who_has_not_shown_the_secret_says_little_at_once(tmp_path: Path) -> None:
    limits = Limits().but(link={"hello_bytes_max": 1_000})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        end = await one_more()
        end.peer.notify("hello", b"x" * 2_000)
        assert "expected a frame of at most 1000 bytes" in await end.until_unlinked()


async def test_who_has_much_to_say_shows_the_secret_first(tmp_path: Path) -> None:
    limits = Limits().but(link={"hello_bytes_max": 1_000})
    applied = {f"s{n}": n for n in range(500)}
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        wrong = await one_more()
        with pytest.raises(RequestError, match="secret is wrong"):
            await wrong.request(m.AUTHORIZE, m.Authorize("chat", "guess"), bool)
        await wrong.until_unlinked()
        end = await one_more()
        assert await end.request(m.AUTHORIZE, m.Authorize("chat", SECRET), bool)
        await end.hello(applied=applied)


async def test_silent_links_keep_nobody_out(tmp_path: Path) -> None:
    limits = Limits().but(link={"links_max": 2, "strangers_max": 4, "strangers_per_address_max": 3})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        silent = [await one_more() for _ in range(6)]
        for end in silent[:3]:
            await end.until_unlinked()
        await (await one_more()).hello("i1")
        await silent[3].until_unlinked()
        await (await one_more()).hello("i2")
        with pytest.raises(RequestError, match="2 applications are linked already"):
            await (await one_more()).hello("i3")


async def test_an_application_links_over_tls(tmp_path: Path) -> None:
    config = Config(
        listener=(ListenerConfig(url="tcp://127.0.0.1:0", durability="memory"),),
        link=LinkConfig(
            listen="tls://127.0.0.1:0",
            secret="correct horse battery",
            certificate=certificate(tmp_path),
        ),
    )
    check(config)
    gateway, started = Gateway(config), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run(started.set))
        async with patience():
            await started.wait()
        app = App("chat", limits=QUICK)
        tls = ssl.create_default_context(cadata=AUTHORITY)
        serving = tasks.create_task(
            app.serve(str(gateway.link_address), secret="correct horse battery", tls=tls)
        )
        async with patience():
            while not gateway.backends.links["*"].instances:
                await gateway.journal.settled()
        app.stop()
        await serving
        gateway.stop()
