"""Who may take up a session: tokens, cookies and codes, right and wrong."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import structs
from tests.gateway.clients import person, plain, v1
from tests.gateway.conversation.test_login import guarded
from tests.gateway.running import Stage, configured, eventually, linked, serving, staged

from holdfast.backends import link
from holdfast.core.ids import new_sid
from holdfast.core.limits import Limits
from holdfast.link import messages as m

UNKNOWN = "it is not known, or its session has ended"


def forged(token: str) -> str:
    """The token of the same session with a guessed secret."""
    return base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)[:16] + bytes(32)).decode()


def of_nobody() -> str:
    """A well-formed token of a session that does not exist."""
    return base64.urlsafe_b64encode(UUID(new_sid()).bytes + bytes(32)).decode()


# --- wrong tokens

WRONG = {
    "garbage": lambda token: "garbage",
    "not-ascii": lambda token: "…" * 64,
    "cut-off": lambda token: token[:-4],
    "forged": forged,
    "of-nobody": lambda token: of_nobody(),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
async def test_a_wrong_token_is_refused_and_a_new_session_may_begin(
    tmp_path: Path, make: object
) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
        assert callable(make)
        async with v1(gateway, token=make(welcome["token"])) as thief:
            assert await thief.hear() == {"t": "refused", "reason": UNKNOWN}
            await thief.say("hello")
            assert (await thief.expect("welcome"))["sid"] != welcome["sid"]
        # And nothing happened to the session.
        await client.say("cmd", c=1, d="look")
        await stage.heard("look")


async def test_the_token_of_a_session_that_has_ended_is_refused(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.session.close("kicked")
            await client.closed()
        async with v1(gateway, token=welcome["token"]) as client:
            assert await client.hear() == {"t": "refused", "reason": UNKNOWN}


async def test_a_replayed_token_ends_the_session_and_says_so(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            first = await client.expect("welcome")
        async with v1(gateway, token=first["token"], epoch=first["epoch"]) as client:
            second = await client.expect("resumed")
            # Lost answers must not lock it out: until it has acknowledged, both are good.
            async with v1(gateway, token=first["token"], epoch=first["epoch"]) as again:
                third = await again.expect("resumed")
                assert third["token"] != second["token"]
                await again.say("ack", n=0)
                await again.say("cmd", c=1, d="here")
                await stage.heard("here")
                async with v1(gateway, token=first["token"]) as thief:
                    assert await thief.hear() == {
                        "t": "refused",
                        "reason": "it was replaced by a newer one; for safety its session was"
                        " closed",
                    }
                assert await again.closed() == (4002, "your session was closed")
        await stage.noted("close", "kicked")
        for token in (second["token"], third["token"]):
            async with v1(gateway, token=token) as client:
                assert await client.hear() == {"t": "refused", "reason": UNKNOWN}


async def test_only_the_newest_two_tokens_are_good(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            first = await client.expect("welcome")
        async with v1(gateway, token=first["token"], epoch=first["epoch"]) as client:
            second = await client.expect("resumed")
        async with v1(gateway, token=second["token"], epoch=first["epoch"]) as client:
            await client.expect("resumed")
            async with v1(gateway, token=first["token"]) as thief:
                assert "for safety" in (await thief.expect("refused"))["reason"]
        await stage.noted("close", "kicked")


# --- cookies


async def test_a_stale_cookie_gives_a_new_session(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage), plain(gateway) as client:
        await stage.noted("open")
        await stage.session.close("kicked")
        async with plain(gateway, client.cookie) as again:
            await stage.noted("open")
            assert again.cookie != client.cookie
            await again.ws.send("look")
            await stage.noted("text", "look")


async def test_an_older_cookie_is_refused_and_the_session_stays_its_newest_holder_s(
    tmp_path: Path,
) -> None:
    """A browser that was killed or restored brings what it had on disk."""
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with plain(gateway) as page:
            await stage.noted("open")
        async with plain(gateway, page.cookie) as again:
            await again.ws.send("here")
            await stage.heard("here")
        async with plain(gateway, page.cookie) as restored:
            assert str(await restored.hear()).startswith("*** This browser's cookie is an older")
            await stage.noted("open")
        async with plain(gateway, again.cookie):
            await stage.noted("resume")


async def test_the_first_good_cookie_of_several_counts(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with plain(gateway) as page:
            await stage.noted("open")
        several = f"holdfast={of_nobody()}; holdfast=x; a=b; {page.cookie}"
        async with plain(gateway, several):
            await stage.noted("resume")


async def test_a_token_of_v1_is_as_good_as_a_cookie(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 1)
            await client.texts("1")
        async with plain(gateway, f"holdfast={welcome['token']}") as again:
            assert (await again.texts("1"))[-1] == "1"


# --- codes


async def test_a_code_is_good_once(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, stage),
        person(gateway, "tcp") as owner,
    ):
        code = await owner.shown_code()
        await stage.noted("open")
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code.lower()}")
            await someone.shown_code()
            someone.types("here")
            await stage.heard("here")
            async with person(gateway, "tcp") as late:
                late.types(f"resume {code}")
                assert await late.sees(".\n") == (
                    f"*** That does not resume a session: {UNKNOWN}.\n"
                )
                # It has a session of its own instead.
                await late.shown_code()
                await stage.noted("open")


async def test_a_code_is_good_until_its_successor_is_known_to_have_arrived(tmp_path: Path) -> None:
    config = configured(tmp_path, durability="durable")
    async with serving(config) as gateway, linked(gateway):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")
            someone.drop()
    async with serving(config) as gateway, linked(gateway), person(gateway, "tcp") as someone:
        someone.types(f"resume {code}")
        await someone.sees("Welcome back.")


async def test_a_resume_gives_a_new_code_which_is_good(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, _):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
        for _ in range(3):
            async with person(gateway, "tcp") as someone:
                someone.types(f"resume {code}")
                await someone.sees("Welcome back.")
                code = await someone.shown_code()


async def test_one_s_own_code_is_of_no_use(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            await stage.noted("open")
            someone.types(f"resume {code}")
            assert await someone.sees("in.\n") == (
                "*** That does not resume a session: it is the one you are in.\n"
            )
            someone.types("look")
            await stage.heard("look")
        # And it is still good.
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")


async def test_going_on_elsewhere(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage), v1(gateway) as page:
        welcome = await page.expect("welcome")
        await stage.noted("open")
        await stage.count(1, 1)
        await page.texts("1")
        await page.say("ack", n=1)
        await page.say("code")
        code = (await page.expect("code"))["d"]
        async with person(gateway, "telnet") as phone:
            phone.types(f"resume {code}")
            assert await phone.sees("nothing.\n") == (
                "*** Welcome back. Your session goes on.\n*** You missed nothing.\n"
            )
            assert (await page.closed())[0] == 4001
            phone.types("look")
            await stage.heard("look")
            # The session is the phone's now: what the page had is no right to it any more.
            hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 1}
            async with v1(gateway, **hello) as page_again:
                assert (await page_again.hear())["reason"] == UNKNOWN
            phone.types("north")
            await stage.noted("text", "north")


async def test_going_on_at_a_client_that_has_connected_less_often(tmp_path: Path) -> None:
    hello = {"try": 7}
    async with staged(configured(tmp_path)) as (gateway, _), v1(gateway, **hello) as page:
        await page.expect("welcome")
        await page.say("code")
        hello = {"code": (await page.expect("code"))["d"], "try": 2}
        async with v1(gateway, **hello) as another:
            resumed = await another.expect("resumed")
            assert (await page.closed())[0] == 4001
        hello = {"token": resumed["token"], "epoch": resumed["epoch"], "last": 0, "try": 3}
        async with v1(gateway, **hello) as another:
            assert (await another.expect("resumed"))["sid"] == resumed["sid"]


async def test_another_code_makes_the_one_before_void(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, _):
        async with v1(gateway) as client:
            await client.say("code")
            old = (await client.expect("code"))["d"]
            await client.say("code")
            new = (await client.expect("code"))["d"]
        async with v1(gateway, code=old) as client:
            assert (await client.hear())["t"] == "refused"
        async with v1(gateway, code=new) as client:
            assert (await client.hear())["t"] == "resumed"


async def test_a_page_resumes_by_the_code_of_a_terminal_and_keeps_its_own_token(
    tmp_path: Path,
) -> None:
    async with staged(configured(tmp_path)) as (gateway, _):
        async with person(gateway, "telnet") as someone:
            code = await someone.shown_code()
            async with v1(gateway, code=code) as page:
                resumed = await page.expect("resumed")
        async with v1(gateway, token=resumed["token"], epoch=resumed["epoch"]) as page:
            assert (await page.expect("resumed"))["sid"] == resumed["sid"]


# --- whose session it has become


async def test_a_login_renews_the_right_to_its_session(tmp_path: Path) -> None:
    """OWASP: what was known before the login may be known to others."""
    async with guarded(tmp_path) as (gateway, stage), v1(gateway) as client:
        before = (await client.expect("welcome"))["token"]
        await client.say("code")
        code = (await client.expect("code"))["d"]
        await client.say("login", username="ann", password="right")
        assert (await client.expect("token"))["d"] != before
        async with v1(gateway, code=code) as thief:
            assert (await thief.hear())["reason"] == UNKNOWN
        await stage.noted("open")
        await stage.count(1, 1)
        await client.texts("1")
        await client.say("ack", n=1)
        await client.say("ping")
        await client.expect("pong")
        async with v1(gateway, token=before) as thief:
            assert "for safety" in (await thief.hear())["reason"]


async def test_identify_makes_planted_rights_void(tmp_path: Path) -> None:
    """Who planted them has no session by them, and cannot end it."""
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as thief:
            planted = await thief.expect("welcome")
            await thief.say("code")
            code = (await thief.expect("code"))["d"]
        await stage.noted("detach", "client_left")
        hello = {"token": planted["token"], "epoch": planted["epoch"]}
        async with v1(gateway, **hello) as victim:
            await victim.expect("resumed")
            await stage.session.identify("ann")
            token = (await victim.expect("token"))["d"]
            for wrong in ({"token": planted["token"]}, {"code": code}):
                async with v1(gateway, **wrong) as again:
                    assert (await again.hear())["reason"] == UNKNOWN
            await victim.say("cmd", c=1, d="here")
            await stage.heard("here")
        async with v1(gateway, token=token) as victim:
            assert (await victim.hear())["sid"] == planted["sid"]


async def test_the_token_of_before_a_login_is_good_until_its_successor_has_arrived(
    tmp_path: Path,
) -> None:
    """The client may be cut off before it hears of the new one; what it acknowledges meanwhile
    proves nothing."""
    async with guarded(tmp_path) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await client.say("login", username="ann", password="right")
            await client.say("ack", n=0)
            await client.expect("token")
            await client.say("ack", n=0)
            await client.say("cmd", c=1, d="here")
            await stage.heard("here")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
        async with v1(gateway, **hello) as client:
            assert (await client.hear())["sid"] == welcome["sid"]


async def test_identify_makes_a_planted_cookie_void(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with plain(gateway) as thief:
            await stage.noted("open")
        async with plain(gateway, thief.cookie) as victim:
            await stage.noted("resume")
            await stage.session.identify("ann")
            await stage.accepted()
            sid = stage.session.sid
            async with plain(gateway, thief.cookie) as again:
                await stage.noted("open")
                assert again.cookie != thief.cookie
            await victim.ws.send("here")
            await stage.noted("text", "here")
        async with plain(gateway, victim.cookie):
            await stage.noted("resume")
            assert sid in stage.app.sessions


async def test_an_offer_that_is_taken_leaves_no_older_right(tmp_path: Path) -> None:
    async with staged(configured(tmp_path)) as (gateway, stage):
        async with v1(gateway) as page:
            await stage.noted("open")
            await stage.session.identify("ann")
            token = (await page.expect("token"))["d"]
            sid = stage.session.sid
            await page.say("code")
            code = (await page.expect("code"))["d"]
        await stage.noted("detach", "client_left")
        async with person(gateway, "tcp") as someone:
            await stage.noted("open")
            other = next(it for it in stage.app.sessions.values() if it.sid != sid)
            await other.identify("ann")
            await someone.sees('type "resume".')
            someone.types("resume")
            await someone.sees("Welcome back.")
            for wrong in ({"token": token}, {"code": code}):
                async with v1(gateway, **wrong) as again:
                    assert (await again.hear())["reason"] == UNKNOWN


async def test_an_application_has_no_part_in_the_sessions_of_another(tmp_path: Path) -> None:
    config = configured(tmp_path)
    names = ("chat", "mud")
    listeners = [
        structs.replace(listener, backend=link.Config(name))
        for listener, name in zip(config.listener[:2], names, strict=True)
    ]
    async with (
        serving(structs.replace(config, listener=tuple(listeners))) as gateway,
        linked(gateway, Stage("chat")) as chat,
        linked(gateway, Stage("mud")) as mud,
        v1(gateway) as client,
    ):
        welcome = await client.expect("welcome")
        await chat.noted("open")
        sid = welcome["sid"]
        assert await mud.app.request(m.LIST, m.Filter(), list[m.SessionInfo]) == []
        assert await mud.app.request(m.CLOSE, m.Close(sid), bool) is False
        await mud.app.call_gateway(m.UPDATE, lambda bseq: m.Update(sid, bseq, user="ann"))
        await mud.app.call_gateway(m.JOIN, lambda bseq: m.Membership("all", bseq, [sid]))
        await mud.app.broadcast("all", "forged")
        await mud.accepted()
        session = gateway.manager.sessions[sid]
        assert (session.row.user, session.row.groups) == ("", ())
        await chat.count(1, 1)
        assert (await client.expect("text"))["d"] == "1"
        # Nor is its token good at another application's listener.
        async with person(gateway, "telnet") as someone:
            code = await someone.shown_code()
        async with v1(gateway, code=code) as other:
            assert "not one of those" in (await other.expect("refused"))["reason"]


# --- how often one may be wrong


async def test_guessing_is_limited_by_network(tmp_path: Path) -> None:
    few = Limits().but(
        session={"attach_failure_burst_max": 3, "attach_failures_per_minute_max": 0.01}
    )
    async with (
        staged(configured(tmp_path, limits=few)) as (gateway, stage),
        person(gateway, "tcp") as owner,
    ):
        code = await owner.shown_code()
        await stage.noted("open")
        for guess in ("AAAA-AAAA-AAAA", "AAAA-AAAA-AAAB", "AAAA-AAAA-AAAC"):
            async with person(gateway, "tcp") as guesser:
                guesser.types(f"resume {guess}")
                await guesser.sees(f"That does not resume a session: {UNKNOWN}.")
        async with person(gateway, "tcp") as guesser:
            # From now on, not even the right one would do.
            guesser.types(f"resume {code}")
            await guesser.sees("too many wrong attempts; try again later.")
            guesser.types("look")
            await stage.noted("text", "look")
        # The owner is not disturbed.
        owner.types("north")
        await stage.noted("text", "north")


async def test_a_connection_may_try_one_code(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path)) as (gateway, _),
        person(gateway, "tcp") as owner,
        person(gateway, "telnet") as guesser,
    ):
        code = await owner.shown_code()
        await guesser.shown_code()
        guesser.types("resume AAAA-AAAA-AAAA")
        await guesser.sees(f"That does not resume a session: {UNKNOWN}.")
        guesser.types(f"resume {code}")
        assert "After a wrong code a connection takes no other" in await guesser.rest()


async def test_a_code_that_was_asked_for_is_good_for_minutes(tmp_path: Path) -> None:
    short = Limits().but(session={"asked_code_seconds_max": 0.2})
    async with staged(configured(tmp_path, limits=short)) as (gateway, _), v1(gateway) as owner:
        await owner.say("code")
        code = (await owner.expect("code"))["d"]
        await asyncio.sleep(0.5)
        async with v1(gateway, code=code) as client:
            assert (await client.hear())["reason"] == UNKNOWN


async def test_wrong_tokens_of_others_lock_nobody_out(tmp_path: Path) -> None:
    few = Limits().but(
        session={"attach_failure_burst_max": 2, "attach_failures_per_minute_max": 0.01}
    )
    async with staged(configured(tmp_path, limits=few)) as (gateway, stage):
        async with v1(gateway) as client:
            hello = {"token": (await client.expect("welcome"))["token"]}
            await stage.noted("open")
        async with plain(gateway) as page:
            cookie = page.cookie
            await stage.noted("open")
        for _ in range(10):  # expired tabs behind one proxy, say
            async with v1(gateway, token=of_nobody()) as client:
                assert (await client.hear())["reason"] == UNKNOWN
        async with v1(gateway, **hello) as client:
            assert (await client.hear())["t"] == "reset"
        await stage.noted("resync", "fresh")
        async with plain(gateway, cookie):
            await stage.noted("resume")


async def test_who_is_refused_for_the_rate_is_told_when_to_come_back(tmp_path: Path) -> None:
    few = Limits().but(
        session={"attach_failure_burst_max": 1, "attach_failures_per_minute_max": 60}
    )
    async with staged(configured(tmp_path, limits=few)) as (gateway, _), v1(gateway) as owner:
        await owner.say("code")
        code = (await owner.expect("code"))["d"]
        async with v1(gateway, code="AAAA-AAAA-AAAA") as client:
            assert await client.hear() == {"t": "refused", "reason": UNKNOWN}
        async with v1(gateway, code=code) as client:
            refused = await client.hear()
            assert refused["reason"] == "too many wrong attempts; try again later"
            assert 0 < refused["retry_ms"] <= 1000
            await asyncio.sleep(refused["retry_ms"] / 1000)
            await client.say("hello", code=code)
            assert (await client.hear())["t"] in ("resumed", "reset")


# --- too many


async def test_who_said_nothing_makes_room_for_somebody_else(tmp_path: Path) -> None:
    few = Limits().but(session={"sessions_max": 3})
    async with staged(configured(tmp_path, limits=few)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.session.identify("ann")
            await stage.accepted()
        await eventually(lambda: all(s.state.detached for s in gateway.manager.sessions.values()))
        for _ in range(5):
            async with person(gateway, "tcp") as stranger:
                await stranger.shown_code()
        async with person(gateway, "tcp") as someone:
            await someone.shown_code()
        assert len(gateway.manager.sessions) == 3
        assert gateway.manager.counts.closed["crowded"] == 4
        async with v1(gateway, token=welcome["token"]) as again:
            assert (await again.hear())["t"] == "reset"


async def test_a_full_house_says_so_and_asks_to_come_back(tmp_path: Path) -> None:
    full = Limits().but(session={"sessions_max": 1})
    async with staged(configured(tmp_path, limits=full)) as (gateway, stage):
        async with v1(gateway) as first:
            welcome = await first.expect("welcome")
            async with v1(gateway) as second:
                code, reason = await second.closed()
                assert (code, reason) == (4504, "there is no room for another session now")
                assert second.got[-1]["retry_ms"] > 0
            async with person(gateway, "tcp") as third:
                assert await third.rest() == ("*** There is no room for another session now.\n")
            # Who has a session comes back to it.
            async with v1(gateway, token=welcome["token"]) as again:
                assert (await again.hear())["t"] == "reset"
        await stage.noted("open")
