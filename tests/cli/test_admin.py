"""`holdfast health`, `sessions`, `connections`, `kick` and `drain`, against a running gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.process import SECONDS, Program, program
from tests.cli.pseudo_terminal import terminal
from tests.gateway.clients import Person, person_at
from tests.net.certificates import write_pems
from tests.ports import free_port
from typer.testing import CliRunner

from holdfast.cli.main import app

TOKEN = "correct-horse-battery-staple"
CONFIG = """
[store]
path = "sessions.db"
[admin]
listen = "{admin}"
{more}
[[listener]]
url = "tcp://127.0.0.1:0"
backend = "echo"
"""


@asynccontextmanager
async def gateway(
    folder: Path, admin: str = "unix:admin", more: str = ""
) -> AsyncIterator[tuple[Program, int]]:
    """A gateway in `folder`; where clients come in."""
    (folder / "holdfast.toml").write_text(CONFIG.format(admin=admin, more=more))
    async with program("serve", folder=folder) as it:
        await it.logged("listening for operators")
        yield it, (await it.ports(1))["tcp"]


async def run(*arguments: str | Path) -> tuple[int, str, str]:
    """As `process.run`, in a thread of this process: much quicker."""
    words = [str(argument) for argument in arguments]
    async with asyncio.timeout(SECONDS):
        result = await asyncio.to_thread(CliRunner().invoke, app, words)
    return result.exit_code, result.stdout, result.stderr


async def ask(folder: Path, *arguments: str) -> str:
    """Run a command that must do its work; what it says."""
    code, out, err = await run(*arguments, "--admin", f"unix:{folder / 'admin'}")
    assert (code, err) == (0, "")
    return out


async def rows(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await ask(folder, *arguments)).splitlines()]


async def entered(someone: Person) -> None:
    await someone.shown_code()


async def test_an_operator_s_day(tmp_path: Path) -> None:
    """Who is there; cut one off, close another for good; go home."""
    async with gateway(tmp_path) as (it, port):
        assert await rows(tmp_path, "sessions") == []
        async with (
            person_at(port, telnet=False) as first,
            person_at(port, telnet=False) as second,
        ):
            await entered(first)
            await entered(second)
            sessions = await rows(tmp_path, "sessions")
            assert [one["state"] for one in sessions] == ["active", "active"]
            assert await rows(tmp_path, "sessions", "--limit", "1") == sessions[:1]
            assert await rows(tmp_path, "sessions", "--state", "detached_active") == []
            assert await rows(tmp_path, "sessions", "--search", "127.0.0.1") == sessions
            assert await rows(tmp_path, "connections", "--search", "192.0.2.1") == []
            connections = await rows(tmp_path, "connections", "--protocol", "tcp", "--json")
            assert [one["sid"] for one in connections] == [one["sid"] for one in sessions]
            assert await rows(tmp_path, "connections", "--address", "192.0.2.1") == []
            number, sid = str(connections[0]["id"]), sessions[1]["sid"]
            assert await ask(tmp_path, "kick", number, sid) == f"{number}: kicked\n{sid}: kicked\n"
            assert "The gateway is restarting" in await first.rest()
            assert "Your session was closed" in await second.rest()
            (left,) = await rows(tmp_path, "sessions")
            assert (left["sid"], left["state"]) == (sessions[0]["sid"], "detached_active")
        assert await ask(tmp_path, "drain") == "draining\n"
        assert await it.ends() == 0


async def test_at_a_terminal_it_is_a_table(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, port), person_at(port, telnet=False) as someone:
        await entered(someone)
        (session,) = await rows(tmp_path, "sessions")
        admin = f"unix:{tmp_path / 'admin'}"
        async with terminal("sessions", "--admin", admin) as screen:
            seen = await screen.sees("1 shown")
            assert session["sid"] in seen
            assert "state" in seen.splitlines()[0]
        async with terminal("connections", "--admin", admin) as screen:
            assert session["sid"] in await screen.sees("1 shown")
        async with terminal("sessions", "--json", "--admin", admin) as screen:
            await screen.sees(f'{{"sid":"{session["sid"]}"')


async def test_an_operator_speaks(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, port), person_at(port, telnet=False) as someone:
        await entered(someone)
        assert await ask(tmp_path, "say", "We restart.") == "shown to 1 client\n"
        await someone.sees("*** We restart.\n")
        (session,) = await rows(tmp_path, "sessions")
        assert await ask(tmp_path, "say", "You!", "--session", session["sid"]) == (
            "shown to 1 client\n"
        )
        await someone.sees("*** You!\n")
        assert await ask(tmp_path, "say", "x", "--protocol", "telnet") == "shown to 0 clients\n"
        admin = f"unix:{tmp_path / 'admin'}"
        code, _, err = await run("say", "x", "--session", "nobody", "--admin", admin)
        assert (code, err) == (1, f"holdfast: {admin}: there is no such session\n")


async def test_a_token_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDFAST_ADMIN_TOKEN", raising=False)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "wrong").write_text(TOKEN + "x")
    where = f"tcp://127.0.0.1:{free_port()}"
    async with gateway(tmp_path, where, 'token_file = "token"'):
        command = ("sessions", "--admin", where)
        hint = "(--token-file, or HOLDFAST_ADMIN_TOKEN)"
        assert await run(*command) == (
            1,
            "",
            f"holdfast: {where}: expected a token: Authorization: Bearer TOKEN {hint}\n",
        )
        assert await run(*command, "--token-file", tmp_path / "wrong") == (
            1,
            "",
            f"holdfast: {where}: the token is wrong {hint}\n",
        )
        assert await run(*command, "--token-file", tmp_path / "token") == (0, "", "")
        monkeypatch.setenv("HOLDFAST_ADMIN_TOKEN", TOKEN)
        monkeypatch.setenv("HOLDFAST_ADMIN", where)
        assert await run("sessions") == (0, "", "")
        assert await run("sessions", "--user", "") == (0, "", "")


async def test_over_tls(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    where = f"tls://127.0.0.1:{free_port()}"
    cert, key = pems.certificate.cert, pems.certificate.key
    more = f'certificate = {{ cert = "{cert}", key = "{key}" }}'
    async with gateway(tmp_path, where, more):
        assert await run("sessions", "--admin", where, "--ca", pems.authority) == (0, "", "")
        code, out, err = await run("sessions", "--admin", where)
        assert (code, out) == (1, "")
        assert err.startswith(f"holdfast: no admin listener answers at {where}: ")
        assert "certificate verify failed" in err.lower().replace("_", " ")


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "nobody-there": (
        ("sessions", "--admin", "unix:/nowhere/at/all"),
        1,
        "no admin listener answers at unix:/nowhere/at/all: No such file or directory;"
        " a gateway has one with [admin] listen; --admin or HOLDFAST_ADMIN names another",
    ),
    "no-address": (
        ("drain", "--admin", "nowhere"),
        2,
        "'nowhere': expected one of tcp, tls, unix, ws, wss, telnet, telnets before the first"
        " colon",
    ),
    "another-scheme": (
        ("kick", "1", "--admin", "ws://127.0.0.1:1/"),
        2,
        "ws://127.0.0.1:1/: expected a tcp://, tls:// or unix: address, as in tcp://127.0.0.1:9180",
    ),
    "no-token-file": (
        ("connections", "--token-file", "/nowhere/at/all"),
        2,
        "/nowhere/at/all: expected a token: [Errno 2] No such file or directory: '/nowhere/at/all'",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "message"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert await run(*arguments) == (code, "", f"holdfast: {message}\n")


async def test_who_is_not_there_is_named_and_the_others_are_kicked(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (_, port), person_at(port, telnet=False) as someone:
        await entered(someone)
        (session,) = await rows(tmp_path, "sessions")
        admin = f"unix:{tmp_path / 'admin'}"
        assert await run("kick", "9999", "a/../b", session["sid"], "--admin", admin) == (
            1,
            f"{session['sid']}: kicked\n",
            f"holdfast: 9999: {admin}: there is no such connection\n"
            f"holdfast: a/../b: {admin}: there is no such session\n",
        )
        assert "Your session was closed" in await someone.rest()


async def test_a_state_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path):
        admin = f"unix:{tmp_path / 'admin'}"
        code, out, err = await run("sessions", "--state", "away", "--admin", admin)
        assert (code, out) == (1, "")
        assert err.startswith(f"holdfast: {admin}: state: expected one of ")
        assert "detached_active" in err
        assert err.endswith("; found 'away'\n")


async def test_the_health_of_a_gateway(tmp_path: Path) -> None:
    """It needs no token."""
    (tmp_path / "token").write_text(TOKEN)
    async with gateway(tmp_path, more='token_file = "token"'):
        admin = f"unix:{tmp_path / 'admin'}"
        assert await run("health", "--admin", admin) == (0, "ok\n", "")
        assert await run("health", "--ready", "--admin", admin) == (0, "ready\n", "")


async def test_a_gateway_that_has_lost_its_store_is_not_well(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (it, port):
        (tmp_path / "sessions.db").rename(tmp_path / "elsewhere.db")
        async with person_at(port, telnet=False):
            await it.logged("store not writable")
            for which in ("health", "health --ready"):
                code, out, err = await run(*which.split(), "--admin", f"unix:{tmp_path / 'admin'}")
                assert (code, out, err) == (1, "the store cannot be written to\n", "")


async def test_a_gateway_that_does_not_answer_is_not_well(tmp_path: Path) -> None:
    code, out, err = await run("health", "--admin", f"unix:{tmp_path / 'admin'}")
    assert (code, out) == (1, "")
    assert err.startswith("holdfast: no admin listener answers at unix:")


async def test_something_else_than_a_gateway_is_not_well() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        where = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        message = f"holdfast: {where}: expected a gateway's health, found status 200\n"
        assert await run("health", "--admin", where) == (1, "", message)


async def test_something_else_listens_there(tmp_path: Path) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        where = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        code, _, err = await run("sessions", "--admin", where)
        assert code == 1
        assert err.startswith(f"holdfast: no admin listener answers at {where}: ")
        assert err.count("\n") == 1
