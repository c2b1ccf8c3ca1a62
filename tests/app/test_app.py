"""An application behind a real gateway, and what its handlers answer."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.app.gateways import (
    QUICK,
    Person,
    fake_gateway,
    person,
    real_gateway,
    running,
)
from tests.net.helpers import patience

import holdfast.app
from holdfast.app import App, Authenticate, AuthResult, ProfileSummary, Refusal, Session
from holdfast.app import app as app_module
from holdfast.app.app import LINK_VARIABLE, SECRET_VARIABLE
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import Peer, RequestError
from holdfast.net.addresses import InvalidAddressError

LIMITS = Limits().but(drain={"drain_seconds_max": 0.5, "retry_seconds_max": 0.2})


def client(tmp_path: Path) -> str:
    """Where people come in: a socket costs less than a port."""
    return f"unix:{tmp_path / 'client'}"


class Chat:
    """An application that keeps what it hears, and answers."""

    def __init__(self, name: str = "chat") -> None:
        self.app = App(name, limits=QUICK)
        self.heard: list[Any] = []
        app = self.app

        @app.on_text
        async def text(session: Session, text: str) -> None:
            self.heard.append((session.cseq, text))
            await session.text(f"you said {text}")

        for event in ("open", "adopt", "detach", "resume", "resync", "close"):
            getattr(app, f"on_{event}")(self._hear(event))

    def _hear(self, name: str) -> Any:
        async def hear(session: Session, *args: str) -> None:
            self.heard.append(" ".join((name, *args)))

        return hear

    @property
    def commands(self) -> list[Any]:
        return [entry for entry in self.heard if isinstance(entry, tuple)]


# --- with a real gateway


async def test_an_application_and_a_person_talk(tmp_path: Path) -> None:
    chat = Chat()
    async with (
        real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real,
        running(chat.app, real.link),
        person(real.addresses[0], "hello") as ann,
    ):
        await ann.hear("you said hello")
        await ann.say("one", "two")
        await ann.hear("you said two")
        assert ann.texts() == ["you said hello", "you said one", "you said two"]
        (session,) = chat.app.sessions.values()
        assert session.protocol == "unix"
        assert session.attached
        assert chat.heard == ["open", (1, "hello"), (2, "one"), (3, "two")]


async def test_what_is_typed_while_the_application_is_away_is_done_once_by_the_next(
    tmp_path: Path,
) -> None:
    first, second = Chat(), Chat()
    async with (
        real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real,
        person(real.addresses[0]) as ann,
    ):
        async with running(first.app, real.link):
            await ann.say("one")
            await ann.hear("you said one")
        await ann.hear("The application is away")
        await ann.say("two", "three")
        async with running(second.app, real.link):
            await ann.hear("you said three")
            await ann.say("four")
            await ann.hear("you said four")
        assert first.heard == ["open", (1, "one")]
        assert second.heard == ["adopt", (2, "two"), (3, "three"), (4, "four")]
        assert ann.texts() == [f"you said {word}" for word in ("one", "two", "three", "four")]


async def test_an_application_goes_on_with_a_gateway_that_was_replaced(tmp_path: Path) -> None:
    chat = Chat()
    async with asyncio.TaskGroup() as tasks:
        async with real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real:
            serving = tasks.create_task(chat.app.serve(str(real.link)))
            async with person(real.addresses[0], "one") as ann:
                code = await ann.code()
                await ann.hear("you said one")
        (session,) = chat.app.sessions.values()
        await session.text("said between two gateways")
        async with real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real:
            async with person(real.addresses[0], f"resume {code}", "two") as ann:
                await ann.hear("said between two gateways")
                await ann.hear("you said two")
            assert list(chat.app.sessions.values()) == [session]
            chat.app.stop()
            async with patience():
                await serving
    assert chat.commands == [(1, "one"), (2, "two")]
    assert chat.heard.count("open") == 1
    assert "close" not in str(chat.heard)


async def test_two_instances_share_the_sessions_and_one_takes_over_from_the_other(
    tmp_path: Path,
) -> None:
    first, second = Chat(), Chat()
    async with (
        real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real,
        running(second.app, real.link),
        running(first.app, real.link),
    ):
        people: list[Person] = []
        async with (
            person(real.addresses[0], "a1") as ann,
            person(real.addresses[0], "b1") as bob,
        ):
            people += [ann, bob]
            await ann.hear("you said a1")
            await bob.hear("you said b1")
            assert len(first.app.sessions) == len(second.app.sessions) == 1
            first.app.stop()
            async with patience():
                await second.app.progress.until(lambda: "adopt" in second.heard)
            await ann.say("a2")
            await bob.say("b2")
            await ann.hear("you said a2")
            await bob.hear("you said b2")
            assert len(second.app.sessions) == 2
            for it in people:
                assert not any("away" in line for line in it.heard)


async def test_a_session_that_is_closed_by_its_own_command_is_over(tmp_path: Path) -> None:
    chat = Chat()
    app = App("chat", limits=QUICK)

    @app.on_text
    async def text(session: Session, text: str) -> None:
        await session.text("goodbye")
        await session.close()

    @app.on_close
    async def closed(session: Session, reason: str) -> None:
        chat.heard.append(f"close {reason}")

    async with (
        real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real,
        running(app, real.link),
    ):
        async with person(real.addresses[0], "quit") as ann:
            rest = (await ann.caller.read_all()).decode()
        assert "goodbye\n" in rest
        assert "*** Your session was closed.\n" in rest
        async with patience():
            await app.progress.until(lambda: not app.sessions)
        assert chat.heard == ["close kicked"]


async def test_a_login_that_is_refused_is_told_and_may_be_tried_again(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)

    @app.on_authenticate
    async def authenticate(claim: Authenticate) -> AuthResult:
        if claim.password != "secret":
            raise Refusal("That is not your password.")
        return AuthResult(claim.username, {"role": "admin"})

    @app.on_text
    async def text(session: Session, text: str) -> None:
        await session.text(f"{session.user} ({session.properties['role']}) said {text}")

    async with (
        real_gateway(tmp_path, client(tmp_path), limits=LIMITS) as real,
        running(app, real.link),
        person(real.addresses[0]) as ann,
    ):
        for password in ("wrong", "secret"):
            async with patience():
                await ann.caller.reader.readuntil(b"Name: ")
                await ann.say("ann")
                await ann.caller.reader.readuntil(b"Password: ")
            await ann.say(password)
            if password == "wrong":
                await ann.hear("*** That is not your password.")
        await ann.say("hello")
        await ann.hear("ann (admin) said hello")


# --- what its handlers answer


async def ask(peer: Peer, method: str, params: object, result: Any) -> Any:
    async with patience():
        return await peer.request(method, params, result)


ANSWERS: list[tuple[str, Any, object, Any, Any]] = [
    ("authenticate", "ann", m.Authenticate("s", "ann"), m.AuthResult, m.AuthResult("ann")),
    (
        "authenticate",
        AuthResult("ann", {"a": "b"}),
        m.Authenticate("s", "ann"),
        m.AuthResult,
        m.AuthResult("ann", {"a": "b"}),
    ),
    ("profiles", [], m.ProfileQuery("s"), list[m.ProfileSummary], []),
    (
        "create_profile",
        ProfileSummary("p", "Ann"),
        m.ProfileCreation("s", "Ann"),
        m.ProfileSummary,
        m.ProfileSummary("p", "Ann"),
    ),
    (
        "select_profile",
        ProfileSummary("p", "Ann"),
        m.ProfileChoice("s", "p"),
        m.ProfileSummary,
        m.ProfileSummary("p", "Ann"),
    ),
]
METHODS = {
    "authenticate": m.AUTHENTICATE,
    "profiles": m.PROFILES_LIST,
    "create_profile": m.PROFILES_CREATE,
    "select_profile": m.PROFILES_SELECT,
}
each_answer = pytest.mark.parametrize(
    ("name", "given", "params", "kind", "answer"),
    ANSWERS,
    ids=[f"{row[0]}-{type(row[1]).__name__}" for row in ANSWERS],
)


@each_answer
async def test_a_handler_s_answer_is_the_gateway_s(
    name: str, given: Any, params: object, kind: Any, answer: Any, tmp_path: Path
) -> None:
    app = App("chat", limits=QUICK)
    args: list[object] = []

    def handler(*found: object) -> Any:
        args.extend(found)
        return given

    getattr(app, f"on_{name}")(handler)
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        assert await ask(gateway.peer, METHODS[name], params, kind) == answer
    assert args in ([params], ["s"], ["s", "Ann"], ["s", "p"])


@each_answer
async def test_a_refusal_is_told_with_its_code_and_its_pause(
    name: str, given: Any, params: object, kind: Any, answer: Any, tmp_path: Path
) -> None:
    app = App("chat", limits=QUICK)

    async def refuse(*_: object) -> Any:
        raise Refusal("not you", code="banned", retry_s=60)

    getattr(app, f"on_{name}")(refuse)
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        with pytest.raises(RequestError, match="not you") as caught:
            await ask(gateway.peer, METHODS[name], params, kind)
        assert (caught.value.code, caught.value.retry_s) == ("banned", 60)


@each_answer
async def test_without_a_handler_the_gateway_is_told_which_is_missing(
    name: str, given: Any, params: object, kind: Any, answer: Any, tmp_path: Path
) -> None:
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway, running(app, gateway.address):
        await gateway.until_linked()
        with pytest.raises(RequestError, match=f"chat has no handler on_{name}") as caught:
            await ask(gateway.peer, METHODS[name], params, kind)
        assert caught.value.code == "unknown_method"


# --- starting


@pytest.mark.parametrize("address", [None, ""])
def test_an_application_without_an_address_says_where_it_looked(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match=r"HOLDFAST_LINK .* found neither .*holdfast run"):
        App("chat").run(address)


@pytest.mark.parametrize(
    "address",
    [
        "data/link.sock",
        "ws://localhost/",
        "wss://localhost:1",
    ],
)
async def test_an_address_that_is_no_link_s_is_refused_before_anything_is_said(
    address: str,
) -> None:
    app = App("chat", limits=QUICK)
    with pytest.raises(InvalidAddressError, match="expected one of unix, tcp, tls before"):
        async with patience():
            await app.serve(address, secret="s3cret")


async def test_the_secret_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "s3cret")
    app = App("chat", limits=QUICK)
    async with fake_gateway(tmp_path) as gateway, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve(str(gateway.address)))
        await gateway.until_linked()
        app.stop()
        await serving
    assert gateway.hellos[0].secret == "s3cret"


def test_run_serves_at_the_address_of_the_environment_until_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "calm_collector", lambda: None)
    monkeypatch.setenv(LINK_VARIABLE, f"unix:{tmp_path / 'nobody'}")
    app = App("chat", limits=QUICK)
    heard: list[str] = []

    @app.on_start
    def start() -> None:
        heard.append("start")
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)

    app.on_stop(lambda: heard.append("stop"))
    app.run()
    assert heard == ["start", "stop"]


async def test_a_start_that_fails_ends_the_application(tmp_path: Path) -> None:
    app = App("chat", limits=QUICK)

    @app.on_start
    async def start() -> None:
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        await app.serve(f"unix:{tmp_path / 'nobody'}")


async def test_a_wrong_secret_is_told_to_whoever_started_the_application(tmp_path: Path) -> None:
    async with fake_gateway(tmp_path) as gateway:

        def refuse(hello: m.Hello) -> m.Welcome:
            raise RequestError("secret", "the link's secret is wrong")

        gateway.on_hello = refuse
        with (
            structlog.testing.capture_logs() as logs,
            pytest.raises(ConfigurationError, match="the link's secret is wrong"),
        ):
            await App("chat", limits=QUICK).serve(str(gateway.address), secret="swordfish")
        assert "swordfish" not in str(logs)


def test_the_sdk_exports_what_an_author_needs() -> None:
    assert holdfast.app.__all__ == [
        "LATEST",
        "MUST",
        "VOLATILE",
        "App",
        "AuthResult",
        "Authenticate",
        "Binary",
        "Capabilities",
        "ClientFacts",
        "Data",
        "Formatted",
        "MemberCount",
        "Notice",
        "Output",
        "ProfileSummary",
        "Prompt",
        "PublishRefusedError",
        "Published",
        "Refusal",
        "RefusedError",
        "Session",
        "Span",
        "Text",
        "UnknownSessionError",
        "UnsendableError",
    ]
    for name in holdfast.app.__all__:
        assert hasattr(holdfast.app, name)
