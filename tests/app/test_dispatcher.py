"""Which event is handled when, and how often: without a gateway and without a clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.net.helpers import patience

from holdfast.app import App, Refusal, Session, time_slice
from holdfast.app.app import FAILURE_TEXT
from holdfast.core.items import Binary, Notice, Text
from holdfast.link import messages as m


def info(sid: str, state: str = "active", *, applied: int = 0, resync: str = "") -> m.SessionInfo:
    return m.SessionInfo(sid, state, applied=applied, resync=resync)


def opened(sid: str) -> m.SessionEvent:
    return m.SessionEvent(sid, 0, m.Opened(info(sid)))


def said(sid: str, cseq: int) -> m.SessionEvent:
    return m.SessionEvent(sid, cseq, Text(f"{sid}{cseq}"))


class Stage:
    """An application whose handlers of text wait until the test lets them go."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.app = App("test")
        self.begun: list[str] = []
        self.heard: list[Any] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self.open_gates = False
        self.app.dispatcher.spawn = tasks.create_task
        self.app.on_text(self._text)
        for name in ("open", "adopt", "detach", "resume", "resync", "close", "move"):
            getattr(self.app, f"on_{name}")(self._hear(name))

    async def _text(self, session: Session, text: str) -> None:
        self.begun.append(text)
        self._changed.set()
        if not self.open_gates:
            await self._gate(text).wait()
        await session.text(f"answer to {text}")
        self.heard.append(text)

    def _hear(self, name: str) -> Callable[..., Awaitable[None]]:
        async def hear(session: Session, *args: object) -> None:
            self.heard.append((name, session.sid, *args))

        return hear

    def _gate(self, text: str) -> asyncio.Event:
        return self._gates.setdefault(text, asyncio.Event())

    def receive(self, *events: m.SessionEvent) -> None:
        self.app.dispatcher.receive(list(events), self.app.home)

    async def until_begun(self, text: str) -> None:
        async with patience():
            while text not in self.begun:
                self._changed.clear()
                await self._changed.wait()

    async def finish(self, text: str) -> None:
        """Let this handler go; `begun` before that."""
        await self.until_begun(text)
        self._gate(text).set()

    async def idle(self) -> None:
        """Let every handler go and wait until all is handled."""
        self.open_gates = True
        for gate in self._gates.values():
            gate.set()
        async with patience():
            await self.app.progress.until(lambda: self.app.dispatcher.idle)

    @property
    def applied(self) -> list[m.Applied]:
        return self.app.home.take_applied()


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with asyncio.TaskGroup() as tasks:
        it = Stage(tasks)
        yield it
        await it.idle()


# --- order


async def test_events_of_one_session_are_handled_one_after_the_other() -> None:
    async with stage() as it:
        it.receive(opened("a"), said("a", 1), said("a", 2))
        it.receive(said("a", 3))
        await it.until_begun("a1")
        assert it.begun == ["a1"]
        await it.finish("a1")
        await it.until_begun("a2")
        assert it.begun == ["a1", "a2"]
        await it.idle()
        assert it.heard == [("open", "a"), "a1", "a2", "a3"]


async def test_sessions_are_handled_side_by_side() -> None:
    async with stage() as it:
        it.receive(opened("a"), said("a", 1), opened("b"), said("b", 1), said("b", 2))
        await it.until_begun("a1")
        await it.finish("b1")
        await it.until_begun("b2")
        assert "a1" not in it.heard


async def test_it_is_idle_when_no_handler_runs() -> None:
    async with stage() as it:
        assert it.app.dispatcher.idle
        it.receive(opened("a"), said("a", 1))
        assert not it.app.dispatcher.idle
        await it.until_begun("a1")
        assert not it.app.dispatcher.idle
        await it.idle()
        assert it.app.dispatcher.idle


# --- applied


async def test_a_command_is_applied_when_its_handler_has_returned() -> None:
    async with stage() as it:
        it.receive(opened("a"), said("a", 1), said("a", 2))
        await it.until_begun("a1")
        assert it.applied == []
        await it.finish("a1")
        await it.until_begun("a2")
        assert it.applied == [m.Applied("a", 1)]
        assert it.applied == []
        await it.idle()
        assert it.applied == [m.Applied("a", 2)]


async def test_only_the_newest_command_of_a_session_is_reported() -> None:
    async with stage() as it:
        it.open_gates = True
        it.receive(opened("a"), opened("b"), *(said("a", n) for n in range(1, 9)), said("b", 1))
        await it.idle()
        assert {mark.sid: mark.cseq for mark in it.applied} == {"a": 8, "b": 1}


async def test_a_command_s_number_is_known_to_its_handler() -> None:
    seen: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        app = App("test")
        app.dispatcher.spawn = tasks.create_task

        @app.on_text
        async def text(session: Session, text: str) -> None:
            seen.append(session.cseq)

        app.dispatcher.receive([opened("a"), said("a", 4), said("a", 5)], app.home)
    assert seen == [4, 5]


async def test_a_handler_that_fails_is_logged_and_the_next_one_runs() -> None:
    heard: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        app = App("test")
        app.dispatcher.spawn = tasks.create_task

        @app.on_text
        async def text(session: Session, text: str) -> None:
            if text == "a1":
                raise ValueError("a defect")
            heard.append(text)

        with structlog.testing.capture_logs() as logs:
            app.dispatcher.receive([opened("a"), said("a", 1), said("a", 2)], app.home)
            async with patience():
                await app.progress.until(lambda: app.dispatcher.idle)
    assert heard == ["a2"]
    (entry,) = logs
    assert entry["session"] == "a"
    assert entry["kind"] == "Text"
    assert "a defect" in entry["traceback"]
    assert app.home.take_applied() == [m.Applied("a", 2)], "it will not come again"


async def test_the_user_gets_a_line_and_the_application_the_error_of_a_handler() -> None:
    errors: list[tuple[str, str]] = []
    async with stage() as it:
        it.open_gates = True

        @it.app.on_binary
        async def binary(session: Session, data: bytes) -> None:
            raise ValueError("a defect")

        @it.app.on_error
        async def failed(session: Session | None, error: BaseException) -> None:
            assert session is not None
            errors.append((session.sid, str(error)))
            raise KeyError("another defect")

        with structlog.testing.capture_logs() as logs:
            it.receive(opened("s"), m.SessionEvent("s", 1, Binary(b"x")), said("s", 2))
            await it.idle()
        ((_, outputs),) = it.app.outgoing.take()
        assert [output.item for output in outputs] == [Notice(FAILURE_TEXT), Text("answer to s2")]
        assert errors == [("s", "a defect")]
        assert [log["event"] for log in logs] == ["a handler failed", "on_error failed"]


async def test_a_refusal_of_a_handler_is_a_notice_and_no_failure() -> None:
    errors: list[BaseException] = []
    async with stage() as it:
        it.open_gates = True

        @it.app.on_binary
        async def binary(session: Session, data: bytes) -> None:
            raise Refusal("This is not for you.")

        @it.app.on_error
        async def failed(session: Session | None, error: BaseException) -> None:
            errors.append(error)

        with structlog.testing.capture_logs() as logs:
            it.receive(opened("s"), m.SessionEvent("s", 1, Binary(b"x")), said("s", 2))
            await it.idle()
        ((_, outputs),) = it.app.outgoing.take()
        said_ = [Notice("This is not for you."), Text("answer to s2")]
        assert [output.item for output in outputs] == said_
        assert (errors, logs) == ([], [])
        assert it.app.dispatcher.sessions["s"].applied == 2


@pytest.mark.parametrize("event", [m.Detached("timeout"), m.Closed("kicked"), m.Moved()])
async def test_nobody_is_told_of_an_error_where_no_client_is(event: m.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        app = App("test")
        app.dispatcher.spawn = tasks.create_task
        for name in ("detach", "close", "move"):
            getattr(app, f"on_{name}")(fails)
        app.dispatcher.receive([opened("a"), m.SessionEvent("a", 0, event)], app.home)
        async with patience():
            await app.progress.until(lambda: app.dispatcher.idle)
    assert app.outgoing.take() == []


@pytest.mark.parametrize("text", ["Oh dear.", ""])
async def test_the_line_for_users_can_be_another_one_or_none(text: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        app = App("test", failure_text=text)
        app.dispatcher.spawn = tasks.create_task
        app.on_text(fails)
        app.dispatcher.receive([opened("a"), said("a", 1)], app.home)
        async with patience():
            await app.progress.until(lambda: app.dispatcher.idle)
    sent = [one.item for _, outputs in app.outgoing.take() for one in outputs]
    assert sent == ([Notice(text)] if text else [])


async def fails(session: Session, *args: object) -> None:
    raise ValueError("a defect")


async def test_a_cancelled_handler_has_not_applied_its_command() -> None:
    async with stage() as it:
        running: list[asyncio.Task[None]] = []
        spawn = it.app.dispatcher.spawn

        def keep(work: Any) -> object:
            running.append(spawn(work))  # type: ignore[arg-type]
            return running[-1]

        it.app.dispatcher.spawn = keep
        it.receive(opened("a"), said("a", 1), said("a", 2))
        await it.until_begun("a1")
        running[0].cancel()
        async with patience():
            await it.app.progress.until(lambda: it.app.dispatcher.idle)
        assert it.applied == []
        assert it.app.sessions["a"].applied == 0


# --- repeats


async def test_a_repeat_is_not_handled_again_and_is_reported_as_far_as_it_is_applied() -> None:
    async with stage() as it:
        it.receive(opened("a"), said("a", 1), said("a", 2))
        await it.finish("a1")
        await it.until_begun("a2")
        assert it.applied == [m.Applied("a", 1)]
        it.receive(said("a", 1), said("a", 2))
        assert it.applied == [m.Applied("a", 1)], "2 is not applied yet"
        await it.idle()
        assert it.applied == [m.Applied("a", 2)]
        it.receive(said("a", 1))
        assert it.applied == [m.Applied("a", 1)]
        assert it.heard == [("open", "a"), "a1", "a2"]


async def test_numbers_may_skip() -> None:
    """After an unclean stop, a gateway leaves numbers unused."""
    async with stage() as it:
        it.open_gates = True
        it.receive(opened("a"), said("a", 1), said("a", 1 << 20))
        await it.idle()
        assert it.heard == [("open", "a"), "a1", f"a{1 << 20}"]


async def test_events_of_a_session_that_is_not_known_are_not_handled() -> None:
    async with stage() as it:
        it.receive(said("gone", 1), m.SessionEvent("gone", 0, m.Detached("timeout")))
        assert it.app.dispatcher.idle
        assert it.app.sessions == {}


async def test_a_session_ends_with_its_last_event() -> None:
    async with stage() as it:
        it.receive(opened("a"), said("a", 1), m.SessionEvent("a", 0, m.Closed("kicked")))
        await it.until_begun("a1")
        assert list(it.app.sessions) == ["a"]
        await it.idle()
        assert it.heard == [("open", "a"), "a1", ("close", "a", "kicked")]
        assert it.app.sessions == {}
        it.receive(said("a", 2))
        assert it.app.dispatcher.idle


# --- what was applied before


async def test_what_the_gateway_knows_to_be_applied_is_not_handled_again() -> None:
    async with stage() as it:
        it.open_gates = True
        it.receive(m.SessionEvent("a", 0, m.Adopted(info("a", applied=2))), said("a", 2))
        it.receive(said("a", 3))
        await it.idle()
        assert it.heard == [("adopt", "a"), "a3"]


# --- links


async def test_a_broken_link_takes_the_commands_that_nobody_has_begun() -> None:
    async with stage() as it:
        it.receive(
            opened("a"),
            said("a", 1),
            said("a", 2),
            m.SessionEvent("a", 0, m.Detached("timeout")),
            said("a", 3),
        )
        await it.until_begun("a1")
        it.app.dispatcher.unlink(it.app.home)
        # A new link sends again what was not applied when it said hello.
        assert it.app.dispatcher.applied(0, it.app.home) == {"a": 0}
        it.receive(said("a", 1), said("a", 2), said("a", 3), said("a", 4))
        await it.idle()
        assert it.heard == [
            ("open", "a"),
            "a1",
            ("detach", "a", "timeout"),
            "a2",
            "a3",
            "a4",
        ]


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "ended"])
async def test_a_session_of_another_instance_comes_with_what_its_client_may_have_missed(
    known: bool,
) -> None:
    async with stage() as it:
        if known:
            it.receive(opened("lost"), opened("left"), opened("kept"))
            for sid in ("lost", "left", "kept"):
                it.receive(m.SessionEvent(sid, 0, m.Moved()))
        it.receive(
            m.SessionEvent("lost", 0, m.Adopted(info("lost", resync="fresh"))),
            m.SessionEvent("left", 0, m.Adopted(info("left", "detached_active", resync="fresh"))),
            m.SessionEvent("kept", 0, m.Adopted(info("kept"))),
        )
        await it.idle()
        heard = [told for told in it.heard if told[0] in ("adopt", "resync")]
        assert sorted(heard) == [
            ("adopt", "kept"),
            ("adopt", "left"),
            ("adopt", "lost"),
            ("resync", "lost", "fresh"),
        ]
        assert heard.index(("adopt", "lost")) < heard.index(("resync", "lost", "fresh"))


async def test_a_welcome_tells_the_handlers_what_has_changed_meanwhile() -> None:
    async with stage() as it:
        for sid in ("same", "left", "back", "lost", "unseen", "gone", "elsewhere"):
            it.receive(opened(sid))
        for sid in ("back", "lost"):
            it.receive(m.SessionEvent(sid, 0, m.Detached("timeout")))
        await it.idle()
        it.heard.clear()
        it.app.dispatcher.welcome(
            [
                info("same"),
                info("left", "detached_active"),
                info("back"),
                info("lost", resync="epoch"),
                info("unseen", resync="fresh"),
                info("new", applied=3),
                info("new-and-lost", resync="trimmed"),
                info("new-and-left", "detached_selecting", resync="epoch"),
            ],
            it.app.home,
        )
        it.receive(
            m.SessionEvent("gone", 0, m.Closed("timeout")),
            m.SessionEvent("elsewhere", 0, m.Moved()),
        )
        await it.idle()
        assert sorted(it.heard) == [
            ("adopt", "new"),
            ("adopt", "new-and-left"),
            ("adopt", "new-and-lost"),
            ("close", "gone", "timeout"),
            ("detach", "left", "network_error"),
            ("move", "elsewhere"),
            ("resume", "back"),
            ("resync", "lost", "epoch"),
            ("resync", "new-and-lost", "trimmed"),
            ("resync", "unseen", "fresh"),
        ]
        sessions = it.app.sessions
        assert sessions["new"].applied == 3
        attached = {sid: session.attached for sid, session in sessions.items()}
        assert attached == {
            "same": True,
            "left": False,
            "back": True,
            "lost": True,
            "unseen": True,
            "new": True,
            "new-and-lost": True,
            "new-and-left": False,
        }


async def test_a_session_may_be_closed_and_opened_again_before_either_is_handled() -> None:
    """A gateway that lost its newest news opens a session anew which we took for gone."""
    async with stage() as it:
        it.receive(opened("a"), said("a", 1))
        await it.until_begun("a1")
        it.app.dispatcher.unlink(it.app.home)
        it.app.dispatcher.welcome([], it.app.home)
        it.receive(m.SessionEvent("a", 0, m.Closed("timeout")))
        it.receive(opened("a"), said("a", 1), said("a", 2))
        await it.idle()
        it.receive(said("a", 3))
        await it.idle()
        assert it.heard[-1] == "a3"
        assert list(it.app.sessions) == ["a"]


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.sampled_from("ab")),
            st.tuples(st.just("finish"), st.sampled_from("ab")),
            st.tuples(st.just("relink"), st.booleans()),
            st.tuples(st.just("step"), st.none()),
        ),
        max_size=40,
    )
)
def test_however_links_break_each_command_is_handled_once_and_in_order(
    steps: list[tuple[str, Any]],
) -> None:
    asyncio.run(_handle_once(steps))


async def _handle_once(steps: list[tuple[str, Any]]) -> None:
    async with stage() as it:
        gateway = Sender(it)
        for kind, what in steps:
            match kind:
                case "say":
                    gateway.say(what)
                case "finish":
                    running = [t for t in it.begun if t[0] == what and t not in it.heard]
                    if running:
                        await it.finish(running[0])
                case "relink":
                    gateway.relink(reports_arrived=what)
                case _:
                    await asyncio.sleep(0)
        await it.idle()
        gateway.hear_reports()
        for sid, top in gateway.typed.items():
            handled = [text for text in it.heard if isinstance(text, str) and text[0] == sid]
            assert handled == [f"{sid}{n}" for n in range(1, top + 1)]
        assert gateway.applied == gateway.typed


class Sender:
    """A gateway that sends what is not applied, and again after each broken link."""

    def __init__(self, stage: Stage) -> None:
        self.typed = {"a": 0, "b": 0}
        self.applied = {"a": 0, "b": 0}
        self._stage = stage
        stage.receive(opened("a"), opened("b"))

    def say(self, sid: str) -> None:
        self.typed[sid] += 1
        self._stage.receive(said(sid, self.typed[sid]))

    def hear_reports(self) -> None:
        for mark in self._stage.applied:
            self.applied[mark.sid] = max(self.applied[mark.sid], mark.cseq)

    def relink(self, *, reports_arrived: bool) -> None:
        if reports_arrived:
            self.hear_reports()
        dispatcher, home = self._stage.app.dispatcher, self._stage.app.home
        dispatcher.unlink(home)
        for sid, cseq in dispatcher.applied(0, home).items():
            self.applied[sid] = max(self.applied[sid], cseq)
        dispatcher.welcome([info("a"), info("b")], home)
        for sid, top in self.typed.items():
            self._stage.receive(*(said(sid, n) for n in range(self.applied[sid] + 1, top + 1)))


@pytest.mark.parametrize("sids", [["a"], ["a", "b"]], ids=["one-session", "two-sessions"])
async def test_what_a_handler_says_is_said_before_its_command_is_applied(sids: list[str]) -> None:
    async with stage() as it:
        it.open_gates = True
        it.receive(*(event for sid in sids for event in (opened(sid), said(sid, 1))))
        await it.idle()
        ((_, outputs),) = it.app.outgoing.take()
        assert [output.item.text for output in outputs] == [f"answer to {sid}1" for sid in sids]
        assert {mark.sid for mark in it.applied} == set(sids)


async def test_a_handler_whose_own_task_was_cancelled_is_a_failure_like_any_other() -> None:
    """It gets the exception that would end it, and nobody has asked for its end."""
    async with stage() as it:

        @it.app.on_binary
        async def binary(session: Session, data: bytes) -> None:
            async with asyncio.TaskGroup() as tasks:
                inner = tasks.create_task(asyncio.Event().wait())
                inner.cancel()
                await inner

        it.open_gates = True
        with structlog.testing.capture_logs() as logs:
            it.receive(opened("s"), m.SessionEvent("s", 1, Binary(b"x")), said("s", 2))
            await it.until_begun("s2")
            await it.app.progress.until(lambda: it.app.dispatcher.idle)
        assert [log["event"] for log in logs] == ["a handler failed"]
        assert it.app.home.take_applied() == [m.Applied("s", 2)]


@pytest.mark.parametrize("long", [True, False])
async def test_handlers_that_wait_for_nothing_let_the_link_be_read_after_a_while(
    long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a backlog would keep the application from giving any sign of life."""
    monkeypatch.setattr(time_slice, "SECONDS_MAX", 0.0 if long else 3600.0)
    order: list[bytes] = []
    async with stage() as it:

        @it.app.on_binary
        async def heard(session: Session, data: bytes) -> None:
            order.append(data)
            asyncio.get_running_loop().call_soon(order.append, b"read")

        it.receive(opened("a"))
        await it.idle()
        it.receive(*(m.SessionEvent("a", n, Binary(b"%d" % n)) for n in (1, 2, 3)))
        await it.idle()
        await asyncio.sleep(0)
    if long:
        assert order == [b"1", b"read", b"2", b"read", b"3", b"read"]
    else:
        assert order == [b"1", b"2", b"3", b"read", b"read", b"read"]
