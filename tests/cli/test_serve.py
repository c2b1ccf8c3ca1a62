"""`holdfast serve`: starts that fail, signals, and what survives a kill -9."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.cli.process import program, run
from tests.gateway.clients import person_at, v1_at
from tests.gateway.running import Stage, acting

CONFIG = """
[store]
path = "sessions.db"

[link]
listen = "unix:link"

[limits.drain]
drain_seconds_max = {drain_seconds}
{more}
"""
LISTENER = '\n[[listener]]\nurl = "{}"\ndurability = "{}"\n'
EVERYWHERE = ("ws://127.0.0.1:0/", "telnet://127.0.0.1:0", "tcp://127.0.0.1:0")


def configure(
    folder: Path,
    *urls: str,
    durability: str = "fast",
    drain_seconds: float = 5,
    more: str = "",
) -> Path:
    path = folder / "holdfast.toml"
    listeners = "".join(LISTENER.format(url, durability) for url in urls or EVERYWHERE)
    path.write_text(CONFIG.format(more=more, drain_seconds=drain_seconds) + listeners)
    return path


# --- starts that fail


async def test_a_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text("listener = 3\n")
    assert await run("serve", folder=tmp_path) == (
        2,
        "",
        "holdfast: holdfast.toml: listener: expected an array, found the integer 3\n",
    )


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
async def test_a_taken_port_is_one_clear_line(tmp_path: Path, scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}" + "/" * (scheme == "ws")
        configure(tmp_path, url)
        assert await run("serve", folder=tmp_path) == (
            1,
            "",
            f"holdfast: {url}: another process listens there already\n",
        )


async def test_a_link_that_another_gateway_has(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    configure(tmp_path)
    path = configure(other)
    path.write_text(path.read_text().replace("unix:link", f"unix:{tmp_path / 'link'}"))
    async with program("serve", folder=tmp_path) as first:
        await first.ports(3)
        code, _, error = await run("serve", folder=other)
        assert (code, error) == (
            1,
            f"holdfast: unix:{tmp_path / 'link'}: another process listens there already\n",
        )


async def test_a_store_that_another_gateway_has(tmp_path: Path) -> None:
    configure(tmp_path, more="[limits.store]\nbusy_seconds_max = 0.1")
    async with program("serve", folder=tmp_path) as first:
        await first.ports(3)
        assert await run("serve", folder=tmp_path) == (
            1,
            "",
            "holdfast: sessions.db: another process holds it\n",
        )


async def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    configure(tmp_path)
    async with program("serve", folder=tmp_path) as first:
        await first.ports(3)
        first.send(signal.SIGTERM)
        await first.ends()
    with sqlite3.connect(tmp_path / "sessions.db") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    assert await run("serve", folder=tmp_path) == (
        1,
        "",
        "holdfast: sessions.db: written by a newer Holdfast (schema 7; this one reads up to 6)\n",
    )


# --- logs


async def test_logs_are_json_when_nobody_is_watching(tmp_path: Path) -> None:
    configure(tmp_path)
    async with program("serve", folder=tmp_path) as gateway:
        ports = await gateway.ports(3)
        assert set(ports) == {"ws", "telnet", "tcp"}
        (link,) = await gateway.logged("listening for applications")
        assert link.pop("timestamp").endswith("Z")
        assert link == {"event": "listening for applications", "level": "info", "at": "unix:link"}
        assert gateway.out == ""


async def test_logs_can_be_fewer(tmp_path: Path) -> None:
    configure(tmp_path, "ws://127.0.0.1:0/")
    async with program("serve", "--log-level", "error", folder=tmp_path) as gateway:
        async with asyncio.timeout(10):
            while not (tmp_path / "link").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gateway.send(signal.SIGTERM)
        assert await gateway.ends() == 0
        assert gateway.err == ""


# --- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    configure(tmp_path)
    async with program("serve", folder=tmp_path) as gateway:
        ports = await gateway.ports(3)
        stage = Stage()
        async with (
            acting(stage.app, f"unix:{tmp_path / 'link'}"),
            v1_at(ports["ws"]) as page,
            person_at(ports["telnet"], telnet=True) as someone,
        ):
            await page.expect("welcome")
            code = await someone.shown_code()
            gateway.send(number)
            assert (await page.closed())[0] == 1012
            assert (await someone.rest()).endswith(f'*** Connect again and type "resume {code}".\n')
            someone.drop()
            assert await gateway.ends() == 0
    assert not (tmp_path / "link").exists()


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    configure(tmp_path, drain_seconds=60, more="[limits.connection]\nclose_seconds_max = 60")
    async with program("serve", folder=tmp_path) as gateway:
        ports = await gateway.ports(3)
        async with v1_at(ports["ws"]) as page:
            await page.expect("welcome")
            page.ws.transport.pause_reading()  # it does not answer our goodbye
            gateway.send(signal.SIGTERM)
            await refuses(ports["ws"])  # it is draining
            gateway.send(signal.SIGTERM)
            assert await gateway.ends() == 0
            page.drop()


async def refuses(port: int) -> None:
    """Wait until nobody listens there any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.transport.abort()
            await asyncio.sleep(0.01)


# --- a stopped process


async def test_a_gateway_that_was_stopped_gives_up_nobody_for_it(tmp_path: Path) -> None:
    """As one whose machine is moved, or whose terminal gets a Ctrl-Z."""
    limits = """
[limits.connection]
idle_seconds_max = 3
[limits.websocket]
heartbeat_seconds_max = 1.5
[limits.link]
heartbeat_seconds_max = 0.7
"""
    configure(tmp_path, more=limits)
    stage = Stage()
    async with (
        program("serve", folder=tmp_path) as gateway,
        acting(stage.app, f"unix:{tmp_path / 'link'}"),
    ):
        ports = await gateway.ports(3)
        async with (
            v1_at(ports["ws"]) as page,
            person_at(ports["tcp"], telnet=False) as someone,
        ):
            await page.expect("welcome")
            await someone.shown_code()
            await stage.until(lambda: len(stage.app.sessions) == 2)
            gateway.send(signal.SIGSTOP)
            someone.types("Are you there?")
            await asyncio.sleep(5)  # longer than any silence that is allowed
            gateway.send(signal.SIGCONT)
            await stage.noted("text", "Are you there?")
            await page.say("cmd", c=1, d="So am I.")
            await stage.noted("text", "So am I.")
            await asyncio.sleep(1)  # some turns of the timer wheel
            assert stage.notes == []
            assert [entry for entry in gateway.logs if entry["level"] != "info"] == []


# --- kill -9


async def session_of(stage: Stage, protocol: str) -> Any:
    await stage.until(lambda: any(one.protocol == protocol for one in stage.app.sessions.values()))
    return next(one for one in stage.app.sessions.values() if one.protocol == protocol)


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_after_a_kill_everybody_goes_on(tmp_path: Path, durability: str) -> None:
    configure(tmp_path, durability=durability)
    stage = Stage()
    async with acting(stage.app, f"unix:{tmp_path / 'link'}"):
        async with program("serve", folder=tmp_path) as gateway:
            ports = await gateway.ports(3)
            async with (
                v1_at(ports["ws"]) as page,
                person_at(ports["telnet"], telnet=True) as someone,
            ):
                welcome = await page.expect("welcome")
                code = await someone.shown_code()
                web, tel = await session_of(stage, "websocket"), await session_of(stage, "telnet")
                for number in range(1, 6):
                    await web.text(str(number))
                    await tel.text(str(number))
                await page.texts("5")
                await someone.sees("5\n")
                await stage.accepted()
                await page.say("cmd", c=1, d="look")
                assert (await page.expect("ack"))["c"] == 1
                gateway.send(signal.SIGKILL)
                assert await gateway.ends() == -signal.SIGKILL
                await page.closed()
        for session in (web, tel):
            await session.text("6")
        async with program("serve", folder=tmp_path) as gateway:
            ports = await gateway.ports(3)
            (taken_up,) = await gateway.logged("sessions loaded")
            assert (taken_up["sessions"], taken_up["clean"]) == (2, False)
            await gateway.logged("application linked")  # else people are told that it is away
            hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 4}
            async with (
                v1_at(ports["ws"], **hello) as page,
                person_at(ports["telnet"], telnet=True) as someone,
            ):
                resumed = await page.expect("resumed")
                assert (resumed["from"], resumed["cin"]) == (5, 1)
                # In `fast`, the last outputs may have been lost: a new log, which goes on here.
                assert (resumed["epoch"] == welcome["epoch"]) is (durability == "durable")
                assert await page.texts("6") == [(5, "5"), (6, "6")]
                someone.types(f"resume {code}")
                await someone.sees("Welcome back. Your session goes on.\n")
                screen = (await someone.sees("That was all.\n")).splitlines()
                # Nobody was there to see how far the lost connection got.
                assert screen[:6] == ["*** You may have seen this:", *"12345"]
                assert "6" in screen
                await page.say("cmd", c=1, d="look")  # it has our acknowledgement, and asks again
                await page.say("cmd", c=2, d="north")
                await stage.until(lambda: "north" in stage.texts)
                assert stage.texts == ["look", "north"]


# --- a full disk


def no_files_above(size: int) -> None:
    """Let this process write no file beyond `size` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


async def test_a_disk_without_room_refuses_new_sessions_and_keeps_the_old(tmp_path: Path) -> None:
    configure(tmp_path)
    async with program("serve", folder=tmp_path, before=lambda: no_files_above(300_000)) as gateway:
        ports = await gateway.ports(3)
        stage = Stage()
        async with acting(stage.app, f"unix:{tmp_path / 'link'}"), v1_at(ports["ws"]) as page:
            welcome = await page.expect("welcome")
            session = await session_of(stage, "websocket")
            number = 0
            while not any(entry["event"] == "store not writable" for entry in gateway.logs):
                number += 1
                await session.text(f"{number} {'x' * 5000}")
                await page.expect("text")
            (refused,) = await gateway.logged("store not writable")
            assert refused["level"] == "error"
            assert str(refused["error"]).startswith("sessions.db: ")
            async with v1_at(ports["ws"]) as other:
                assert (await other.closed())[0] == 1011
            gateway.send(signal.SIGKILL)
            await gateway.ends()
    # With room again, what was promised is there.
    async with program("serve", folder=tmp_path) as gateway:
        ports = await gateway.ports(3)
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with v1_at(ports["ws"], **hello) as page:
            assert (await page.hear())["sid"] == welcome["sid"]
