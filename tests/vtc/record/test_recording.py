"""Recording: what is heard becomes commands, and the script says the same again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.certificates import certificate
from tests.gateway.clients import GMCP, TTYPE, person_at, v1_at
from tests.gateway.running import SECONDS, Stage, configured, eventually, linked, serving
from websockets.asyncio.client import connect

from holdfast.app import App, Session
from holdfast.net.addresses import parse_address
from holdfast.net.tls.contexts import client_context, server_context
from holdfast.vtc.dialogue.conversation import from_script, to_script
from holdfast.vtc.io.socket_address import resolve
from holdfast.vtc.language.check import check
from holdfast.vtc.language.lexer import tokenise
from holdfast.vtc.language.patterns import matches
from holdfast.vtc.language.script import parse_script
from holdfast.vtc.language.source import Source
from holdfast.vtc.record import recorder
from holdfast.vtc.record.lines import LineRecorder, TelnetRecorder
from holdfast.vtc.record.proxy import RecordingProxy
from holdfast.vtc.record.quoting import pattern, quoted
from holdfast.vtc.record.recording import Recording
from holdfast.vtc.run.results import Outcome, Result, RunSettings
from holdfast.vtc.run.runner import ScriptRunner, common_macros

ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


# --- words


@given(ANYTHING)
def test_a_text_in_quotes_is_one_word_that_says_it(text: str) -> None:
    whole = f"x {{\n rx {to_script(quoted(text))}\n}}\n"
    spec = tokenise(Source("f", whole).whole(), 0).words[1]
    words = tokenise(spec, 1).words
    assert [from_script(word) for word in words] == ["rx", text]


@given(ANYTHING)
def test_a_pattern_finds_its_text_and_no_longer_one(text: str) -> None:
    word = tokenise(Source("f", to_script(pattern(text))).whole(), 0).words[0]
    assert matches(word, to_script(text))
    assert not matches(word, to_script(text) + "x")


def test_a_pattern_finds_other_codes() -> None:
    word = tokenise(Source("f", pattern('Type "resume ABCD-1234".')).whole(), 0).words[0]
    assert matches(word, 'Type "resume 9999-WXYZ".')
    assert not matches(word, 'Type "resume nothing".')


# --- what is heard


def heard(recorder: LineRecorder, *pieces: tuple[str, bytes]) -> list[str]:
    for who, data in pieces:
        (recorder.client_says if who == "client" else recorder.server_says)(data)
    recorder.ended()
    return recorder.commands


def test_lines() -> None:
    assert heard(
        LineRecorder(set()),
        ("server", b"Hello.\r\nNa"),
        ("server", b"me: "),
        ("client", b"Ada\n"),
        ("server", b"Hello, Ada.\n> "),
    ) == [
        'rx line "Hello."',
        'rx prompt "Name: "',
        'tx line "Ada"',
        'rx line "Hello, Ada."',
        'rx prompt "> "',
    ]


def test_a_code_that_was_shown_is_a_macro_when_it_is_typed() -> None:
    codes: set[str] = set()
    assert heard(LineRecorder(codes), ("server", b"resume ABCD-1234\n")) == [
        "rx line",
        'expect rx.text ~ "^resume [0-9A-Z]{4}(-[0-9A-Z]{4})+$"',
        'save code rx.text "[0-9A-Z]{4}(-[0-9A-Z]{4})+"',
    ]
    said = heard(LineRecorder(codes), ("client", b"resume ABCD-1234\nresume ZZZZ-ZZZZ\n"))
    assert said == ['tx line "resume ${code}"', 'tx line "resume ZZZZ-ZZZZ"']


def test_telnet() -> None:
    recorder = TelnetRecorder(set())
    assert heard(
        recorder,
        ("server", b"\xff\xfd\x18\xff\xfd\x1f\xff\xfb\xc9\xff\xfb\x01"),
        ("client", b"\xff\xfb\x18\xff\xfb\x1f\xff\xfd\xc9\xff\xfe\x01"),
        ("client", b"\xff\xfa\x18\0XTERM\xff\xf0\xff\xfa\x1f\0\x64\0\x28\xff\xf0"),
        ("server", b"Name: \xff\xef"),
        ("client", b"Ada\r\0\xff\xf4"),
        ("client", b"\xff\xfa\x1f\0\x78\0\x32\xff\xf0"),
        ("server", b'\xff\xfa\xc9Room.Info {"n": 1}\xff\xf0Hello.\r\n'),
        ("client", b"\xff\xfa\xc9Core.Ping\xff\xf0\xff\xfa\xc9Ext {}\xff\xf0"),
    ) == [
        'rx prompt "Name: "',
        'tx line "Ada"',
        "tx interrupt",
        "tx resize 120 50",
        "rx gmcp Room.Info",
        'rx line "Hello."',
        "tx gmcp Core.Ping",
        'tx gmcp Ext "{}"',
    ]
    assert (
        recorder.opening
        == 'telnet -type "XTERM" -size 100x40 -refuse binary,charset,echo,eor,new-environ,sga'
    )


# --- live


@asynccontextmanager
async def relayed(recording: Recording, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A relay to the book's server, and the port where clients connect to it."""
    (at, *_) = await resolve("127.0.0.1:0", None, socket.SOCK_STREAM)
    relay = RecordingProxy(at, recording, lambda: None, tls)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(relay.run())
        try:
            yield relay.at.port
        finally:
            running.cancel()


async def play(text: str) -> Result:
    """Run a script, on another loop than the gateway's."""
    assert check(parse_script("recorded.vtc", text)) == []
    results: list[Result] = []

    def run() -> None:
        with common_macros({}, "/") as macros:
            settings = RunSettings(macros=macros, seconds_max=SECONDS)
            script = parse_script("recorded.vtc", text)
            asyncio.run(ScriptRunner([script], settings, results.append).run())

    await asyncio.to_thread(run)
    return results[0]


async def assert_says_it_again(recording: Recording, *, but: str) -> None:
    """The script passes; with another text instead of `but`, which was said, it fails."""
    script, said = to_script(recording.script()), to_script(f'"{but}"')
    result = await play(script)
    assert result.outcome is Outcome.PASSED, script + result.text()
    assert said in script
    result = await play(script.replace(said, '"something else"'))
    assert result.outcome is Outcome.FAILED


class Parrot(Stage):
    """An application that answers."""

    def __init__(self) -> None:
        self.app = App("parrot")

        @self.app.on_open
        async def opened(session: Session) -> None:
            await session.text("Hello.")
            await session.prompt("> ")

        @self.app.on_text
        async def said(session: Session, text: str) -> None:
            await session.text(f"You said: {text}")


@asynccontextmanager
async def conversing(folder: Path, scheme: str) -> AsyncIterator[tuple[int, Recording]]:
    """A gateway with a parrot, a relay before it, and where clients connect to that."""
    async with (
        serving(configured(folder)) as gateway,
        linked(gateway, Parrot()),
    ):
        recording = Recording(next(at for at in gateway.addresses if at.scheme == scheme))
        async with relayed(recording) as where:
            yield where, recording


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_a_person_s_session_says_itself_again(tmp_path: Path, scheme: str) -> None:
    async with conversing(tmp_path, scheme) as (where, recording):
        telnet = scheme == "telnet"
        async with person_at(where, telnet=telnet, options=(TTYPE, GMCP)) as someone:
            await someone.sees("> ")
            someone.types("- one", 'look {at} "it"')
            await someone.sees('"it"\n')
        async with person_at(where, telnet=telnet) as other:
            await other.sees("> ")
        await book_closed(recording)
        await assert_says_it_again(recording, but="Hello.")


async def test_a_plain_websocket_says_itself_again(tmp_path: Path) -> None:
    async with conversing(tmp_path, "ws") as (where, recording):
        async with connect(f"ws://127.0.0.1:{where}/", proxy=None) as ws:
            assert [await ws.recv(), await ws.recv()] == ["Hello.", "> "]
            await ws.send("Grüezi")
            assert await ws.recv() == "You said: Grüezi"
        await book_closed(recording)
        await assert_says_it_again(recording, but="You said: Grüezi")


async def test_a_session_over_two_connections_says_itself_again(tmp_path: Path) -> None:
    async with conversing(tmp_path, "ws") as (where, recording):
        async with v1_at(where) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="look")
            await client.texts("You said: look")
            await client.say("ack", n=3)
        known = {name: welcome[name] for name in ("token", "epoch")}
        async with v1_at(where, last=3, **{"try": 1}, **known) as client:
            await client.expect("resumed")
            await client.say("cmd", c=2, d="again")
            await client.texts("You said: again")
            await client.say("quit")
            await client.closed()
        await book_closed(recording)
        assert recording.script().count("session u1 ") == 2
        await assert_says_it_again(recording, but="You said: again")


async def test_connections_at_one_time_are_clients_at_one_time(tmp_path: Path) -> None:
    async with conversing(tmp_path, "tcp") as (where, recording):
        async with person_at(where, telnet=False) as one, person_at(where, telnet=False) as two:
            await one.sees("> ")
            await two.sees("> ")
        await book_closed(recording)
        assert recording.script().endswith("} -run\n\nclient c1 -wait\n")
        await assert_says_it_again(recording, but="Hello.")


async def test_a_server_with_tls_says_itself_again(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Hello.\n")
        await reader.readline()
        writer.close()

    cert = certificate(tmp_path)
    async with await asyncio.start_server(
        greet, "127.0.0.1", 0, ssl=server_context(cert)
    ) as server:
        recording = Recording(
            parse_address(f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        )
        async with relayed(recording, client_context(cert.cert)) as where:
            async with person_at(where, telnet=False) as someone:
                await someone.sees("Hello.\n")
                someone.types("bye")
                await someone.rest()
            await book_closed(recording)
        await assert_says_it_again(recording, but="Hello.")


async def test_a_server_that_is_not_there_ends_that_connection_only(tmp_path: Path) -> None:
    recording = Recording(parse_address(f"unix:{tmp_path / 'nobody'}"))
    async with relayed(recording) as where:
        for _ in range(2):
            async with person_at(where, telnet=False) as someone:
                assert await someone.rest() == ""
    assert recording.script() == f'vtest "recorded at {recording.server}"\n\n'


async def book_closed(recording: Recording) -> None:
    """Wait until the relay has noticed the end of every connection."""
    await eventually(lambda: all(recorder.over for recorder in recording.recorders))


def test_a_recording_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recorder.COMMANDS_MAX == 100_000
    monkeypatch.setattr(recorder, "COMMANDS_MAX", 3)
    lines = [("client", f"{number}\n".encode()) for number in range(5)]
    all_of_it = ['tx line "0"', 'tx line "1"', 'tx line "2"']
    assert heard(LineRecorder(set()), *lines[:3]) == all_of_it
    rest = "# The rest is missing: it is more than 3 commands."
    assert heard(LineRecorder(set()), *lines) == [*all_of_it, rest]
