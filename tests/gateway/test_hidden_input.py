"""What is typed while input is hidden is in no file, and not lost where the client can help it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.clients import person, v1
from tests.gateway.running import Durability, Stage, configured, linked, serving


def stored(folder: Path) -> bytes:
    """Everything that the store has written."""
    return b"".join(path.read_bytes() for path in folder.glob("sessions.db*"))


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_a_hidden_command_is_kept_by_its_client_alone(
    durability: Durability, tmp_path: Path
) -> None:
    config = configured(tmp_path, durability=durability)
    async with serving(config) as gateway, v1(gateway) as client:
        async with linked(gateway) as stage:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.session.input_mode("secret")
            await client.expect("mode")
        await client.say("cmd", c=1, d="hunter2")
        await client.say("cmd", c=2, d="behind")
        await gateway.journal.settled()
        await client.say("ping")
        await client.expect("pong")
        assert [message for message in client.got if message["t"] == "ack"] == []
    assert b"hunter2" not in stored(tmp_path)
    stage = Stage()
    async with serving(config) as gateway, linked(gateway, stage):
        position = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with v1(gateway, **position) as client:
            assert (await client.expect("resumed"))["cin"] == 0
            await client.say("cmd", c=1, d="hunter2")
            await client.say("cmd", c=2, d="behind")
            await stage.heard("hunter2", "behind")
            assert (await client.expect("ack"))["c"] == 2
    assert b"hunter2" not in stored(tmp_path)


async def test_a_password_for_a_server_that_lags_is_in_no_file(tmp_path: Path) -> None:
    """A person at a terminal has it lost with the gateway, and is asked again."""
    config = configured(tmp_path)
    async with serving(config) as gateway, person(gateway, "telnet") as someone:
        async with linked(gateway) as stage:
            await someone.shown_code()
            await stage.noted("open")
            someone.types("before")
            await stage.heard("before")
            await stage.session.input_mode("secret")
            await stage.accepted()
        someone.types("hunter2", "hunter3")
        await someone.sees("The application is away.")
        (session,) = gateway.manager.sessions.values()
        while session.inbox.top < 3:
            await gateway.journal.settled()
        await gateway.journal.settled()
        assert b"hunter" not in stored(tmp_path)
        stage = Stage()
        async with linked(gateway, stage):
            await stage.heard("hunter2", "hunter3")
    assert b"hunter" not in stored(tmp_path)
