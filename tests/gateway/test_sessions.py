"""A session from its beginning through drops and resumes to its end, on every protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.clients import (
    EOR,
    GMCP,
    IAC,
    NAWS,
    SB,
    SE,
    TTYPE,
    WILL,
    Person,
    person,
    plain,
    v1,
)
from tests.gateway.running import TELNET, configured, staged

from holdfast.core.limits import Limits

# --- a new session


async def test_a_v1_client_gets_a_session_and_talks(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        v1(gateway, client="hand", width=80, height=24) as client,
    ):
        welcome = await client.hear()
        await stage.noted("open")
        session = stage.session
        assert (session.protocol, session.capabilities.client) == ("websocket", "hand")
        assert (session.capabilities.width, session.capabilities.height) == (80, 24)
        assert welcome.pop("token")
        assert welcome.pop("epoch")
        assert welcome == {
            "t": "welcome",
            "sid": session.sid,
            "seq": 0,
            "heartbeat": 30.0,
            "bytes_max": 65_536,
            "keep_s": 60.0,
        }
        await client.say("cmd", c=1, d="look")
        await stage.heard("look")
        await session.text("A room.")
        assert await client.expect("text") == {"t": "text", "n": 1, "d": "A room."}
        await client.say("resize", width=120, height=50)
        await stage.noted("resize", 120, 50)
        await client.say("data", c=2, p="Char.Skills", d={"all": [1, True, None]})
        await stage.noted("data", "Char.Skills", {"all": [1, True, None]})
        await client.say("binary", c=3, d="AP8=")
        await stage.noted("binary", b"\0\xff")
        await client.say("interrupt", c=4)
        await stage.noted("interrupt")


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_a_terminal_gets_a_session_a_code_and_talks(tmp_path: Path, scheme: str) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        person(gateway, scheme) as someone,
    ):
        assert len(await someone.shown_code()) == 14
        await stage.noted("open")
        assert stage.session.protocol == scheme
        someone.types("look", "say grüezi")
        await stage.heard("look", "say grüezi")
        await stage.session.text("A room.\nAn exit.")
        assert await someone.sees("exit.\n") == "A room.\nAn exit.\n"


async def test_a_window_that_changes_later_is_told_by_itself(tmp_path: Path) -> None:
    # No probe comes before the test is over: nothing but the new size wakes the connection.
    limits = Limits().but(
        session={"probe_interval_seconds_max": 1000, "unproven_seconds_max": 1000},
        telnet={"negotiation_seconds_max": 1000},
    )
    async with (
        staged(configured(tmp_path, [TELNET], limits=limits)) as (gateway, stage),
        person(gateway, "telnet", NAWS) as someone,
    ):
        await someone.shown_code()
        await stage.noted("open")
        someone.sends(bytes((IAC, SB, NAWS, 0, 120, 0, 50, IAC, SE)))
        await stage.noted("resize", 120, 50)


async def test_a_plain_websocket_gets_a_session_a_cookie_and_talks(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        plain(gateway) as client,
    ):
        await stage.noted("open")
        await client.ws.send("look")
        await stage.heard("look")
        await client.ws.send(b"\0\xff")
        await stage.noted("binary", b"\0\xff")
        await stage.session.text("A room.")
        await stage.session.binary(b"\xff\0")
        assert [await client.hear(), await client.hear()] == ["A room.", b"\xff\0"]
        headers = client.ws.response.headers if client.ws.response is not None else {}
        name, *attributes = headers["Set-Cookie"].split("; ")
        assert name.startswith("holdfast=")
        assert attributes == ["Path=/", "Max-Age=31539600", "HttpOnly", "SameSite=Strict"]


# --- dropped in mid-stream, and resumed


async def test_v1_resumes_with_exactly_the_missed_output(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 50)
            seen = await client.texts("20")  # the rest arrives, and is lost with its client
            client.drop()
        await stage.noted("detach", "network_error")
        await stage.count(51, 60)
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": seen[-1][0]}
        async with v1(gateway, **hello) as client:
            resumed = await client.hear()
            assert resumed["token"] != welcome["token"]
            assert {key: resumed[key] for key in ("t", "sid", "epoch", "from", "to", "cin")} == {
                "t": "resumed",
                "sid": welcome["sid"],
                "epoch": welcome["epoch"],
                "from": 21,
                "to": 60,
                "cin": 0,
            }
            await stage.noted("resume")
            await stage.count(61, 61)
            assert await client.texts("61") == [(n, str(n)) for n in range(21, 62)]


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_a_terminal_resumes_by_its_code(tmp_path: Path, scheme: str) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, scheme) as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.count(1, 30)
            await someone.sees("30\n")
            someone.types("here")  # and with it goes the kernel's acknowledgement
            await stage.heard("here")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(31, 40)
        async with person(gateway, scheme) as someone:
            someone.types(f"resume {code}")
            assert await someone.sees("That was all.\n") == "\n".join(
                [
                    "*** Welcome back. Your session goes on.",
                    # Its kernel had them; whether the person saw them, nobody knows.
                    "*** You may have seen this:",
                    *(str(number) for number in range(1, 31)),
                    "*** You missed this:",
                    *(str(number) for number in range(31, 41)),
                    "*** That was all.",
                    "",
                ]
            )
            assert await someone.shown_code() != code
            await stage.noted("resume")
            await stage.count(41, 41)
            assert await someone.sees("41\n") == "41\n"


@pytest.mark.parametrize("scheme", ["telnet", "tcp"])
async def test_what_never_reached_the_other_machine_is_told_as_missed(
    tmp_path: Path, scheme: str
) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, scheme, small_window=True) as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.count(1, 3)
            await someone.sees("3\n")
            someone.types("here")  # and with it goes the kernel's acknowledgement
            await stage.heard("here")
            # From here on, nothing is read.
            lines = [f"{number} {'x' * 900}" for number in range(4, 64)]
            for line in lines:
                await stage.session.text(line)
            await stage.accepted()
            someone.drop()
        await stage.noted("detach", "network_error")
        async with person(gateway, scheme) as someone:
            someone.types(f"resume {code}")
            assert (await someone.sees("That was all.\n")).splitlines()[1:-1] == [
                "*** You may have seen this:",
                *("1", "2", "3"),
                "*** You missed this:",
                *lines,
            ]


async def test_what_a_probe_has_proven_is_not_repeated(tmp_path: Path) -> None:
    often = Limits().but(session={"probe_interval_seconds_max": 0.1})
    config = configured(tmp_path, limits=often)
    async with staged(config) as (gateway, stage):
        async with person(gateway, "telnet", TTYPE) as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            await stage.count(1, 30)
            await someone.sees("30\n")
            while not someone.probes:
                await someone.reads()
            # The gateway has our answer when it answers what we ask behind it.
            someone.types("here")
            await stage.heard("here")
            someone.answers_probes = False
            await stage.count(31, 33)
            await someone.sees("33\n")
            someone.types("still here")  # and with it goes the kernel's acknowledgement
            await stage.heard("here", "still here")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(34, 35)
        async with person(gateway, "telnet") as someone:
            someone.types(f"resume {code}")
            assert (await someone.sees("That was all.\n")).splitlines()[1:-1] == [
                "*** You may have seen this:",
                "31",
                "32",
                "33",
                "*** You missed this:",
                "34",
                "35",
            ]


@pytest.mark.parametrize("when", ["before-the-welcome", "after-it"])
async def test_a_gmcp_client_resumes_exactly(tmp_path: Path, when: str) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "telnet", GMCP) as someone:
            await says_hello(someone, when, {})
            welcome = await someone.told("Holdfast.Welcome")
            assert welcome["seq"] == 0
            await stage.noted("open")
            assert stage.session.capabilities.data
            await stage.count(1, 10)
            await someone.sees("10\n")
            while (await someone.told("Holdfast.Seq"))["n"] < 10:
                pass
            someone.tells("Holdfast.Ack", {"n": 7})
            someone.types("here")
            await stage.heard("here")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(11, 12)
        async with person(gateway, "telnet", GMCP) as someone:
            place = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 8}
            await says_hello(someone, when, place)
            resumed = await someone.told("Holdfast.Resumed")
            assert (resumed["sid"], resumed["from"], resumed["to"]) == (welcome["sid"], 9, 12)
            assert (await someone.sees("That was all.\n")).splitlines()[-7:] == [
                "*** Welcome back. Your session goes on.",
                "*** You missed this:",
                *("9", "10", "11", "12"),
                "*** That was all.",
            ]
            assert await someone.told("Holdfast.Seq") == {"n": 12}
            assert len(stage.app.sessions) == 1


async def says_hello(someone: Person, when: str, place: dict[str, object]) -> None:
    """Speak the package `Holdfast` before the gateway takes the negotiation for ended, or after."""
    if when == "before-the-welcome":
        someone.holds_back = {EOR}
        while bytes((IAC, WILL, GMCP)) not in someone.commands:
            await someone.reads()
    else:
        await someone.shown_code()
    someone.tells("Holdfast.Hello", place)
    someone.gives_in()


async def test_a_client_that_begins_to_count_late_is_told_from_where(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        person(gateway, "telnet", GMCP) as someone,
    ):
        await someone.shown_code()
        await stage.noted("open")
        await stage.count(1, 3)
        await someone.sees("3\n")
        someone.tells("Holdfast.Hello", {})
        welcome = await someone.told("Holdfast.Welcome")
        assert (welcome["sid"], welcome["seq"]) == (stage.session.sid, 3)
        await stage.count(4, 4)
        assert await someone.told("Holdfast.Seq") == {"n": 4}


async def test_a_plain_websocket_resumes_by_its_cookie(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with plain(gateway) as client:
            await stage.noted("open")
            await stage.count(1, 5)
            assert await client.texts("5") == ["1", "2", "3", "4", "5"]
            client.drop()
        await stage.noted("detach", "network_error")
        await stage.count(6, 7)
        async with plain(gateway, client.cookie) as again:
            assert await again.texts("7") == [
                "*** The next messages you may have seen.",
                *("1", "2", "3", "4", "5", "6", "7"),
            ]
            assert again.cookie != client.cookie
            await stage.noted("resume")


# --- from one protocol to another


async def test_a_session_goes_from_telnet_to_a_websocket_and_back(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "telnet") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            someone.types("north")
            await stage.heard("north")
            await stage.count(1, 3)
            await someone.sees("3\n")
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.count(4, 5)
        async with v1(gateway, code=code) as client:
            resumed = await client.hear()
            assert (resumed["t"], resumed["from"], resumed["to"]) == ("resumed", 1, 5)
            assert await client.texts("5") == [(n, str(n)) for n in range(1, 6)]
            await stage.noted("resume")
            assert stage.session.protocol == "websocket"
            await client.say("ack", n=5)
            await client.say("cmd", c=1, d="east")
            await stage.until(lambda: stage.texts == ["east"])
            await client.say("code")
            code = (await client.expect("code"))["d"]
            await stage.count(6, 6)
            client.drop()
        await stage.noted("detach", "network_error")
        await stage.count(7, 7)
        async with person(gateway, "telnet") as someone:
            someone.types(f"resume {code}", "south")
            assert (await someone.sees("That was all.\n")).splitlines()[1:-1] == [
                "*** You may have seen this:",  # it was sent to the page
                "6",
                "*** You missed this:",
                "7",
            ]
            await stage.noted("resume")
            await stage.until(lambda: stage.texts == ["south"])
            assert stage.session.protocol == "telnet"


# --- taken over


async def test_a_takeover_tells_the_older_client_first_and_sends_it_nothing_more(
    tmp_path: Path,
) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as old:
            welcome = await old.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 2)
            await old.texts("2")
            hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
            async with v1(gateway, **hello) as new:
                assert (await new.hear())["t"] == "resumed"
                await stage.count(3, 4)
                assert await new.texts("4") == [(2, "2"), (3, "3"), (4, "4")]
                assert await old.closed() == (
                    4001,
                    "your session was taken over by a newer connection",
                )
                (bye,) = old.got
                assert (bye["t"], bye["reason"], bye["retry_ms"]) == ("bye", "superseded", -1)
        assert ("detach", "superseded") not in stage.notes


async def test_a_takeover_at_a_terminal(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        person(gateway, "tcp") as old,
        person(gateway, "telnet") as new,
    ):
        code = await old.shown_code()
        new.types(f"resume {code}")
        await new.sees("Welcome back.")
        # What the old one had on its screen when it was told, and no more.
        assert await old.rest() == ("*** Your session was taken over by a newer connection.\n")
        await stage.count(1, 1)
        await new.sees("1\n")


# --- the end


async def test_quit_ends_the_session(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await client.say("quit")
            assert await client.closed() == (1000, "goodbye")
            assert client.got[-1]["retry_ms"] == -1
        await stage.noted("close", "client_left")
        async with v1(gateway, token=welcome["token"]) as client:
            assert (await client.hear())["t"] == "refused"


@pytest.mark.parametrize("durability", ["memory", "fast", "durable"])
@pytest.mark.parametrize("scheme", ["v1", "telnet"])
async def test_what_was_said_before_the_end_is_shown(
    tmp_path: Path, durability: str, scheme: str
) -> None:
    config = configured(tmp_path, durability=durability)  # type: ignore[arg-type]
    async with staged(config) as (gateway, stage):
        if scheme == "v1":
            async with v1(gateway) as client:
                await stage.noted("open")
                await stage.session.text("Farewell.")
                await stage.session.close("kicked")
                assert (await client.expect("text"))["d"] == "Farewell."
                assert await client.closed() == (4002, "your session was closed")
        else:
            async with person(gateway, "telnet") as someone:
                await someone.shown_code()
                await stage.noted("open")
                await stage.session.text("Farewell.")
                await stage.session.close("kicked")
                assert await someone.rest() == "Farewell.\n*** Your session was closed.\n"
        await stage.noted("close", "kicked")
