"""What a session of the SDK says to the gateway, call by call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import structlog

from holdfast.app import App, Session, Span
from holdfast.core.errors import LimitExceededError
from holdfast.core.items import Binary, Data, Formatted, Notice, Prompt, Text
from holdfast.core.limits import LinkLimits
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError

S = "s1"


def new(state: str = "active", **fields: Any) -> Session:
    app = App("test")
    return Session(app, m.SessionInfo(S, state, **fields), app.home)


def emit(delivery: str, item: Any) -> tuple[str, list[m.Emit]]:
    return m.EMIT, [m.Emit(S, 1, delivery, item)]


CALLS: dict[str, tuple[Callable[[Session], Awaitable[None]], tuple[str, Any]]] = {
    "text": (lambda s: s.text("a"), emit("must", Text("a"))),
    "text-latest": (lambda s: s.text("a", latest="hp"), emit("latest:hp", Text("a"))),
    "formatted": (
        lambda s: s.formatted("a", [Span(0, 1, "red")]),
        emit("must", Formatted("a", (Span(0, 1, "red"),))),
    ),
    "data": (lambda s: s.data("A.B", {"é": [1]}), emit("must", Data("A.B", '{"é":[1]}'))),
    "data-latest": (
        lambda s: s.data("A.B", None, latest=True),
        emit("latest:A.B", Data("A.B", "null")),
    ),
    "data-volatile": (
        lambda s: s.data("A.B", 1, volatile=True),
        emit("volatile", Data("A.B", "1")),
    ),
    "prompt": (lambda s: s.prompt("> "), emit("latest:prompt", Prompt("> "))),
    "binary": (lambda s: s.binary(b"\x00"), emit("must", Binary(b"\x00"))),
    "notice": (lambda s: s.notice("a"), emit("must", Notice("a"))),
    "broadcast": (
        lambda s: s.broadcast("g", "a"),
        (m.BROADCAST, m.Broadcast("g", 1, "must", Text("a"))),
    ),
    "broadcast-but-me": (
        lambda s: s.broadcast("g", "a", but_me=True),
        (m.BROADCAST, m.Broadcast("g", 1, "must", Text("a"), S)),
    ),
    "join": (lambda s: s.join("g"), (m.JOIN, m.Membership("g", 1, [S]))),
    "leave": (lambda s: s.leave("g"), (m.LEAVE, m.Membership("g", 1, [S]))),
    "identify": (lambda s: s.identify("ann"), (m.UPDATE, m.Update(S, 1, user="ann"))),
    "store": (
        lambda s: s.store({"n": 1}),
        (m.UPDATE, m.Update(S, 1, data=msgspec.msgpack.encode({"n": 1}))),
    ),
    "input_mode": (lambda s: s.input_mode("secret"), (m.INPUT_MODE, m.InputMode(S, 1, "secret"))),
    "choose_again": (lambda s: s.choose_again(), (m.UPDATE, m.Update(S, 1, selected=False))),
}


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_said_is_numbered_and_waits_to_be_sent(name: str) -> None:
    call, expected = CALLS[name]
    session = new()
    await call(session)
    assert session.outgoing.take() == [expected]


async def test_an_application_may_say_something_to_a_group_itself() -> None:
    app = App("test")
    session = Session(app, m.SessionInfo(S, "active"), app.home)
    await app.broadcast("g", "a", but=session)
    await app.broadcast_item("g", Notice("b"), delivery="volatile")
    assert app.outgoing.take() == [
        (m.BROADCAST, m.Broadcast("g", 1, "must", Text("a"), S)),
        (m.BROADCAST, m.Broadcast("g", 2, "volatile", Notice("b"))),
    ]


async def test_what_is_changed_is_known_here_at_once() -> None:
    session = new(user="ann")
    await session.identify("bob")
    await session.store([1, "two"])
    assert session.user == "bob"
    assert session.stored == [1, "two"]


async def test_what_cannot_be_written_is_an_error_of_the_caller_and_says_nothing() -> None:
    session = new()
    with pytest.raises(TypeError):
        await session.store(object())
    with pytest.raises(TypeError):
        await session.data("A", object())
    assert session.stored is None
    assert session.outgoing.idle


BAD: dict[str, tuple[Callable[[Session], Awaitable[None]], type[Exception], str]] = {
    "text": (lambda s: s.text(b"x"), TypeError, "text: expected str; found bytes"),  # type: ignore[arg-type]
    "surrogate": (lambda s: s.text("\ud83d"), ValueError, "text: .* lone surrogate"),
    "large": (lambda s: s.text("x" * (17 << 20)), ValueError, "at most 524288 bytes; found 178"),
    "latest": (lambda s: s.text("a", latest="k" * 300), ValueError, "the key of latest: "),
    "formatted": (
        lambda s: s.formatted("abc", [(0, 1, "red")]),  # type: ignore[list-item]
        TypeError,
        "a span: expected Span",
    ),
    "prompt": (lambda s: s.prompt(None), TypeError, "prompt: expected str; found NoneType"),  # type: ignore[arg-type]
    "notice": (lambda s: s.notice(1), TypeError, "notice: "),  # type: ignore[arg-type]
    "binary": (lambda s: s.binary("x"), TypeError, "binary: expected bytes; found str"),  # type: ignore[arg-type]
    "data": (lambda s: s.data("A", 1 << 70), ValueError, "integers of 64 bits"),
    "data-nan": (lambda s: s.data("A", {"a": float("nan")}), ValueError, "finite numbers"),
    "data-package": (lambda s: s.data("A B", 1), ValueError, "a package: "),
    "data-package-latest": (lambda s: s.data(7, 1, latest=True), TypeError, "a package: "),  # type: ignore[arg-type]
    "broadcast": (lambda s: s.broadcast("g", None), TypeError, "text: "),  # type: ignore[arg-type]
    "broadcast-group": (lambda s: s.broadcast(7, "a"), TypeError, "group: expected str; found int"),  # type: ignore[arg-type]
    "join": (lambda s: s.join(7), TypeError, "group: expected str; found int"),  # type: ignore[arg-type]
    "leave": (lambda s: s.leave(None), TypeError, "group: "),  # type: ignore[arg-type]
    "identify": (lambda s: s.identify(42), TypeError, "user: expected str; found int"),  # type: ignore[arg-type]
    "identify-long": (lambda s: s.identify("u" * 257), ValueError, "user: expected at most 256"),
    "store": (lambda s: s.store("x" * 9_000), ValueError, "store: expected at most 8192 bytes"),
    "store-integer": (lambda s: s.store(1 << 70), ValueError, "store: .* serialize ints"),
    "input_mode": (lambda s: s.input_mode("loud"), ValueError, "input_mode: expected one of line"),
    "close": (lambda s: s.close("boredom"), ValueError, "reason: expected one of client_left"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_cannot_be_said_is_an_error_of_the_caller_and_takes_no_number(name: str) -> None:
    call, kind, words = BAD[name]
    session = new(user="ann", groups=["g"], data=msgspec.msgpack.encode("before"))
    with pytest.raises(kind, match=words):
        await call(session)
    assert session.outgoing.idle
    assert (session.user, session.groups, session.stored) == ("ann", ["g"], "before")
    await session.text("goes on")
    assert session.outgoing.take() == [emit("must", Text("goes on"))]


async def test_a_session_is_in_so_many_groups_and_no_more() -> None:
    session = new(groups=["g1"])
    session.outgoing.bounds = m.Bounds(groups_max=2)
    await session.join("g1")
    await session.join("g2")
    with pytest.raises(LimitExceededError, match="is in 2 groups, which is the limit"):
        await session.join("g3")
    await session.leave("g1")
    await session.join("g3")
    assert session.groups == ["g2", "g3"]


async def test_the_gateway_says_how_much_it_takes() -> None:
    session = new()
    session.outgoing.bounds = m.Bounds(output_bytes_max=3, name_bytes_max=2, data_bytes_max=4)
    await session.text("abc")
    for call in (session.text("abcd"), session.identify("ann"), session.store("abcd")):
        with pytest.raises(ValueError, match="expected at most"):
            await call


def test_data_that_another_application_has_stored_is_no_reason_to_end() -> None:
    with structlog.testing.capture_logs() as logs:
        session = new(data=b"\xc1")
    assert session.stored is None
    assert [log["session"] for log in logs] == [S]


async def test_large_values_count_for_the_window() -> None:
    app = App("test", limits=LinkLimits(window_bytes_max=1_000))
    session = Session(app, m.SessionInfo(S, "active"), app.home)
    await session.store("x" * 900)
    assert not app.outgoing.full
    app.outgoing.call(m.JOIN, lambda bseq: m.Membership("g", bseq, [S]), 0)
    assert app.outgoing.full


async def test_a_session_is_closed_by_a_request_that_needs_a_link() -> None:
    with pytest.raises(LinkClosedError, match="the application is not running"):
        await new().close()


@pytest.mark.parametrize(
    ("state", "attached"),
    [
        ("connecting", True),
        ("selecting", True),
        ("active", True),
        ("detached_selecting", False),
        ("detached_active", False),
    ],
)
def test_a_session_knows_whether_its_client_is_there(state: str, attached: bool) -> None:
    assert new(state).attached is attached


def test_a_session_is_what_the_gateway_says_of_it() -> None:
    session = new(
        user="ann",
        profile="p",
        properties={"role": "admin"},
        protocol="telnet",
        address="192.0.2.1:5",
        data=msgspec.msgpack.encode({"room": "lobby"}),
        applied=7,
    )
    assert (session.user, session.profile, session.properties) == ("ann", "p", {"role": "admin"})
    assert session.stored == {"room": "lobby"}
    assert session.applied == 7
    assert repr(session) == "<Session s1 ann telnet>"
    assert repr(new(protocol="tcp")) == "<Session s1 anonymous tcp>"
    session.learn(m.SessionInfo(S, "active", applied=3))
    assert session.applied == 7, "an older report takes nothing back"
