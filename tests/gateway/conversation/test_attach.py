"""What every client is told when it takes a session up: what stands, beside what it missed."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.clients import person, plain, v1
from tests.gateway.running import configured, staged


async def test_an_open_prompt_is_shown_to_whoever_comes_back(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.session.prompt("Name? ")
            await someone.sees("Name? ")
            (session,) = gateway.manager.sessions.values()
            session.out.prove(session.out.top)  # it is known to have it: no replay
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            code = await someone.shown_code()
            await someone.sees("Name? ")
            await stage.noted("resume")
            someone.types("ann")
            await stage.noted("text", "ann")
            session.out.prove(session.out.top)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.shown_code()
            await stage.session.text("next")
            assert "Name? " not in await someone.sees("next\n")  # it was answered


async def test_a_prompt_that_is_asked_again_stands_once(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.session.prompt("> ")
            await someone.sees("> ")
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await stage.noted("resume")
            await someone.shown_code()
            await someone.sees("> ")
            await stage.session.prompt("> ")
            await stage.session.text("next")
            assert "> " not in await someone.sees("next\n")


async def test_how_typing_is_taken_is_told_at_every_attach(tmp_path: Path) -> None:
    """A client that was cut off while it hid what is typed hears that it is shown again."""
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.session.input_mode("secret")
            assert (await client.expect("mode"))["d"] == "secret"
            client.drop()
        await stage.noted("detach", "network_error")
        await stage.session.input_mode("line")
        await stage.accepted()
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
        async with v1(gateway, **hello) as client:
            await client.expect("resumed")
            assert (await client.expect("mode"))["d"] == "line"


async def test_what_another_client_can_do_is_told(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with v1(gateway, code=code, width=100, height=30) as client:
            await client.expect("resumed")
            await stage.until(lambda: any(note[0] == "capabilities" for note in stage.notes))
            known = stage.session.capabilities
            assert (known.width, known.height, known.data) == (100, 30, True)


async def test_a_reset_is_followed_by_what_is_kept_for_gmcp_too(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "telnet", 201) as someone:
            await someone.shown_code()
            someone.tells("Holdfast.Hello", {})
            welcome = await someone.told("Holdfast.Welcome")
            await stage.noted("open")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(1, 3)
        await stage.accepted()
        async with person(gateway, "telnet", 201) as someone:
            await someone.shown_code()
            hello = {"token": welcome["token"], "epoch": "0123456789abcdef", "last": 1}
            someone.tells("Holdfast.Hello", hello)
            assert (await someone.told("Holdfast.Reset"))["top"] == 0
            assert "1\n2\n3\n" in await someone.sees("3\n")


async def test_a_second_hello_ends_nothing(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            for hello in ({}, {"token": welcome["token"]}, {"token": welcome["token"], "last": 0}):
                await client.say("hello", **hello)
                assert "you are in" in (await client.expect("refused"))["reason"]
            await client.say("cmd", c=1, d="still")
            await stage.noted("text", "still")
        async with person(gateway, "telnet", 201) as someone:
            await someone.shown_code()
            someone.tells("Holdfast.Hello", {})
            token = (await someone.told("Holdfast.Welcome"))["token"]
            for _ in range(2):
                someone.tells("Holdfast.Hello", {"token": token})  # its script was loaded again
                token = (await someone.told("Holdfast.Welcome"))["token"]
            someone.types("still there")
            await stage.noted("text", "still there")
        async with plain(gateway) as bare:
            await bare.ws.send("plain")
            await stage.noted("text", "plain")
        assert len(gateway.manager.sessions) == 3
