"""`ansi = true`: colours in text, for clients of each kind."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs
from tests.backends.test_upstreams import at, bridged
from tests.gateway.clients import TTYPE, person, v1
from tests.gateway.running import configured, serving, staged
from tests.gateway.servers import mud

from holdfast.gateway.config import Config

DRAGON = "A \x1b[1;31mred\x1b[0m dragon\x1b[2J."


def coloured(config: Config) -> Config:
    listeners = tuple(structs.replace(listener, ansi=True) for listener in config.listener)
    return structs.replace(config, listener=listeners)


async def test_the_text_of_a_server(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(coloured(bridged(tmp_path, at(it, "telnet")))) as gateway,
        v1(gateway) as page,
    ):
        visit = await it.visit()
        visit.says(f"{DRAGON}\r\n\x1b[32mGreen\r\nstill green\x1b[0m\r\nplain\r\n")
        message = await page.expect("formatted")
        assert (message["d"], message["s"]) == ("A red dragon.", [[2, 3, "red bold"]])
        assert (await page.expect("formatted"))["s"] == [[0, 5, "green"]]
        assert (await page.expect("formatted"))["s"] == [[0, 11, "green"]]
        assert (await page.expect("text"))["d"] == "plain"
        async with person(gateway, "tcp") as someone:
            visit = await it.visit()
            visit.says(f"{DRAGON}\r\n")
            await someone.sees("A red dragon.\n")
        async with person(gateway, "telnet", TTYPE) as someone:
            visit = await it.visit()
            visit.says(f"{DRAGON}\r\n")
            await someone.sees(f"{DRAGON}\n")  # fitted to what the terminal has


async def test_the_text_of_an_application(tmp_path: Path) -> None:
    async with (
        staged(coloured(configured(tmp_path))) as (gateway, stage),
        v1(gateway) as page,
        person(gateway, "telnet", TTYPE) as coloured_terminal,
        person(gateway, "telnet") as terminal,
        person(gateway, "tcp") as lines,
    ):
        for someone in (coloured_terminal, terminal, lines):
            await someone.shown_code()
        await stage.until(lambda: stage.notes.count(("open",)) == 4)
        for session in stage.app.sessions.values():
            await session.text(DRAGON)
        message = await page.expect("formatted")
        assert (message["d"], message["s"]) == ("A red dragon.", [[2, 3, "red bold"]])
        await coloured_terminal.sees("A \x1b[31;1mred\x1b[0m dragon.\n")
        await terminal.sees("A red dragon.\n")
        await lines.sees("A red dragon.\n")
