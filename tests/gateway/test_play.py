"""The page `/play/`, as it is served."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from msgspec import structs
from tests.gateway.running import WS, configured, serving
from tests.gateway.test_http import ask

from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, parse
from holdfast.gateway.play_config import PlayConfig


def playable(folder: Path, play: PlayConfig | None, url: str = WS, pages: str = "") -> Config:
    """A gateway with the page."""
    config = configured(folder, [url], pages=pages)
    return structs.replace(config, listener=(structs.replace(config.listener[0], play=play),))


async def test_the_files(tmp_path: Path) -> None:
    async with serving(playable(tmp_path, PlayConfig(title="The Mud"))) as gateway:
        page = await ask(gateway, "/play/")
        assert page.status == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        asked = re.findall(r'(?:href|src)="([^"]+)"', page.body.decode())
        assert set(asked) == {"icon.svg", "/holdfast-ansi.css", "play.css", "play.js"}
        imported = re.findall(
            r'from "([^"]+)"', (await ask(gateway, "/play/play.js")).body.decode()
        )
        ours = {"/holdfast.js", "/holdfast-ansi.js", "/holdfast-log.js", "./figures.js"}
        assert set(imported) == ours
        for name in (*asked, *imported, "settings.json"):
            answer = await ask(gateway, urljoin("/play/", name))
            assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")


async def test_nothing_in_it_may_run_or_come_from_elsewhere(tmp_path: Path) -> None:
    async with serving(playable(tmp_path, PlayConfig())) as gateway:
        page = await ask(gateway, "/play/")
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert b"<script>" not in page.body
        assert b"style=" not in page.body


async def test_its_settings(tmp_path: Path) -> None:
    play = PlayConfig(title="The Mud", telnet="telnet mud.example.org 4000", gauges=(), facts=())
    async with serving(playable(tmp_path, play, "ws://127.0.0.1:0/chat")) as gateway:
        assert json.loads((await ask(gateway, "/play/settings.json")).body) == {
            "title": "The Mud",
            "telnet": "telnet mud.example.org 4000",
            "path": "/chat",
            "gauges": [],
            "facts": [],
        }


async def test_the_folder_without_its_slash(tmp_path: Path) -> None:
    async with serving(playable(tmp_path, PlayConfig())) as gateway:
        answer = await ask(gateway, "/play")
        assert (answer.status, answer.headers["Location"]) == (308, "/play/")


async def test_the_first_page_leads_to_it(tmp_path: Path) -> None:
    async with serving(playable(tmp_path, PlayConfig())) as gateway:
        answer = await ask(gateway, "/")
        assert (answer.status, answer.headers["Location"]) == (307, "/play/")


@pytest.mark.parametrize("name", ["no.js", "%2e%2e/holdfast.js", "../holdfast.js", "play.css/x"])
async def test_what_is_not_of_it(tmp_path: Path, name: str) -> None:
    async with serving(playable(tmp_path, PlayConfig())) as gateway:
        assert (await ask(gateway, f"/play/{name}")).status == 404


async def test_only_where_it_is_asked_for(tmp_path: Path) -> None:
    async with serving(playable(tmp_path, None)) as gateway:
        assert (await ask(gateway, "/play/")).status == 404
        assert (await ask(gateway, "/holdfast-ansi.js")).status == 200


async def test_beside_pages_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>hello</h1>")
    config = playable(tmp_path, PlayConfig(), pages=str(tmp_path / "site"))
    async with serving(config) as gateway:
        assert (await ask(gateway, "/")).body == b"<h1>hello</h1>"
        assert (await ask(gateway, "/play/")).status == 200


WRONG = {
    'url = "telnet://127.0.0.1:0"\nplay = {}': (
        "listener[0].play: expected only for ws and wss, found for telnet"
    ),
    'url = "ws://127.0.0.1:0"\nplay = { gauges = [{ label = "HP", value = "h p" }] }': (
        "listener[0].play.gauges[0].value: expected a package and a field, as in"
        " 'Char.Vitals.hp', or a variable of MSDP, found 'h p'"
    ),
    'url = "ws://127.0.0.1:0"\nplay = { facts = [{ label = "HP", value = ".hp" }] }': (
        "listener[0].play.facts[0].value: expected a package and a field, as in"
        " 'Char.Vitals.hp', or a variable of MSDP, found '.hp'"
    ),
    'url = "ws://127.0.0.1:0"\n'
    'play = { gauges = [{ label = "HP", value = "Char.Vitals.hp", color = "red" }] }': (
        "listener[0].play.gauges[0].color: expected a color as in '#d05050', found 'red'"
    ),
    'url = "ws://127.0.0.1:0"\nplay = { colour = "red" }': (
        "listener[0].play.colour: not a known key"
    ),
}


@pytest.mark.parametrize(("text", "fault"), WRONG.items())
def test_wrong_settings(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        parse(f'[[listener]]\ndurability = "memory"\nbackend = "echo"\n{text}\n')
    assert str(failed.value) == fault
