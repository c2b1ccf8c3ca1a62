"""The client for terminals against a real gateway: Telnet, TCP, TLS and Unix sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar
from unittest.mock import ANY

import msgspec
import pytest
from tests.client.listening import listening
from tests.client.relay import Relay, relayed
from tests.gateway.certificates import certificate
from tests.gateway.running import SECONDS, Stage, configured, linked, port, serving, staged

from holdfast.app import Authenticate, Refusal
from holdfast.client.core import Online
from holdfast.client.gateway_addresses import gateway_addresses
from holdfast.client.lines import Hidden, Line, LineClient, LineEvent, NotSaid, Unfinished
from holdfast.client.reconnector import Ended, Offline
from holdfast.core.errors import BusyError, Reason
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway
from holdfast.net.tls.contexts import client_context
from holdfast.protocols.telnet import Terminal

T = TypeVar("T", bound=LineEvent)

SCHEMES = ["telnet", "tcp"]
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)


class Talk:
    """A line client and what it has shown."""

    def __init__(self, client: LineClient) -> None:
        self.client = client
        self._events = aiter(client)

    async def hears(self, kind: type[T] | tuple[type[T], ...]) -> T:
        """The next event of this kind; what was before it is dropped."""
        async with asyncio.timeout(SECONDS):
            while True:
                event = await anext(self._events)
                if isinstance(event, kind):
                    return event

    async def lines(self, upto: str) -> list[str]:
        """The lines that come, up to the one that is `upto`."""
        found = [(await self.hears(Line)).text]
        while found[-1] != upto:
            found.append((await self.hears(Line)).text)
        return found


@asynccontextmanager
async def talking(
    url: str, limits: Limits | None = None, authority: str | None = None
) -> AsyncIterator[Talk]:
    """A line client that is kept connected while the block runs."""
    terminal = Terminal("test", "1", "xterm", 80, 24)
    tls = client_context(authority) if authority else None
    client = LineClient(gateway_addresses(url), limits or Limits(), tls, terminal)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        try:
            yield Talk(client)
        finally:
            running.cancel()


def of(gateway: Gateway, scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{port(gateway, scheme)}"


@asynccontextmanager
async def played(folder: Path, scheme: str) -> AsyncIterator[tuple[Stage, Relay, Talk]]:
    """A client, a network, a gateway and an application."""
    async with (
        staged(configured(folder)) as (gateway, stage),
        relayed(port(gateway, scheme)) as relay,
        talking(f"{scheme}://127.0.0.1:{relay.port}") as someone,
    ):
        await stage.noted("open")
        yield stage, relay, someone


async def check_conversation(stage: Stage, someone: Talk) -> None:
    await stage.noted("open")
    assert (await someone.hears(Online)).fresh
    await stage.session.text("A room ☃\n\nAn exit.")
    assert (await someone.lines("An exit."))[-3:] == ["A room ☃", "", "An exit."]
    await stage.session.prompt("> ")
    assert (await someone.hears(Unfinished)).text == "> "
    someone.client.command("look ☃")
    await stage.heard("look ☃")


@each_scheme
async def test_talking(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        talking(of(gateway, scheme)) as someone,
    ):
        await check_conversation(stage, someone)


async def test_talking_over_a_unix_socket(tmp_path: Path) -> None:
    url = f"unix:{tmp_path / 'people'}"
    async with staged(configured(tmp_path, [url])) as (_, stage), talking(url) as someone:
        await check_conversation(stage, someone)


@pytest.mark.parametrize("scheme", ["tls", "telnets"])
async def test_talking_over_tls(tmp_path: Path, scheme: str) -> None:
    pair = certificate(tmp_path)
    config = configured(tmp_path, [f"{scheme}://127.0.0.1:0"])
    listener = msgspec.structs.replace(config.listener[0], certificate=pair)
    async with (
        staged(msgspec.structs.replace(config, listener=(listener,))) as (gateway, stage),
        talking(of(gateway, scheme), authority=pair.cert) as someone,
    ):
        await check_conversation(stage, someone)


GOODBYES: dict[str, tuple[str, Offline | Ended]] = {
    # what the gateway says before it closes the connection → what the client makes of it
    "for-good": ("*** Too much, too fast.\n", Ended("too much, too fast")),
    "for-a-while": (
        '*** You read too slowly; your session is kept.\n*** Connect again and type "resume'
        ' ABCD-2345".\n',
        Offline("you read too slowly; your session is kept", ANY),
    ),
    "in-words-of-its-own": (
        "*** The machine is being moved.\n",
        Offline("The machine is being moved", ANY),
    ),
    "behind-a-prompt": ("> \n*** Goodbye.\n", Ended("goodbye")),
    "nothing": ("", Offline("the connection was lost", ANY)),
    "long-before": ("*** Welcome back.\nA room.\n", Offline("the connection was lost", ANY)),
    "before-a-prompt": ("*** Welcome back.\n> ", Offline("the connection was lost", ANY)),
}


@each_scheme
@pytest.mark.parametrize(("words", "event"), GOODBYES.values(), ids=GOODBYES)
async def test_why_the_gateway_closes_is_told_in_its_words(
    scheme: str, words: str, event: Offline | Ended
) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words.replace("\n", "\r\n").encode())
        writer.write_eof()
        await reader.read()

    async with listening(close) as where, talking(f"{scheme}://127.0.0.1:{where}") as someone:
        assert await someone.hears((Offline, Ended)) == event


@each_scheme
async def test_who_is_sent_away_for_good_stays_away(tmp_path: Path, scheme: str) -> None:
    async with played(tmp_path, scheme) as (stage, relay, someone):
        await stage.session.close("kicked")
        assert await someone.hears((Offline, Ended)) == Ended("your session was closed")
        assert relay.connections == 1


def certain(lines: list[str]) -> list[str]:
    """The application's lines but for those that it is said one may have seen before."""
    found: list[str] = []
    doubted = False
    for line in lines:
        if line.startswith("*** "):
            doubted = line == "*** You may have seen this:"
        elif line.isdigit() and not doubted:
            found.append(line)
    return found


@each_scheme
async def test_cut_off_it_gets_what_was_missed(tmp_path: Path, scheme: str) -> None:
    async with played(tmp_path, scheme) as (stage, relay, someone):
        for first in range(1, 10, 3):
            await stage.count(first, first + 2)
            lines = await someone.lines(str(first + 2))
            while not certain(lines) or certain(lines)[-1] != str(first + 2):
                lines += await someone.lines(str(first + 2))
            assert certain(lines) == [str(number) for number in range(first, first + 3)]
            relay.cut()
            offline = await someone.hears(Offline)
            assert offline.reason == "the connection was lost"
            assert offline.retry_seconds <= 0.4
        someone.client.command("look")
        await stage.noted("text", "look")
        assert len(stage.app.sessions) == 1


@each_scheme
async def test_it_is_said_whether_the_session_is_a_new_one(tmp_path: Path, scheme: str) -> None:
    async with played(tmp_path, scheme) as (stage, relay, someone):
        assert (await someone.hears(Online)).fresh
        await stage.count(1, 1)
        await someone.lines("1")
        relay.cut()
        assert not (await someone.hears(Online)).fresh


@each_scheme
async def test_what_is_typed_while_cut_off_is_said_later_in_order(
    tmp_path: Path, scheme: str
) -> None:
    stage = Stage()
    async with serving(configured(tmp_path)) as gateway, linked(gateway, stage):
        url = of(gateway, scheme)
    async with talking(url) as someone:
        await someone.hears(Offline)
        for text in ("one", "two", "three"):
            someone.client.command(text)
        async with staged(configured(tmp_path, [url])) as (_, stage):
            await stage.heard("one", "two", "three")


@each_scheme
async def test_what_was_typed_for_a_session_that_is_gone_is_said_to_no_other(
    tmp_path: Path, scheme: str
) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        relayed(port(gateway, scheme)) as relay,
        talking(f"{scheme}://127.0.0.1:{relay.port}") as someone,
    ):
        await stage.noted("open")
        await stage.count(1, 1)
        await someone.lines("1")
        relay.cut()
        await someone.hears(Offline)
        await stage.noted("detach", "network_error")
        (session,) = gateway.manager.sessions.values()
        gateway.manager.close(session, Reason.TIMEOUT)
        for text in ("pay 100", "sell all"):
            someone.client.command(text)
        assert await someone.hears((NotSaid, Online)) == NotSaid(("pay 100", "sell all"))
        assert (await someone.hears(Online)).fresh
        someone.client.command("look")
        await stage.heard("look")


FORGED: Final = (
    '<eve> *** If you are cut off, connect again and type "resume EVIL-2345".',
    'type "resume EVIL-2345"',
    ' *** If you are cut off, connect again and type "resume EVIL-2345".',
    '*** If you are cut off, connect again and type "resume EVIL-2345". Really.',
    '*** Eve says: type "resume EVIL-2345".',
    'Eve: Connect again and type "resume EVIL-2345".',
)


async def test_only_a_line_of_the_gateway_s_own_is_taken_for_a_code() -> None:
    greeted: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = '*** If you are cut off, connect again and type "resume GOOD-2345".'
        if greeted:
            greeted.append((await reader.readline()).decode())
        else:
            greeted.append(own)
            writer.write("\n".join([own, *FORGED, "> "]).encode())
            await reader.readline()
            writer.write(f"{FORGED[0]}\n".encode())  # behind the prompt that was answered
        writer.close()

    async with listening(serve) as where, talking(f"tcp://127.0.0.1:{where}") as someone:
        await someone.hears(Unfinished)
        someone.client.command("look")
        await someone.hears(Offline)
        await someone.hears(Offline)
        assert greeted[1] == "resume GOOD-2345\n"


async def test_a_code_is_kept_where_too_many_wrong_ones_came() -> None:
    greeted: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        code = "GOOD-2345" if not greeted else "NEWX-2345"
        if greeted:
            later = "too many wrong attempts; try again later"
            writer.write(f"*** That does not resume a session: {later}.\n".encode())
        own = f'*** If you are cut off, connect again and type "resume {code}".\n'
        writer.write(own.encode())
        greeted.append("" if not greeted else (await reader.readline()).decode())
        writer.close()

    async with listening(serve) as where, talking(f"tcp://127.0.0.1:{where}") as someone:
        await someone.hears(Offline)
        offline = await someone.hears(Offline)
        assert offline == Offline("too many wrong attempts; try again later.", 10.0)
        someone.client.reconnect()
        await someone.hears(Offline)
        assert greeted == ["", "resume GOOD-2345\n", "resume GOOD-2345\n"]


async def test_once_a_session_is_resumed_no_line_is_taken_for_a_refusal() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            writer.write(b'*** If you are cut off, connect again and type "resume GOOD-2345".\n')
            return
        assert await reader.readline() == b"resume GOOD-2345\n"
        later = b"too many wrong attempts; try again later"
        writer.write(
            b"*** Welcome back.\n*** That does not resume a session: " + later + b".\nhere\n"
        )
        await reader.readline()

    async with listening(serve) as where, talking(f"tcp://127.0.0.1:{where}") as someone:
        await someone.hears(Offline)
        assert not (await someone.hears(Online)).fresh
        await someone.lines("here")
        assert connections == 2


async def test_only_so_much_is_kept_to_be_said_later(tmp_path: Path) -> None:
    async with talking(f"unix:{tmp_path / 'nobody'}") as someone:
        for number in range(256):
            someone.client.command(str(number))
        with pytest.raises(BusyError, match="256 lines wait for the gateway; no more are taken"):
            someone.client.command("256")


@each_scheme
async def test_passwords_are_not_shown(tmp_path: Path, scheme: str) -> None:
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> str:
        if claim.password != "right":
            raise Refusal("Wrong.")
        return claim.username

    async with (
        serving(configured(tmp_path)) as gateway,
        linked(gateway, stage),
        talking(of(gateway, scheme)) as someone,
    ):
        while (await someone.hears(Unfinished)).text != "Name: ":
            pass
        someone.client.command("ann")
        if scheme == "telnet":  # lines alone cannot say so
            assert await someone.hears(Hidden) == Hidden(True)
        someone.client.command("right")
        await stage.noted("open")
        if scheme == "telnet":
            assert await someone.hears(Hidden) == Hidden(False)
        assert stage.session.user == "ann"


async def test_the_screen_and_interrupts_over_telnet(tmp_path: Path) -> None:
    async with played(tmp_path, "telnet") as (stage, _, someone):
        await someone.hears(Online)
        someone.client.resize(100, 30)
        await stage.noted("resize", 100, 30)
        someone.client.interrupt()
        await stage.noted("interrupt")
        await someone.client.room()  # nothing waits to be sent


async def test_lines_alone_carry_neither(tmp_path: Path) -> None:
    async with played(tmp_path, "tcp") as (stage, _, someone):
        someone.client.resize(100, 30)
        someone.client.interrupt()
        someone.client.command("look")
        await stage.noted("text", "look")


async def test_a_line_that_is_too_long_is_a_fault(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100)
        await reader.read()
        writer.close()

    limits = Limits().but(line={"line_bytes_max": 80})
    path = tmp_path / "server"
    async with await asyncio.start_unix_server(say, path), talking(f"unix:{path}", limits) as it:
        offline = await it.hears(Offline)
        assert offline.reason == "the gateway sent a line that is too long"
