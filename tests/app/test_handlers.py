from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import msgspec
import pytest
from structlog.testing import capture_logs

from holdfast.app import App, Capabilities, Session
from holdfast.app.events import handle
from holdfast.app.handlers import Handlers
from holdfast.core.items import Binary, Data, Interrupt, Resized, Text
from holdfast.link import messages as m

INFO = m.SessionInfo("s1", "active", user="ann", protocol="telnet", address="192.0.2.1:5")
WIDE = Capabilities(width=200)

EVENTS: list[tuple[m.Event, str, tuple[object, ...]]] = [
    (Text("look"), "text", ("look",)),
    (Binary(b"\x00"), "binary", (b"\x00",)),
    (Data("Room.Info", '{"n":[1,null]}'), "data", ("Room.Info", {"n": [1, None]})),
    (Interrupt(), "interrupt", ()),
    (m.Opened(INFO), "open", ()),
    (m.Adopted(INFO), "adopt", ()),
    (Resized(80, 24), "resize", (80, 24)),
    (m.CapabilitiesChanged(WIDE), "capabilities", ()),
    (m.Detached("timeout"), "detach", ("timeout",)),
    (m.Resumed("telnet", "192.0.2.1:6"), "resume", ()),
    (m.Resync("epoch"), "resync", ("epoch",)),
    (m.Closed("kicked"), "close", ("kicked",)),
    (m.Moved(), "move", ()),
]
each_event = pytest.mark.parametrize(
    ("event", "name", "args"), EVENTS, ids=[name for _, name, _ in EVENTS]
)


def test_every_event_of_the_link_is_tested_here() -> None:
    kinds = {type(event) for event, _, _ in EVENTS}
    assert kinds == set(m.Event.__args__)


@each_event
async def test_an_event_calls_its_handler_and_no_other(
    event: m.Event, name: str, args: tuple[object, ...]
) -> None:
    app = App("test")
    session = Session(app, INFO, app.home)
    heard: list[tuple[str, tuple[object, ...]]] = []
    for _, other, _ in EVENTS:

        async def handler(*args: object, other: str = other) -> None:
            heard.append((other, args))

        getattr(app, f"on_{other}")(handler)
    await handle(app, session, event)
    assert heard == [(name, (session, *args))]


class Callables:
    """What may be a handler, and what may not."""

    async def method(self, *args: object) -> None: ...

    async def __call__(self, *args: object) -> None: ...

    def plain(self, *args: object) -> None: ...

    async def generator(self, *args: object) -> AsyncIterator[int]:
        yield 1


@functools.wraps(Callables.method)
def decorated(*args: object) -> object:
    return Callables().method(*args)


IT = Callables()


@pytest.mark.parametrize("name", [name for _, name, _ in EVENTS] + ["error"])
def test_a_handler_of_a_session_is_a_coroutine_function(name: str) -> None:
    for good in (IT.method, IT, functools.partial(IT.method, 1), decorated):
        assert getattr(App("test"), f"on_{name}")(good) is good
    for bad in (IT.plain, lambda *args: None, IT.generator, functools.partial(IT.plain), "text"):
        with pytest.raises(TypeError, match=f"^on_{name}: expected a (coroutine )?function"):
            getattr(App("test"), f"on_{name}")(bad)


@pytest.mark.parametrize(
    "name",
    [
        "start", "stop", "authenticate", "profiles", "create_profile", "select_profile", "remember",
    ],
)  # fmt: skip
def test_a_handler_that_answers_may_be_a_plain_function(name: str) -> None:
    for good in (IT.plain, IT.method):
        assert getattr(App("test"), f"on_{name}")(good) is good
    with pytest.raises(TypeError, match=f"^on_{name}: expected a function, found None"):
        getattr(App("test"), f"on_{name}")(None)


@each_event
async def test_an_event_without_a_handler_is_no_error(
    event: m.Event, name: str, args: tuple[object, ...]
) -> None:
    app = App("test")
    assert not app.has(name)
    await handle(app, Session(app, INFO, app.home), event)


async def test_the_session_is_up_to_date_when_its_handler_is_called() -> None:
    app = App("test")
    session = Session(app, INFO, app.home)
    seen: list[object] = []

    @app.on_capabilities
    async def capabilities(session: Session) -> None:
        seen.append(session.capabilities)

    async def attached(session: Session, reason: str) -> None:
        seen.append(session.attached)

    app.on_detach(attached)
    app.on_resync(attached)

    @app.on_resume
    async def resume(session: Session) -> None:
        seen.append((session.attached, session.address))

    @app.on_open
    async def opened(session: Session) -> None:
        seen.append((session.user, session.profile, session.stored))

    for event in (
        m.CapabilitiesChanged(WIDE),
        m.Detached("timeout"),
        m.Resumed("websocket", "192.0.2.1:6"),
        m.Detached("timeout"),
        m.Resync("epoch"),
        # The user was sent back to the choice of a profile, and has chosen.
        m.Opened(
            m.SessionInfo("s1", "active", user="bob", profile="p2", data=msgspec.msgpack.encode(7))
        ),
    ):
        await handle(app, session, event)
    assert seen == [WIDE, False, (True, "192.0.2.1:6"), False, True, ("bob", "p2", 7)]
    assert session.protocol == ""


@pytest.mark.parametrize("name", sorted(name for name in vars(Handlers) if name.startswith("on_")))
def test_a_second_handler_of_the_same_name_is_an_error(name: str) -> None:
    app = App("test")

    async def first() -> None: ...

    assert getattr(app, name)(first) is first, "a decorator gives back what it decorates"
    assert app.has(name.removeprefix("on_"))
    with pytest.raises(ValueError, match=f"{name}: there is a handler already"):
        getattr(app, name)(first)


async def test_a_call_gives_what_its_handler_gives() -> None:
    app = App("test")

    @app.on_remember
    async def remember() -> dict[str, int]:
        return {"s": 1}

    assert await app.call("remember") == {"s": 1}
    assert await app.call("start") is None


async def test_bare_words_of_a_telnet_client_are_text() -> None:
    app = App("test")
    heard: list[object] = []

    @app.on_data
    async def data(_session: Session, *args: object) -> None:
        heard.append(args)

    await handle(app, Session(app, INFO, app.home), Data("Char.Login", "bob"))
    assert heard == [("Char.Login", "bob")]


@pytest.mark.parametrize("json", ["9" * 5000, "[", '"\\ud800'], ids=["digits", "open", "half"])
async def test_data_that_cannot_be_decoded_is_the_fault_of_the_client(json: str) -> None:
    app = App("test")
    heard: list[object] = []

    @app.on_data
    async def data(*args: object) -> None:
        heard.append(args)

    with capture_logs() as logs:
        await handle(app, Session(app, INFO, app.home), Data("Room.Info", json))
    assert heard == []
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("data of a client cannot be decoded", "info")
    assert (line["session"], line["package"]) == ("s1", "Room.Info")


async def test_an_error_of_a_handler_without_a_session_is_reported_without_one() -> None:
    app = App("test")
    errors: list[tuple[object, str]] = []

    @app.on_error
    async def failed(session: Session | None, error: BaseException) -> None:
        errors.append((session, str(error)))

    @app.on_profiles
    async def profiles(sid: str) -> list[object]:
        raise ValueError("no database")

    @app.on_remember
    async def remember() -> dict[str, int]:
        raise ValueError("no database either")

    with pytest.raises(ValueError, match="no database"):
        await app.answers.list_profiles(m.ProfileQuery("s1"))
    with pytest.raises(ValueError, match="no database either"):
        await app.answers.remember(m.Remember(["s1"]))
    assert errors == [(None, "no database"), (None, "no database either")]
