"""Both ends of a link count, and either may have lost its count: they go on all the same."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.backends.node import AppEnd, Node, apps, node
from tests.net.helpers import patience

from holdfast.backends.link.config import ANY_APP
from holdfast.core.items import Text
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import RequestError
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session


def say_to(session: Session, bseq: int, text: str) -> m.Emit:
    return m.Emit(session.sid, bseq, "must", Text(text))


@pytest.mark.parametrize(
    ("known", "oldest", "sent", "accepted", "forgotten"),
    [
        pytest.param(0, 1, 0, 0, 0, id="a-new-run"),
        pytest.param(0, 5, 6, 4, 4, id="a-gateway-that-knows-nothing"),
        pytest.param(3, 5, 6, 4, 1, id="a-store-that-went-back"),
        pytest.param(5, 5, 6, 5, 0, id="an-accepted-that-was-lost-on-its-way"),
        pytest.param(6, 5, 6, 6, 0, id="all-of-it-arrived"),
        pytest.param(9, 1, 0, 0, 0, id="a-run-that-counts-afresh"),
        pytest.param(3, 0, 0, 3, 0, id="an-application-that-does-not-say"),
    ],
)
async def test_the_outputs_go_on_where_both_ends_can(
    known: int, oldest: int, sent: int, accepted: int, forgotten: int, tmp_path: Path
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backend().restore(Stored(clean=True, accepted={"chat/i1": known} if known else {}))
        end = await one_more()
        with structlog.testing.capture_logs() as logs:
            welcome = await end.hello("i1", oldest=oldest, sent=sent)
        assert (welcome.accepted, welcome.forgotten) == (accepted, forgotten)
        told = [
            entry for entry in logs if entry["event"] == "output position of an instance differs"
        ]
        assert [entry["forgotten"] for entry in told] == ([forgotten] if told else [])
        assert bool(told) is ((known, oldest) in ((0, 5), (3, 5), (9, 1)))
        session, client = it.open()
        end.emit(say_to(session, accepted + 1, "next"))
        await end.until(lambda end: end.accepted[-1:] == [accepted + 1])
        assert client.texts == ["next"]


async def test_one_application_does_not_forget_the_instances_of_another(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backend("game")
        end = await one_more()
        await end.hello("i1", app="game")
        end.emit(m.Emit("nobody", 1, "must", Text("x")))
        await end.until(lambda end: end.accepted == [1])
        it.backend().restore(await it.store.open())
        it.time += 3_601
        await (await one_more()).hello("i2")
        await it.journal.settled()
        assert (await it.store.open()).accepted == {"game/i1": 1}


async def test_how_many_instances_are_remembered_is_bounded(tmp_path: Path) -> None:
    limits = Limits().but(link={"runs_max": 2})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        kept = {f"chat/i{n}": n for n in range(1, 5)}
        it.backend().restore(Stored(clean=True, accepted=kept))
        assert (await (await one_more()).hello("new")).accepted == 0
        assert (await (await one_more()).hello("i2")).accepted == 0
        assert (await (await one_more()).hello("i3")).accepted == 3


@pytest.mark.parametrize("name", ["", "a/b", "a\n", "x" * 129])
async def test_an_instance_has_a_name_that_can_be_kept(name: str, tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        with pytest.raises(RequestError, match="instance: expected 1 to 128 printable"):
            await (await one_more()).hello(name)


@pytest.mark.parametrize("cseq", [-1, 1 << 53])
async def test_a_number_that_cannot_be_is_refused(cseq: int, tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        with pytest.raises(RequestError, match="hello"):
            await (await one_more()).hello(applied={"s": cseq})


# --- a welcome that is large


async def test_a_welcome_is_cut_where_a_frame_ends(tmp_path: Path) -> None:
    limits = Limits().but(link={"batch_bytes_max": 4_096})
    async with node(tmp_path, limits) as it, apps(it) as one_more:
        first = await one_more()
        await first.hello("i1")
        sessions = [it.open()[0] for _ in range(20)]
        for session in sessions:
            session.row.data = b"x" * 1_000
        it.say(sessions[-1], "look")
        first.cut()
        await first.until_unlinked()
        second = await one_more()
        welcome = await second.hello("i1")
        assert [info.sid for info in welcome.sessions] == [one.sid for one in sessions[:3]]
        await second.until(lambda end: len(end.events) == 18)
        assert [event.sid for event in second.events[:17]] == [one.sid for one in sessions[3:]]
        assert await second.take(18) == ["adopted"] * 17 + [("look", 1)]
        assert second.frames >= 5


# --- an application of another name


async def _bound(it: Node, one_more: Any) -> AppEnd:
    end: AppEnd = await one_more()
    await end.hello("i1", app="first")
    return end


async def test_an_application_of_another_name_does_not_get_the_first_one_s_people(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backends.clear()
        it.backend(ANY_APP)
        end = await _bound(it, one_more)
        it.open(ANY_APP)
        with (
            structlog.testing.capture_logs() as logs,
            pytest.raises(RequestError, match="found application 'other', expected 'first'") as no,
        ):
            await (await one_more()).hello("i2", app="other")
        assert no.value.code == "unknown_app"
        assert [entry["log_level"] for entry in logs] == ["error"]
        end.cut()
        await end.until_unlinked()
        with pytest.raises(RequestError, match="1 of its sessions"):
            await (await one_more()).hello("i2", app="other")
        await (await one_more()).hello("i3", app="first")


async def test_which_application_is_served_survives_a_restart(tmp_path: Path) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backends.clear()
        it.backend(ANY_APP)
        await _bound(it, one_more)
        await it.journal.settled()
        stored = await it.store.open()
        it.backends.clear()
        it.backend(ANY_APP).restore(stored)
        it.open(ANY_APP)[0].row.known = True
        with pytest.raises(RequestError, match="expected 'first'"):
            await (await one_more()).hello("i2", app="other")


async def test_another_application_is_served_when_nothing_of_the_first_is_left(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as it, apps(it) as one_more:
        it.backends.clear()
        it.backend(ANY_APP)
        end = await _bound(it, one_more)
        end.cut()
        await end.until_unlinked()
        other = await one_more()
        welcome = None
        async with patience():
            while welcome is None:  # until the gateway has noticed the end of the first
                with contextlib.suppress(RequestError):
                    welcome = await other.hello("i2", app="other")
        it.open(ANY_APP)
        assert await other.take(1) == ["opened"]
