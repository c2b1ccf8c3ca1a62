"""`holdfast connect` with standard input and output as they are, in a terminal that can do no
more."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from tests.cli.process import program
from tests.cli.pseudo_terminal import terminal as any_terminal
from tests.gateway.clients import person
from tests.gateway.running import Stage, configured, linked, port, serving, staged

from holdfast.app import Authenticate, ProfileSummary, Refusal
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway

terminal = partial(any_terminal, kind="dumb")
SCHEMES = pytest.mark.parametrize("scheme", ["ws", "telnet", "tcp"])


def url(gateway: Gateway, scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{port(gateway, scheme)}" + "/" * (scheme == "ws")


@SCHEMES
async def test_talking(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, scheme)) as person,
    ):
        await stage.noted("open")
        await stage.session.text("A room.\nAn exit.")
        await stage.session.prompt("> ")
        await person.sees("A room.\nAn exit.\n")
        await person.sees("> ")
        person.types("look ☃\n")
        await stage.heard("look ☃")
        await stage.session.text("A snowman.")
        await person.sees("A snowman.\n")
        person.types("\x04")  # Ctrl-D
        assert await person.ends() == 0


@SCHEMES
async def test_cut_off_it_comes_back_by_itself_and_misses_nothing(
    tmp_path: Path, scheme: str
) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, scheme)) as person,
    ):
        await stage.noted("open")
        await stage.count(1, 3)
        await person.sees("3\n")
        for connection in list(gateway.listeners.clients.connections):
            connection.abort()
        await stage.count(4, 5)
        await person.sees("cut off: the connection was lost; trying again in ")
        await person.sees("connected\n")
        await person.sees("4\n5\n")
        person.types("look\n")
        await stage.noted("text", "look")
        assert len(stage.app.sessions) == 1


@SCHEMES
async def test_a_prompt_is_shown_once(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, scheme)) as person,
    ):
        await stage.noted("open")
        await stage.session.text("A room.")
        await stage.session.prompt("> ")
        await person.sees("A room.\n> ")
        person.types("look\n")
        await stage.noted("text", "look")
        await stage.session.text("You see nothing.")
        assert await person.sees("nothing.\n") == "look\nYou see nothing.\n"
        await stage.session.prompt("> ")
        await person.sees("> ")
        await stage.session.text("Ann comes.")
        await stage.session.prompt("> ")
        assert await person.sees("Ann comes.\n> ") == "\nAnn comes.\n> "
        await stage.session.text("Ann leaves.\n\nIt is dark.")
        assert await person.sees("dark.\n") == "\nAnn leaves.\n\nIt is dark.\n"
        for _ in range(2):
            await stage.session.prompt("> ")
            assert await person.sees("> ") == "> "
            person.types("\n")
            await person.sees("\n")
            await stage.noted("text", "")


@SCHEMES
async def test_what_is_typed_while_cut_off_is_said_later(tmp_path: Path, scheme: str) -> None:
    config = configured(tmp_path)
    stage = Stage()
    async with serving(config) as gateway, linked(gateway, stage):
        where = url(gateway, scheme)
    fixed = configured(tmp_path, [where])
    async with terminal("connect", where) as person:
        await person.sees("cut off: ")
        person.types("one\n")
        async with staged(fixed) as (gateway, stage):
            await stage.heard("one")
            gateway.stop()
        await person.sees("restarting; your session is kept")
        person.types("two\n")
        async with staged(fixed) as (gateway, stage):
            await stage.heard("two")
            person.types("three\n")
            await stage.heard("two", "three")


@SCHEMES
async def test_who_leaves_while_cut_off_is_told_what_was_not_sent(
    tmp_path: Path, scheme: str
) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, scheme)) as person,
    ):
        await stage.noted("open")
        gateway.stop()
        await person.sees("cut off: ")
        person.types("look\n\x04")
        await person.sees(
            "--- not connected: 1 line was not sent;"
            " your session waits as long as the gateway keeps it\n"
        )
        assert await person.ends() == 0


async def test_who_leaves_without_ever_having_been_connected_has_no_session(
    tmp_path: Path,
) -> None:
    async with terminal("connect", f"unix:{tmp_path / 'nobody'}") as person:
        await person.sees("cut off: ")
        person.types("one\ntwo\n\x04")
        await person.sees("--- not connected: 2 lines were not sent\n")
        assert await person.ends() == 0


async def test_a_password_is_not_shown(tmp_path: Path) -> None:
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> str:
        if claim.password != "right":
            raise Refusal("Wrong.")
        return claim.username

    @stage.app.on_profiles
    async def profiles(sid: str) -> list[ProfileSummary]:
        return [ProfileSummary("p1", "Knight")]

    @stage.app.on_create_profile
    async def create(sid: str, name: str) -> ProfileSummary:
        return ProfileSummary("p2", name)

    @stage.app.on_select_profile
    async def select(sid: str, profile: str) -> ProfileSummary:
        return ProfileSummary(profile, profile)

    async with serving(configured(tmp_path)) as gateway, linked(gateway, stage):
        for scheme in ("ws", "telnet"):
            async with terminal("connect", url(gateway, scheme)) as person:
                for password in ("wrong", "right"):
                    await person.sees("Name: ")
                    person.types("ann\n")
                    await person.sees("Password: ")
                    await person.until_typing_is_shown(False)
                    person.types(f"{password}\n")
                    await person.until_typing_is_shown(True)
                assert "  1  Knight\n" in await person.sees("or type a new name: ")
                person.types("1\n" if scheme == "ws" else "Lancelot\n")
                await stage.noted("open")
                session = next(s for s in stage.app.sessions.values() if s.attached)
                assert session.user == "ann"
                assert session.profile == ("p1" if scheme == "ws" else "p2")
                assert "right" not in person.screen
                # The application may hide what is typed, too.
                await session.input_mode("secret")
                await person.until_typing_is_shown(False)
                await session.input_mode("line")
                await person.until_typing_is_shown(True)


async def test_the_size_of_the_window_and_interrupts(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        for scheme in ("ws", "telnet"):
            async with terminal("connect", url(gateway, scheme)) as person:
                await stage.noted("open")
                person.resize(100, 30)
                await stage.noted("resize", 100, 30)
                person.types("\x03")  # Ctrl-C
                await stage.noted("interrupt")
                person.types("look\n")
                await stage.noted("text", "look")
                person.types("\x03")
                await stage.noted("interrupt")
                person.types("\x03")  # a second one in a row leaves
                assert await person.ends() == 0
                await stage.noted("detach", "client_left")


async def test_going_on_with_the_session_of_another_client(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        for scheme in ("ws", "telnet", "tcp"):
            async with person(gateway, "telnet") as phone:
                code = await phone.shown_code()
                await stage.noted("open")
                async with terminal("connect", url(gateway, scheme)) as someone:
                    await stage.noted("open")
                    someone.types(f"resume {code}\n")
                    await stage.noted("resume")
                    someone.types("look\n")
                    await stage.noted("text", "look")


async def test_resume_in_the_middle_is_text(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, "ws")) as someone,
    ):
        await stage.noted("open")
        someone.types("look\n")
        someone.types("resume the story\n")
        await stage.noted("text", "resume the story")
        someone.types("resume ABCD-2345\n")
        await stage.noted("text", "resume ABCD-2345")


async def test_a_wrong_code_costs_nothing(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, "ws")) as someone,
    ):
        await stage.noted("open")
        someone.types("resume ABCD-2345\n")
        await someone.sees("it is not known, or its session has ended")
        someone.types("look\n")
        await stage.noted("text", "look")
        assert len(stage.app.sessions) == 1


@SCHEMES
async def test_quit_is_told_to_the_application(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, scheme)) as someone,
    ):
        await stage.noted("open")
        session = stage.session
        someone.types("/quit\n")
        await stage.noted("text", "/quit")
        await session.text("Farewell.")
        await session.close("client_left")
        await someone.sees("Farewell.\n")
        assert await someone.ends() == 0


async def test_a_session_that_was_closed_is_the_end(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, "ws")) as someone,
    ):
        await stage.noted("open")
        await stage.session.close("kicked")
        await someone.sees("the end: your session was closed\n")
        assert await someone.ends() == 0


async def test_much_output_on_a_slow_terminal(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        terminal("connect", url(gateway, "ws")) as someone,
    ):
        await stage.noted("open")
        asyncio.get_running_loop().remove_reader(someone._master)
        for number in range(100):
            await stage.session.text(f"{number} {'x' * 600}")
        await stage.accepted()
        asyncio.get_running_loop().add_reader(someone._master, someone.read)
        await someone.sees("99 " + "x" * 600)
        assert someone.process.returncode is None


# --- input that is no terminal


@SCHEMES
async def test_a_pipe(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        program("connect", url(gateway, scheme), stdin=asyncio.subprocess.PIPE) as it,
    ):
        assert it.process.stdin is not None
        await stage.noted("open")
        it.process.stdin.write(b"look\n")
        await stage.heard("look")
        await stage.session.text("A room.")
        await it.says("A room.")
        it.process.stdin.close()
        assert await it.ends() == 0
        assert it.err == ""


@SCHEMES
async def test_a_file(tmp_path: Path, scheme: str) -> None:
    script = tmp_path / "script"
    script.write_text("one\ntwo\n")
    async with staged(configured(tmp_path)) as (gateway, stage):
        with script.open() as lines:
            async with program("connect", url(gateway, scheme), stdin=lines.fileno()) as it:
                await stage.heard("one", "two")
                assert await it.ends() == 0
                assert it.err == ""


async def test_a_file_that_is_longer_than_what_may_wait(tmp_path: Path) -> None:
    stage = Stage()
    async with serving(configured(tmp_path)) as gateway, linked(gateway, stage):
        where = url(gateway, "tcp")
    script = tmp_path / "script"
    lines = [str(number) for number in range(300)]
    script.write_text("".join(f"{line}\n" for line in lines))
    with script.open() as file:
        async with program("connect", where, stdin=file.fileno()) as it:
            await it.says("cut off: ")
            limits = Limits().but(session={"queue_messages_max": 2000})
            async with staged(configured(tmp_path, [where], limits=limits)) as (_, stage):
                await stage.heard(*lines)
                assert await it.ends() == 0


@SCHEMES
async def test_a_line_that_is_too_long_is_told_and_the_next_one_sent(
    tmp_path: Path, scheme: str
) -> None:
    script = tmp_path / "script"
    script.write_text("\n".join(["before", "x" * 70_000, "y" * 2_000_000, "after"]))
    async with staged(configured(tmp_path)) as (gateway, stage):
        with script.open() as lines:
            async with program("connect", url(gateway, scheme), stdin=lines.fileno()) as it:
                await it.says("--- not sent: command: expected ")
                await it.says("--- not sent: expected a line of at most 1048576 bytes, found more")
                await stage.heard("before", "after")
                assert await it.ends() == 0
                assert it.err == ""


async def test_a_long_line_through_a_pipe(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        program("connect", url(gateway, "ws"), stdin=asyncio.subprocess.PIPE) as it,
    ):
        assert it.process.stdin is not None
        await stage.noted("open")
        it.process.stdin.write(b"x" * 70_000 + b"\nafter\nlast")
        await it.says("--- not sent: command: expected ")
        await stage.heard("after")
        it.process.stdin.close()
        await stage.heard("after", "last")
        assert await it.ends() == 0
        assert it.err == ""


async def test_nothing_at_all(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, _),
        program("connect", url(gateway, "ws")) as it,
    ):
        assert await it.ends() == 0
        assert it.err == ""


# --- what is wrong


async def test_a_wrong_address_is_one_line() -> None:
    async with program("connect", "http://127.0.0.1/") as it:
        assert await it.ends() == 2
    assert it.err == (
        "holdfast: 'http://127.0.0.1/': expected one of tcp, tls, unix, ws, wss, telnet, telnets"
        " before the first colon; in place of http, ws\n"
    )


async def test_a_missing_authority_is_one_line() -> None:
    async with program("connect", "wss://127.0.0.1:1/", "--ca", "missing.pem") as it:
        assert await it.ends() == 2
    assert it.err.startswith("holdfast: missing.pem: expected PEM certificates, found: ")
