"""Evennia behind the gateway: a MUD of others, which knows nothing of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.backends.test_upstreams import LIMITS, bridged
from tests.gateway.clients import ECHO, GMCP, IAC, NAWS, TTYPE, WILL, WONT, Person, person_at
from tests.gateway.running import TELNET, port, serving
from tests.peers.evennia import (
    NAME,
    PASSWORD,
    Evennia,
    EvenniaError,
    install,
    running_evennia,
)
from tests.programs import missing

from holdfast.gateway.gateway import Gateway

pytestmark = pytest.mark.timeout(900)  # it may be installed first

PEOPLE: Final = 200
_LOGIN: Final = "If you need to create an account"
"""What everybody is shown who has come."""
_QUICK: Final = LIMITS.but(upstream={"redial_pause_seconds_max": 0.5})


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evennia]:
    """A game that runs, on an Evennia that is installed if that is possible."""
    try:
        install()
    except EvenniaError as error:
        missing(str(error))
    with running_evennia(tmp_path_factory.mktemp("evennia") / "game") as it:
        yield it


@asynccontextmanager
async def fronted(folder: Path, game: Evennia) -> AsyncIterator[Gateway]:
    """A gateway in front of it."""
    config = bridged(
        folder,
        f"telnet://127.0.0.1:{game.port}",
        urls=(TELNET,),
        limits=_QUICK,
        on_server_lost="redial",
    )
    async with serving(config) as gateway:
        yield gateway


@pytest.mark.parametrize("way", ["directly", "through the gateway"])
async def test_it_is_the_same_through_the_gateway(tmp_path: Path, game: Evennia, way: str) -> None:
    async with AsyncExitStack() as stack:
        where = game.port
        if way != "directly":
            where = port(await stack.enter_async_context(fronted(tmp_path, game)), "telnet")
        admin = await stack.enter_async_context(
            person_at(where, telnet=True, options=(GMCP, NAWS, TTYPE, ECHO))
        )
        admin.window = (93, 40)
        admin.tells("Core.Supports.Set", ["Char 1"])
        await admin.sees(_LOGIN)
        admin.types(f"connect {NAME} {PASSWORD}")
        assert "\x1b[" in await admin.sees("Limbo")
        admin.types('py self.msg(char_vitals=((), {"hp": 5}))')
        assert await admin.told("Char.Vitals") == {"hp": 5}
        admin.types("py self.sessions.get()[0].protocol_flags['SCREENWIDTH']")
        assert "{0: 93}" in await admin.sees("93}")
        admin.types('py self.msg("Secret:", options={"echo": False})')
        await admin.sees("Secret:")
        await admin.is_sent(bytes((IAC, WILL, ECHO)))
        admin.types("sesame")
        await admin.sees("'sesame' is not available")
        admin.types('py self.msg("Thanks.", options={"echo": True})')
        await admin.sees("Thanks.")
        await admin.is_sent(bytes((IAC, WONT, ECHO)))
        admin.types("quit")
        await admin.rest()


async def test_everybody_stays_while_it_restarts(tmp_path: Path, game: Evennia) -> None:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(fronted(tmp_path, game))
        where = port(gateway, "telnet")
        people = [
            await stack.enter_async_context(person_at(where, telnet=True)) for _ in range(PEOPLE)
        ]
        await all_see(people, _LOGIN)

        # A reload: its Portal holds the connections.
        await asyncio.to_thread(game.reload)
        await all_are_answered(people)

        # Its Server is killed: its Portal holds them still.
        game.kill("server")
        await asyncio.to_thread(game.start)
        await all_are_answered(people)

        # All of it is killed: the gateway holds them.
        game.kill("server", "portal")
        await all_see(people, "It is tried again")
        for person in people:
            person.types("lost")
        await all_see(people, "what you typed was not sent")
        await asyncio.to_thread(game.start)
        # (Who is connected before its Server runs is shown no screen by it.)
        await all_see(people, "You are connected to the server again.")
        await all_are_answered(people)
        assert len(gateway.manager.sessions) == PEOPLE


async def all_see(people: list[Person], text: str) -> None:
    for person in people:
        await person.sees(text)


async def all_are_answered(people: list[Person]) -> None:
    """Each of three lines of each is answered once."""
    for person in people:
        person.types("nothing0", "nothing1", "nothing2", "help")
    for person in people:
        seen = await person.sees("Next you can connect to the game")
        assert re.findall(r"'(nothing\d)' is not available", seen) == [
            "nothing0",
            "nothing1",
            "nothing2",
        ]
