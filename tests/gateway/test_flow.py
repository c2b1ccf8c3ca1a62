"""Clients that send too much, or read too little."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import configured, linked, serving, staged

from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway

CALM = Limits().but(session={"command_burst_max": 10, "commands_per_second_max": 0.1})

# --- floods


async def test_a_flood_on_v1_ends_the_connection_and_keeps_the_session(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=CALM)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            client.say_at_once({"t": "cmd", "c": c, "d": str(c)} for c in range(1, 31))
            assert await client.closed() == (1008, "too much, too fast")
            assert client.got[-1]["retry_ms"] == -1
        await stage.noted("detach", "flood")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert (await client.expect("resumed"))["cin"] == 10


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_a_flood_at_a_terminal(tmp_path: Path, scheme: str) -> None:
    async with staged(configured(tmp_path, limits=CALM)) as (gateway, stage):
        async with person(gateway, scheme) as someone:
            await someone.shown_code()
            someone.types(*map(str, range(1, 31)))
            assert await someone.rest() == "*** Too much, too fast.\n"
        await stage.noted("detach", "flood")


async def test_who_is_a_little_too_quick_waits_for_its_turn_and_loses_nothing(
    tmp_path: Path,
) -> None:
    swift = Limits().but(session={"command_burst_max": 10, "commands_per_second_max": 50.0})
    async with staged(configured(tmp_path, limits=swift)) as (gateway, stage):
        async with v1(gateway) as client, person(gateway, "telnet") as someone:
            await someone.shown_code()
            for first in range(1, 61, 10):
                numbers = range(first, first + 10)
                client.say_at_once({"t": "cmd", "c": c, "d": f"a{c}"} for c in numbers)
                someone.types(*(f"b{number}" for number in numbers))
                await stage.has_heard(2 * numbers[-1])
        for who in "ab":
            said = [text for text in map(str, stage.texts) if text.startswith(who)]
            assert said == [f"{who}{number}" for number in range(1, 61)]


async def test_a_text_of_many_lines_counts_as_so_many(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=CALM)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        text = "\n".join("abcdefgh")
        client.say_at_once({"t": "cmd", "c": c, "d": f"{text}\n{c}"} for c in (1, 2))
        await stage.heard(f"{text}\n1")
        (session,) = gateway.manager.sessions.values()
        assert session.inbox.cin == 1, "the second came with the first, and waits for its turn"


async def test_a_text_of_too_many_lines_is_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    many = "x\n" * 101
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client, plain(gateway) as other:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d=many)
            told = (await client.expect("notice"))["d"]
            assert told == "Too many lines at once: at most 100 are taken. None was."
            await client.say("cmd", c=2, d="after")
            await other.ws.send(many)
            assert await other.hear() == f"*** {told}"
            await other.ws.send("and after")
            await stage.has_heard(2)
            assert set(stage.texts) == {"after", "and after"}
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert (await client.expect("resumed"))["cin"] == 2


REQUESTS: dict[str, dict[str, object]] = {
    "resize": {"width": 80, "height": 24},
    "code": {},
    "login": {"username": "x"},
    "profile": {"id": "x"},
}


@pytest.mark.parametrize("t", REQUESTS)
async def test_what_is_asked_of_the_house_counts_too(tmp_path: Path, t: str) -> None:
    async with staged(configured(tmp_path, limits=CALM)) as (gateway, _), v1(gateway) as client:
        client.say_at_once({"t": t, **REQUESTS[t]} for _ in range(30))
        assert await client.closed() == (1008, "too much, too fast")


async def test_acknowledgements_and_signs_of_life_are_free(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=CALM)) as (gateway, stage), v1(gateway) as client:
        for _ in range(100):
            await client.say("ack", n=0)
            await client.say("ping")
        await client.say("cmd", c=1, d="look")
        await stage.heard("look")


async def test_others_are_served_meanwhile(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, limits=CALM)) as (gateway, stage),
        person(gateway, "tcp") as calm,
        person(gateway, "tcp") as wild,
    ):
        await calm.shown_code()
        wild.sends(b"x\n" * 100_000)
        await wild.sees("too fast")
        calm.types("look")
        await stage.noted("text", "look")


# --- slow readers

LONG = "x" * 60_000
TIGHT = Limits().but(
    session={"window_messages_max": 10, "window_bytes_max": 1 << 24},
    connection={"write_buffer_bytes_max": 1 << 14, "close_seconds_max": 0.3},
)


async def test_a_slow_reader_is_detached_and_comes_back(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=TIGHT)) as (gateway, stage):
        async with person(gateway, "tcp", small_window=True) as slow:
            code = await slow.shown_code()
            await stage.noted("open")
            said = 0
            while ("detach", "slow_consumer") not in stage.notes:
                said += 1
                await stage.session.text(f"{said} {LONG}")
                await stage.accepted()
        async with person(gateway, "tcp") as again:
            again.types(f"resume {code}")
            screen = await again.sees("That was all.\n")
            # What could not be kept is told; the rest is whole and in order.
            shown = [int(line.split()[0]) for line in screen.splitlines() if LONG in line]
            # (A full window of ten lets two go at a time.)
            assert shown == list(range(said - 8, said + 1))
            assert f"*** {said - 9} older lines could not be kept.\n" in screen


async def test_who_makes_no_progress_is_detached(tmp_path: Path) -> None:
    patient = TIGHT.but(
        session={"window_messages_max": 1000}, connection={"stalled_seconds_max": 0.3}
    )
    async with (
        staged(configured(tmp_path, limits=patient)) as (gateway, stage),
        person(gateway, "tcp", small_window=True) as slow,
    ):
        await slow.shown_code()
        await stage.noted("open")
        for number in range(200):  # fits the window: it is the progress that is missed
            await stage.session.text(f"{number} {LONG}")
        await stage.noted("detach", "slow_consumer")


async def test_a_slow_reader_does_not_slow_the_others(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, limits=TIGHT)) as (gateway, stage),
        person(gateway, "tcp", small_window=True) as slow,
        v1(gateway) as quick,
    ):
        await slow.shown_code()
        await quick.expect("welcome")
        await stage.until(lambda: stage.notes.count(("open",)) == 2)
        for number in range(100):
            for session in stage.app.sessions.values():
                await session.text(f"{number} {LONG}")
            assert (await quick.expect("text"))["d"] == f"{number} {LONG}"
            await quick.say("ack", n=number + 1)


async def test_only_the_newest_of_a_key_is_sent(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
        await stage.noted("detach", "client_left")
        session = stage.session
        for number in range(1, 4):
            await session.data("Char.Vitals", {"hp": number}, latest=True)
            await session.prompt(f"{number}> ")
        await session.text("end")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            await client.expect("text")
            assert [(m["t"], m.get("n"), m.get("d")) for m in client.got[1:]] == [
                ("skip", 4, None),
                ("data", 5, {"hp": 3}),
                ("prompt", 6, "3> "),
            ]


async def test_volatile_items_are_for_who_is_there(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
        await stage.noted("detach", "client_left")
        await stage.session.data("Char.Noise", {}, volatile=True)
        await stage.session.text("kept")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert (await client.expect("text"))["n"] == 1
            assert [message["t"] for message in client.got] == ["resumed"]


# --- who does not read our answers


def unsent(gateway: Gateway) -> int:
    """How much waits for clients that do not read."""
    return max(connection.unsent for connection in gateway._server.connections)


async def test_pings_without_end_fill_no_memory(tmp_path: Path) -> None:
    limits = Limits().but(connection={"write_buffer_bytes_max": 1 << 16})
    config = configured(tmp_path, ["ws://127.0.0.1:0/"], limits=limits)
    async with staged(config) as (gateway, _), plain(gateway) as client:
        client.ws.transport.pause_reading()
        pings = bytes.fromhex("89fd00000000") + bytes(125)
        # From some point on it is not listened to, and can send no more.
        most = 0
        for _ in range(600):
            client.ws.transport.write(pings * 500)
            await asyncio.sleep(0)
            most = max(most, unsent(gateway))
        stuck = client.ws.transport.get_write_buffer_size()
        client.drop()
        assert stuck > 0
        assert most < 1 << 20


# --- the echo backend, which is for trying these out


async def test_an_echo_says_everything_back(tmp_path: Path) -> None:
    config = configured(tmp_path, backend="echo")
    async with serving(config) as gateway, v1(gateway) as client, person(gateway, "telnet") as tel:
        await client.expect("welcome")
        await client.say("cmd", c=1, d="one")
        await client.say("data", c=2, p="A", d={"b": 1})
        await client.say("interrupt", c=3)
        await client.say("cmd", c=4, d="two")
        assert (await client.expect("text"))["d"] == "one"
        data = await client.expect("data")
        assert (data["p"], data["d"]) == ("A", {"b": 1})
        assert (await client.expect("text"))["d"] == "two"
        tel.types("look")
        await tel.sees("look\n")


async def test_an_interrupt_passes_the_application_by_order(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path)) as gateway,
        linked(gateway) as stage,
        person(gateway, "telnet") as someone,
    ):
        await someone.shown_code()
        someone.sends(b"kill dragon\r\n\xff\xf4look\r\n")
        await stage.noted("text", "look")
        assert stage.notes == []
