"""An application that stops, one that was away, and one of two with the same name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.app.gateways import QUICK, FakeGateway, fake_gateway, running
from tests.net.helpers import patience

from holdfast.app import App, Session
from holdfast.core.errors import ConfigurationError
from holdfast.core.items import Text
from holdfast.link import messages as m
from holdfast.link.peer import RequestError


def opened(sid: str) -> m.SessionEvent:
    return m.SessionEvent(sid, 0, m.Opened(m.SessionInfo(sid, "active")))


def said(sid: str, cseq: int) -> m.SessionEvent:
    return m.SessionEvent(sid, cseq, Text(f"{sid}{cseq}"))


class Slow:
    """An application whose handlers of text wait until they may end."""

    def __init__(self) -> None:
        self.app = App("slow", limits=QUICK)
        self.begun: list[str] = []
        self.heard: list[str] = []
        self.gate = asyncio.Event()
        self.changed = asyncio.Event()
        self.app.on_text(self._text)
        self.app.on_detach(self._detached)
        self.app.on_move(self._moved)
        self.app.on_adopt(self._adopted)

    async def _text(self, session: Session, text: str) -> None:
        self.begun.append(text)
        self.changed.set()
        await self.gate.wait()
        await session.text(f"did {text}")

    async def _detached(self, session: Session, reason: str) -> None:
        self.heard.append(f"{session.sid} detached")

    async def _moved(self, session: Session) -> None:
        self.heard.append(f"{session.sid} moved")

    async def _adopted(self, session: Session) -> None:
        self.heard.append(f"{session.sid} adopted")

    async def until_begun(self, text: str) -> None:
        async with patience():
            while text not in self.begun:
                self.changed.clear()
                await self.changed.wait()


def released(gateway: FakeGateway) -> list[str]:
    return [sid for method, sids in gateway.notes if method == m.RELEASE for sid in sids]


async def test_who_stops_begins_nothing_more_and_gives_its_sessions_back(tmp_path: Path) -> None:
    it = Slow()
    async with fake_gateway(tmp_path) as gateway, running(it.app, gateway.address) as serving:
        await gateway.until_linked()
        gateway.tell(opened("a"), opened("b"), said("a", 1), said("a", 2))
        gateway.tell(m.SessionEvent("a", 0, m.Detached("timeout")))
        await it.until_begun("a1")
        it.app.stop()
        await gateway.until(lambda gateway: released(gateway) == ["b"])
        gateway.tell(said("b", 1))
        assert not serving.done(), "a handler is running"
        it.gate.set()
        await gateway.until(lambda gateway: released(gateway) == ["b", "a"])
        await gateway.until(lambda gateway: gateway.ends)
    assert it.begun == ["a1"], "another instance does the others"
    assert it.heard == ["a detached"], "nobody else hears what is no command"
    methods = [method for method, _ in gateway.notes]
    assert methods == [m.RELEASE, m.EMIT, m.APPLIED, m.RELEASE]
    assert gateway.notes[2][1] == [m.Applied("a", 1)]


async def test_an_older_gateway_does_not_keep_an_application_from_stopping(tmp_path: Path) -> None:
    it = Slow()
    async with fake_gateway(tmp_path) as gateway, running(it.app, gateway.address) as serving:
        gateway.answers[m.LEAVING] = RequestError("unknown_method", "leaving: not known")
        await gateway.until_linked()
        gateway.tell(opened("a"), said("a", 1), said("a", 2))
        await it.until_begun("a1")
        it.app.stop()
        it.gate.set()
        async with patience():
            await serving
    assert it.begun == ["a1"]
    assert (m.APPLIED, [m.Applied("a", 1)]) in gateway.notes
    assert released(gateway) == []


async def test_who_links_again_while_it_stops_says_so_again(tmp_path: Path) -> None:
    it = Slow()
    async with fake_gateway(tmp_path) as gateway, running(it.app, gateway.address):
        await gateway.until_linked()
        gateway.tell(opened("a"), said("a", 1))
        await it.until_begun("a1")
        it.app.stop()
        await gateway.until(lambda gateway: m.LEAVING in gateway.requests)
        gateway.cut()
        await gateway.until(lambda gateway: gateway.requests.count(m.LEAVING) == 2)
        it.gate.set()
        await gateway.until(lambda gateway: released(gateway) == ["a"])
    assert it.begun == ["a1"]
    assert gateway.requests.count(m.LEAVING) == 2  # once on each link


# --- sessions that are elsewhere


async def test_a_session_that_moved_is_told_and_may_come_back(tmp_path: Path) -> None:
    it = Slow()
    it.gate.set()
    async with fake_gateway(tmp_path) as gateway, running(it.app, gateway.address):
        await gateway.until_linked()
        gateway.tell(opened("a"), said("a", 1))
        await gateway.until(lambda gateway: (m.APPLIED, [m.Applied("a", 1)]) in gateway.notes)
        async with patience():  # a command counts once what it said is accepted
            await it.app.progress.until(lambda: it.app.outgoing.oldest > 1)
        gateway.cut()
        await gateway.until_linked(2)
        assert gateway.hellos[1].applied == {"a": 1}
        back = m.SessionInfo("a", "active", applied=5)
        gateway.tell(m.SessionEvent("a", 0, m.Moved()), m.SessionEvent("a", 0, m.Adopted(back)))
        gateway.tell(said("a", 5), said("a", 6))
        await gateway.until(lambda gateway: (m.APPLIED, [m.Applied("a", 6)]) in gateway.notes)
    assert it.heard == ["a moved", "a adopted"]
    assert it.begun == ["a1", "a6"], "another instance did those between"


async def test_what_follows_a_welcome_of_a_known_session_is_what_changed(tmp_path: Path) -> None:
    it = Slow()
    async with fake_gateway(tmp_path) as gateway, running(it.app, gateway.address):
        await gateway.until_linked()
        gateway.tell(opened("a"))
        gateway.tell(m.SessionEvent("a", 0, m.Adopted(m.SessionInfo("a", "detached_active"))))
        gateway.tell(opened("b"), said("b", 1))
        await it.until_begun("b1")
        it.gate.set()
    assert it.heard == ["a detached"]


# --- what is remembered


@pytest.mark.parametrize("asks", [True, False], ids=["of-some", "of-all"])
async def test_an_application_is_asked_what_it_remembers(asks: bool, tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    known = {"a": 3, "b": 4, "c": 5}
    if asks:
        app.on_remember(lambda sids: {sid: known[sid] for sid in sids if sid in known})
    else:
        app.on_remember(lambda: known)
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        params = m.Remember(["b", "c", "d"])
        answer = await gateway.peer.request(m.REMEMBER, params, dict[str, int])
        assert answer == {"b": 4, "c": 5}


async def test_a_memory_that_fails_ends_nothing(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)

    @app.on_remember
    def remember() -> dict[str, int]:
        raise OSError("the database is locked")

    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address) as serving:
        await gateway.until_linked()
        with (
            structlog.testing.capture_logs() as logs,
            pytest.raises(RequestError, match="the answer failed"),
        ):
            await gateway.peer.request(m.REMEMBER, m.Remember(["a"]), dict[str, int])
        assert "the database is locked" in str(logs)
        assert not serving.done()


# --- the name of a run


async def test_two_runs_have_two_names_whatever_was_made_before(tmp_path: Path) -> None:
    """A process may fork after `App()`."""
    app = App("chat", limits=QUICK)
    assert app.instance == ""
    names: set[Any] = set()
    async with fake_gateway(tmp_path) as gateway:
        for number in (1, 2):
            twin = App("chat", limits=QUICK)
            async with running(twin, gateway.address):
                await gateway.until_linked(number)
            names.add(gateway.hellos[-1].instance)
    assert len(names) == 2
    assert "" not in names


async def test_who_is_superseded_stays_away_and_says_why(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway:
        gateway.spawn(supersede(gateway))
        with pytest.raises(ConfigurationError, match="another process has linked"):
            await app.serve(str(gateway.address))
        assert gateway.asked == 1


async def supersede(gateway: FakeGateway) -> None:
    await gateway.until_linked()
    gateway.peer.close("another process has linked under the instance's name", "superseded")
