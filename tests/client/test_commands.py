"""What can be said is told where it is said, and what cannot leaves nothing behind."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from holdfast.client import commands
from holdfast.client.core import ClientCore
from holdfast.client.gateway_addresses import gateway_addresses
from holdfast.client.lines import LineClient
from holdfast.client.state import State
from holdfast.core.limits import Limits
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols.telnet import Terminal

_CYCLE: Final[list[Any]] = []
_CYCLE.append(_CYCLE)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


WRONG: Final[dict[str, tuple[str, tuple[Any, ...], type[Exception], str]]] = {
    "bytes": ("command", (b"x",), TypeError, "command: expected str, found bytes b'x'"),
    "int": ("command", (42,), TypeError, "command: expected str, found int 42"),
    "none": ("command", (None,), TypeError, "command: expected str, found NoneType None"),
    "half": (
        "command",
        ("cut \ud83d",),
        ValueError,
        "command: expected Unicode text, found the lone surrogate U+D83D at 4",
    ),
    "large": (
        "command",
        ("x" * 65_536,),
        ValueError,
        "command: expected a message of at most 65536 bytes, found about 65560",
    ),
    "object": (
        "data",
        ("p", object()),
        TypeError,
        "data: expected a value that JSON has: Encoding objects of type object is unsupported",
    ),
    "key": (
        "data",
        ("p", {(1, 2): 3}),
        TypeError,
        "data: expected a value that JSON has: Only dicts with str-like or number-like keys",
    ),
    "half-inside": (
        "data",
        ("p", ["\udce9"]),
        ValueError,
        "data: expected Unicode text, found a lone surrogate",
    ),
    "cycle": ("data", ("p", _CYCLE), ValueError, "data: expected at most 100 levels, found more"),
    "deep": (
        "data",
        ("p", nested(101)),
        ValueError,
        "data: expected at most 100 levels, found more",
    ),
    "digits": (
        "data",
        ("p", 10**4000 * 10**4000),
        ValueError,
        "data: expected a value that",
    ),
    "package": ("data", (None, 1), TypeError, "package: expected str, found NoneType None"),
    "float-size": ("resize", (120.5, 40), TypeError, "width: expected int, found float 120.5"),
    "bool-size": ("resize", (True, 40), TypeError, "width: expected int, found bool True"),
    "high": ("resize", (80, 65_536), ValueError, "height: expected 0 to 65535, found 65536"),
    "user": ("login", (None, "x"), TypeError, "username: expected str, found NoneType None"),
    "code": ("resume", (7,), TypeError, "code: expected str, found int 7"),
}


@pytest.mark.parametrize(("method", "arguments", "error", "text"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_said(
    method: str, arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    core = ClientCore()
    before = msgspec.json.encode(core.state)
    with pytest.raises(error) as caught:
        getattr(core, method)(*arguments)
    assert str(caught.value).startswith(text)
    assert msgspec.json.encode(core.state) == before
    core.command("after")
    assert core.state.pending == [wire.Command(1, "after")]


def test_a_size_may_be_as_large_as_it_may_be() -> None:
    core = ClientCore()
    core.resize(65_535, 0)
    core.connected()
    (hello,) = core.take()
    told = msgspec.json.decode(hello)
    assert (told["width"], told.get("height", 0)) == (65_535, 0)


LARGE: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "login": ("login", {"username": "u", "password": "{}"}),
    "authenticate": ("authenticate", {"token": "{}"}),
    "choose": ("choose", {"profile": "{}"}),
    "choose: properties": ("choose", {"properties": {"key": "{}"}}),
    "code": ("resume", {"code": "{}"}),
}


@pytest.mark.parametrize(("method", "arguments"), LARGE.values(), ids=LARGE)
def test_a_message_may_be_as_large_as_the_gateway_takes(
    method: str, arguments: dict[str, Any]
) -> None:
    def filled(size: int) -> dict[str, Any]:
        return {
            name: {"key": "x" * size} if isinstance(value, dict) else value.format("x" * size)
            for name, value in arguments.items()
        }

    getattr(ClientCore(), method)(**filled(65_000))
    with pytest.raises(ValueError, match="expected a message of at most 65536 bytes, found about"):
        getattr(ClientCore(), method)(**filled(65_536))


def test_what_was_kept_and_can_be_sent_is_sayable() -> None:
    for kept in (
        wire.Command(1, "look"),
        wire.DataCommand(1, "p", msgspec.Raw(b'{"a":[1]}')),
        wire.InterruptCommand(1),
    ):
        assert commands.is_sayable(kept, 1_000)
        assert not commands.is_sayable(kept, 10)


def test_a_hundred_levels_and_many_brackets_are_fine() -> None:
    core = ClientCore()
    core.data("p", nested(100))
    core.data("p", [[{}]] * 1000)
    core.data("p", "[" * 1000)
    assert core.state.sent == 3


def test_what_a_value_is_when_it_is_said_is_sent() -> None:
    core = ClientCore()
    value = {"a": [1]}
    core.data("p", value)
    value["a"].append(2)
    (command,) = core.state.pending
    assert isinstance(command, wire.DataCommand)
    assert bytes(command.d) == b'{"a":[1]}'


UNSAYABLE: Final[dict[str, wire.Command | wire.DataCommand]] = {
    "half": wire.Command(1, "\ud83d"),
    "large": wire.Command(1, "x" * 65_536),
    "no-json": wire.DataCommand(1, "p", msgspec.Raw(b"{")),
    "deep": wire.DataCommand(1, "p", msgspec.Raw(b"[" * 5000 + b"]" * 5000)),
    "half-package": wire.DataCommand(1, "\ud83d", msgspec.Raw(b"1")),
}


@pytest.mark.parametrize("kept", UNSAYABLE.values(), ids=UNSAYABLE)
def test_what_was_kept_and_can_never_be_sent_is_dropped(
    kept: wire.Command | wire.DataCommand,
) -> None:
    state = State("S", "t", "E", sent=2, pending=[kept, wire.Command(2, "after")])
    core = ClientCore(state)
    core.connected()
    fields = {"sid": "S", "token": "t2", "epoch": "E", "heartbeat": 30}
    resumed = {"t": "resumed", **fields, "from": 1, "to": 0, "cin": 0}
    events = core.receive(msgspec.json.encode(resumed))
    assert events[1:] == [commands.Dropped("refused", (kept,))]
    assert core.state.pending == [wire.Command(1, "after")]


LINES: Final[dict[str, tuple[str, Any, type[Exception], str]]] = {
    "int": ("tcp", 7, TypeError, "command: expected str, found int 7"),
    "half": ("tcp", "\udce9", ValueError, "command: expected Unicode text, found the lone"),
    "two": ("tcp", "a\nb", ValueError, "command: expected one line, found an end of line in it"),
    "return": ("telnet", "a\rb", ValueError, "command: expected one line"),
    "bytes": (
        "tcp",
        "☃" * 6000,
        ValueError,
        "command: expected at most 16384 bytes, found 18000",
    ),
    "chars": (
        "telnet",
        "x" * 6001,
        ValueError,
        "command: expected at most 6000 characters, found 6001",
    ),
}


@pytest.mark.parametrize(("scheme", "text", "error", "why"), LINES.values(), ids=LINES)
async def test_lines_that_cannot_be_said(
    scheme: str, text: Any, error: type[Exception], why: str
) -> None:
    terminal = Terminal("test", "1", "xterm", 80, 24)
    client = LineClient(gateway_addresses(f"{scheme}://127.0.0.1:1"), Limits(), None, terminal)
    with pytest.raises(error) as caught:
        client.command(text)
    assert str(caught.value).startswith(why)
    assert client.unsaid == 0
