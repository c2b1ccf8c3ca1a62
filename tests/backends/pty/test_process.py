"""Commands of this machine in terminals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.backends.pty.running import OWN, SHELL, config, shells
from tests.backends.terminal.client import connected, term_client
from tests.gateway.clients import GMCP, person
from tests.gateway.running import SECONDS, WS, eventually, serving

from holdfast.backends import pty
from holdfast.backends.pty import process
from holdfast.backends.pty.config import PtyOptions
from holdfast.backends.terminal import gathering
from holdfast.core.errors import ConfigurationError
from holdfast.core.items import Binary
from holdfast.core.limits import MIB, Limits
from holdfast.gateway.config import Config, ListenerConfig, check


async def test_a_shell() -> None:
    async with shells() as gateway, term_client(gateway, cols=100, rows=30) as client:
        await client.told("opened")
        await client.types("stty size; tty; echo FI''NISH $TERM\r")
        seen = await client.sees("FINISH xterm-256color")
        assert b"30 100" in seen
        assert b"/dev/pts/" in seen
        await client.say("resize", cols=90, rows=20)
        await client.types("stty size\r")
        await client.sees("20 90")
        await client.types("exit 5\r")
        assert (await client.told("exit"))["status"] == 5
        assert (await client.ends())[0] == 4004


async def test_control_c_reaches_what_runs() -> None:
    async with shells() as gateway, term_client(gateway) as client:
        await client.told("opened")
        await client.types("yes\r")
        await client.sees("y\r\ny\r\n")
        await client.types(b"\x03")
        await client.types("echo BA''CK\r")
        await client.sees("BACK")
        await client.types("sh -c \"echo STA''RTED; exec sleep 100\"\r")
        await client.sees("STARTED")
        await client.types(b"\x03")
        await client.types("echo AG''AIN\r")
        await client.sees("AGAIN")


async def test_nothing_of_the_gateway_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_SECRET", "s3cret")
    command = ("sh", "-c", "env; ls /proc/self/fd; echo DONE")
    async with shells(*command) as gateway, term_client(gateway) as client:
        seen = await client.sees("DONE")
        assert b"s3cret" not in seen
        assert b"3\r\n4\r\n" not in seen, "it has its terminal, and what `ls` opens"


async def test_what_runs_ends_with_its_session() -> None:
    """Also what ignores that its terminal is gone, and what has been left in the background."""
    script = (
        "set -m; trap '' HUP; (trap '' HUP; sleep 1000) & "
        'echo "PIDS $$ $!"; while :; do sleep 1; done'
    )
    limits = Limits().but(terminal={"closing_seconds_max": 0.3})
    async with shells("bash", "-c", script, limits=limits) as gateway:
        async with term_client(gateway) as client:
            await client.sees("PIDS ")
            pids = [int(pid) for pid in (await client.sees("\r\n")).split()]
            await client.say("close")
            await client.ends()
        await eventually(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_command_that_a_signal_ends() -> None:
    async with shells("bash", "-c", "kill -TERM $$") as gateway, term_client(gateway) as client:
        assert (await client.told("exit"))["signal"] == "TERM"


async def test_a_signal_of_the_client() -> None:
    command = ("sh", "-c", "echo READY; exec sleep 1000")
    async with shells(*command) as gateway, term_client(gateway) as client:
        await client.sees("READY")  # the command has its terminal
        client.c += 1
        await client.say("signal", c=client.c, name="TERM")
        assert (await client.told("exit"))["signal"] == "TERM"


async def test_a_signal_right_after_the_start_is_not_lost() -> None:
    """There is a session with a process group as soon as there is a terminal."""
    for name in ("TERM", "INT", "KILL"):
        async with shells("sleep", "1000") as gateway, term_client(gateway) as client:
            await client.told("opened")
            client.c += 1
            await client.say("signal", c=client.c, name=name)
            assert (await client.told("exit"))["signal"] == name


@pytest.mark.parametrize("value", [5, None, ["TERM"], "NONE"])
async def test_a_signal_that_is_none_is_ignored(value: object) -> None:
    async with shells() as gateway, person(gateway, "telnet", GMCP) as ann:
        await ann.sees("resume")
        (sid,) = gateway.manager.sessions
        ann.tells("Terminal.Signal", value)
        ann.types("echo FI''NISH")
        await ann.sees("FINISH")
        assert [session.sid for session in gateway.manager.sessions.values()] == [sid]


async def test_a_failure_while_input_is_forwarded_ends_its_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two terminals with input in one tick."""
    write = process.PtyChannel.write

    def fails(channel: process.PtyChannel, data: bytes) -> None:
        if data == b"FAIL":
            raise RuntimeError("the write has failed")
        write(channel, data)

    monkeypatch.setattr(process.PtyChannel, "write", fails)
    async with shells() as gateway, term_client(gateway) as ann, term_client(gateway) as ben:
        await ann.told("opened")
        await ben.told("opened")
        first, second = gateway.manager.sessions.values()
        first.receive_numbered(1, Binary(b"FAIL"))
        second.receive_numbered(1, Binary(b"echo FI''NISH\r"))
        await ben.sees("FINISH")
        assert (await ann.told("error"))["code"] == "internal"
        assert (await ann.ends())[0] == 4005


async def test_a_client_that_lags_is_told_of_its_terminal_and_of_its_end() -> None:
    """Its connection is full when the program ends."""
    size = 16 * MIB
    limits = Limits().but(
        terminal={"ring_bytes_max": 2 * size, "unshown_bytes_max": 2 * size},
        connection={"close_seconds_max": SECONDS},
    )
    script = f"stty -echo; echo READY; read go; head -c {size} /dev/zero; read go; exit 3"
    async with shells("sh", "-c", script, limits=limits) as gateway:
        async with term_client(gateway) as client:
            token = (await client.told("ready"))["token"]
            await client.told("opened")
            await client.sees("READY")
            await client.types("\r")
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: not session.attached and session.out.top > size)
        async with term_client(gateway, token=token, n=0) as client:
            await client.told("ready")
            await client.types("\r")
            (terminal,) = gateway.backends.terminals
            await eventually(lambda: [view.state for _, view in terminal.views()] != ["active"])
            await client.told("opened")
            assert (await client.told("exit"))["status"] == 3
            assert client.offset > size, "nothing of the output is lost"


async def test_control_c_right_after_the_start_is_not_lost() -> None:
    async with shells("sleep", "1000") as gateway, term_client(gateway) as client:
        await client.told("opened")
        await client.types(b"\x03")
        assert (await client.told("exit"))["signal"] == "INT"


async def test_a_command_that_cannot_take_its_terminal() -> None:
    async with shells("no-such-program-behind-which") as gateway, term_client(gateway) as client:
        assert (await client.told("exit"))["status"] == 127


async def test_what_is_typed_ahead_is_not_lost() -> None:
    async with shells() as gateway, term_client(gateway) as client:
        await client.told("ready")
        await client.types("echo AHE''AD\r")
        await client.sees("AHEAD")


async def test_a_client_that_leaves_before_its_session_is_ready() -> None:
    async with shells() as gateway:
        for _ in range(3):
            async with connected(gateway) as client:
                await client.say("open")
                await client.say("close")
                assert (await client.ends())[0] == 1000
        await eventually(lambda: not gateway.manager.sessions)
        await eventually(lambda: not list(gateway.backends.terminals[0].views()))


async def test_a_large_paste_comes_whole() -> None:
    text = "x" * 60 + "\n"
    lines = 3_000
    command = ("sh", "-c", f"stty raw -echo; echo READY; head -c {len(text) * lines} | cksum")
    async with shells(*command) as gateway, term_client(gateway) as client:
        await client.sees("READY")
        pasted = (text * lines).encode()
        for at in range(0, len(pasted), 16_384):
            await client.types(pasted[at : at + 16_384])
        check = await asyncio.create_subprocess_exec(
            "cksum", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        wanted, _ = await check.communicate(pasted)
        await client.sees(wanted.strip())


async def test_a_user_who_is_deleted_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def deleted(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    async with shells() as gateway:
        monkeypatch.setattr(pwd, "getpwnam", deleted)
        before = _terminals_open()
        async with term_client(gateway) as client:
            await client.told("error")
        assert _terminals_open() == before


def _terminals_open() -> int:
    """How many descriptors of terminals this process has."""
    links = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the folder
            links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sum(link.startswith(("/dev/ptmx", "/dev/pts/")) for link in links)


async def test_processes_are_looked_up_outside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    left_behind = process._left_behind

    def noted(session: int) -> Iterator[int]:
        threads.append(threading.current_thread())
        return left_behind(session)

    monkeypatch.setattr(process, "_left_behind", noted)
    async with shells() as gateway, term_client(gateway) as client:
        await client.told("opened")
        await client.say("close")
        await client.ends()
        await eventually(lambda: bool(threads))
    assert threading.main_thread() not in threads


async def test_a_person_at_a_line_terminal() -> None:
    async with shells() as gateway:
        for scheme in ("telnet", "tcp"):
            async with person(gateway, scheme) as ann:
                await ann.sees("resume")
                ann.types("echo FI''NISH")
                seen = await ann.sees("FINISH")
                assert "echo FI" not in seen, "what is typed is not shown twice"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run a command as another user")
async def test_as_another_user() -> None:
    async with (
        serving(
            config("sh", "-c", "id -un; id -gn; id -Gn; tty; echo DONE", user="nobody")
        ) as gateway,
        term_client(gateway) as client,
    ):
        seen = await client.sees("DONE")
        assert seen.startswith(b"nobody\r\nnogroup\r\n")
        assert b"root" not in seen
        assert b"/dev/pts/" in seen


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "pty.command: expected a command, found none"),
        ({"command": ("no-such-program",)}, "expected a program, found 'no-such-program'"),
        ({"command": ("sh",), "user": "no-such-user"}, "expected a user of this machine"),
        ({"command": ("sh",), "user": OWN, "away": "wait"}, "'drain' or 'pause', found 'wait'"),
        ({"command": ("sh",), "user": OWN, "folder": "/no/such"}, "expected a folder"),
        ({"command": ("sh",), "user": OWN, "record": "/no/such"}, "expected a folder"),
        ({"command": ("sh",), "user": OWN, "environment": ("A",)}, "expected NAME=value"),
    ],
    ids=["none", "program", "user", "away", "folder", "record", "environment"],
)
def test_bad_configurations(options: dict[str, object], fault: str) -> None:
    listener = ListenerConfig(url=WS, backend=pty.Config(PtyOptions(**options)))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=fault):
        check(Config(listener=(listener,)))


async def test_a_recording(tmp_path: Path) -> None:
    async with serving(config(*SHELL, record=str(tmp_path))) as gateway:
        async with term_client(gateway) as client:
            assert (await client.told("opened"))["recorded"] is True
            await client.types("echo FI''NISH é\r")
            await client.sees("FINISH é")
            await client.say("resize", cols=90, rows=20)
            await client.types("exit\r")
            await client.ends()
        (session,) = [path.stem for path in tmp_path.iterdir()]  # noqa: ASYNC240
        await eventually(lambda: not gateway.manager.sessions)
    header, *events = [
        json.loads(line) for line in (tmp_path / f"{session}.cast").read_text().splitlines()
    ]
    assert (header["version"], header["term"]) == (3, {"cols": 80, "rows": 24})
    assert all(seconds >= 0 for seconds, _, _ in events)
    assert {code for _, code, _ in events} == {"o", "r"}, "what was typed is not in it"
    assert "FINISH é" in "".join(text for _, code, text in events if code == "o")
    assert "90x20" in [text for _, code, text in events if code == "r"]
    assert (tmp_path / f"{session}.cast").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("then", ["close", "resize"])
async def test_a_recording_holds_output_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """After the end, it takes no room in the window, which is given back already."""
    monkeypatch.setattr(gathering, "_SECONDS", 3_600.0)
    waiting = "".join(f"<{number}>" for number in range(200))
    async with shells(record=str(tmp_path)) as gateway:
        async with term_client(gateway) as client:
            await client.told("opened")
            (session,) = gateway.manager.sessions.values()
            (bridge,) = gateway.backends.terminals[0]._bridges.values()
            await client.types("printf %0400d 0\r")
            await eventually(lambda: bridge._gathering._timed)  # once that has been given
            await client.types('for ((n=0; n<200; n++)); do b+="<$n>"; done; echo $b; read\r')
            await eventually(lambda: b"<199>" in b"".join(bridge._gathering._parts))
            if then == "resize":
                await client.say("resize", cols=90, rows=20)
            await client.say("close")
            await client.ends()
        await eventually(lambda: not list(gateway.backends.terminals[0].views()))
        bridge._gathering.flush()  # as its timer does
        assert not session.out.entries
        assert gateway.manager.windows.used == 0
    (cast,) = tmp_path.glob("*.cast")  # noqa: ASYNC240
    events = [json.loads(line) for line in cast.read_text().splitlines()[1:]]
    if then == "resize":
        events = events[: [text for _, _, text in events].index("90x20")]
    assert waiting in "".join(text for _, code, text in events if code == "o")


async def test_a_recording_holds_what_is_typed_only_where_that_is_asked_for(tmp_path: Path) -> None:
    async with shells(record=str(tmp_path), record_input=True) as gateway:
        async with term_client(gateway) as client:
            await client.told("opened")
            await client.types("exit\r")
            await client.ends()
        await eventually(lambda: not list(gateway.backends.terminals[0].views()))
    (cast,) = tmp_path.glob("*.cast")  # noqa: ASYNC240
    events = [json.loads(line) for line in cast.read_text().splitlines()[1:]]
    assert "".join(text for _, code, text in events if code == "i") == "exit\r"
