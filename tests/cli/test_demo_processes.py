"""The processes of `holdfast demo`: each is started again, and none stays behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.cli.process import is_gone, run
from tests.gateway.clients import person_at, v1_at
from tests.peers.gateways import demo, process_in


async def test_nobody_is_refused_while_the_gateway_is_away(tmp_path: Path) -> None:
    async with demo(tmp_path) as running:
        os.kill(running.process, signal.SIGSTOP)  # it would accept some in its last moments
        os.kill(running.process, signal.SIGKILL)
        async with (
            person_at(running.ports["tcp"], telnet=False) as person,
            v1_at(running.ports["ws"]) as client,
        ):
            again = process_in(await running.program.says("The gateway itself is process "))
            assert again != running.process
            await client.expect("welcome")
            await person.sees("Welcome to the chat.")
        # The chat is the same process, and links to the new one.
        assert "The chat itself" not in running.program.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_all(tmp_path: Path, number: signal.Signals) -> None:
    async with demo(tmp_path) as running, v1_at(running.ports["ws"]) as client:
        await client.expect("welcome")
        running.program.send(number)
        assert (await client.expect("bye"))["reason"] == "shutdown"
        assert await running.program.ends() == 0
        await is_gone(running.process)
        await is_gone(running.application)
        assert "exited" not in running.program.err


async def test_nothing_stays_when_it_is_killed(tmp_path: Path) -> None:
    async with demo(tmp_path) as running:
        running.program.send(signal.SIGKILL)
        await running.program.ends()
        await is_gone(running.process)
        await is_gone(running.application)
        async with demo(tmp_path, running.ports):
            pass  # the addresses and the data are free again


async def test_a_gateway_that_cannot_start_is_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link.sock").write_text("no socket")
    urls = [f"--{name}={scheme}://127.0.0.1:0" for name, scheme in
            (("web", "ws"), ("telnet", "telnet"), ("tcp", "tcp"))]  # fmt: skip
    code, out, err = await run("demo", *urls, "--data", "data", folder=tmp_path)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "holdfast: unix:data/link.sock: expected a socket or nothing, found a file"
    ]


async def test_an_address_that_is_used_is_told_before_anything_starts(tmp_path: Path) -> None:
    async with demo(tmp_path) as running:
        used = running.url("telnet")
        options = ["--web=ws://127.0.0.1:0/", "--tcp=tcp://127.0.0.1:0", f"--telnet={used}"]
        code, out, err = await run("demo", *options, folder=tmp_path)
        assert (code, out) == (1, "")
        assert err == f"holdfast: {used}: another process listens there already\n"
