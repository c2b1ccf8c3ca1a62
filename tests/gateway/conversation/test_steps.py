"""How a connection gets its session, and that its user: events in, effects out, no network."""

from __future__ import annotations

import pytest
from tests.gateway.conversation.steps import Recorded, World

from holdfast.core.errors import Reason
from holdfast.core.items import Text
from holdfast.core.limits import Limits
from holdfast.core.login import (
    AuthResult,
    LoginRefusedError,
    LoginUnavailableError,
    Policy,
    ProfileSummary,
)
from holdfast.gateway.adapters.events import (
    Broken,
    Capable,
    Enter,
    Left,
    LoginGiven,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.claims import Claim
from holdfast.sessions.records import Capabilities
from holdfast.sessions.states import Durability, SessionState


def test_the_recorder_is_a_conversation() -> None:
    conversation: Conversation = Recorded(World())
    assert conversation.phase is ConversationPhase.WAITING


def entered(world: World, **options: object) -> Recorded:
    """A client with a new session, which is live; what came of that is forgotten."""
    client = Recorded(world, **options)  # type: ignore[arg-type]
    client.hears(Enter())
    assert client.phase is ConversationPhase.LIVE
    return client


def guarded(*, profiles: bool = False, **limits: float) -> World:
    """A world whose backend asks for a login."""
    world = World(Limits().but(session=limits) if limits else None)
    world.backend.policy = Policy(login=True, profiles=profiles)
    return world


# --- a new session


def test_a_client_that_is_ready_gets_a_session() -> None:
    client = Recorded(World())
    able = Capabilities(width=80)
    code, *rest = client.hears(Capable(able), Enter())
    assert 'type "resume ' in code[1]
    assert rest == [("go on",), ("opened",)]
    assert client.phase is ConversationPhase.LIVE
    row = client.session.row
    assert (row.capabilities, row.protocol, row.app) == (able, "tcp", "asked")


def test_sessions_of_clients_of_one_kind_keep_one_description_of_it() -> None:
    rows = []
    for _ in range(2):
        client = Recorded(World())
        client.hears(Capable(Capabilities(width=80)), Enter())
        client.hears(Capable(Capabilities(width=81)))
        rows.append(client.session.row)
    assert rows[0].capabilities == Capabilities(width=81)
    assert rows[0].capabilities is rows[1].capabilities


def test_anything_before_is_refused() -> None:
    client = Recorded(World())
    assert client.hears(Text("look")) == [
        ("goodbye", Reason.PROTOCOL_ERROR, "expected hello first")
    ]
    assert client.hears(Text("look"), Enter()) == []  # nobody listens any more


def test_a_client_that_leaves_first_has_had_nothing() -> None:
    client = Recorded(World())
    assert client.hears(Left(done=False)) == [("end", Reason.CLIENT_LEFT)]
    assert client.world.manager.sessions == {}


def test_what_the_client_broke_is_counted_and_told() -> None:
    client = Recorded(World())
    assert client.hears(Broken(Reason.FLOOD, "too much")) == [
        ("tell", SecurityEvent.LIMITED),
        ("end", Reason.FLOOD),
    ]
    assert client.context.counts == {"closed_flood": 1}


def test_without_room_the_client_is_told() -> None:
    world = World(Limits().but(session={"sessions_max": 1}))
    world.manager.set_user(entered(world).session, "ann")
    client = Recorded(world)
    assert client.hears(Enter()) == [
        ("tell", SecurityEvent.LIMITED),
        ("goodbye", Reason.CROWDED, ""),
    ]


async def test_nothing_is_told_before_it_is_durable() -> None:
    world = World()
    client = Recorded(world, world.listener(durability=Durability.FAST))
    assert client.hears(Enter(), Text("look")) == []
    assert client.phase.name == "ENTERING"
    assert not world.bench.transport.reading
    assert client.intake.held is not None
    assert client.intake.held.events == [Text("look")]
    world.commit()
    _, *rest = client.effects
    assert rest == [("go on",), ("opened",)]
    assert client.phase.name == "LIVE"


async def test_a_client_that_is_lost_meanwhile_is_told_nothing() -> None:
    world = World()
    client = Recorded(world, world.listener(durability=Durability.FAST))
    client.hears(Enter())
    client.goodbye(Reason.SHUTDOWN)
    client.effects.clear()
    world.commit()
    assert client.effects == []


# --- a session that is there


def test_a_code_takes_a_session_up() -> None:
    world = World()
    first = entered(world)
    code = world.manager.claims.issue_code(Claim(first.session, None))
    second = Recorded(world)
    told, welcome, caught_up, *rest = second.hears(Enter(code=code, or_new=True))
    assert told == ("tell", SecurityEvent.TAKEN_OVER)
    assert "Welcome back" in welcome[1]
    assert "You missed nothing." in caught_up[1]
    assert rest == [("go on",), ("resumed",)]
    assert first.effects == [("goodbye", Reason.SUPERSEDED, "")]
    assert second.session.consumer is second.attachment


def test_a_wrong_code_is_refused_and_no_other_is_looked_at() -> None:
    client = entered(World())
    told, refused = client.hears(Enter(code="0000-0000-0000"))
    assert told == ("tell", SecurityEvent.CODE_REFUSED)
    assert "does not resume a session" in refused[1]
    assert client.hears(Enter(code="0000-0000-0000")) == [
        ("goodbye", Reason.REFUSED, "after a wrong code a connection takes no other; connect again")
    ]


def test_a_connection_that_another_has_overtaken_is_turned_away() -> None:
    world = World()
    newer = entered(world)
    newer.session.row.attempt = 5
    token = world.manager.claims.issue_token(Claim(newer.session, None))
    older = Recorded(world)
    assert older.hears(Enter(token=token, attempt=5)) == [("goodbye", Reason.SUPERSEDED, "")]
    assert older.hears() == []
    assert newer.effects == []
    assert newer.session.consumer is newer.attachment


@pytest.mark.parametrize("by", ["code", "token", "offer"])
def test_the_session_that_is_left_for_another_one_ends(by: str) -> None:
    world = World()
    left, client = entered(world), entered(world)
    for one in (left, client):
        world.manager.set_user(one.session, "ann")
    own, older = client.session, left.session
    claim = Claim(older, None)
    enters: dict[str, Enter | ResumeOwn] = {
        "code": Enter(code=world.manager.claims.issue_code(claim)),
        "token": Enter(token=world.manager.claims.issue_token(claim)),
        "offer": ResumeOwn(),
    }
    client.hears(enters[by])
    assert client.session is older
    assert older.consumer is client.attachment
    assert list(world.manager.sessions) == [older.sid]
    assert own.consumer is None
    assert len(world.context.pool) == 1


def test_whoever_resumes_brings_what_the_client_can_do_now() -> None:
    """A size that is told while the client is in a session of its own holds in the older one."""
    world = World()
    left = entered(world)
    world.manager.set_user(left.session, "ann")
    client = entered(world)
    world.manager.set_user(client.session, "ann")
    wide = Capabilities(width=200, height=50)
    client.hears(Capable(wide))
    own, older = client.session, left.session
    client.hears(ResumeOwn())
    assert client.session is older
    assert older.row.capabilities == wide
    assert own.sid not in world.manager.sessions


# --- logging in


def test_a_login_is_asked_for_and_given() -> None:
    world = guarded(profiles=True)
    client = Recorded(world)
    _, name, *rest = client.hears(Enter())
    assert (name, rest) == (("send", "Name: "), [("go on",)])
    assert client.hears(LoginGiven("ann", "right")) == []
    assert world.asked == [("authenticate", "ann", "right")]
    world.answer(AuthResult("ann", {"level": "5"}))
    assert client.effects == [("tell", SecurityEvent.USER_CHANGED)]
    assert world.asked == [("profiles",)]
    world.answer([ProfileSummary("p1", "Knight")])
    assert "Knight" in client.effects[0][1]
    assert client.hears(ProfileWanted(id="p1")) == []
    world.answer(ProfileSummary("p1", "Knight"))
    assert client.effects == [("opened",)]
    row = client.session.row
    assert (row.user, row.properties, row.profile) == ("ann", {"level": "5"}, "p1")


def test_only_what_the_backend_judged_counts_as_an_attempt() -> None:
    world = guarded(login_attempts_max=1)
    client = entered(world)
    client.hears(LoginGiven("ann", "x"))
    world.answer(LoginUnavailableError("not connected"))
    assert client.effects == [
        ("send", "\n*** The application is away. Try again in a moment.\nName: ")
    ]
    client.hears(LoginGiven("ann", "x"))
    world.answer(LoginRefusedError("no"))
    assert client.effects == [
        ("tell", SecurityEvent.LOGIN_FAILED),
        ("tell", SecurityEvent.LOGIN_LIMITED),
        ("goodbye", Reason.REFUSED, "too many wrong attempts"),
    ]


def test_whoever_has_to_wait_is_not_looked_at() -> None:
    world = guarded()
    client = entered(world)
    client.hears(LoginGiven("ann", "x"))
    world.answer(LoginRefusedError("no", retry_s=60.0))
    client.effects.clear()
    told, asked = client.hears(LoginGiven("ann", "x"))
    assert told == ("tell", SecurityEvent.LOGIN_LIMITED)
    assert "try again in 60 s" in asked[1]
    assert world.asked == []
    world.bench.loop.advance(60.2)
    client.hears(LoginGiven("ann", "x"))
    assert world.asked == [("authenticate", "ann", "x")]


def test_whoever_does_not_log_in_in_time_is_closed() -> None:
    world = guarded(login_seconds_max=30.0)
    client = entered(world)
    world.bench.loop.advance(29.9)
    assert client.effects == []
    world.bench.loop.advance(0.2)
    assert client.effects == [("goodbye", Reason.TIMEOUT, ""), ("ended", Reason.TIMEOUT)]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    world = guarded()
    client = entered(world)
    session = client.session
    client.hears(LoginGiven("ann", "right"))
    client.goodbye(Reason.SHUTDOWN)
    client.effects.clear()
    world.answer(AuthResult("ann"))
    assert client.effects == []
    assert session.state is SessionState.AUTHENTICATING
    assert session.row.user == ""


def test_a_session_waits_for_the_policy_of_its_backend() -> None:
    world = World()
    world.backend.policy = None
    client = Recorded(world)
    client.hears(Enter())
    assert client.session.state is SessionState.CONNECTING
    world.backend.policy = Policy()
    client.hear(News.POLICY_KNOWN)
    assert client.effects == [("opened",)]


def test_a_user_s_other_session_is_offered() -> None:
    world = World()
    left = entered(world)
    world.manager.set_user(left.session, "ann")
    world.backend.policy = Policy(login=True)
    client = entered(world)
    client.hears(LoginGiven("ann", "right"))
    world.answer(AuthResult("ann"))
    offers = [it[1] for it in client.effects if it[0] == "send"]
    assert offers == [
        '\n*** You have another session, still connected elsewhere. To take it up, type "resume".\n'
    ]
