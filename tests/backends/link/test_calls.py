"""What an application may call: carried out once, in order, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.backends.node import apps, node

from holdfast.core.errors import Reason
from holdfast.core.items import (
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.sessions.port import SessionPort
from holdfast.sessions.states import SessionInput
from holdfast.sessions.stores.base import StoreError

OUTPUTS: list[Output] = [
    Text("text"),
    Formatted("formatted", (Span(0, 3, "bold"),)),
    Data("Room.Info", '{"n":1}'),
    Prompt("> "),
    Binary(b"\x00\xff"),
    Notice("notice"),
]


# --- emit


async def test_every_kind_of_output_can_be_said(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.emit(*(m.Emit(session.sid, n, "must", item) for n, item in enumerate(OUTPUTS, 1)))
        await end.until(lambda end: end.accepted)
        assert client.outputs == OUTPUTS
        assert end.refused == []


async def test_what_is_volatile_is_shown_and_not_kept(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.emit(m.Emit(session.sid, 1, "volatile", Text("now")))
        await end.until(lambda end: end.accepted == [1])
        assert client.shown == [Text("now")]
        assert session.out.top == 0


async def test_a_newer_output_of_the_same_key_replaces_an_unseen_one(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.emit(
            m.Emit(session.sid, 1, "latest:hp", Text("hp 9")),
            m.Emit(session.sid, 2, "latest:mp", Text("mp 5")),
            m.Emit(session.sid, 3, "latest:hp", Text("hp 8")),
        )
        await end.until(lambda end: end.accepted)
        assert client.outputs == [None, Text("mp 5"), Text("hp 8")]


@pytest.mark.parametrize("delivery", ["", "MUST", "latest", "Latest:x", "mustard", "volatile:x"])
async def test_an_unknown_delivery_is_refused_and_the_others_go_on(
    delivery: str, tmp_path: Path
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        it.manager.groups.join(session, "lobby")
        end.emit(
            m.Emit(session.sid, 1, "must", Text("one")),
            m.Emit(session.sid, 2, delivery, Text("bad")),
            m.Emit(session.sid, 3, "must", Text("three")),
        )
        end.peer.notify(m.BROADCAST, m.Broadcast("lobby", 4, delivery, Text("bad")))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 4)
        fault = f"delivery: expected must, volatile or latest:KEY; found {delivery!r}"
        assert end.refused == [m.Refused(2, fault), m.Refused(4, fault)]
        assert client.texts == ["one", "three"]


async def test_what_is_said_to_nobody_is_accepted_and_refused_by_its_number(tmp_path: Path) -> None:
    """The session may have ended while it was on its way, or be another application's."""
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        foreign, client = it.open("game")
        end.emit(m.Emit("gone", 1, "must", Text("x")), m.Emit(foreign.sid, 2, "must", Text("x")))
        await end.until(lambda end: end.accepted == [2])
        assert client.outputs == []
        assert end.refused == [
            m.Refused(1, "the application has no session gone", m.UNKNOWN_SESSION),
            m.Refused(2, f"the application has no session {foreign.sid}", m.UNKNOWN_SESSION),
        ]


BAD_OUTPUTS: dict[str, tuple[Any, str]] = {
    "too large": (["must", ["text", "x" * 600_000]], "text: expected at most 524288 bytes"),
    "no text": (["must", ["text", b"x"]], "Expected `str`, got `bytes`"),
    "no UTF-8": (["must", ["text", msgspec.Raw(b"\xa2\xff\xfe")]], "'utf-8' codec can't decode"),
    "half a character": (["must", ["formatted", "a", [[0, 1.5, "red"]]]], "Expected `int`"),
    "a span that begins before": (["must", ["formatted", "a", [[-1, 1, "red"]]]], "a span's start"),
    "no JSON": (["must", ["data", "A.B", "{"]], "data: expected JSON text; found '{'"),
    "an integer of 70 bits": (["must", ["data", "A.B", str(1 << 70)]], "integers of 64 bits"),
    "a package of two words": (["must", ["data", "A B", "1"]], "a package: expected letters"),
    "no item": (["must", ["shout", "x"]], "Invalid value 'shout'"),
    "no delivery": ([7, ["text", "x"]], "Expected `str`, got `int`"),
    "a long key": (["latest:" + "k" * 300, ["text", "x"]], "the key of latest: expected at most"),
    "nothing": ([], "Expected `array`"),
}


@pytest.mark.parametrize("name", BAD_OUTPUTS)
async def test_an_output_that_cannot_be_said_is_refused_and_the_others_go_on(
    name: str, tmp_path: Path
) -> None:
    """An application in any language may send it; a repeat of it is refused no second time."""
    rest, words = BAD_OUTPUTS[name]
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        other, others = it.open()
        for _ in range(2):
            end.peer.notify(
                m.EMIT,
                [
                    m.Emit(session.sid, 1, "must", Text("one")),
                    [session.sid, 2, *rest],
                    m.Emit(other.sid, 3, "must", Text("three")),
                ],
            )
        await end.until(lambda end: 3 in end.accepted)
        await end.synchronise()
        (refused,) = end.refused
        assert refused.bseq == 2
        assert words in refused.message
        assert (client.texts, others.texts) == (["one"], ["three"])
        assert end.reason is None


BAD_CALLS: dict[str, tuple[str, list[Any], str]] = {
    "broadcast": (m.BROADCAST, ["g", 1, "must", ["text", 7]], "Expected `str`"),
    "a large broadcast": (m.BROADCAST, ["g", 1, "must", ["text", "x" * 600_000]], "at most 524288"),
    "user": (m.UPDATE, ["SID", 1, 42], "Expected `str | null`, got `int`"),
    "a long user": (m.UPDATE, ["SID", 1, "u" * 300], "user: expected at most 256 bytes"),
    "a long profile": (m.UPDATE, ["SID", 1, None, "p" * 300], "profile: expected at most 256"),
    "input_mode": (m.INPUT_MODE, ["SID", 1, None], "Expected `str`"),
    "join": (m.JOIN, [7, 1, ["SID"]], "Expected `str`"),
    "a long group": (m.JOIN, ["g" * 300, 1, ["SID"]], "group: expected at most 256 bytes"),
    "leave": (m.LEAVE, ["g", 1, [7]], "Expected `str`"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
async def test_a_call_that_cannot_be_read_is_refused_and_the_link_stays(
    name: str, tmp_path: Path
) -> None:
    method, params, words = BAD_CALLS[name]
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open(user="ann")
        params = [session.sid if value == "SID" else value for value in params]
        end.peer.notify(method, params)
        end.emit(m.Emit(session.sid, 2, "must", Text("two")))
        await end.until(lambda end: 2 in end.accepted)
        (refused,) = end.refused
        assert refused.bseq == 1
        assert words in refused.message
        assert (session.row.user, session.row.profile, session.row.groups) == ("ann", "", ())
        assert client.texts == ["two"]


@pytest.mark.parametrize(
    ("method", "params"),
    [(m.EMIT, 7), (m.EMIT, [["sid", "one", "must", ["text", "x"]]]), (m.JOIN, ["g"])],
)
async def test_a_call_without_a_number_ends_the_link(
    method: str, params: Any, tmp_path: Path
) -> None:
    """What comes after it cannot be told from a repeat."""
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        end.peer.notify(method, params)
        assert await end.until_unlinked()


# --- the numbering


NUMBERED: dict[str, tuple[str, Callable[[str, int], Any]]] = {
    "broadcast": (m.BROADCAST, lambda sid, n: m.Broadcast("lobby", n, "must", Text(f"{n}"))),
    "session.update": (m.UPDATE, lambda sid, n: m.Update(sid, n, profile=f"{n}")),
    "input_mode": (m.INPUT_MODE, lambda sid, n: m.InputMode(sid, n, "key")),
    "group.join": (m.JOIN, lambda sid, n: m.Membership(f"g{n}", n, [sid])),
    "group.leave": (m.LEAVE, lambda sid, n: m.Membership(f"g{n}", n, [sid])),
    "emit": (m.EMIT, lambda sid, n: [m.Emit(sid, n, "must", Text(f"{n}"))]),
}
each_call = pytest.mark.parametrize("name", NUMBERED)


@each_call
async def test_a_gap_in_the_numbers_ends_the_link_with_a_reason(name: str, tmp_path: Path) -> None:
    method, make = NUMBERED[name]
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.peer.notify(method, make(session.sid, 1))
        end.peer.notify(method, make(session.sid, 3))
        assert await end.until_unlinked() == "output 3 came after 1: some are missing"
        assert session.sid in it.manager.sessions
        again = await one_more()
        assert (await again.hello()).accepted in (0, 1)
        again.peer.notify(method, make(session.sid, 2))
        await again.until(lambda end: end.accepted and end.accepted[-1] == 2)
        assert client.closed == []


@each_call
async def test_a_repeat_is_not_carried_out_again(name: str, tmp_path: Path) -> None:
    method, make = NUMBERED[name]
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        it.manager.groups.join(session, "lobby")
        for number in (1, 2, 1, 2, 2, 3):
            end.peer.notify(method, make(session.sid, number))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 3)
        row = session.row
        assert client.texts == (["1", "2", "3"] if name in ("broadcast", "emit") else [])
        assert row.profile == ("3" if name == "session.update" else "")
        assert len(client.modes) == (3 if name == "input_mode" else 0)
        joined = ("g1", "g2", "g3") if name == "group.join" else ()
        assert row.groups == ("lobby", *joined)


async def test_all_calls_of_an_instance_share_one_numbering(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        for number, (method, make) in enumerate(NUMBERED.values(), 1):
            end.peer.notify(method, make(session.sid, number))
        await end.until(lambda end: end.accepted and end.accepted[-1] == len(NUMBERED))
        assert client.texts == ["6"]


async def test_a_refused_call_keeps_its_number(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 1, "shout"))
        end.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 1, "shout"))
        end.emit(m.Emit(session.sid, 2, "must", Text("two")))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 2)
        assert len(end.refused) == 1
        assert client.texts == ["two"]


# --- groups


async def test_a_broadcast_reaches_the_group_but_one(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        opened = [it.open() for _ in range(4)]
        sids = [session.sid for session, _ in opened]
        foreign, foreigner = it.open("game")
        it.manager.groups.join(foreign, "lobby")
        end.peer.notify(m.JOIN, m.Membership("lobby", 1, [*sids[:3], foreign.sid, "gone"]))
        end.peer.notify(m.BROADCAST, m.Broadcast("lobby", 2, "must", Text("all")))
        end.peer.notify(m.BROADCAST, m.Broadcast("lobby", 3, "must", Text("but one"), sids[1]))
        end.peer.notify(m.LEAVE, m.Membership("lobby", 4, [sids[0], sids[3]]))
        end.peer.notify(m.BROADCAST, m.Broadcast("lobby", 5, "volatile", Text("rest")))
        end.peer.notify(m.BROADCAST, m.Broadcast("nowhere", 6, "must", Text("nobody")))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 6)
        texts = [client.texts for _, client in opened]
        assert texts == [["all", "but one"], ["all"], ["all", "but one"], []]
        assert [client.shown for _, client in opened] == [[], [Text("rest")], [Text("rest")], []]
        assert foreigner.texts == []
        assert end.refused == []


async def test_too_many_groups_are_refused(tmp_path: Path) -> None:
    limits = Limits().but(session={"groups_max": 2})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open()
        for number in range(1, 5):
            group = f"g{min(number, 3)}"
            end.peer.notify(m.JOIN, m.Membership(group, number, [session.sid]))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 4)
        fault = "the session is in 2 groups; it cannot join 'g3'"
        assert end.refused == [m.Refused(3, fault), m.Refused(4, fault)]
        assert session.row.groups == ("g1", "g2")


# --- applied


async def test_what_is_applied_is_applied_for_the_instance_that_holds_the_session(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        first, second = await one_more(), await one_more()
        await first.hello("i1")
        session, _ = it.open()
        await second.hello("i2")
        it.say(session, "one", "two")
        await first.take(3)
        second.applied(session, 2)
        await second.synchronise()
        assert session.inbox.applied == 0
        first.peer.notify(m.APPLIED, [m.Applied("gone", 5), m.Applied(session.sid, 2)])
        await first.synchronise()
        assert session.inbox.applied == 2


# --- session.update


async def test_an_update_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open(user="ann")
        row = session.row
        row.profile, row.data = "p", b"d"
        await it.journal.settled()
        end.peer.notify(m.UPDATE, m.Update(session.sid, 1))
        await end.synchronise()
        assert (row.user, row.profile, row.data) == ("ann", "p", b"d")
        end.peer.notify(m.UPDATE, m.Update(session.sid, 2, profile="", data=b""))
        await end.synchronise()
        assert (row.user, row.profile, row.data) == ("ann", "", b"")
        end.peer.notify(m.UPDATE, m.Update(session.sid, 3, user="bob"))
        end.peer.notify(m.UPDATE, m.Update(session.sid, 4, user="bob"))
        end.peer.notify(m.UPDATE, m.Update("gone", 5, user="bob"))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 5)
        assert row.user == "bob"
        assert it.host.calls == [("policy_known", None), ("user_changed", session)]
        stored = {kept.sid: kept for kept in (await it.store.open()).heads}
        assert stored[session.sid].user == "bob"


async def test_data_that_is_too_large_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    limits = Limits().but(session={"application_data_bytes_max": 4})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, _ = it.open()
        end.peer.notify(m.UPDATE, m.Update(session.sid, 1, data=b"1234"))
        end.peer.notify(m.UPDATE, m.Update(session.sid, 2, data=b"12345"))
        await end.until(lambda end: end.accepted and end.accepted[-1] == 2)
        fault = "application data of 5 bytes; at most 4 are kept in a session"
        assert end.refused == [m.Refused(2, fault)]
        assert session.row.data == b"1234"


async def test_a_user_can_be_sent_back_to_the_choice_of_a_profile(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        for number in (1, 2):  # where there is a choice already, nothing happens
            end.peer.notify(m.UPDATE, m.Update(session.sid, number, selected=False))
            await end.synchronise()
            assert session.state.value == "selecting"
            assert it.host.calls[1:] == [("deselected", session)]
        session.apply(SessionInput.SELECTED)
        end.peer.notify(m.UPDATE, m.Update(session.sid, 3, selected=True))
        await end.synchronise()
        assert session.state.value == "active"
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        end.peer.notify(m.UPDATE, m.Update(session.sid, 4, selected=False))
        await end.synchronise()
        assert session.state.value == "detached_selecting"


# --- input_mode


@pytest.mark.parametrize("mode", ["line", "key", "secret"])
async def test_an_input_mode_is_kept_and_told_to_the_client(mode: str, tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 1, mode))
        end.peer.notify(m.INPUT_MODE, m.InputMode("gone", 2, mode))
        await end.synchronise()
        assert client.modes == [mode]
        session.lost(client, Reason.NETWORK_ERROR, it.time)
        end.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 3, "key"))
        await end.synchronise()
        assert session.row.input_mode == "key"
        assert client.modes == [mode]


async def test_an_unknown_input_mode_is_refused(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        end.peer.notify(m.INPUT_MODE, m.InputMode(session.sid, 1, "SECRET"))
        await end.until(lambda end: end.refused)
        fault = "input_mode: expected one of line, key, secret; found 'SECRET'"
        assert end.refused == [m.Refused(1, fault)]
        assert client.modes == []


# --- session.close


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
async def test_a_session_is_closed_with_any_reason(reason: Reason, tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        assert await end.request(m.CLOSE, m.Close(session.sid, reason.value), bool) is True
        assert client.closed == [reason]
        assert await end.take(2) == ["opened", ("closed", reason.value)]
        assert session.sid not in it.manager.sessions
        assert await end.request(m.CLOSE, m.Close(session.sid), bool) is False


async def test_a_session_is_not_closed_for_a_reason_that_does_not_exist(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        session, client = it.open()
        with pytest.raises(RequestError) as caught:
            await end.request(m.CLOSE, m.Close(session.sid, "boredom"), bool)
        assert caught.value.code == "bad_params"
        known = ", ".join(reason.value for reason in Reason)
        assert str(caught.value) == (f"session.close: expected one of {known}; found 'boredom'")
        assert client.closed == []
        foreign, _ = it.open("game")
        assert await end.request(m.CLOSE, m.Close(foreign.sid), bool) is False
        assert foreign.sid in it.manager.sessions


# --- sessions.list


async def test_sessions_are_listed_by_user_and_state(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        ann, _ = it.open(user="ann")
        bob, bobs = it.open(user="bob")
        bob2, _ = it.open(user="bob")
        it.open("game", user="ann")
        bob.lost(bobs, Reason.NETWORK_ERROR, it.time)

        async def listed(wanted: m.Filter) -> list[str]:
            return [info.sid for info in await end.request(m.LIST, wanted, list[m.SessionInfo])]

        assert await listed(m.Filter()) == [ann.sid, bob.sid, bob2.sid]
        assert await listed(m.Filter(user="bob")) == [bob.sid, bob2.sid]
        assert await listed(m.Filter(state="active")) == [ann.sid, bob2.sid]
        assert await listed(m.Filter(user="bob", state="detached_active")) == [bob.sid]
        assert await listed(m.Filter(user="cid")) == []
        (info,) = await end.request(m.LIST, m.Filter(user="ann"), list[m.SessionInfo])
        assert (info.user, info.state) == ("ann", "active")


async def test_sessions_that_are_not_loaded_are_listed_once_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[list[str] | None] = []

    class Port(SessionPort):
        async def load(self, sids: Iterable[str] | None = None) -> None:
            wanted.append(None if sids is None else [*sids])
            if len(wanted) > 2:
                raise StoreError("the disk is full")

    monkeypatch.setattr("tests.backends.node.SessionPort", Port)
    async with node(tmp_path) as it, apps(it) as one_more:
        end = await one_more()
        await end.hello()
        it.open(user="ann")
        bob, _ = it.open(user="bob")
        await end.request(m.LIST, m.Filter(user="bob"), list[m.SessionInfo])
        await end.request(m.LIST, m.Filter(), list[m.SessionInfo])
        assert wanted == [[bob.sid], None]
        for method, params in ((m.LIST, m.Filter()), (m.MEMBERS, m.MembersWanted("room"))):
            with pytest.raises(RequestError, match="the disk is full") as caught:
                await end.request(method, params, m.Members)
            assert caught.value.code == "unavailable"
