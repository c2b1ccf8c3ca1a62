"""`holdfast run`: a gateway and an application together."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.cli.process import Program, alive, is_gone, program, run
from tests.gateway.clients import person_at, v1_at

from holdfast.cli.run import with_play
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.play_config import PlayConfig

APPLICATION = """\
from pathlib import Path

from holdfast.app import App, Session

app = App("echo-er")


@app.on_open
async def opened(session: Session) -> None:
    await session.text("VERSION says hello")


@app.on_adopt
async def adopted(session: Session) -> None:
    await session.text("VERSION is here")


@app.on_text
async def said(session: Session, text: str) -> None:
    if text == "crash":
        Path("crashed").touch()
        raise SystemExit(3)
    await session.text(f"VERSION heard {text}")


app.run()
"""
TCP = ("--listen", "tcp://127.0.0.1:0")


def write(folder: Path, version: str) -> Path:
    path = folder / "application.py"
    path.write_text(APPLICATION.replace("VERSION", version))
    return path


async def started(it: Program, count: int = 1) -> int:
    """The process id of the application's newest run."""
    entries = await it.logged("application started", count)
    return int(entries[-1]["process"])


# --- what is wrong

WRONG: dict[str, tuple[list[str], str]] = {
    "no-such-file": (["missing.py"], "missing.py: expected a Python file, found none"),
    "two-configurations": (
        ["application.py", "--config", "x.toml", *TCP],
        "--config and --listen: expected one of them, found both",
    ),
    "no-such-scheme": (
        ["application.py", "--listen", "http://127.0.0.1:1"],
        "listener[0].url: 'http://127.0.0.1:1': expected one of tcp, tls, unix, ws, wss, telnet,"
        " telnets before the first colon; in place of http, ws",
    ),
    "no-certificate": (
        ["application.py", "--listen", "tls://127.0.0.1:1"],
        "listener[0].certificate: expected a certificate for tls, found none",
    ),
    "nowhere-to-link": (
        ["application.py", "--config", "echo.toml"],
        "echo.toml: link.listen: expected an address for the application, found none",
    ),
}


@pytest.mark.parametrize(("arguments", "error"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_one_line(tmp_path: Path, arguments: list[str], error: str) -> None:
    write(tmp_path, "one")
    (tmp_path / "echo.toml").write_text(
        '[[listener]]\nurl = "tcp://127.0.0.1:0"\nbackend = "echo"\ndurability = "memory"\n'
    )
    assert await run("run", *arguments, folder=tmp_path) == (2, "", f"holdfast: {error}\n")


@pytest.mark.parametrize(
    ("urls", "shown"),
    [
        (("telnet://127.0.0.1:4000", "ws://127.0.0.1:8080/"), "telnet 127.0.0.1 4000"),
        (("telnet://127.0.0.1:0", "telnet://a:1", "wss://127.0.0.1:8080/"), "telnet a 1"),
        (("tcp://127.0.0.1:4000", "ws://127.0.0.1:8080/"), ""),
    ],
)
def test_the_page_shows_how_to_connect_by_telnet(urls: tuple[str, ...], shown: str) -> None:
    listeners = tuple(ListenerConfig(url=url) for url in urls)
    *others, web = with_play(Config(listener=listeners), "Parrot").listener
    assert web.play == PlayConfig(title="Parrot", telnet=shown)
    assert [listener.play for listener in others] == [None] * len(others)


# --- running


async def test_it_runs_an_application_and_ends_it(tmp_path: Path) -> None:
    write(tmp_path, "one")
    async with program("run", "application.py", *TCP, folder=tmp_path) as it:
        ports = await it.ports(1)
        application = await started(it)
        async with person_at(ports["tcp"], telnet=False) as someone:
            await someone.sees("one says hello\n")
            someone.types("look")
            await someone.sees("one heard look\n")
            it.send(signal.SIGTERM)
            assert "restarting" in await someone.rest()
        assert await it.ends() == 0
        assert not alive(application)
        # What the application logs is one log with the rest.
        assert await it.logged("linked")
        assert it.out == f"Connect with:\n  netcat    nc 127.0.0.1 {ports['tcp']}\n"
    assert (tmp_path / "holdfast-data" / "sessions.db").is_file()
    assert not (tmp_path / "holdfast-data" / "link.sock").exists()


async def test_an_orderly_stop_logs_its_end_and_no_warning(tmp_path: Path) -> None:
    write(tmp_path, "1")
    urls = ("telnet://127.0.0.1:0", "ws://127.0.0.1:0/", "tcp://127.0.0.1:0")
    (tmp_path / "it.toml").write_text(
        '[store]\npath = "sessions.db"\n[link]\nlisten = "unix:link"\n'
        "[limits.drain]\ndrain_seconds_max = 60\n[limits.link]\nheartbeat_seconds_max = 60\n"
        + "".join(f'[[listener]]\nurl = "{url}"\n' for url in urls)
    )
    async with program("run", "application.py", "--config", "it.toml", folder=tmp_path) as it:
        ports = await it.ports(3)
        async with (
            person_at(ports["tcp"], telnet=False) as someone,
            person_at(ports["telnet"], telnet=True) as another,
            v1_at(ports["ws"]) as page,
        ):
            await someone.sees("1 says hello")
            await another.sees("1 says hello")
            await page.texts("1 says hello")
            it.send(signal.SIGTERM)
            assert (await page.closed())[0] == 1012
            await someone.rest()
            await another.rest()
        assert await it.ends() == 0
        (stopped,) = await it.logged("stopped")
        (stopping,) = await it.logged("stopping")
    assert stopped["clean"] is True
    assert stopping["connections"] == 3
    assert [entry for entry in it.logs if entry["level"] != "info"] == []


async def test_a_crashed_application_is_started_again(tmp_path: Path) -> None:
    write(tmp_path, "one")
    async with program("run", "application.py", *TCP, "--data", "kept", folder=tmp_path) as it:
        ports = await it.ports(1)
        await started(it)
        async with person_at(ports["tcp"], telnet=False) as someone:
            await someone.sees("one says hello\n")
            os.kill(await started(it), signal.SIGKILL)
            await someone.sees("The application is away.")
            someone.types("look")
            await someone.sees("one is here\n")
            await someone.sees("one heard look\n")
        (ended,) = await it.logged("application exited")
        assert (ended["code"], ended["level"]) == (-signal.SIGKILL, "warning")
        assert await started(it, 2)
    assert (tmp_path / "kept" / "sessions.db").is_file()


async def test_one_that_always_crashes_is_started_with_growing_pauses(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text("raise SystemExit(7)\n")
    async with program("run", "application.py", *TCP, folder=tmp_path) as it:
        entries = await it.logged("application exited", 3)
        assert [(entry["code"], entry["again_in_s"]) for entry in entries] == [
            (7, 0.2),
            (7, 0.4),
            (7, 0.8),
        ]
        it.send(signal.SIGTERM)  # also while it waits
        assert await it.ends() == 0


async def test_a_change_restarts_the_application_and_nobody_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "package").mkdir()
    async with program("run", "application.py", "--reload", *TCP, folder=tmp_path) as it:
        ports = await it.ports(1)
        first = await started(it)
        async with person_at(ports["tcp"], telnet=False) as someone:
            await someone.sees("one says hello\n")
            write(tmp_path, "two")
            await someone.sees("two is here\n")
            await is_gone(first)
            someone.types("look")
            await someone.sees("two heard look\n")
            (tmp_path / "package" / "part.py").write_text("x = 1\n")  # a new file counts too
            await someone.sees("two is here\n")


async def test_a_syntax_error_waits_for_a_change(tmp_path: Path) -> None:
    path = write(tmp_path, "first")
    path.write_text("def this is no Python\n")
    async with program("run", str(path), "--reload", *TCP, folder=tmp_path) as it:
        (told,) = await it.logged("syntax error, waiting for a change")
        assert (told["file"], told["line"]) == (str(path), 1)
        assert [entry for entry in it.logs if entry["event"] == "application exited"] == []
        write(tmp_path, "mended")
        await started(it, 2)
        async with person_at((await it.ports(1))["tcp"], telnet=False) as ann:
            await ann.sees("mended says hello")


async def test_the_end_of_its_terminal_is_its_end(tmp_path: Path) -> None:
    async with program("run", str(write(tmp_path, "first")), *TCP, folder=tmp_path) as it:
        pid = await started(it)
        await it.ports(1)
        it.send(signal.SIGHUP)
        assert await it.ends() == 0
        await is_gone(pid)


async def test_killed_with_9_it_leaves_no_orphan(tmp_path: Path) -> None:
    write(tmp_path, "one")
    async with program("run", "application.py", *TCP, folder=tmp_path) as it:
        ports = await it.ports(1)
        application = await started(it)
        async with person_at(ports["tcp"], telnet=False) as someone:
            await someone.sees("one says hello\n")
            it.send(signal.SIGKILL)
            await it.ends()
        await is_gone(application)


async def test_a_configuration_with_a_secret(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (tmp_path / "holdfast.toml").write_text(
        '[store]\npath = "sessions.db"\n[link]\nlisten = "tcp://127.0.0.1:0"\n'
        'secret = "correct horse battery"\n'
        '[[listener]]\nurl = "ws://127.0.0.1:0/"\n'
    )
    async with program("run", "application.py", "--config", "holdfast.toml", folder=tmp_path) as it:
        ports = await it.ports(1)
        async with v1_at(ports["ws"]) as page:
            assert (await page.expect("text"))["d"] == "one says hello"
        it.send(signal.SIGTERM)
        assert await it.ends() == 0
        assert "correct horse" not in it.err + it.out


async def test_the_applications_own_output_is_seen(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text("print('hello from inside', flush=True)\n")
    async with program("run", "application.py", *TCP, folder=tmp_path) as it:
        await it.says("hello from inside")
