"""The editor of `holdfast connect`, in a terminal."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.pseudo_terminal import Terminal, terminal
from tests.gateway.clients import person as person_of
from tests.gateway.running import Stage, configured, linked, port, serving, staged

from holdfast.app import Authenticate, Refusal, Session
from holdfast.gateway.gateway import Gateway

SCHEMES = ("ws", "telnet", "tcp")
UP, LEFT, HOME, TAB = "\x1b[A", "\x1b[D", "\x01", "\t"
FOX = "The quick brown fox jumps over the lazy dog"
HOSTILE = "\x1b]0;evil\x07\x1b[2J\x1b[9;9Hmoved\x9b2J\x01\x1b]0;x\x07\x02\x1b[31mred\x1b[0m"


def url(gateway: Gateway, scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{port(gateway, scheme)}" + "/" * (scheme == "ws")


def attached(stage: Stage) -> Session:
    """The session that has a client."""
    return next(session for session in stage.app.sessions.values() if session.attached)


def cut(gateway: Gateway) -> None:
    for connection in list(gateway.listeners.clients.connections):
        connection.abort()


@asynccontextmanager
async def talking(
    gateway: Gateway, stage: Stage, scheme: str, state: Path
) -> AsyncIterator[tuple[Terminal, Session]]:
    """A person in a session of `scheme`, behind a prompt."""
    async with terminal("connect", url(gateway, scheme), state=state) as person:
        await stage.noted("open")
        session = attached(stage)
        await session.prompt("> ")
        await person.shows("--- connected\n", "\n>")
        yield person, session


async def test_a_conversation_by_each_protocol(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        for scheme in SCHEMES:
            async with talking(gateway, stage, scheme, tmp_path) as (person, session):
                # What comes is above the line that is typed, which stays.
                person.types("lok")
                await person.shows("\n> lok\n")
                await session.text("Ann comes.")
                await session.prompt("> ")
                shown = await person.shows("Ann comes.\n", "\n> lok\n")
                assert shown.index("Ann comes.") < shown.index("> lok")
                person.types(f"{LEFT}o\r")
                await stage.noted("text", "look")
                await session.text(f"{FOX} {FOX}.")
                await person.shows(
                    f"\n> look\n{FOX} The quick brown fox jumps over the\nlazy dog.\n"
                )
                # Several lines at once.
                person.types("\x1b[200~one\ntwo\n\x1b[201~\r")
                await stage.noted("text", "one")
                await stage.noted("text", "two")
                # Cut off: one line, which is replaced.
                person.types("kept")
                await person.shows("kept\n")
                cut(gateway)
                await stage.noted("resume")
                shown = await person.shows(" (the connection was lost)\n", "kept\n")
                assert "--- connected again after " in shown
                assert "--- cut off" not in shown
                assert shown.rstrip().endswith("kept")
                person.types("\x15/quit\r")
                await stage.noted("text", "/quit")
                await session.text("Farewell.")
                await session.close("client_left")
                await person.shows("Farewell.\n", "--- the end: goodbye\n")
                assert await person.ends() == 0
                assert person.shows_typing
        history = tmp_path / "holdfast" / "history"
        assert history.read_text().split("\n")[:4] == ["look", "one two", "/quit", "look"]
        assert stat.S_IMODE(history.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
async def test_controls_of_others_are_shown(tmp_path: Path, kind: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, "ws"), state=tmp_path, kind=kind) as person,
    ):
        await stage.noted("open")
        await stage.session.text(HOSTILE)
        await stage.session.prompt(f"{HOSTILE}? ")
        await person.shows("moved", "red?")
        raw = person.written
        assert bool(re.search(rb"\x1b\[(0;)?31m", raw)) is (kind != "dumb")
        for harm in (b"\x1b]", b"\x1b[2J", b"\x1b[9;9H", b"\x07", b"\x01", b"\xc2\x9b"):
            assert harm not in raw, harm


async def test_hidden_lines_are_kept_nowhere(tmp_path: Path) -> None:
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> str:
        if claim.password != "right":
            raise Refusal("Wrong.")
        return claim.username

    async with serving(configured(tmp_path)) as gateway, linked(gateway, stage):
        for scheme in ("ws", "telnet"):
            async with terminal("connect", url(gateway, scheme), state=tmp_path) as person:
                for password in ("wrong", "right"):
                    await person.asks("Name:")
                    person.types("ann\r")
                    await person.asks("Password:")
                    person.types(password)
                    await person.asks("Password: *****")
                    person.types("\r")
                await stage.noted("open")
                session = attached(stage)
                assert session.user == "ann"
                # What the application hides; a line that is not ended is dropped.
                await session.input_mode("secret")
                await session.prompt("PIN: ")
                await person.asks("PIN:")
                person.types("1234\x17")
                person.types("5678")
                await person.asks("PIN: ****")
                await session.input_mode("line")
                await session.prompt("> ")
                await person.asks(">")
                person.types("\x19\x1fx")  # yank and undo
                await person.asks("> x")
                person.types(f"\x7f{UP}!\r")  # the line before
                await stage.noted("text", "ann!")
                for secret in ("wrong", "right", "1234", "5678"):
                    assert secret not in person.screen
        history = (tmp_path / "holdfast" / "history").read_text()
        assert {*history.split()} == {"ann", "ann!"}


async def test_the_history_and_completion(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with talking(gateway, stage, "ws", tmp_path) as (person, _):
            person.types("/dance slowly\rnorth\r")
            await stage.noted("text", "north")
        async with talking(gateway, stage, "ws", tmp_path) as (person, session):
            person.types(f"{UP}{UP} again\r")
            await stage.noted("text", "/dance slowly again")
            person.types("\x12")
            await person.shows("I-search backward:")
            person.types("nor\r\r")
            await stage.noted("text", "north")
            await session.text("Commands: /tell NAME WORDS, /telescope")
            await person.shows("/telescope\n")
            person.types(f"/d{TAB}!\r")
            await stage.noted("text", "/dance!")
            person.types(f"/t{TAB}")
            await person.shows("\n/tel\n", "   /telescope")
            person.types(f"l{HOME}{UP}\x15/q{TAB}\r")
            await stage.noted("text", "/quit")


async def test_keys_and_signals(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with talking(gateway, stage, "telnet", tmp_path) as (person, _):
            person.resize(100, 30)
            await stage.noted("resize", 100, 30)
            person.types("\x03")
            await stage.noted("interrupt")
            person.types("look\r")
            await stage.noted("text", "look")
            person.types("x\x04\x7f")  # Ctrl-D deletes while there is a line
            person.types("\x03")
            await stage.noted("interrupt")
            person.types("\x03")  # a second one in a row leaves
            assert await person.ends() == 0
            await stage.noted("detach", "client_left")
        for last in ("\x04", ""):
            async with talking(gateway, stage, "ws", tmp_path) as (person, _):
                person.types(last)
                if not last:
                    person.process.terminate()
                assert await person.ends() == 0
                assert person.shows_typing
                await stage.noted("detach", "client_left")


async def test_the_line_of_an_outage_is_wrapped_by_words(tmp_path: Path) -> None:
    async with terminal("connect", "unix:nobody", state=tmp_path) as person:
        person.resize(40, 24)
        await person.shows("--- cut off: unix:nobody: No such file\nor directory; trying again in ")


async def test_who_leaves_while_cut_off(tmp_path: Path) -> None:
    async with terminal("connect", f"unix:{tmp_path / 'nobody'}", state=tmp_path) as person:
        await person.shows("--- cut off:", "trying")
        person.types("one\r")
        shown = await person.shows("one\n--- cut off:")
        assert shown.count("--- cut off") == 1
        person.types("\x04")
        await person.shows("one\n--- not connected: 1 line was not sent\n", without="--- cut off")
        assert await person.ends() == 0


async def test_much_output(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        talking(gateway, stage, "ws", tmp_path) as (person, session),
    ):
        person.types("half")
        for number in range(2000):
            await session.text(f"line {number}")
        shown = await person.shows("line 1999\n", "\n> half")
        assert "line 1980\nline 1981\n" in shown
        assert person.screen.count("line ") == 2000


async def test_the_code_of_another_client(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        person_of(gateway, "telnet") as phone,
    ):
        code = await phone.shown_code()
        await stage.noted("open")
        async with terminal("connect", url(gateway, "ws"), state=tmp_path) as someone:
            await stage.noted("open")
            someone.types(f"resume {code}\r")
            await stage.noted("resume")
            someone.types("look\r")
            await stage.noted("text", "look")
    assert (tmp_path / "holdfast" / "history").read_text() == "look\n"
    assert os.listdir(tmp_path / "holdfast") == ["history"]
