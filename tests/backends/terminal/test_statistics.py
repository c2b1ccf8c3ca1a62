"""What an operator sees of terminals."""

from __future__ import annotations

from pathlib import Path

from tests.backends.pty.running import config, shells
from tests.backends.ssh.running import configured, target
from tests.backends.ssh.servers import PASSWORD, scripted
from tests.backends.terminal.client import term_client, viewer
from tests.gateway.admin.asking import administered, told
from tests.gateway.counted.table import Meter
from tests.gateway.running import eventually, serving

from holdfast.backends.ssh.config import SshOptions


async def test_of_one_terminal(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server:
        options = SshOptions(target=(target(server),), known_hosts=server.known_hosts)
        async with (
            serving(administered(configured(options))) as gateway,
            term_client(gateway) as client,
        ):
            await client.asked("password")
            (sid,) = gateway.manager.sessions
            view = (await told(gateway, f"/api/sessions/{sid}"))["terminal"]
            assert (view["state"], view["target"], view["user"]) == ("connecting", "box", "ann")
            await client.answers(PASSWORD)
            await client.sees("$ ")
            await client.types("hello\r")
            await client.sees("you said hello\r\n$ ")
            await client.say("invite")
            token = (await client.told("invitation"))["token"]
            (session,) = gateway.manager.sessions.values()
            await eventually(lambda: session.out.acked == session.out.top)
            async with viewer(gateway, token) as watching:
                await watching.told("watching")
                view = (await told(gateway, f"/api/sessions/{sid}"))["terminal"]
                listed = (await told(gateway, "/api/sessions"))["items"][0]
                found = await Meter(gateway).read()
            assert view["state"] == "active"
            assert view["seconds"].keys() == {"created", "connecting", "active"}
            assert all(seconds >= 0 for seconds in view["seconds"].values())
            assert (view["bytes_in"], view["bytes_out"]) == (client.offset, len("hello\r"))
            assert (view["unacknowledged_bytes"], view["viewers"]) == (0, 1)
            assert (view["gaps"], view["reattachments"], view["recording"]) == (0, 0, "")
            assert 0 <= view["last_input"] < 60
            assert 0 < view["round_trip"] < 10
            assert listed["terminal"]["kind"] == "ssh"
            assert (listed["viewers"], found["session_viewers"]) == (1, 1)
            assert found["terminals{ssh,active}"] == found["terminal_opened_total{ssh}"] == 1
            assert found["terminal_received_bytes_total{ssh}"] == client.offset
            assert found["terminal_sent_bytes_total{ssh}"] == len("hello\r")
            assert found["terminal_state_seconds_count{ssh,connecting}"] == 1
            assert found["terminal_state_seconds_count{ssh,active}"] == 0


async def test_of_terminals_that_have_ended() -> None:
    async with serving(administered(config("sh", "-c", "exit 3"))) as gateway:
        async with term_client(gateway) as client:
            await client.told("exit")
            await client.ends()
        await eventually(lambda: not list(gateway.backends.terminals[0].views()))
        found = await Meter(gateway).read()
        assert found["terminals{pty,active}"] == found["terminals{pty,closed}"] == 0
        for state in ("created", "connecting", "active", "closing"):
            assert found[f"terminal_state_seconds_count{{pty,{state}}}"] == 1
        assert (
            found["terminal_stuck_total{pty}"]
            == found["terminal_forbidden_changes_total{pty}"]
            == 0
        )


async def test_of_clients_that_come_back() -> None:
    async with shells() as gateway:
        async with term_client(gateway) as client:
            token = (await client.told("ready"))["token"]
            await client.told("opened")
        async with term_client(gateway, token=token, n=client.offset) as client:
            assert (await client.told("opened"))["target"] == "bash"
            ((_, view),) = gateway.backends.terminals[0].views()
            assert (view.reattachments, view.gaps) == (1, 0)
