"""What clients see and what is kept while no application is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import (
    SECONDS,
    WS,
    Durability,
    Stage,
    acting,
    configured,
    linked,
    serving,
)

from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.limits import Limits

AWAY = "The application is away. What you type is kept, and runs when it is back."
NOT_YET = "The application is not here yet. Hold on."
FULL = "Too much is waiting already. What you have typed since is taken when there is room."


async def test_commands_typed_meanwhile_run_once_and_in_order(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path)) as gateway,
        v1(gateway) as page,
        person(gateway, "telnet") as telnet,
        person(gateway, "tcp") as tcp,
        plain(gateway) as bare,
    ):
        for terminal in (telnet, tcp):
            await terminal.shown_code()
        async with linked(gateway) as before:
            await before.until(lambda: before.notes.count(("open",)) == 4)
            for session in before.app.sessions.values():
                await session.text("hello")
            await page.expect("text")
            for terminal in (telnet, tcp):
                await terminal.sees("hello\n")
            assert await bare.hear() == "*** The application is not here yet. Hold on."
            assert await bare.hear() == "hello"
        page.got.clear()
        # One notice each, and nothing else.
        assert (await page.expect("notice"))["d"] == AWAY
        for number in range(1, 4):
            await page.say("cmd", c=number, d=f"page {number}")
            telnet.types(f"telnet {number}")
            tcp.types(f"tcp {number}")
            await bare.ws.send(f"bare {number}")
        async with linked(gateway) as after:
            await after.until(lambda: len(after.texts) >= 12)
            for who in ("page", "telnet", "tcp", "bare"):
                assert [text for text in after.texts if str(text).startswith(who)] == [
                    f"{who} {number}" for number in range(1, 4)
                ]
            assert after.notes.count(("adopt",)) == 4
            for session in after.app.sessions.values():
                await session.text("I am back")
            assert [await bare.hear(), await bare.hear()] == [f"*** {AWAY}", "I am back"]
            for terminal in (telnet, tcp):
                assert await terminal.sees("back\n") == f"*** {AWAY}\nI am back\n"
            await page.texts("I am back")
            assert all(message["t"] != "notice" for message in page.got)


async def test_what_was_applied_before_is_not_run_again(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, v1(gateway) as client:
        async with linked(gateway) as before:
            for number in range(1, 4):
                await client.say("cmd", c=number, d=str(number))
            await before.heard("1", "2", "3")
        await client.say("cmd", c=4, d="4")
        async with linked(gateway) as after:
            await after.heard("4")


async def test_a_client_that_comes_before_the_application_waits(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        assert (await client.expect("notice"))["d"] == NOT_YET
        await client.say("cmd", c=1, d="look")
        async with linked(gateway) as stage:
            await stage.noted("open")
            await stage.heard("look")
            await stage.session.text("A room.")
            await client.expect("text")


async def test_many_clients_that_waited_are_all_opened(tmp_path: Path) -> None:
    """Their openings come in one piece with the welcome of the link."""
    async with serving(configured(tmp_path)) as gateway, asyncio.TaskGroup() as tasks:
        ready = asyncio.Semaphore(0)
        leave = asyncio.Event()

        async def wait() -> None:
            async with v1(gateway) as client:
                await client.expect("notice")
                ready.release()
                assert (await client.expect("text"))["d"] == "hello"
                ready.release()
                await leave.wait()

        for _ in range(20):
            tasks.create_task(wait())
        async with asyncio.timeout(SECONDS):
            for _ in range(20):
                await ready.acquire()
        async with linked(gateway) as stage:
            await stage.until(lambda: stage.notes.count(("open",)) == 20)
            for session in stage.app.sessions.values():
                await session.text("hello")
            async with asyncio.timeout(SECONDS):
                for _ in range(20):
                    await ready.acquire()
            assert stage.notes == [("open",)] * 20
            leave.set()


async def test_who_comes_while_it_is_away_is_told(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway:
        async with linked(gateway):
            pass
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            assert (await client.expect("notice"))["d"] == AWAY
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert [(await client.hear())["t"] for _ in range(2)] == ["resumed", "notice"]


async def test_a_session_that_is_cut_off_meanwhile_is_told_as_such(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway:
        stage = Stage()
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            async with linked(gateway, stage):
                await stage.noted("open")
            await client.say("cmd", c=1, d="look")
            await client.say("ack", n=0)
            await client.expect("ack")
        async with linked(gateway) as after:
            await after.noted("text", "look")
            assert not after.session.attached
            async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]):
                await after.noted("resume")
                assert after.session.attached


@pytest.mark.parametrize("durability", ["fast", "durable"])
@pytest.mark.parametrize(("fresh", "told"), [(False, ("resume",)), (True, ("resync", "fresh"))])
async def test_an_application_that_is_back_after_its_client_is_told_what_is_true(
    tmp_path: Path, durability: Durability, fresh: bool, told: tuple[str, ...]
) -> None:
    """The gateway is started again, and nothing is lost; a page may have been loaded anew."""
    first, then = tmp_path / "first", tmp_path / "then"
    stage = Stage()
    async with acting(stage.app, f"unix:{first}"):
        config = configured(tmp_path, [WS], durability=durability)
        async with (
            serving(replace(config, link=LinkConfig(f"unix:{first}"))) as gateway,
            v1(gateway) as client,
        ):
            welcome = await client.expect("welcome")
            await stage.noted("open")
        await stage.noted("detach", "client_left")
        hello = {} if fresh else {"epoch": welcome["epoch"]}
        async with (
            serving(replace(config, link=LinkConfig(f"unix:{then}"))) as gateway,
            v1(gateway, token=welcome["token"], **hello) as client,
        ):
            await client.expect("reset" if fresh else "resumed")
            first.symlink_to(then)  # and with that, the application finds the gateway
            await client.say("cmd", c=1, d="look")
            await stage.until(lambda: ("text", "look") in stage.notes)
            assert stage.notes == [told, ("text", "look")]


# --- the queue

FEW = Limits().but(session={"queue_messages_max": 3})
SMALL = Limits().but(session={"queue_bytes_max": 300})


@pytest.mark.parametrize(
    ("limits", "line"), [(FEW, "{}"), (SMALL, "{}" + "x" * 70)], ids=["count", "bytes"]
)
async def test_a_full_queue_is_told_to_a_terminal(
    tmp_path: Path, limits: Limits, line: str
) -> None:
    async with serving(configured(tmp_path, limits=limits)) as gateway:
        async with linked(gateway):
            pass
        async with person(gateway, "tcp") as someone:
            await someone.sees("is back.\n")
            for number in range(1, 6):
                someone.types(line.format(number))
            await someone.sees(f"*** {FULL}\n")  # once
            async with linked(gateway) as stage:
                await stage.heard(*(line.format(number) for number in range(1, 6)))
                someone.types("look")
                await stage.noted("text", "look")


async def test_a_full_queue_is_waited_for_by_a_client_that_numbers(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, limits=FEW)) as gateway:
        async with linked(gateway):
            pass
        async with v1(gateway) as client:
            await client.expect("welcome")
            for number in range(1, 6):
                await client.say("cmd", c=number, d=str(number))
            async with linked(gateway) as stage:
                # When there is room again, it is asked for what was not taken.
                assert (await client.expect("resend"))["c"] == 4
                for number in range(4, 6):
                    await client.say("cmd", c=number, d=str(number))
                await stage.heard("1", "2", "3", "4", "5")


# --- numbers


async def test_a_repeated_command_is_acknowledged_again_and_not_run(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path)) as gateway,
        linked(gateway) as stage,
        v1(gateway) as client,
    ):
        await client.say("cmd", c=1, d="one")
        assert (await client.expect("ack"))["c"] == 1
        await client.say("cmd", c=1, d="one")
        assert (await client.expect("ack"))["c"] == 1
        await client.say("cmd", c=2, d="two")
        await stage.heard("one", "two")


async def test_a_gap_is_asked_for(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path)) as gateway,
        linked(gateway) as stage,
        v1(gateway) as client,
    ):
        await client.say("cmd", c=1, d="one")
        await client.say("cmd", c=3, d="three")
        assert (await client.expect("resend"))["c"] == 2
        await client.say("cmd", c=2, d="two")
        await client.say("cmd", c=3, d="three")
        await stage.heard("one", "two", "three")


async def test_a_resumed_client_hears_which_commands_were_taken(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, linked(gateway) as stage:
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.say("cmd", c=2, d="two")
            await stage.heard("one", "two")
            client.drop()
        await stage.noted("detach", "network_error")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert (await client.expect("resumed"))["cin"] == 2


async def test_half_a_command_is_never_run(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, linked(gateway) as stage:
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            someone.types("look")
            someone.sends(b"drop al")
            await stage.heard("look")
            someone.drop()
        await stage.noted("detach", "network_error")
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}", "north")
            await stage.noted("text", "north")
            assert stage.texts == []
