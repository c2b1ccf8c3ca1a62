"""Whatever an application may say, every adapter, the link and the store can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.gateway.adapters.test_websocket import NEW, request, settings
from tests.protocols.telnet.wire import sb, wire

from holdfast.core.items import Binary, Data, Formatted, Notice, Output, Prompt, Span, Text
from holdfast.core.limits import Limits
from holdfast.core.validation import UnsendableError, check_output
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.gateway.adapters.websocket import WebSocketAdapter
from holdfast.link import messages as m
from holdfast.link.codec import FrameDecoder, encode_notification
from holdfast.protocols.telnet.codes import CHARSET, DO, GMCP, TTYPE
from holdfast.protocols.websocket import Deflate
from holdfast.sessions.outbox import OutputEntry

LIMITS = Limits()


def _websocket(subprotocol: str = "", *, deflate: bool = False) -> Callable[[], Adapter]:
    def new() -> Adapter:
        given = settings()
        made = WebSocketAdapter(replace(given, deflate=Deflate()) if deflate else given)
        headers = [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
        if deflate:
            headers.append("Sec-WebSocket-Extensions: permessage-deflate")
        made.receive_data(request(*headers), 0.0)
        made.notify(NEW)
        made.data_to_send()
        return made

    return new


def _telnet(*options: int, counts: bool = False) -> Callable[[], Adapter]:
    def new() -> Adapter:
        made = TelnetAdapter(LIMITS.telnet)
        made.begin(0.0)
        made.receive_data(b"".join(wire(DO, option) for option in options), 0.0)
        if counts:
            made.receive_data(sb(GMCP, b"Holdfast.Hello {}"), 0.0)
        made.handle_timer(60.0)
        made.data_to_send()
        return made

    return new


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "json": _websocket("holdfast.v1"),
    "msgpack": _websocket("holdfast.v1+msgpack"),
    "json compressed": _websocket("holdfast.v1", deflate=True),
    "plain": _websocket(),
    "webs": _websocket("webs.v1"),
    "lines": lambda: LineAdapter("tcp", LIMITS.line),
    "telnet": _telnet(),
    "telnet with gmcp": _telnet(GMCP, CHARSET, TTYPE),
    "telnet that counts": _telnet(GMCP, counts=True),
}

_INTS = st.integers(-2, 1 << 54) | st.integers()
_TEXTS = st.text(st.characters(exclude_categories=[]), max_size=20)
_ITEMS: st.SearchStrategy[Any] = st.one_of(
    st.builds(Text, _TEXTS),
    st.builds(Prompt, _TEXTS),
    st.builds(Notice, _TEXTS),
    st.builds(Binary, st.binary(max_size=20)),
    st.builds(
        Formatted,
        _TEXTS,
        st.lists(
            st.builds(Span, _INTS, _INTS, _TEXTS | st.sampled_from(["red", "bold on-white"])),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(
        Data,
        st.from_regex(r"[A-Za-z.]+", fullmatch=True) | _TEXTS,
        _TEXTS | st.sampled_from(["null", "1e999", '"\\ud83d"', "[" * 600 + "]" * 600]),
    ),
    st.builds(
        Data,
        st.just("Room.Info"),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4).map(
            lambda value: msgspec.json.encode(value).decode()
        ),
    ),
)


def _sendable(item: Output) -> bool:
    try:
        check_output(item, LIMITS.session.output_bytes_max)
    except (TypeError, UnsendableError):
        return False
    return True


@hypothesis.settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", ADAPTERS)
@given(items=st.lists(_ITEMS, max_size=5))
@example(items=[Data("a", "1e999"), Data("a", "[" * 600 + "]" * 600)])
@example(items=[Data("a", str(1 << 70))])
def test_what_may_be_said_can_be_written(name: str, items: list[Output]) -> None:
    adapter = ADAPTERS[name]()
    said = [item for item in items if _sendable(item)]
    adapter.encode(1, [*said, None])
    for item in said:
        adapter.encode_volatile(item)


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    "item",
    [Data("a", str(1 << 70)), Data("a", "{"), Data("a b", "\x00")],
    ids=["70 bits", "half", "NUL"],
)
def test_data_that_no_format_holds_is_passed_on_as_text(name: str, item: Data) -> None:
    """A store from before may hold it."""
    encoded = ADAPTERS[name]().encode(1, [item])
    if name.startswith("json"):
        told = encoded.rpartition(b'"d":')[2].strip(b'"}')
        assert told == msgspec.json.encode(item.json).strip(b'"')
    elif name == "msgpack":
        assert encoded.endswith(item.json.encode())
    else:  # it has no message for data, or its client has not asked for any
        assert encoded == b""


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    "new",
    [lambda n: Text("\x1b" * n), lambda n: Binary(bytes(n)), lambda n: Prompt("€" * (n // 3))],
    ids=["controls", "bytes", "not ASCII"],
)
def test_the_largest_output_can_be_written(name: str, new: Callable[[int], Output]) -> None:
    item = new(LIMITS.session.output_bytes_max)
    assert _sendable(item)
    ADAPTERS[name]().encode(1, [item])


@hypothesis.settings(deadline=None)
@given(_ITEMS)
def test_the_link_and_the_store_carry_what_may_be_said(item: Output) -> None:
    if _sendable(item):
        frame = encode_notification(m.EMIT, [m.Emit("s", 1, "must", item)])
        (heard,) = FrameDecoder(LIMITS.link.frame_bytes_max).receive_data(frame)
        assert isinstance(heard, m.Notification)
        (emit,) = msgspec.msgpack.decode(heard.params, type=list[m.Emit])
        assert emit.item == item
        stored = msgspec.msgpack.encode(OutputEntry(item, 0.0, "", 1))
        assert msgspec.msgpack.decode(stored, type=OutputEntry).item == item
