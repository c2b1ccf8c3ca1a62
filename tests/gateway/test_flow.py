"""Clients that send too much, or read too little."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.admin.asking import administered
from tests.gateway.clients import person, plain, v1
from tests.gateway.counted.table import Meter
from tests.gateway.running import configured, linked, serving, staged

from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway

CALM = Limits().but(session={"command_burst_max": 10, "commands_per_second_max": 0.1})

# --- floods


async def test_who_sends_a_thousand_lines_in_one_go_is_held_back_and_loses_nothing(
    tmp_path: Path,
) -> None:
    swift = Limits().but(session={"command_burst_max": 10, "commands_per_second_max": 1000.0})
    async with (
        staged(configured(tmp_path, limits=swift)) as (gateway, stage),
        v1(gateway) as client,
        person(gateway, "telnet") as telnet,
        person(gateway, "tcp") as tcp,
        plain(gateway) as bare,
    ):
        client.say_at_once({"t": "cmd", "c": c, "d": f"v{c}"} for c in range(1, 1001))
        telnet.types(*(f"t{number}" for number in range(1, 1001)))
        tcp.types(*(f"l{number}" for number in range(1, 1001)))
        for number in range(1, 1001):
            await bare.ws.send(f"w{number}")
        await stage.has_heard(4000)
        for who in "vtlw":
            said = [text for text in map(str, stage.texts) if text.startswith(who)]
            assert said == [f"{who}{number}" for number in range(1, 1001)]


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_whose_lines_wait_when_the_gateway_stops_is_told_that_they_were_not_taken(
    tmp_path: Path, scheme: str
) -> None:
    async with (
        staged(configured(tmp_path, limits=CALM)) as (gateway, stage),
        person(gateway, scheme) as someone,
    ):
        await someone.shown_code()
        someone.types(*map(str, range(1, 31)))
        await stage.has_heard(10)
        gateway.stop()
        assert "*** What you typed last was not taken.\n" in await someone.rest()


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_what_came_before_the_end_is_done_before_it(tmp_path: Path, scheme: str) -> None:
    """Piped into a connection that closes: `cat commands | nc`."""
    swift = Limits().but(session={"command_burst_max": 10, "commands_per_second_max": 500.0})
    async with staged(configured(tmp_path, limits=swift)) as (gateway, stage):
        async with person(gateway, scheme) as someone:
            someone.types(*(f"l{number}" for number in range(1, 301)))
            await someone.shown_code()
            someone.writer.write_eof()
            await someone.rest()
        await stage.has_heard(300)
        assert stage.texts == [f"l{number}" for number in range(1, 301)]


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


async def test_who_comes_back_begins_no_new_burst(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=CALM)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            client.say_at_once({"t": "cmd", "c": c, "d": f"{c}"} for c in range(1, 9))
            await stage.has_heard(8)
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            await client.expect("resumed")
            client.say_at_once({"t": "cmd", "c": c, "d": f"{c}"} for c in range(9, 17))
            await stage.has_heard(10)
            (session,) = gateway.manager.sessions.values()
            assert session.inbox.cin == 10


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


async def test_input_is_held_to_a_rate_whatever_it_is(tmp_path: Path) -> None:
    """Telnet's commands make no line, and cost all the same."""
    limits = Limits().but(telnet={"bytes_per_second_max": 100_000, "bytes_burst_max": 1000})
    async with (
        staged(configured(tmp_path, limits=limits)) as (gateway, stage),
        person(gateway, "telnet") as someone,
    ):
        await someone.shown_code()
        someone.sends(b"\xff\xf9" * 3000)  # GA: 66 bytes each
        someone.types("look")
        started = asyncio.get_running_loop().time()
        await stage.heard("look")
        assert asyncio.get_running_loop().time() - started > 1


async def test_a_paste_waits_for_room_in_the_queue(tmp_path: Path) -> None:
    few = Limits().but(session={"queue_messages_max": 5})
    async with serving(configured(tmp_path, limits=few)) as gateway:
        async with linked(gateway):
            pass  # the application is known, and away
        async with person(gateway, "telnet") as someone, plain(gateway) as bare:
            await someone.sees("is back.\n")
            someone.types(*(f"t{number}" for number in range(1, 101)))
            for number in range(1, 101):
                await bare.ws.send(f"w{number}")
            await someone.sees("*** Too much is waiting already.")  # not at once
            async with linked(gateway) as stage:
                await stage.has_heard(200)
                for who in "tw":
                    said = [text for text in map(str, stage.texts) if text.startswith(who)]
                    assert said == [f"{who}{number}" for number in range(1, 101)]


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
        await stage.noted("text", "x")
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


async def test_a_slow_reader_makes_room_where_all_have_too_much_unsent_output(
    tmp_path: Path,
) -> None:
    tight = Limits().but(
        session={
            "node_output_bytes_max": 20_000,
            "window_messages_max": 10_000,
            "window_bytes_max": 1 << 28,
            "unsent_bytes_max": 1 << 28,
        },
    )
    config = administered(configured(tmp_path, limits=tight))
    async with staged(config) as (gateway, stage):
        async with person(gateway, "tcp", small_window=True) as slow:
            code = await slow.shown_code()
            await stage.noted("open")
            said = 0
            while ("detach", "slow_consumer") not in stage.notes:
                said += 1
                await stage.session.text(f"{said} {LONG}")
                await stage.accepted()
        found = await Meter(gateway).read()
        assert found["output_connections_closed_total"] == 1
        assert found["output_unsent_bytes"] == 0
        async with person(gateway, "tcp") as again:  # with all that is missing
            again.types(f"resume {code}")
            screen = await again.sees(f"{said} {LONG}\n")
        shown = [int(line.split()[0]) for line in screen.splitlines() if LONG in line]
        assert shown == list(range(shown[0], said + 1))


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_who_has_sent_its_end_still_gets_what_is_on_its_way(
    tmp_path: Path, scheme: str
) -> None:
    patient = Limits().but(connection={"write_buffer_bytes_max": 1 << 22})
    async with (
        staged(configured(tmp_path, limits=patient)) as (gateway, stage),
        person(gateway, scheme, small_window=True) as slow,
    ):
        await slow.shown_code()
        await stage.noted("open")
        lines = [f"{number} {'y' * 8_000}" for number in range(60)]
        for line in lines:
            await stage.session.text(line)
        await stage.accepted()
        slow.writer.write_eof()
        assert [line for line in (await slow.rest()).splitlines() if "yyy" in line] == lines


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_who_makes_no_progress_is_detached(tmp_path: Path, scheme: str) -> None:
    patient = TIGHT.but(
        session={"window_messages_max": 1000}, connection={"stalled_seconds_max": 0.3}
    )
    async with (
        staged(configured(tmp_path, limits=patient)) as (gateway, stage),
        person(gateway, scheme, small_window=True) as slow,
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
    return max(connection.unsent for connection in gateway.listeners.clients.connections)


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
