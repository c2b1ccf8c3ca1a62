"""Colours in text as spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import Data, Formatted, Output, Prompt, Span, Text
from holdfast.core.limits import Limits
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.styles import paint

READ: dict[str, tuple[Output, Output]] = {
    "plain": (Text("a"), Text("a")),
    "colour": (
        Text("a \x1b[31mred\x1b[0m b"),
        Formatted("a red b", (Span(2, 3, "red"),)),
    ),
    "to-the-end": (Text("\x1b[1;32mx"), Formatted("x", (Span(0, 1, "green bold"),))),
    "bright-on-bright": (
        Text("\x1b[91;104mx"),
        Formatted("x", (Span(0, 1, "bright-red on-bright-blue"),)),
    ),
    "256": (Text("\x1b[38;5;208mx"), Formatted("x", (Span(0, 1, "#ff8700"),))),
    "256-by-name": (
        Text("\x1b[38;5;9;48;5;1mx"),
        Formatted("x", (Span(0, 1, "bright-red on-red"),)),
    ),
    "24-bit": (Text("\x1b[48;2;1;2;255mx"), Formatted("x", (Span(0, 1, "on-#0102ff"),))),
    "24-bit-with-colons": (Text("\x1b[38:2::1:2:3mx"), Formatted("x", (Span(0, 1, "#010203"),))),
    "ended-one-by-one": (
        Text("\x1b[1;3;4;7;31;41mx\x1b[22;23;24;27;39;49my"),
        Formatted("xy", (Span(0, 1, "red on-red bold italic underline reverse"),)),
    ),
    "two-colours-without-text": (Text("\x1b[31m\x1b[32mx"), Formatted("x", (Span(0, 1, "green"),))),
    "other-sequences": (Text("\x1b[2J\x1b]0;title\x07a\x1b[31"), Text("a[31")),
    "unknown-number": (Text("\x1b[99;5mx"), Text("x")),
    "without-a-number": (Text("\x1b[31mx\x1b[my"), Formatted("xy", (Span(0, 1, "red"),))),
    "lines": (Text("\x1b[31ma\nb"), Formatted("a\nb", (Span(0, 3, "red"),))),
    "prompt": (Prompt("\x1b[32m> \x1b[0m"), Prompt("> ")),
    "data": (Data("A", '"\x1b[31m"'), Data("A", '"\x1b[31m"')),
}


@pytest.mark.parametrize(("item", "read"), READ.values(), ids=READ)
def test_an_item(item: Output, read: Output) -> None:
    assert SpanReader(continues=False).read([None, item]) == [None, read]
    assert SpanReader(continues=False).item(item) == read


@pytest.mark.parametrize("continues", [False, True])
def test_a_style_lasts_as_long_as_the_text_of_a_server(continues: bool) -> None:
    reader = SpanReader(continues=continues)
    reader.read([Text("\x1b[31ma")])
    (second,) = reader.read([Text("b")])
    assert second == (Formatted("b", (Span(0, 1, "red"),)) if continues else Text("b"))
    reader.read([Text("\x1b[0m")])
    items = [Text("c")]
    assert reader.read(items) is items


texts = st.text(st.sampled_from("\x1b[];:0123456789mKab\n"), max_size=40)


@given(texts)
def test_no_escape_is_left_and_no_text_is_lost(text: str) -> None:
    item = SpanReader(continues=False).item(Text(text))
    assert isinstance(item, Text | Formatted)
    assert "\x1b" not in item.text
    if isinstance(item, Formatted):
        ends = [(span.start, span.start + span.length) for span in item.spans]
        assert ends == sorted(ends)
        assert all(0 <= start < end <= len(item.text) for start, end in ends)


def test_a_painted_span_is_read_as_it_was() -> None:
    spans = (Span(0, 1, "red bold"), Span(2, 1, "#ff8000 on-bright-green"))
    painted = paint("a b", spans, 1 << 24)
    assert SpanReader(continues=False).item(Text(painted)) == Formatted("a b", spans)


@pytest.mark.parametrize(
    ("raw", "ansi", "shown"),
    [
        pytest.param(True, True, b"red\n", id="server"),
        pytest.param(True, False, b"\x1b[31mred\x1b[0m\n", id="server-as-it-is"),
        pytest.param(False, True, b"red\n", id="application"),
        pytest.param(False, False, "␛[31mred␛[0m\n".encode(), id="application-shown"),
    ],
)
def test_lines_have_no_colours(raw: bool, ansi: bool, shown: bytes) -> None:
    adapter = LineAdapter("tcp", Limits().line, raw=raw, ansi=ansi)
    assert adapter.encode(1, [Text("\x1b[31mred\x1b[0m")]) == shown
    assert adapter.encode_volatile(Text("\x1b[31mred\x1b[0m")) == shown
