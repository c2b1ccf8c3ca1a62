"""The programs and configurations of the how-to pages do what the pages say."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest
from tests.docs.following import blocks
from tests.docs.pages import ROOT
from tests.gateway.clients import person
from tests.gateway.running import TCP, acting, configured, serving
from tests.net.certificates import CHAIN, KEY
from tests.programs import need

from holdfast.app import Authenticate, AuthResult, Refusal
from holdfast.gateway.config import load

HOWTO: Final = ROOT / "docs" / "howto"


def module(page: str, title: str) -> Any:
    """The program of a page, imported."""
    (code,) = [block.text for block in blocks(HOWTO / page) if block.title == title]
    found = ModuleType(title.removesuffix(".py"))
    exec(compile(code, title, "exec"), found.__dict__)
    return found


async def test_a_login_by_name_and_password() -> None:
    login = module("login.md", "login.py")
    claim = Authenticate("s1", username="ada", password="correct-horse")
    assert await login.authenticate(claim) == AuthResult("ada", {"role": "member"})
    with pytest.raises(Refusal):
        await login.authenticate(Authenticate("s1", username="ada", password="wrong"))


async def test_a_login_by_a_ticket_of_the_site() -> None:
    tickets = module("login.md", "tickets.py")
    now = tickets.time.time()
    good = tickets.ticket("ada", now)
    assert await tickets.authenticate(Authenticate("s1", password=good)) == AuthResult("ada")
    old = tickets.ticket("ada", now - 2 * tickets.SECONDS)
    hostile = ("ada:é:2", "ada:1:é", "ada:²:2", f"ada:{5_000 * '9'}:2", "é:1:2")
    for wrong in ("", "ada", "ada:1:2", good.replace("ada", "ben"), old, *hostile):
        with pytest.raises(Refusal):
            await tickets.authenticate(Authenticate("s1", password=wrong))


async def test_an_application_that_runs_each_command_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bank = module("deploy.md", "bank.py")
    async with (
        serving(configured(tmp_path, [TCP])) as gateway,
        acting(bank.app, str(gateway.link_address)),
        person(gateway, "tcp") as someone,
    ):
        await someone.shown_code()
        someone.types("5", "-2")
        await someone.sees("The balance is 5.")
        await someone.sees("The balance is 3.")
        ((sid, cseq),) = bank.database.execute("SELECT * FROM applied").fetchall()
        assert bank.remembered([sid, "another"]) == {sid: cseq}
    bank.database.close()
    with sqlite3.connect("bank.db") as database:
        assert database.execute("SELECT balance FROM account").fetchall() == [(3,)]
    database.close()


async def test_a_handler_that_fails(tmp_path: Path) -> None:
    careful = module("observe.md", "careful.py")
    async with (
        serving(configured(tmp_path, [TCP])) as gateway,
        acting(careful.app, str(gateway.link_address)),
        person(gateway, "tcp") as someone,
    ):
        await someone.shown_code()
        someone.types("0", "4")
        await someone.sees("*** That did not work. We know of it, and you can go on.")
        await someone.sees("12 / 4 = 3.0")
        (session,) = careful.app.sessions.values()
        assert careful.reported == [f"{session.sid}: ZeroDivisionError('division by zero')"]


@pytest.mark.parametrize("page", sorted(HOWTO.glob("*.md")), ids=lambda page: page.name)
def test_each_configuration_is_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            (tmp_path / "holdfast.toml").write_text(block.text)
            assert load(tmp_path / "holdfast.toml").listener


class Proxy(NamedTuple):
    """A proxy of the page, and what the page leaves to who has one already."""

    before: str
    behind: str
    check: tuple[str, ...]
    """The command that looks at the configuration, in its folder."""


PROXIES = {
    "haproxy.cfg": Proxy(
        "defaults\n    mode http\n    timeout connect 5s\n",
        "\nbackend site\n    timeout server 60s\n    server site 127.0.0.1:8000\n",
        ("haproxy", "-c", "-f", "haproxy.cfg"),
    ),
    "nginx.conf": Proxy(
        "pid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\nserver {\n",
        "}\n}\n",
        ("nginx", "-t", "-p", ".", "-c", "nginx.conf", "-e", "stderr"),
    ),
    "Caddyfile": Proxy(
        "", "", ("caddy", "adapt", "--adapter", "caddyfile", "--config", "Caddyfile")
    ),
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_takes_its_configuration(name: str, tmp_path: Path) -> None:
    proxy = PROXIES[name]
    (shown,) = [block.text for block in blocks(HOWTO / "proxies.md") if block.title == name]
    (tmp_path / "site.pem").write_text(CHAIN + KEY)
    text = shown.replace("/etc/haproxy/site.pem", "site.pem")
    (tmp_path / name).write_text(proxy.before + text + proxy.behind)
    command, *arguments = proxy.check
    done = subprocess.run(
        [need(command), *arguments],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_proxy_of_the_page_is_tried() -> None:
    titles = {block.title for block in blocks(HOWTO / "proxies.md") if block.language != "toml"}
    assert titles == PROXIES.keys()
