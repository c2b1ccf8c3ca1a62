"""Resets, expiry, and the orderly and the sudden end of a gateway."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import (
    Durability,
    Stage,
    acting,
    configured,
    eventually,
    linked,
    serving,
    staged,
)
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

import holdfast.gateway.gateway as gateway_module
from holdfast.core.errors import BusyError
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway
from holdfast.net.server.lifecycle import ServerState

# --- a client that leaves before it is told of its session


@pytest.mark.parametrize("durability", ["memory", "fast", "durable"])
async def test_who_quits_at_once_leaves_no_session(tmp_path: Path, durability: Durability) -> None:
    config = configured(tmp_path, backend="echo", durability=durability)
    async with serving(config) as gateway:
        for _ in range(3):
            async with v1(gateway) as client:
                await client.say("quit")
                await client.closed()
        await eventually(lambda: not gateway.manager.sessions)


# --- resets


async def test_a_page_that_is_loaded_anew_begins_afresh(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 3)
            await client.texts("3")
            await client.say("cmd", c=1, d="look")
            await stage.heard("look")
        await stage.noted("detach", "client_left")
        async with v1(gateway, token=welcome["token"]) as client:
            reset = await client.hear()
            assert (reset["t"], reset["reason"], reset["top"], reset["cin"]) == (
                "reset",
                "fresh",
                3,
                1,
            )
            await stage.noted("resync", "fresh")
            await stage.session.text("here you are")
            assert await client.texts("here you are") == [(4, "here you are")]


async def misses_ten(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    """A client comes and goes, and ten lines are said to it; returns its welcome."""
    async with v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
    await stage.noted("detach", "client_left")
    await stage.count(1, 10)
    await stage.accepted()
    return welcome


RESETS: dict[str, tuple[str | None, int, str]] = {
    # the epoch that the client names (`None`: the right one), what it has → the reason
    "an-epoch-that-never-was": ("0123456789abcdef", 3, "epoch"),
    "ahead-of-what-was-said": (None, 11, "ahead"),
    "behind-what-is-kept": (None, 1, "trimmed"),
}


@pytest.mark.parametrize(("epoch", "last", "reason"), RESETS.values(), ids=RESETS)
async def test_a_client_that_may_have_missed_something_is_reset(
    tmp_path: Path, epoch: str | None, last: int, reason: str
) -> None:
    limits = Limits().but(session={"window_messages_max": 5})
    async with staged(configured(tmp_path, limits=limits)) as (gateway, stage):
        welcome = await misses_ten(gateway, stage)
        hello = {"token": welcome["token"], "epoch": epoch or welcome["epoch"], "last": last}
        async with v1(gateway, **hello) as client:
            reset = await client.hear()
            # What is kept follows, whatever was lost before it.
            assert (reset["t"], reset["reason"], reset["top"]) == ("reset", reason, 5)
            assert reset["epoch"] == welcome["epoch"]
            await stage.noted("resync", reason)
            await stage.count(11, 11)
            assert await client.texts("11") == [(n, str(n)) for n in range(6, 12)]


async def test_the_edges_of_what_is_kept_are_resumed(tmp_path: Path) -> None:
    limits = Limits().but(session={"window_messages_max": 5})
    async with staged(configured(tmp_path, limits=limits)) as (gateway, stage):
        welcome = await misses_ten(gateway, stage)
        token = welcome["token"]
        for last, first in ((5, 6), (10, 11)):
            async with v1(gateway, token=token, epoch=welcome["epoch"], last=last) as client:
                resumed = await client.expect("resumed")
                assert (resumed["from"], resumed["to"]) == (first, 10)
                token = resumed["token"]


async def test_nothing_seen_is_a_place_like_any_other(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 2)
            await client.texts("2")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"], last=0) as client:
            assert await client.texts("2") == [(1, "1"), (2, "2")]


async def test_an_acknowledgement_of_what_was_never_sent_is_a_fault(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
        await stage.count(1, 2)
        await client.texts("2")
        await client.say("ack", n=3)
        assert await client.closed() == (1002, "acknowledged 3; the last one sent was 2")
        assert client.got[-1]["retry_ms"] == -1


async def test_a_terminal_whose_lines_could_not_be_kept_is_told_how_many(tmp_path: Path) -> None:
    limits = Limits().but(session={"window_messages_max": 5})
    async with staged(configured(tmp_path, limits=limits)) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(1, 8)
        await stage.accepted()
        for lost in ("3", None):  # and told once
            async with person(gateway, "tcp") as someone:
                someone.types(f"resume {code}")
                screen = await someone.sees("That was all.\n")
                assert ("older lines could not be kept" in screen) is (lost is not None)
                if lost:
                    assert f"*** {lost} older lines could not be kept.\n" in screen
                    await stage.noted("resync", "trimmed")
                assert screen.splitlines()[-6:-1] == ["4", "5", "6", "7", "8"]
                code = await someone.shown_code()


# --- expiry


async def test_a_session_that_nobody_comes_back_for_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "_SWEEP_SECONDS", 0.05)
    short = Limits().but(session={"detached_seconds_max": 0.1})
    async with staged(configured(tmp_path, limits=short)) as (gateway, stage):
        async with v1(gateway) as client, person(gateway, "tcp") as there:
            welcome = await client.expect("welcome")
            await there.shown_code()
            await client.ws.close()
            await stage.noted("close", "timeout")
            # Who is there, stays.
            there.types("look")
            await stage.noted("text", "look")
        async with v1(gateway, token=welcome["token"]) as client:
            assert (await client.hear())["t"] == "refused"


async def test_output_that_has_grown_too_old_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "_SWEEP_SECONDS", 0.05)
    short = Limits().but(session={"window_age_seconds_max": 0.1})
    async with staged(configured(tmp_path, limits=short)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            session = gateway.manager.sessions[welcome["sid"]]
        await stage.noted("detach", "client_left")
        await stage.count(1, 2)
        await eventually(lambda: session.out.base == 2)
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            assert (await client.hear())["reason"] == "trimmed"


# --- an orderly stop, and the next start


SHUTDOWN = "the gateway is restarting; your session is kept"


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_a_drain_tells_everybody_and_the_next_gateway_takes_them_up(
    tmp_path: Path, durability: Durability
) -> None:
    limits = Limits().but(drain={"returns_per_second_max": 2.0})
    config = configured(tmp_path, durability=durability, limits=limits)
    async with (
        staged(config) as (gateway, stage),
        v1(gateway) as page,
        plain(gateway) as bare,
        person(gateway, "telnet") as telnet,
        person(gateway, "tcp") as tcp,
    ):
        welcome = await page.expect("welcome")
        codes = [await terminal.shown_code() for terminal in (telnet, tcp)]
        await stage.until(lambda: stage.notes.count(("open",)) == 4)
        for session in stage.app.sessions.values():
            await session.text("hello")
        await page.expect("text")
        assert await bare.hear() == "hello"
        for terminal in (telnet, tcp):
            await terminal.sees("hello\n")
            terminal.types("here")  # and with it goes the kernel's acknowledgement
        await stage.until(lambda: len(stage.texts) == 2)
        gateway.stop()
        assert await page.closed() == (1012, SHUTDOWN)
        assert 1100 <= page.got[-1]["retry_ms"] <= 4000, "two of the four a second"
        with pytest.raises(ConnectionClosed) as closed:
            await bare.hear()
        assert closed.value.rcvd == Close(1012, SHUTDOWN)
        for terminal, code in zip((telnet, tcp), codes, strict=True):
            assert await terminal.rest() == (
                f'*** {SHUTDOWN.capitalize()}.\n*** Connect again and type "resume {code}".\n'
            )
    async with staged(config) as (gateway, stage):
        await stage.until(lambda: stage.notes.count(("adopt",)) == 4)
        for session in stage.app.sessions.values():
            await session.text("again")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
        async with (
            v1(gateway, **hello) as page,
            plain(gateway, bare.cookie) as bare,
            person(gateway, "telnet") as telnet,
            person(gateway, "tcp") as tcp,
        ):
            assert (await page.expect("resumed"))["epoch"] == welcome["epoch"]
            assert await page.texts("again") == [(2, "again")]
            assert (await bare.texts("again"))[-1] == "again"
            for terminal, code in zip((telnet, tcp), codes, strict=True):
                terminal.types(f"resume {code}")
                await terminal.sees("Welcome back. Your session goes on.\n")
                assert (await terminal.sees("That was all.\n")).splitlines()[:-1] == [
                    "*** You may have seen this:",
                    "hello",
                    "*** You missed this:",
                    "again",
                ]


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_who_types_while_the_gateway_stops_is_told_and_not_reset(
    tmp_path: Path, scheme: str
) -> None:
    config = configured(tmp_path, backend="echo")
    async with serving(config) as gateway, person(gateway, scheme) as someone:
        await someone.shown_code()
        (connection,) = gateway.listeners.clients.connections
        connection.pause_reading()  # what is typed now, nobody has read when the end comes
        someone.types("look")
        gateway.stop()
        assert f"*** {SHUTDOWN.capitalize()}.\n" in await someone.rest()


async def test_memory_sessions_end_with_their_gateway(tmp_path: Path) -> None:
    config = configured(tmp_path, durability="memory")
    async with serving(config) as gateway, linked(gateway), v1(gateway) as client:
        welcome = await client.expect("welcome")
    async with serving(config) as gateway, linked(gateway) as stage:
        assert stage.notes == []
        async with v1(gateway, token=welcome["token"]) as client:
            assert (await client.hear())["t"] == "refused"


async def test_commands_wait_over_a_restart_of_the_gateway(tmp_path: Path) -> None:
    config = configured(tmp_path)
    async with serving(config) as gateway:
        async with linked(gateway):
            pass
        async with v1(gateway) as client, person(gateway, "tcp") as someone:
            await client.say("cmd", c=1, d="one")
            assert (await client.expect("ack"))["c"] == 1
            await someone.shown_code()
            someone.types("two", "look")
            sessions = gateway.manager.sessions.values()
            await eventually(lambda: sum(len(one.inbox.entries) for one in sessions) == 3)
            gateway.stop()
            await someone.rest()
    async with serving(config) as gateway, linked(gateway) as stage:
        await stage.until(lambda: len(stage.texts) == 3)
        assert sorted(map(str, stage.texts)) == ["look", "one", "two"]


async def test_an_application_outlives_gateways(tmp_path: Path) -> None:
    config = configured(tmp_path)
    stage = Stage()
    async with acting(stage.app, config.link.listen):
        async with serving(config) as gateway, v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await client.say("cmd", c=1, d="one")
            await stage.noted("text", "one")
        session = stage.session
        await session.text("said to nobody")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with serving(config) as gateway, v1(gateway, **hello) as client:
            assert await client.texts("said to nobody") == [(1, "said to nobody")]
            await client.say("cmd", c=2, d="two")
            await stage.noted("text", "two")
            assert stage.session is session
            assert stage.session.attached
        assert ("text", "one") not in stage.notes
        assert ("adopt",) not in stage.notes


async def test_groups_and_what_is_kept_outlive_gateways_and_applications(tmp_path: Path) -> None:
    config = configured(tmp_path)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
        await stage.session.join("lobby")
        await stage.session.store({"room": 7})
        await stage.session.identify("ann")
        await stage.accepted()
    async with staged(config) as (gateway, stage):
        await stage.noted("adopt")
        assert (stage.session.user, stage.session.stored) == ("ann", {"room": 7})
        await stage.app.broadcast("lobby", "to all")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with v1(gateway, **hello) as client:
            assert await client.texts("to all") == [(1, "to all")]


async def test_a_drain_is_cut_short_by_a_second_stop(tmp_path: Path) -> None:
    long = Limits().but(drain={"drain_seconds_max": 60}, connection={"close_seconds_max": 60})
    async with (
        staged(configured(tmp_path, limits=long)) as (gateway, _),
        v1(gateway) as client,
    ):
        await client.expect("welcome")
        client.ws.transport.pause_reading()  # it does not answer our close
        gateway.stop()
        await asyncio.sleep(0)
        gateway.stop()
        await eventually(lambda: gateway.listeners.clients.state is ServerState.STOPPED)
        client.drop()


async def test_a_drain_ends_in_time_for_who_does_not_answer(tmp_path: Path) -> None:
    short = Limits().but(drain={"drain_seconds_max": 0.2})
    async with (
        staged(configured(tmp_path, limits=short)) as (gateway, _),
        v1(gateway) as client,
        person(gateway, "tcp") as someone,
    ):
        await client.expect("welcome")
        client.ws.transport.pause_reading()
        await someone.shown_code()
        gateway.stop()
        await someone.rest()
        await eventually(lambda: gateway.listeners.clients.state is ServerState.STOPPED)
        client.drop()


# --- a start that fails changes nothing


async def test_a_taken_port_leaves_everything_as_it_was(tmp_path: Path) -> None:
    config = configured(tmp_path, ["ws://127.0.0.1:0/", "tcp://127.0.0.1:0"])
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        wrong = configured(tmp_path, ["ws://127.0.0.1:0/", url])
        failed = Gateway(wrong)
        with pytest.raises(BusyError) as caught:
            await failed.run()
        assert str(caught.value) == f"{url}: another process listens there already"
        # The listener that was open already is closed again.
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", failed.addresses[0].port)
    async with staged(config) as (gateway, stage):
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with v1(gateway, **hello) as client:
            # Were the stop taken for an unclean one, the epoch would be another.
            assert (await client.expect("resumed"))["epoch"] == welcome["epoch"]
