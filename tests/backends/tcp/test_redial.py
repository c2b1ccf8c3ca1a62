"""A server that restarts, and the people who stay meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.backends.test_upstreams import LIMITS, at, bridged
from tests.gateway.clients import person
from tests.gateway.running import eventually, serving
from tests.gateway.servers import mud
from tests.ports import free_port

from holdfast.backends.redial_config import RedialConfig
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, parse

QUICK = LIMITS.but(upstream={"redial_pause_seconds_max": 0.01})


def redialled(
    folder: Path, server: str, redial: RedialConfig | None = None, limits: Limits = QUICK
) -> Config:
    redial = redial or RedialConfig()
    return bridged(folder, server, limits=limits, on_server_lost="redial", redial=redial)


async def test_lines_are_sent_after_a_redial_and_before_what_is_typed(tmp_path: Path) -> None:
    redial = RedialConfig(lines=("reconnect", "brief"))
    async with mud() as it:
        config = redialled(tmp_path, at(it, "telnet"), redial)
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            visit = await it.visit()
            someone.types("Ada")
            await visit.hears("Ada\r\n")
            for _ in range(2):
                visit.ends()
                visit = await it.visit()
                await visit.hears("reconnect\r\n")
                await visit.hears("brief\r\n")
                someone.types("look")
                await visit.hears("look\r\n")


async def test_what_is_typed_meanwhile_is_kept_where_that_is_chosen(tmp_path: Path) -> None:
    where = free_port()
    redial = RedialConfig(lines=("reconnect",), typed="keep")
    config = redialled(tmp_path, f"tcp://127.0.0.1:{where}", redial)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        async with mud(where) as it:
            visit = await it.visit()
            someone.types("Ada")
            await visit.hears("Ada\n")
        await someone.sees("It is tried again; what you type meanwhile is sent then.")
        someone.types("north", "south")
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: len(session.inbox.entries) == 2)
        async with mud(where) as it:
            visit = await it.visit()
            for line in ("reconnect", "north", "south"):
                await visit.hears(f"{line}\n")
            await eventually(lambda: not session.inbox.entries)


@pytest.mark.parametrize("line", ["quit", " Quit ", "QUIT"])
async def test_who_quits_is_not_connected_again(tmp_path: Path, line: str) -> None:
    async with mud() as it:
        config = redialled(tmp_path, at(it))
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            visit = await it.visit()
            someone.types("look", line)
            await visit.hears("look\n")
            await visit.hears(f"{line}\n")
            visit.says("Goodbye.\n")
            visit.ends()
            seen = await someone.rest()
            assert "Goodbye.\n*** The server has closed the connection.\n" in seen
            await eventually(lambda: not gateway.manager.sessions)
        assert len(it.visits) == 1


@pytest.mark.parametrize(
    ("lines", "leaves"),
    [(("quit", "no"), False), (("say quit",), False), (("@quit",), True)],
    ids=["then something else", "not the whole line", "another word"],
)
async def test_what_is_a_quit_and_what_is_not(
    tmp_path: Path, lines: tuple[str, ...], leaves: bool
) -> None:
    redial = RedialConfig(quit=("quit", "@quit"))
    async with mud() as it:
        config = redialled(tmp_path, at(it), redial)
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            visit = await it.visit()
            someone.types(*lines)
            for line in lines:
                await visit.hears(f"{line}\n")
            visit.ends()
            if leaves:
                await someone.rest()
            else:
                await it.visit()


async def test_the_waiting_room(tmp_path: Path) -> None:
    where = free_port()
    redial = RedialConfig(waiting_text="The game is being updated.")
    config = redialled(tmp_path, f"tcp://127.0.0.1:{where}", redial)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.sees("*** The game is being updated.\n")
        someone.types("Ada")
        async with mud(where) as it:
            visit = await it.visit()
            visit.says("Name?\n")
            await visit.hears("Ada\n")
            await someone.sees("Name?\n")


async def test_nobody_waits_there_for_ever(tmp_path: Path) -> None:
    limits = QUICK.but(upstream={"waiting_seconds_max": 0.05})
    config = redialled(tmp_path, f"tcp://127.0.0.1:{free_port()}", limits=limits)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.sees("The server cannot be reached.")
        await someone.rest()
        await eventually(lambda: not gateway.manager.sessions)


WRONG = {
    "[upstream.redial]\ntyped = 'keep'": (
        "upstream[0].redial: expected only with on_server_lost = 'redial', found with 'close'"
    ),
    "on_server_lost = 'redial'\nredial = { typed = 'drop' }": (
        "upstream[0].redial.typed: expected 'keep' or 'refuse', found 'drop'"
    ),
    "on_server_lost = 'redial'\nredial = { lines = ['a\\nb'] }": (
        "upstream[0].redial.lines[0]: expected one line of at most 1000 printable characters,"
        " found 'a\\\\nb'"
    ),
    "on_server_lost = 'redial'\nredial = { quit = ['Quit'] }": (
        "upstream[0].redial.quit[0]: expected a line in lower case, without spaces around it,"
        " found 'Quit'"
    ),
}


@pytest.mark.parametrize(("text", "fault"), WRONG.items())
def test_wrong_settings(text: str, fault: str) -> None:
    text = text.replace("'a\\nb'", '"a\\nb"')
    with pytest.raises(ConfigurationError) as failed:
        parse(
            '[[listener]]\nurl = "tcp://127.0.0.1:0"\ndurability = "memory"\nbackend = "tcp"\n'
            f'upstream = "mud"\n[[upstream]]\nname = "mud"\nservers = ["tcp://127.0.0.1:1"]\n{text}\n'
        )
    assert str(failed.value) == fault.replace("\\\\n", "\\n")
