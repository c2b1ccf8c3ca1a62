"""Sessions of one application, its instances, and who hears what in which order."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.backends.node import AppEnd, Client, apps, node
from tests.net.helpers import patience

from holdfast.backends.link.assignment import AWAY
from holdfast.backends.link.settings import policy_key
from holdfast.core.errors import Reason
from holdfast.core.items import Resized, Text
from holdfast.core.limits import Limits
from holdfast.core.login import LoginRefusedError, LoginUnavailableError, Policy
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.sessions.position import ResetReason
from holdfast.sessions.records import Capabilities, Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput


def say_to(session: Session, bseq: int, text: str) -> m.Emit:
    return m.Emit(session.sid, bseq, "must", Text(text))


# --- one instance


async def test_a_session_s_events_and_commands_come_in_their_order_in_one_frame(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        backend = it.backend()
        it.say(session, "look", "^C")
        backend.resized(session, Resized(100, 30))
        backend.capabilities_changed(session)
        it.say(session, "north")
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        it.say(session, "still typed")
        session.attach(client, numbered=False)
        backend.resumed(session)
        backend.resync(session, ResetReason.TRIMMED)
        it.say(session, "quit")
        it.manager.close(session, Reason.CLIENT_LEFT)
        assert await end.take(12) == [
            "opened",
            ("look", 1),
            ("^C", 2),
            Resized(100, 30),
            "capabilitieschanged",
            ("north", 3),
            ("detached", "network_error"),
            ("still typed", 4),
            m.Resumed("", ""),
            ("resync", "trimmed"),
            ("quit", 5),
            ("closed", "client_left"),
        ]
        assert end.frames == 1


async def test_what_is_opened_is_told_with_all_that_is_known(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open(user="ann")
        row = session.row
        row.properties, row.profile, row.data = {"role": "admin"}, "p1", b"\x01"
        row.groups = ("lobby", "garden")
        row.capabilities = Capabilities(client="tt++", width=80)
        row.address, row.protocol = "192.0.2.1:5", "telnet"
        row.known = False
        it.backend().opened(session)
        await end.until(lambda end: len(end.events) == 2)
        event = end.events[1].event
        assert event == m.Opened(
            m.SessionInfo(
                sid=session.sid,
                state="active",
                user="ann",
                properties={"role": "admin"},
                profile="p1",
                data=b"\x01",
                groups=["lobby", "garden"],
                capabilities=Capabilities(client="tt++", width=80),
                address="192.0.2.1:5",
                protocol="telnet",
                applied=0,
            )
        )


async def test_the_events_of_a_tick_are_flushed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open()
        await end.until(lambda end: len(end.events) == 1)
        flushes: list[object] = []
        monkeypatch.setattr(it.backend(), "_at_end_of_tick", flushes.append)
        for width in (100, 120):
            it.backend().resized(session, Resized(width, 30))
        assert len(flushes) == 1


async def test_a_command_is_forwarded_once(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open()
        for number in range(1, 6):
            it.say(session, str(number))
            if number % 2:
                await end.synchronise()
        assert await end.take_all() == ["opened", *((str(n), n) for n in range(1, 6))]
        end.applied(session, 3)
        await end.synchronise()
        assert session.inbox.applied == 3
        it.say(session, "six")
        assert await end.take_all() == [("six", 6)]


async def test_what_is_said_reaches_the_client_in_order(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.emit(say_to(session, 1, "one"), say_to(session, 2, "two"))
        end.emit(say_to(session, 3, "three"))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 3)
        assert client.texts == ["one", "two", "three"]


async def test_an_output_is_accepted_when_it_is_durable_and_not_before(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        await it.journal.settled()
        it.store.gate.clear()
        end.emit(say_to(session, 1, "one"))
        await end.synchronise()
        assert client.texts == ["one"]
        assert end.accepted == []
        it.store.gate.set()
        await end.until(lambda end: end.accepted == [1])


# --- while no application is there


async def test_a_client_is_told_once_that_the_application_is_away(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        session, client = it.open()
        it.say(session, "hello?", "hello??")
        await it.journal.settled()
        assert client.notices == [AWAY]


async def test_a_client_is_told_once_that_the_application_has_gone(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        await end.take(1)
        end.cut()
        await end.until_unlinked()
        await client.until_shown()
        it.say(session, "hello?")
        await it.journal.settled()
        assert client.notices == [AWAY]


async def test_a_client_that_comes_back_is_told_if_the_application_is_still_away(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, client = it.open()
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        second = Client(session)
        session.attach(second, numbered=False)
        it.backend().resumed(session)
        assert second.notices == [AWAY]
        end = await one_more()
        await end.hello()
        session.lost(second, Reason.NETWORK_ERROR, it.time)
        third = Client(session)
        session.attach(third, numbered=False)
        it.backend().resumed(session)
        assert third.notices == []


async def hears(end: AppEnd) -> None:
    """It has answered what the gateway asked before, and the gateway has the answer."""
    await end.synchronise()
    await end.synchronise()


async def test_an_application_hears_of_missed_output_however_often_its_link_breaks(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello("i1")
        session, _ = it.open()
        await end.take(1)
        end.cut()
        it.backend().resync(session, ResetReason.EPOCH)  # to a link that nobody hears any more
        it.backend().resumed(session)  # it returns again, with nothing lost since
        for instance, resync in (("i1", "epoch"), ("i1", "")):
            end = await one_more()
            (info,) = (await end.hello(instance)).sessions
            assert info.resync == resync
            await hears(end)
            end.cut()
            await end.until_unlinked()


async def test_missed_output_is_told_when_the_client_is_there(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello("i1")
        session, client = it.open()
        await end.take(1)
        end.cut()
        await end.until_unlinked()
        it.backend().resync(session, ResetReason.TRIMMED)
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        end = await one_more()
        await end.hello("i1")
        for _ in range(2):
            session.attach(client, numbered=False)
            it.backend().resumed(session)
            await hears(end)
            session.lost(client, Reason.NETWORK_ERROR, it.time)
        assert await end.take(4) == [
            ("resync", "trimmed"),
            ("detached", "network_error"),
            m.Resumed("", ""),
            ("detached", "network_error"),
        ]


async def test_a_session_that_was_never_opened_has_missed_nothing(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open()
        it.backend().resync(session, ResetReason.FRESH)
        end = await one_more()
        await end.hello()
        assert await end.take_all() == ["opened"]
        assert session.row.resync == ""


async def test_commands_wait_for_the_application_and_come_after_its_welcome(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open()
        it.say(session, "one", "two")
        end = await one_more()
        welcome = await end.hello()
        assert welcome.sessions == []  # it was never opened: that comes first
        assert await end.take(3) == ["opened", ("one", 1), ("two", 2)]


async def test_a_session_that_was_opened_before_is_adopted(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        session, client = it.open()
        it.say(session, "one", "two", "three")
        await first.take(4)
        first.applied(session, 1)
        await first.synchronise()
        first.cut()
        await first.until_unlinked()
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        it.say(session, "four")
        second = await one_more()
        assert (await second.hello("i2")).sessions == []
        await second.until(lambda end: len(end.events) >= 4)
        adopted = second.events[0].event
        assert isinstance(adopted, m.Adopted)
        info = adopted.info
        assert (info.sid, info.state, info.applied) == (session.sid, "detached_active", 1)
        assert await second.take(4) == ["adopted", ("two", 2), ("three", 3), ("four", 4)]


async def test_a_session_that_is_not_active_is_not_told(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open()
        session.apply(SessionInput.DESELECTED)
        end = await one_more()
        welcome = await end.hello()
        assert welcome.sessions == []
        assert await end.take_all() == []


async def test_what_the_application_remembers_to_have_applied_does_not_come_again(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        session, _ = it.open()
        it.say(session, "one", "two", "three")
        await first.take(4)
        first.cut()
        await first.until_unlinked()
        second = await one_more()
        second.remembered = {session.sid: 2, "gone": 9}
        await second.hello("i2")
        assert await second.take(2) == ["adopted", ("three", 3)]
        assert second.asked == [[session.sid]]
        assert session.inbox.applied == 2


async def test_another_application_s_session_is_not_applied_by_a_hello(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        session, _ = it.open("game")
        it.say(session, "one")
        end = await one_more()
        await end.hello(applied={session.sid: 1})
        assert session.inbox.applied == 0


async def test_requests_without_an_application_say_that_it_is_away(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        session, _ = it.open()
        backend = it.backend()
        for asking in (
            backend.authenticate(session, m.Authenticate(session.sid)),
            backend.profiles(session),
            backend.create_profile(session, "x", {}),
            backend.select_profile(session, "x"),
        ):
            with pytest.raises(LoginUnavailableError, match="the application is away"):
                await asking


# --- requests


async def test_requests_are_the_application_s_to_answer(tmp_path: Path) -> None:
    asked: list[object] = []

    async def authenticate(claim: m.Authenticate) -> m.AuthResult:
        asked.append(claim)
        return m.AuthResult("ann", {"role": "admin"})

    def profiles(query: m.ProfileQuery) -> list[m.ProfileSummary]:
        asked.append(query)
        return [m.ProfileSummary("p1", "Ann"), m.ProfileSummary("p2", "Bob", "a thief")]

    def create(creation: m.ProfileCreation) -> m.ProfileSummary:
        asked.append(creation)
        return m.ProfileSummary("p3", creation.name)

    def select(choice: m.ProfileChoice) -> m.ProfileSummary:
        asked.append(choice)
        raise RequestError("taken", "somebody plays that one", 5.0)

    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        end.answers = {
            m.AUTHENTICATE: authenticate,
            m.PROFILES_LIST: profiles,
            m.PROFILES_CREATE: create,
            m.PROFILES_SELECT: select,
        }
        await end.hello(login=True, profiles=True)
        session, _ = it.open()
        backend, sid = it.backend(), session.sid
        async with patience():
            claim = m.Authenticate(sid, "ann", "pw")
            assert await backend.authenticate(session, claim) == m.AuthResult(
                "ann", {"role": "admin"}
            )
            assert [p.id for p in await backend.profiles(session)] == ["p1", "p2"]
            made = await backend.create_profile(session, "Cid", {"race": "elf"})
            assert made == m.ProfileSummary("p3", "Cid")
            with pytest.raises(LoginRefusedError, match="somebody plays") as caught:
                await backend.select_profile(session, "p1")
        assert caught.value.retry_s == 5.0
        assert asked == [
            claim,
            m.ProfileQuery(sid),
            m.ProfileCreation(sid, "Cid", {"race": "elf"}),
            m.ProfileChoice(sid, "p1"),
        ]


# --- policy


async def test_the_policy_is_learnt_from_the_first_hello_and_kept(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        assert it.backend().policy is None
        first = await one_more()
        await first.hello("i1", login=True)
        assert it.backend().policy == Policy(login=True)
        assert it.host.calls == [("policy_known", None)]
        await it.journal.settled()
        stored = (await it.store.open()).settings[policy_key("chat")]
        assert msgspec.msgpack.decode(stored, type=Policy) == Policy(login=True)
        second = await one_more()
        await second.hello("i2", profiles=True)
        assert it.backend().policy == Policy(profiles=True)
        assert len(it.host.calls) == 1


async def test_a_policy_of_the_run_before_is_known_at_once(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        kept = {policy_key("chat"): msgspec.msgpack.encode(Policy(profiles=True))}
        it.backend().restore(Stored(clean=True, settings=kept))
        assert it.backend().policy == Policy(profiles=True)


# --- several instances


async def test_new_sessions_go_to_the_least_busy_and_stick(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        ends = [await one_more(), await one_more()]
        for number, end in enumerate(ends):
            await end.hello(f"i{number}")
        sessions = [it.open()[0] for _ in range(4)]
        for end in ends:
            assert await end.take_all() == ["opened", "opened"]
        for session in sessions:
            it.say(session, "hi")
        for end, mine in zip(ends, (sessions[::2], sessions[1::2]), strict=True):
            await end.until(lambda end: len(end.events) == 2)
            assert [event.sid for event in end.events] == [session.sid for session in mine]


async def test_a_dead_instance_s_sessions_move_and_are_told_before_their_commands(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        dead, heir = await one_more(), await one_more()
        await dead.hello("dead")
        session, client = it.open()
        await heir.hello("heir")
        it.say(session, "one", "two")
        await dead.take(3)
        dead.applied(session, 1)
        await dead.synchronise()
        dead.cut()
        assert await heir.take(2) == ["adopted", ("two", 2)]
        it.say(session, "three")
        assert await heir.take(1) == [("three", 3)]
        assert client.notices == [], "the application was never away"


async def test_when_an_instance_comes_back_its_sessions_stay_where_they_went(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, heir = await one_more(), await one_more()
        await first.hello("first")
        session, _ = it.open()
        await heir.hello("heir")
        first.cut()
        assert await heir.take(1) == ["adopted"]
        again = await one_more()
        assert (await again.hello("first")).sessions == []
        it.say(session, "one")
        assert await heir.take(1) == [("one", 1)]


async def test_a_session_that_comes_from_another_node_goes_to_the_instance_that_held_it(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        idle, holder = await one_more(), await one_more()
        await idle.hello("idle")
        await holder.hello("holder")
        session, _ = it.open()
        it.open()
        assert await idle.take(1) == await holder.take(1) == ["opened"]
        assignment = it.backend().assignment
        assert assignment.take(assignment.linked["idle"], [session.sid]) == [session]
        session.row.instance = "holder"  # as the other node has stored it
        assignment.assign([session])
        assert await holder.take(1) == ["adopted"]


async def test_what_one_instance_says_to_another_s_session_is_said(tmp_path: Path) -> None:
    """The sessions are the application's; each has its own numbers."""
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1")
        session, client = it.open()
        await second.hello("i2")
        first.emit(say_to(session, 1, "from the first"))
        await first.until(lambda end: end.accepted)
        second.emit(say_to(session, 1, "from the second"))
        await second.until(lambda end: end.accepted)
        assert client.texts == ["from the first", "from the second"]


async def test_a_session_that_is_selected_again_stays_with_its_instance(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1")
        session, _ = it.open()
        await second.hello("i2")
        session.apply(SessionInput.DESELECTED)
        session.apply(SessionInput.SELECTED)
        it.backend().opened(session)
        assert await first.take(2) == ["opened", "opened"]
        assert await second.take_all() == []
        second.cut()
        await second.until_unlinked()
        it.say(session, "hi")
        assert await first.take(1) == [("hi", 1)]


# --- one instance, one link after the other


async def test_an_instance_that_links_again_is_told_how_much_was_heard(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        assert (await first.hello("i1")).accepted == 0
        session, client = it.open()
        first.emit(say_to(session, 1, "one"), say_to(session, 2, "two"))
        await first.until(lambda end: end.accepted and end.accepted[-1] == 2)
        first.cut()
        await first.until_unlinked()
        second = await one_more()
        assert (await second.hello("i1")).accepted == 2
        second.emit(say_to(session, 2, "two"), say_to(session, 3, "three"))
        await second.until(lambda end: end.accepted and end.accepted[-1] == 3)
        assert client.texts == ["one", "two", "three"]


async def test_a_link_takes_the_place_of_one_whose_end_was_not_noticed(tmp_path: Path) -> None:
    """The other side lost its network: its first link looks alive to us for a while."""
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        session, client = it.open()
        it.say(session, "look")
        first.emit(say_to(session, 1, "one"), say_to(session, 2, "two"))
        await first.until(lambda end: end.accepted and end.accepted[-1] == 2)
        second = await one_more()
        welcome = await second.hello("i1")
        assert welcome.accepted == 2
        assert [info.sid for info in welcome.sessions] == [session.sid]
        reason = "another process has linked under the instance's name, i1"
        assert await first.until_unlinked() == reason
        assert first.peer.goodbye_code == "superseded"
        second.emit(say_to(session, 3, "three"))
        await second.until(lambda end: end.accepted and end.accepted[-1] == 3)
        assert client.texts == ["one", "two", "three"]
        assert await second.take_all() == [("look", 1)]
        assert client.notices == [], "the application was never away"


async def test_a_replaced_link_keeps_its_sessions_from_other_instances(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, other = await one_more(), await one_more()
        await first.hello("i1")
        session, _ = it.open()
        await other.hello("i2")
        second = await one_more()
        assert [info.sid for info in (await second.hello("i1")).sessions] == [session.sid]
        assert await other.take_all() == []


async def test_outputs_that_are_not_durable_are_asked_for_again_and_not_said_again(
    tmp_path: Path,
) -> None:
    """If the gateway dies before it has stored them, the application must still have them."""
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        session, client = it.open()
        await it.journal.settled()
        it.store.gate.clear()
        first.emit(say_to(session, 1, "one"), say_to(session, 2, "two"))
        await first.synchronise()
        first.cut()
        await first.until_unlinked()
        second = await one_more()
        assert (await second.hello("i1")).accepted == 0
        second.emit(*(say_to(session, n, t) for n, t in enumerate(("one", "two", "three"), 1)))
        await second.synchronise()
        assert client.texts == ["one", "two", "three"]
        it.store.gate.set()
        await second.until(lambda end: end.accepted and end.accepted[-1] == 3)


async def test_what_the_store_remembers_of_an_instance_counts_after_a_restart(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        stored = Stored(clean=True, accepted={"chat/i1": 7, "i2": 8, "game/i3": 9})
        it.backend().restore(stored)
        assert (await (await one_more()).hello("i1")).accepted == 7
        assert (await (await one_more()).hello("i2")).accepted == 8, "as older versions kept it"
        assert (await (await one_more()).hello("i3")).accepted == 0, "another application's"


async def test_an_instance_that_another_run_of_the_node_knows_begins_behind_its_outputs(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        welcome = await (await one_more()).hello("i1", oldest=4, sent=6, run=7)
        assert (welcome.accepted, welcome.fresh, welcome.forgotten) == (3, True, 0)
        welcome = await (await one_more()).hello("i1", oldest=4, sent=6, run=7)
        assert (welcome.accepted, welcome.fresh) == (3, False)


async def test_what_becomes_durable_after_the_link_has_ended_counts_too(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        await it.journal.settled()
        it.store.gate.clear()
        first.emit(m.Emit("nobody", 1, "must", Text("x")))
        await first.synchronise()
        first.cut()
        await first.until_unlinked()
        it.store.gate.set()
        await it.journal.settled()
        second = await one_more()
        assert (await second.hello("i1")).accepted == 1


async def test_an_instance_that_is_long_gone_is_forgotten(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        linked, old = await one_more(), await one_more()
        for name, end in (("linked", linked), ("old", old)):
            await end.hello(name)
            end.emit(m.Emit("nobody", 1, "must", Text("x")))
            await end.until(lambda end: end.accepted == [1])
        linked.cut()
        await linked.until_unlinked()
        linked = await one_more()
        assert (await linked.hello("linked")).accepted == 1
        old.cut()
        await old.until_unlinked()
        for _ in range(2):  # by then the gateway has noticed
            await linked.synchronise()
        assert (await it.store.open()).accepted == {"chat/linked": 1, "chat/old": 1}
        it.time += 3_601
        await (await one_more()).hello("new")
        await it.journal.settled()
        assert (await it.store.open()).accepted == {"chat/linked": 1}
        assert (await (await one_more()).hello("old")).accepted == 0


# --- the window


WINDOW = 100
LINE = 36  # bytes of a command of four characters, as the queue counts it


async def test_commands_beyond_the_window_wait_until_others_are_applied(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=WINDOW)
        sessions = [it.open()[0] for _ in range(3)]
        await end.take(3)
        it.say(sessions[0], "one", "two", "six", "ten")
        assert await end.take_all() == [("one", 1), ("two", 2), ("six", 3)]  # this fills it
        end.applied(sessions[0], 2)
        assert await end.take(1) == [("ten", 4)]


async def test_who_has_nothing_under_way_gets_a_command_however_full_the_window_is(
    tmp_path: Path,
) -> None:
    """A session that hangs holds nobody else."""
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=WINDOW)
        hung, other, third = (it.open()[0] for _ in range(3))
        await end.take(3)
        it.say(hung, *["hang"] * 9)
        assert await end.take_all() == [("hang", n) for n in (1, 2, 3)]
        it.say(other, "look", "look")
        it.say(third, "look")
        assert await end.take_all() == [("look", 1), ("look", 1)]
        end.applied(other, 1)
        assert await end.take(1) == [("look", 2)]
        assert await end.take_all() == []


async def test_a_session_has_so_much_under_way_and_no_more(tmp_path: Path) -> None:
    limits = Limits().but(session={"forwarded_bytes_max": WINDOW})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open()
        it.say(session, *["look"] * 5)
        assert await end.take_all() == ["opened", *(("look", n) for n in (1, 2, 3))]
        end.applied(session, 1)
        assert await end.take(1) == [("look", 4)]
        end.applied(session, 4)
        assert await end.take(1) == [("look", 5)]


async def test_events_pass_by_a_full_window_with_the_commands_before_them(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=1)
        first, second = it.open()[0], it.open()[0]
        it.say(first, "look")
        await end.take(3)
        it.say(second, "wait")
        it.backend().resized(second, Resized(1, 1))
        assert await end.take(2) == [("wait", 1), Resized(1, 1)]


async def test_a_session_that_ends_gives_back_its_part_of_the_window(tmp_path: Path) -> None:
    """What it had not applied, it never will report."""
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=WINDOW)
        for _ in range(5):
            session, _ = it.open()
            it.say(session, "quit")
            assert await end.take(2) == ["opened", ("quit", 1)]
            it.manager.close(session, Reason.KICKED)  # by its own command, before that is applied
            end.applied(session, 1)
            assert await end.take(1) == [("closed", "kicked")]


async def test_a_session_that_ends_makes_room_for_those_that_wait(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=2 * LINE)
        first, second = it.open()[0], it.open()[0]
        it.say(first, "look")
        it.say(second, "one.", "two.", "six.")
        assert await end.take(4) == ["opened", "opened", ("look", 1), ("one.", 1)]
        it.manager.close(first, Reason.KICKED)
        assert await end.take_all() == [("closed", "kicked")]
        end.applied(second, 1)
        assert await end.take(2) == [("two.", 2), ("six.", 3)]


async def test_what_another_instance_remembers_gives_back_its_part_of_the_window(
    tmp_path: Path,
) -> None:
    """Instances that share a database may report each other's commands."""
    async with node(tmp_path) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1", window=LINE)
        session, _ = it.open()
        for number in range(1, 6):
            it.say(session, "look")
            expected = [("look", number)]
            assert (await first.take(len(expected) + (number == 1)))[-1:] == expected
            second = await one_more()
            await second.hello("i2", applied={session.sid: number})
            first.applied(session, number)
            await first.synchronise()


async def test_a_session_that_moves_takes_its_part_of_the_window_along(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1", window=WINDOW)
        session, _ = it.open()
        await second.hello("i2", window=LINE)
        it.say(session, "look")
        await first.take(2)
        first.cut()
        assert await second.take(2) == ["adopted", ("look", 1)]
        other, _ = it.open()
        it.say(other, "here", "wait")
        assert await second.take_all() == ["opened", ("here", 1)]
        second.applied(session, 1)
        second.applied(other, 1)
        assert await second.take(1) == [("wait", 2)]


async def test_a_detached_session_s_commands_come_once_the_window_opens(tmp_path: Path) -> None:
    limits = Limits().but(session={"queue_messages_max": 2})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello(window=1)
        session, client = it.open()
        it.say(session, "one")
        await end.take(2)
        it.say(session, "two")
        assert await end.take_all() == []
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        assert await end.take(2) == [("two", 2), ("detached", "network_error")]
