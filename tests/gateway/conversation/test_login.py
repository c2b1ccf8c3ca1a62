"""Logging in, choosing a profile, and the session that a user has left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.gateway.clients import person, v1
from tests.gateway.running import Stage, configured, linked, serving

from holdfast.app import Authenticate, AuthResult, ProfileSummary, Refusal
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway
from holdfast.link.peer import RequestError


def doorman(stage: Stage, retry_s: float = 0.0) -> Stage:
    """Let the application know Ann, whose password is `right`, and Bo."""
    known = {"ann": "right", "bo": "right too"}

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> AuthResult:
        if known.get(claim.username) != claim.password:
            raise Refusal("Wrong name or password.", retry_s=retry_s)
        return AuthResult(claim.username, {"level": "5"})

    return stage


def with_profiles(stage: Stage) -> Stage:
    """Let everybody have one profile, and make others unless they are called Nobody."""

    @stage.app.on_profiles
    async def profiles(sid: str) -> list[ProfileSummary]:
        return [ProfileSummary("p1", "Knight", "level 5")]

    @stage.app.on_create_profile
    async def create(sid: str, name: str) -> ProfileSummary:
        if name == "Nobody":
            raise Refusal("Nobody is taken.")
        return ProfileSummary("p2", name)

    @stage.app.on_select_profile
    async def select(sid: str, profile: str) -> ProfileSummary:
        return ProfileSummary(profile, profile.upper())

    return stage


@asynccontextmanager
async def guarded(
    folder: Path, *, profiles: bool = False, limits: Limits | None = None
) -> AsyncIterator[tuple[Gateway, Stage]]:
    stage = doorman(Stage())
    if profiles:
        with_profiles(stage)
    config = configured(folder, limits=limits)
    async with serving(config) as gateway, linked(gateway, stage):
        yield gateway, stage


def attempts(number: int) -> Limits:
    return Limits().but(session={"login_attempts_max": number})


# --- logging in


async def test_a_v1_client_logs_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        assert await client.hear() == {"t": "login"}
        await client.say("login", username="ann", password="wrong")
        assert await client.hear() == {
            "t": "login",
            "error": "Wrong name or password.",
        }
        assert stage.notes == []
        await client.say("login", username="ann", password="right")
        await stage.noted("open")
        assert (stage.session.user, stage.session.properties) == ("ann", {"level": "5"})


async def test_a_wait_that_the_application_wants_is_kept(tmp_path: Path) -> None:
    """Whoever does not wait is not looked at, on this connection or another."""
    stage = doorman(Stage(), retry_s=3_600)
    asked: list[str] = []
    authenticate = stage.app._by_name["authenticate"]

    async def note(claim: Authenticate) -> AuthResult:
        asked.append(claim.password)
        result: AuthResult = await authenticate(claim)
        return result

    stage.app._by_name["authenticate"] = note
    async with serving(configured(tmp_path)) as gateway, linked(gateway, stage):
        for password, error in (("wrong", "Wrong name or password."), ("right", "try again in")):
            async with v1(gateway) as client:
                await client.expect("login")
                await client.say("login", username="ann", password=password)
                answer = await client.hear()
                assert error in answer["error"]
                assert 3_590_000 < answer["retry_ms"] <= 3_600_000
        assert asked == ["wrong"]
        async with v1(gateway) as client:
            await client.expect("login")
            await client.say("login", username="bo", password="right too")
            await stage.noted("open")


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        ("login_failure_burst_max", ("ann", "bo", "cy", "ann")),
        ("login_failure_burst_per_user_max", ("ann", "ann", "ann", "ann")),
    ],
    ids=["of-one-address", "of-one-user"],
)
async def test_how_often_a_login_may_be_wrong_is_bounded(
    limit: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    limits = Limits().but(session={limit: 3})
    async with guarded(tmp_path, limits=limits) as (gateway, _):
        for number, name in enumerate(names):
            async with v1(gateway) as client:
                await client.expect("login")
                await client.say("login", username=name, password="wrong")
                error = (await client.hear())["error"]
                assert ("try again in" in error) is (number == 3), (number, error)


async def test_who_does_not_log_in_is_sent_away(tmp_path: Path) -> None:
    limits = Limits().but(session={"login_seconds_max": 0.2})
    async with guarded(tmp_path, limits=limits) as (gateway, _):
        async with v1(gateway) as client:
            await client.expect("login")
            assert (await client.closed())[0] == 4502
        assert gateway.manager.sessions == {}


async def test_a_terminal_logs_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage), person(gateway, "telnet") as someone:
        await someone.sees("Name: ")
        someone.types("ann")
        await someone.sees("Password: ")
        someone.types("wrong")
        assert await someone.sees("Name: ") == "*** Wrong name or password.\nName: "
        someone.types("ann", "right", "look")
        await stage.heard("look")
        assert stage.session.user == "ann"


async def test_a_password_typed_ahead_is_never_heard_by_the_application(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage), person(gateway, "tcp") as someone:
        someone.types("ann", "wrong", "ann", "right", "look")
        await stage.heard("look")


async def test_a_name_typed_before_the_application_is_there_is_no_command(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, person(gateway, "tcp") as someone:
        await someone.sees("The application is not here yet. Hold on.\n")
        someone.types("ann", "right", "look")
        stage = doorman(Stage())
        async with linked(gateway, stage):
            await stage.heard("look")


async def test_too_many_wrong_attempts_end_the_connection(tmp_path: Path) -> None:
    async with guarded(tmp_path, limits=attempts(2)) as (gateway, _):
        async with person(gateway, "tcp") as someone:
            someone.types("ann", "1", "ann", "2", "ann", "right")
            assert (await someone.rest()).endswith("*** Too many wrong attempts.\n")
        async with v1(gateway) as client:
            for password in ("1", "2"):
                await client.say("login", username="ann", password=password)
            assert await client.closed() == (4003, "too many wrong attempts")


async def test_attempts_are_counted_before_they_are_answered(tmp_path: Path) -> None:
    """Else a thousand guesses at once would all be looked at."""
    asked: list[str] = []
    answered = asyncio.Event()
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> AuthResult:
        asked.append(claim.password)
        await answered.wait()
        raise Refusal("no")

    config = configured(tmp_path, limits=attempts(3))
    async with serving(config) as gateway, linked(gateway, stage), v1(gateway) as client:
        await client.expect("login")
        for number in range(10):
            await client.say("login", username="ann", password=str(number))
        assert await client.closed() == (4003, "too many wrong attempts")
        answered.set()
    assert asked == ["0", "1", "2"]


async def test_a_login_waits_for_an_application_that_is_away(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=attempts(1))
    async with serving(config) as gateway:
        async with linked(gateway, doorman(Stage())):
            pass  # from now on the gateway knows that there is a login
        async with v1(gateway) as client:
            await client.expect("login")
            for _ in range(3):  # these count for nothing: nobody has looked at them
                await client.say("login", username="ann", password="right")
                error = (await client.expect("login"))["error"]
                assert error == "The application is away. Try again in a moment."
            stage = doorman(Stage())
            async with linked(gateway, stage):
                await client.say("login", username="ann", password="right")
                await stage.noted("open")
                assert stage.session.user == "ann"


async def test_a_login_that_was_not_finished_leaves_no_session(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, _):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await client.expect("login")
        async with v1(gateway, token=welcome["token"]) as client:
            assert (await client.hear())["t"] == "refused"


# --- choosing a profile


async def test_a_v1_client_chooses_a_profile(tmp_path: Path) -> None:
    async with guarded(tmp_path, profiles=True) as (gateway, stage), v1(gateway) as client:
        await client.expect("login")
        await client.say("login", username="ann", password="right")
        choice = await client.expect("profiles")
        assert choice == {
            "t": "profiles",
            "d": [{"id": "p1", "name": "Knight", "summary": "level 5"}],
        }
        await client.say("profile", name="Nobody")
        assert (await client.expect("profiles"))["error"] == "Nobody is taken."
        assert stage.notes == []
        await client.say("profile", id="p1")
        await stage.noted("open")
        assert (stage.session.user, stage.session.profile) == ("ann", "p1")


async def test_a_new_profile_has_properties(tmp_path: Path) -> None:
    stage = doorman(Stage())
    stage.app.on_profiles(lambda sid: [])
    stage.app.on_select_profile(lambda sid, profile: ProfileSummary(profile, profile))
    made: list[tuple[str, dict[str, str]]] = []

    @stage.app.on_create_profile
    def create(sid: str, name: str, properties: dict[str, str]) -> ProfileSummary:
        made.append((name, properties))
        return ProfileSummary(name.lower(), name)

    async with (
        serving(configured(tmp_path)) as gateway,
        linked(gateway, stage),
        v1(gateway) as client,
    ):
        kept = (await client.expect("welcome"))["keep_s"]
        await client.expect("login")
        await client.say("login", username="ann", password="right")
        told: dict[str, dict[str, Any]] = {}
        while not told.keys() >= {"token", "profiles"}:  # in either order
            message = await client.hear()
            told[message["t"]] = message
        assert told["token"]["keep_s"] > kept  # the session of a user
        await client.say("profile", name="Lancelot", properties={"race": "elf", "home": "sea"})
        await stage.noted("open")
        assert made == [("Lancelot", {"race": "elf", "home": "sea"})]
        assert stage.session.profile == "lancelot"


async def test_a_terminal_makes_a_profile(tmp_path: Path) -> None:
    async with (
        guarded(tmp_path, profiles=True) as (gateway, stage),
        person(gateway, "telnet") as someone,
    ):
        await someone.sees("Name: ")
        someone.types("ann", "right", "Nobody")
        screen = await someone.sees("Nobody is taken.\n")
        assert "  1  Knight - level 5\nChoose a number, or type a new name: " in screen
        await someone.sees("new name: ")
        someone.types("Lancelot", "look")
        await stage.heard("look")
        assert stage.session.profile == "p2"


async def test_a_drop_while_choosing_goes_back_to_the_choice(tmp_path: Path) -> None:
    async with guarded(tmp_path, profiles=True) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await client.say("login", username="ann", password="right")
            await client.expect("profiles")
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
            told = [(await client.hear())["t"] for _ in range(3)]
            assert told == ["resumed", "mode", "profiles"]
            await client.say("profile", id="p1")
            await stage.noted("open")
            assert stage.session.user == "ann"


async def test_the_application_sends_the_user_back_to_the_choice(tmp_path: Path) -> None:
    async with guarded(tmp_path, profiles=True) as (gateway, stage), v1(gateway) as client:
        await client.say("login", username="ann", password="right")
        await client.expect("profiles")
        await client.say("profile", id="p1")
        await stage.noted("open")
        await stage.session.choose_again()
        await client.expect("profiles")
        await client.say("profile", name="Other")
        await stage.noted("open")


# --- the session left behind


async def test_the_same_user_is_offered_the_session_left_behind(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage):
        async with person(gateway, "telnet") as someone:
            await someone.sees("Name: ")
            someone.types("ann", "right")
            await stage.noted("open")
            sid = stage.session.sid
            someone.drop()
        await stage.noted("detach", "network_error")
        await stage.session.text("meanwhile")
        async with person(gateway, "tcp") as stranger:
            stranger.types("bo", "right too")
            await stage.noted("open")
        async with person(gateway, "tcp") as someone:
            someone.types("ann", "right")
            await someone.sees(
                '*** You have another session, cut off a moment ago. To take it up, type "resume".'
            )
            await stage.noted("open")
            someone.types("resume")
            assert "*** You missed this:\nmeanwhile\n" in await someone.sees("That was all.")
            await stage.noted("close", "client_left")  # the new one is of no more use
            await stage.noted("resume")
            attached = [s for s in stage.app.sessions.values() if s.attached]
            assert [s.sid for s in attached] == [sid]


async def test_a_session_whose_connection_is_not_known_to_be_gone_is_offered(
    tmp_path: Path,
) -> None:
    """The network is gone, and nobody has noticed it yet."""
    async with guarded(tmp_path) as (gateway, stage), person(gateway, "telnet") as lost:
        await lost.sees("Name: ")
        lost.types("ann", "right")
        await stage.noted("open")
        sid = stage.session.sid
        async with person(gateway, "tcp") as someone:
            someone.types("ann", "right")
            await someone.sees("*** You have another session, still connected elsewhere.")
            await stage.noted("open")
            someone.types("resume")
            await someone.sees("Welcome back.")
            attached = [s for s in stage.app.sessions.values() if s.attached]
            assert [s.sid for s in attached] == [sid]
            await lost.sees("*** Your session was taken over by a newer connection.")


async def test_a_v1_client_takes_the_offer(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await client.say("login", username="ann", password="right")
            await stage.noted("open")
        await stage.noted("detach", "client_left")
        async with v1(gateway) as client:
            await client.say("login", username="ann", password="right")
            assert "another session" in (await client.expect("offer"))["d"]
            await client.say("resume")
            assert (await client.expect("resumed"))["sid"] == welcome["sid"]


async def test_nothing_of_the_offered_session_comes_before_its_resume(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage):
        async with v1(gateway) as first:
            await first.expect("login")
            await first.say("login", username="ann", password="right")
            await stage.noted("open")
            await first.say("cmd", c=1, d="look")
            await stage.noted("text", "look")
            await first.expect("ack")
        await stage.noted("detach", "client_left")
        async with v1(gateway) as second:
            await second.expect("login")
            await second.say("login", username="ann", password="right")
            await second.expect("offer")
            second.got.clear()
            await second.say("resume")
            await second.expect("resumed")
            assert second.got == []


async def test_an_offer_that_has_lapsed_costs_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage):
        async with v1(gateway) as client:
            await client.say("login", username="ann", password="right")
            await stage.noted("open")
            left = stage.session
        await stage.noted("detach", "client_left")
        async with v1(gateway) as client:
            await client.say("login", username="ann", password="right")
            await client.expect("offer")
            await stage.noted("open")
            await left.close("kicked")
            await client.say("resume")
            assert (await client.expect("notice"))["d"] == "That session is not there any more."
            await client.say("cmd", c=1, d="look")
            await stage.heard("look")


async def test_with_profiles_the_offer_comes_first_and_can_be_taken(tmp_path: Path) -> None:
    async with guarded(tmp_path, profiles=True) as (gateway, stage):
        async with person(gateway, "tcp") as someone:
            someone.types("ann", "right", "1", "look")
            await stage.heard("look")
            someone.drop()
        await stage.noted("detach", "network_error")
        async with person(gateway, "tcp") as someone:
            someone.types("ann", "right")
            await someone.sees('type "resume".')
            await someone.sees("new name: ")
            someone.types("resume", "north")
            await someone.sees("Welcome back.")
            await stage.noted("text", "north")


async def test_a_wrong_code_in_place_of_a_name_is_asked_for_again(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (gateway, stage), person(gateway, "tcp") as someone:
        await someone.sees("Name: ")
        someone.types("resume AAAA-AAAA")
        await someone.sees("That does not resume a session: it is not known")
        await someone.sees("Name: ")
        someone.types("ann", "right", "look")
        await stage.heard("look")


async def test_an_application_without_login_says_who_the_user_is(tmp_path: Path) -> None:
    async with serving(configured(tmp_path)) as gateway, linked(gateway) as stage:
        async with person(gateway, "tcp") as someone:
            await stage.noted("open")
            await stage.session.identify("ann")
            await stage.accepted()
            someone.drop()
        await stage.noted("detach", "network_error")
        async with person(gateway, "tcp") as someone:
            await stage.noted("open")
            (newest,) = [s for s in stage.app.sessions.values() if s.attached]
            await newest.identify("ann")
            await someone.sees('type "resume".')
            someone.types("resume")
            await someone.sees("Welcome back.")


# --- answers that cannot be used

_WRONG = "Something is wrong here. Try again later."


async def test_an_answer_that_is_none_is_a_fault_of_the_application(tmp_path: Path) -> None:
    """The user is told nothing of its inside, and both ends log what was wrong."""
    stage = Stage()
    answers = iter([AuthResult(user=42), None, AuthResult("u" * 300), AuthResult("ann")])  # type: ignore[arg-type]
    stage.app.on_authenticate(lambda claim: next(answers))
    config = configured(tmp_path, limits=attempts(1))
    with structlog.testing.capture_logs() as logs:
        async with serving(config) as gateway, linked(gateway, stage), v1(gateway) as client:
            await client.expect("welcome")
            assert await client.hear() == {"t": "login"}
            for _ in range(3):
                await client.say("login", username="ann", password="right")
                assert await client.hear() == {"t": "login", "error": _WRONG}
            await client.say("login", username="ann", password="right")
            await stage.noted("open")
            assert stage.session.user == "ann"
    told = [log["fault"] for log in logs if log["event"] == "application failed to answer"]
    assert told[:2] == ["the answer failed"] * 2
    assert "user: expected at most 256 bytes; found 300" in told[2]
    failed = [log["traceback"] for log in logs if log["event"] == "an answer failed"]
    assert len(failed) == 2
    assert "on_authenticate: expected AuthResult: Expected `str`, got `int`" in failed[0]


async def test_a_wait_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    stage = Stage()

    @stage.app.on_authenticate
    async def authenticate(claim: Authenticate) -> AuthResult:
        raise RequestError("no", "Not now.", float(claim.username))

    config = configured(tmp_path)
    async with serving(config) as gateway, linked(gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await client.hear()
        for seconds in ("nan", "inf", "-1"):
            await client.say("login", username=seconds, password="x")
            assert await client.hear() == {"t": "login", "error": "Not now."}


async def test_profiles_that_are_none(tmp_path: Path) -> None:
    stage = Stage()
    stage.app.on_profiles(lambda sid: [ProfileSummary(7, "Knight")])  # type: ignore[arg-type]
    stage.app.on_create_profile(lambda sid, name: name)
    stage.app.on_select_profile(lambda sid, profile: ProfileSummary("p" * 300, "Knight"))
    config = configured(tmp_path)
    async with serving(config) as gateway, linked(gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        assert await client.expect("profiles") == {"t": "profiles", "d": [], "error": _WRONG}
        await client.say("profile", name="Rogue")
        assert (await client.expect("profiles"))["error"] == _WRONG
        await client.say("profile", id="p1")
        assert (await client.expect("profiles"))["error"] == _WRONG


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"message": 7}, "the message of a Refusal: expected str; found int"),
        ({"message": "\ud83d"}, "the message of a Refusal: .* lone surrogate"),
        ({"message": "no", "code": None}, "the code of a Refusal: expected str"),
        ({"message": "no", "retry_s": float("nan")}, "retry_s of a Refusal: .* found nan"),
    ],
)
def test_a_refusal_that_cannot_be_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        Refusal(**fields)


async def test_a_user_has_so_many_sessions_open(tmp_path: Path) -> None:
    few = Limits().but(session={"sessions_per_user_max": 1})
    async with guarded(tmp_path, limits=few) as (gateway, _), v1(gateway) as first:
        await first.expect("login")
        await first.say("login", username="ann", password="right")
        await first.say("ping")
        await first.expect("pong")
        async with v1(gateway) as second:
            await second.expect("login")
            await second.say("login", username="ann", password="right")
            assert await second.closed() == (4504, "you have too many sessions open")
        async with v1(gateway) as other:
            await other.expect("login")
            await other.say("login", username="bo", password="right too")
            await other.say("ping")
            await other.expect("pong")
