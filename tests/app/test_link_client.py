"""An application against a gateway that does what the test says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.app.gateways import QUICK, fake_gateway, running, texts
from tests.net.helpers import patience

from holdfast.app import App, Session
from holdfast.app.app import PARENT_VARIABLE
from holdfast.core.errors import ConfigurationError
from holdfast.core.items import Text
from holdfast.core.limits import LinkLimits
from holdfast.link import messages as m
from holdfast.link.peer import Peer, RequestError

INFO = m.SessionInfo("s1", "active")


def opened(sid: str = "s1") -> m.SessionEvent:
    return m.SessionEvent(sid, 0, m.Opened(m.SessionInfo(sid, "active")))


def said(cseq: int, text: str = "", sid: str = "s1") -> m.SessionEvent:
    return m.SessionEvent(sid, cseq, Text(text or str(cseq)))


def echo(limits: LinkLimits = QUICK) -> App:
    """An application that says back what it hears."""
    app = App("echo", limits=limits)

    @app.on_text
    async def text(session: Session, text: str) -> None:
        await session.text(text)

    return app


# --- hello


async def test_hello_says_who_the_application_is(tmp_path: Path) -> None:
    app = App("chat", limits=LinkLimits(window_bytes_max=12_345))
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address, "s3cret"):
        await gateway.until_linked()
    assert gateway.hellos == [
        m.Hello(
            protocol=1,
            app="chat",
            instance=app.instance,
            window=12_345,
            secret="s3cret",
            oldest=1,
            nodes=True,
        )
    ]


@pytest.mark.parametrize(
    ("names", "login", "profiles"),
    [
        ([], False, False),
        (["on_authenticate"], True, False),
        (["on_profiles"], False, True),
        (["on_authenticate", "on_profiles"], True, True),
    ],
)
async def test_hello_says_what_stands_between_a_user_and_a_session(
    names: list[str], login: bool, profiles: bool, tmp_path: Path
) -> None:
    app = App("chat", limits=QUICK)
    for name in names:
        getattr(app, name)(lambda *_: None)
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
    assert (gateway.hellos[0].login, gateway.hellos[0].profiles) == (login, profiles)


@pytest.mark.parametrize("code", ["protocol", "secret", "unknown_app"])
async def test_a_refusal_for_good_ends_the_application_with_the_address_and_the_reason(
    code: str, tmp_path: Path
) -> None:
    def refuse(hello: m.Hello) -> m.Welcome:
        raise RequestError(code, "not with me")

    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway:
        gateway.on_hello = refuse
        with pytest.raises(ConfigurationError) as caught:
            async with patience():
                await app.serve(str(gateway.address))
        assert str(caught.value) == f"{gateway.address}: not with me"
        assert isinstance(caught.value.__cause__, RequestError)


async def test_another_refusal_is_tried_again(tmp_path: Path) -> None:
    refused: list[m.Hello] = []
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway:

        def refuse_once(hello: m.Hello) -> Any:
            if not refused:
                refused.append(hello)
                raise RequestError("busy", "too many applications")
            return gateway.welcome()

        gateway.on_hello = refuse_once
        async with running(app, gateway.address):
            await gateway.until_linked()
            assert len(refused) == 1
            assert gateway.ends == ["too many applications"]


async def test_a_welcome_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway:
        answers: list[Any] = [{"gateway": "strange"}, gateway.welcome()]
        gateway.on_hello = lambda hello: answers.pop(0)
        async with running(app, gateway.address):
            await gateway.until_linked(2)
    assert answers == []  # the second one was taken
    assert len(gateway.hellos) == 2


async def test_a_gateway_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path / ".") as probe:
        address = probe.address
    async with running(app, address), fake_gateway(tmp_path) as gateway:
        await gateway.until_linked()
    assert [hello.app for hello in gateway.hellos] == ["chat"]


# --- what is logged while there is no link


async def test_an_unreachable_gateway_is_reported_once_with_the_reason(tmp_path: Path) -> None:
    app = App("chat", limits=LinkLimits(reconnect_seconds_max=0.01))
    async with fake_gateway(tmp_path / ".") as probe:
        address = probe.address
    with structlog.testing.capture_logs() as logs:
        async with running(app, address):
            async with patience():
                while not logs:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            async with fake_gateway(tmp_path) as gateway:
                await gateway.until_linked()
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warning["event"] == "no link to the gateway"
    assert warning["at"] == str(address)
    assert str(address) in warning["reason"]
    assert warning["reason"].endswith("No such file or directory")
    assert (warning["attempts"], warning["for_s"]) == (1, 0)


async def test_a_refusal_that_may_pass_is_reported_with_the_gateway_s_words(tmp_path: Path) -> None:
    def refuse(hello: m.Hello) -> m.Welcome:
        raise RequestError("busy", "64 applications are linked already")

    app = App("chat", limits=QUICK)
    with structlog.testing.capture_logs() as logs:
        async with fake_gateway(tmp_path) as gateway:
            gateway.on_hello = refuse
            async with running(app, gateway.address):
                await gateway.until(lambda gateway: gateway.asked >= 3)
    reasons = [entry["reason"] for entry in logs if entry["event"] == "no link to the gateway"]
    assert reasons == ["64 applications are linked already"]


def test_an_application_inside_a_loop_of_its_own_logs_as_run_does(tmp_path: Path) -> None:
    """`serve` in another process: whoever uses it in this one shares its logs."""
    program = (
        "import asyncio, os, sys\n"
        "from holdfast.app import App\n"
        "async def main():\n"
        "    app = App('chat')\n"
        "    asyncio.get_running_loop().add_reader(0, app.stop)\n"
        "    await app.serve(sys.argv[1])\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, f"unix:{tmp_path / 'nowhere'}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        out, _ = process.communicate(timeout=60)  # its standard input ends
    assert (line["level"], line["event"]) == ("warning", "no link to the gateway")
    assert out == ""


# --- what comes with the welcome


async def test_commands_that_come_with_the_welcome_are_handled(tmp_path: Path) -> None:
    """The gateway sends them in the same tick, so they may well be in the same piece."""
    app = echo()
    async with fake_gateway(tmp_path) as gateway:
        gateway.on_hello = lambda hello: gateway.welcome(0, 1 << 20, INFO)
        gateway.at_welcome = lambda peer: peer.notify(m.EVENTS, [said(1, "typed meanwhile")])
        async with running(app, gateway.address):
            await gateway.until(lambda gateway: gateway.notes)
            assert texts(gateway.outputs) == ["typed meanwhile"]


async def test_a_session_that_is_opened_with_the_welcome_is_not_taken_for_gone(
    tmp_path: Path,
) -> None:
    app = echo()
    heard: list[str] = []

    @app.on_open
    async def opens(session: Session) -> None:
        heard.append("open")

    @app.on_close
    async def closes(session: Session, reason: str) -> None:
        heard.append(f"close {reason}")

    async with fake_gateway(tmp_path) as gateway:
        gateway.at_welcome = lambda peer: peer.notify(m.EVENTS, [opened(), said(1)])
        async with running(app, gateway.address):
            await gateway.until(lambda gateway: len(gateway.notes) == 2)
            assert heard == ["open"]
            assert list(app.sessions) == ["s1"]


# --- outputs and reports


async def test_outputs_of_a_tick_are_one_frame_and_reports_follow_them(tmp_path: Path) -> None:
    app = echo()
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        gateway.tell(opened(), said(1), said(2))
        await gateway.until(lambda gateway: len(gateway.notes) == 2)
        assert gateway.notes == [
            (m.EMIT, [m.Emit("s1", n, "must", Text(str(n))) for n in (1, 2)]),
            (m.APPLIED, [m.Applied("s1", 2)]),
        ]


async def test_a_full_window_holds_the_handler_until_the_gateway_accepts(tmp_path: Path) -> None:
    said_so_far: list[int] = []
    app = App("chat", limits=QUICK)

    @app.on_text
    async def text(session: Session, text: str) -> None:
        for number in range(1, 6):
            await session.text(str(number))
            said_so_far.append(number)

    async with fake_gateway(tmp_path) as gateway:
        gateway.accepting = False
        gateway.on_hello = lambda hello: gateway.welcome(0, 80)
        async with running(app, gateway.address):
            await gateway.until_linked()
            gateway.tell(opened(), said(1))
            await gateway.until(lambda gateway: gateway.numbers == [1, 2, 3])
            assert said_so_far == [1, 2], "the third one fills it"
            gateway.accept(1)
            await gateway.until(lambda gateway: gateway.numbers == [1, 2, 3, 4])
            assert said_so_far == [1, 2, 3]
            gateway.accept(4)
            await gateway.until(lambda gateway: gateway.notes[-1][0] == m.APPLIED)
            assert said_so_far == [1, 2, 3, 4, 5]
            gateway.accept(5)


async def test_after_a_broken_link_the_rest_is_sent_again_and_nothing_else(tmp_path: Path) -> None:
    app = echo()
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        gateway.accepting = False
        await gateway.until_linked()
        gateway.tell(opened(), said(1), said(2), said(3))
        await gateway.until(lambda gateway: gateway.numbers == [1, 2, 3])
        gateway.on_hello = lambda hello: gateway.welcome(2, 1 << 20, INFO)
        gateway.notes.clear()
        gateway.cut()
        await gateway.until(lambda gateway: gateway.numbers == [3])
        gateway.tell(said(3), said(4))
        await gateway.until(lambda gateway: gateway.numbers == [3, 4])
        assert texts(gateway.outputs) == ["3", "4"]
        gateway.accept(4)


async def test_a_command_is_not_reported_as_applied_before_its_answer(tmp_path: Path) -> None:
    """If the application ends after its hello, its answers end with it."""
    app = echo()
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        gateway.accepting = False
        await gateway.until_linked()
        gateway.tell(opened("s1"), said(1, sid="s1"), opened("s2"), said(1, sid="s2"))
        await gateway.until(lambda gateway: gateway.numbers == [1, 2])
        gateway.accept(1)
        gateway.on_hello = lambda hello: gateway.welcome(1)
        async with patience():
            await app.progress.until(lambda: app.outgoing.oldest == 2)
        gateway.notes.clear()
        gateway.cut()
        await gateway.until_linked(2)
        assert gateway.hellos[1].applied == {"s1": 1, "s2": 0}
        gateway.tell(said(1, sid="s2"))  # it has been handled, and is not handled again
        reported = (m.APPLIED, [m.Applied("s2", 1)])
        await gateway.until(lambda gateway: reported in gateway.notes)
        assert [method for method, _ in gateway.notes] == [m.EMIT, m.APPLIED]
        assert gateway.numbers == [2]
        gateway.accept(2)


async def test_what_is_said_without_a_link_is_sent_with_the_next_one(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    adopted = asyncio.Event()

    @app.on_adopt
    async def adopt(session: Session) -> None:
        adopted.set()

    async with fake_gateway(tmp_path) as gateway:
        gateway.on_hello = lambda hello: gateway.welcome(0, 1 << 20, INFO)
        async with running(app, gateway.address):
            await gateway.until_linked()
            async with patience():
                await adopted.wait()
            session = app.sessions["s1"]
            gateway.cut()
            await session.text("while cut off")
            await session.join("lobby")
            await gateway.until(lambda gateway: gateway.numbers == [1, 2])
            assert len(gateway.hellos) == 2


async def test_a_request_needs_a_link_and_gets_its_answer(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    results: list[object] = []

    @app.on_text
    async def text(session: Session, text: str) -> None:
        try:
            await session.close(text)
        except RequestError as error:
            results.append(error.code)
        else:
            results.append("closed")
        await session.text("done")

    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        gateway.tell(opened(), said(1, "kicked"))
        await gateway.until(lambda gateway: gateway.numbers == [1])
        gateway.answers[m.CLOSE] = RequestError("bad_params", "no such session")
        gateway.tell(said(2, "shutdown"))
        await gateway.until(lambda gateway: gateway.numbers == [1, 2])
    assert results == ["closed", "bad_params"]


async def test_a_refused_output_is_logged(tmp_path: Path) -> None:
    app = echo()
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        with structlog.testing.capture_logs() as logs:
            gateway.peer.notify(m.REFUSED, m.Refused(1, "too many groups"))
            gateway.tell(opened(), said(1))
            await gateway.until(lambda gateway: gateway.notes)
        (refusal,) = (log for log in logs if log["event"] == "output refused by the gateway")
        assert refusal["fault"] == "too many groups"


async def test_a_gateway_that_breaks_the_protocol_loses_its_link_and_not_its_application(
    tmp_path: Path,
) -> None:
    app = echo()
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        gateway.peer._connection.write(b"\x00\x00\x00\x01\xc0")
        await gateway.until_linked(2)
        assert gateway.ends[0].startswith("a malformed message: ")


# --- requests of the gateway


async def ask(peer: Peer, method: str, params: object, result: Any) -> Any:
    async with patience():
        return await peer.request(method, params, result)


async def test_a_defect_in_an_answer_ends_neither_the_link_nor_the_application(
    tmp_path: Path,
) -> None:
    app = echo()

    @app.on_authenticate
    async def authenticate(claim: m.Authenticate) -> str:
        if not claim.password:
            raise KeyError("a defect")
        return claim.username

    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        with structlog.testing.capture_logs() as logs, pytest.raises(RequestError) as caught:
            await ask(gateway.peer, m.AUTHENTICATE, m.Authenticate("s1", "ann"), m.AuthResult)
        assert caught.value.code == "internal_error"
        (failure,) = [entry for entry in logs if "traceback" in entry]
        assert "a defect" in failure["traceback"]
        claim = m.Authenticate("s1", "ann", "pw")
        assert await ask(gateway.peer, m.AUTHENTICATE, claim, m.AuthResult) == m.AuthResult("ann")


# --- the end


async def test_stop_waits_for_handlers_and_for_their_outputs_to_be_accepted(
    tmp_path: Path,
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()
    app = App("chat", limits=QUICK)

    @app.on_text
    async def text(session: Session, text: str) -> None:
        begun.set()
        await let_go.wait()
        await session.text("the last word")

    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address) as serving:
        gateway.accepting = False
        await gateway.until_linked()
        gateway.tell(opened(), said(1))
        async with patience():
            await begun.wait()
        app.stop()
        let_go.set()
        await gateway.until(lambda gateway: len(gateway.notes) == 2)
        assert gateway.ends == []
        assert not serving.done()
        gateway.accept(1)
        await gateway.until(lambda gateway: gateway.ends)
        assert gateway.ends == ["the application is stopping"]
        async with patience():
            await serving


async def test_a_handler_that_never_ends_is_cancelled_after_the_limit_of_time(
    tmp_path: Path,
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()
    app = App("chat", limits=LinkLimits(finish_seconds_max=0.05))

    @app.on_text
    async def text(session: Session, text: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address) as serving:
        await gateway.until_linked()
        gateway.tell(opened(), said(1))
        async with patience():
            await begun.wait()
            app.stop()
            await serving
        assert cancelled.is_set()
        assert m.APPLIED not in [method for method, _ in gateway.notes]


@pytest.mark.parametrize("when", ["dialling", "saying hello", "linked", "pausing"])
async def test_a_cancelled_application_leaves_nothing_behind(when: str, tmp_path: Path) -> None:
    """A connection that is left open is a ResourceWarning, and an application that looks alive."""
    app = App("chat", limits=QUICK)
    stopped: list[str] = []
    app.on_stop(lambda: stopped.append("stop"))
    async with fake_gateway(tmp_path) as gateway:
        hold = asyncio.Event()

        async def never(hello: m.Hello) -> m.Welcome:
            await hold.wait()
            raise RequestError("late", "too late")

        if when == "saying hello":
            gateway.on_hello = never
        elif when == "pausing":

            def refuse(hello: m.Hello) -> m.Welcome:
                raise RequestError("busy", "later")

            gateway.on_hello = refuse
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(app.serve(str(gateway.address)))
            if when == "pausing":
                await gateway.until(lambda gateway: gateway.ends)
            elif when == "dialling":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            elif when == "saying hello":
                await gateway.until(lambda gateway: gateway.asked)
            else:
                await gateway.until_linked()
            serving.cancel()
        assert stopped == ["stop"]
        await gateway.until(lambda gateway: len(gateway.ends) == len(gateway.peers))
        hold.set()


async def test_stop_during_hello_ends_the_link(tmp_path: Path) -> None:
    app = App("chat", limits=LinkLimits(finish_seconds_max=0.05))
    hold = asyncio.Event()

    async def never(hello: m.Hello) -> m.Welcome:
        await hold.wait()
        raise RequestError("late", "too late")

    async with fake_gateway(tmp_path) as gateway:
        gateway.on_hello = never
        async with running(app, gateway.address) as serving:
            await gateway.until(lambda gateway: gateway.asked)
            app.stop()
            async with patience():
                await serving
        await gateway.until(lambda gateway: gateway.ends)
        hold.set()


async def test_start_comes_before_the_first_link_and_stop_after_the_last(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)
    heard: list[str] = []
    async with fake_gateway(tmp_path) as gateway:
        app.on_start(lambda: heard.append(f"start {len(gateway.hellos)}"))
        app.on_stop(lambda: heard.append(f"stop {len(gateway.ends)}"))
        async with running(app, gateway.address):
            await gateway.until_linked()
        await gateway.until(lambda gateway: gateway.ends)
    assert heard == ["start 0", "stop 1"] or heard == ["start 0", "stop 0"]


async def test_an_application_whose_parent_is_gone_ends_with_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("chat", limits=QUICK)
    monkeypatch.setenv(PARENT_VARIABLE, str(os.getppid()))
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address) as serving:
        await gateway.until_linked()
        gateway.cut()
        await gateway.until_linked(2)
        assert not app.orphaned()
        monkeypatch.setenv(PARENT_VARIABLE, "0")
        assert app.orphaned()
        gateway.cut()
        async with patience():
            await serving


def test_an_application_that_was_started_by_hand_is_nobody_s_orphan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    assert not App("chat").orphaned()
