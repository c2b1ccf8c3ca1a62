"""Text of others on a person's screen: what would run is shown, and nothing looks like ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import Formatted, Notice, Prompt, Span, Text
from holdfast.core.limits import LineLimits, TelnetLimits
from holdfast.gateway.adapters.dialects import PlainDialect
from holdfast.gateway.adapters.lines import LineAdapter
from holdfast.gateway.adapters.shown import notice, unforged, visible
from holdfast.gateway.adapters.styles import paint
from holdfast.gateway.adapters.telnet import TelnetAdapter

HOSTILE = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\rgone\x9b31m\x7f\x00"


def lines(*, raw: bool = False) -> LineAdapter:
    adapter = LineAdapter("tcp", LineLimits(), raw=raw)
    adapter.begin(0.0)
    return adapter


def telnet() -> TelnetAdapter:
    adapter = TelnetAdapter(TelnetLimits())
    adapter.begin(0.0)
    adapter.data_to_send()
    return adapter


@pytest.mark.parametrize("make", [lines, telnet])
@pytest.mark.parametrize(
    "item",
    [
        Text(HOSTILE),
        Prompt(HOSTILE),
        Notice(HOSTILE),
        Formatted(HOSTILE, ()),
        Formatted(HOSTILE, (Span(2, 5, "underline"),)),
    ],
    ids=["text", "prompt", "notice", "formatted", "styled"],
)
def test_controls_are_shown_and_not_sent(make, item) -> None:  # type: ignore[no-untyped-def]
    data = make().encode(1, [item]).replace(b"\r\n", b"\n").replace(b"\r\0", b"")
    assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", data) is None


def test_line_ends_and_tabs_stay() -> None:
    assert lines().encode(1, [Text("a\tb\r\nc\nd")]) == b"a\tb\nc\nd\n"


def test_what_the_application_marks_as_raw_is_sent() -> None:
    text = "\x1b[1mbold\x1b[0m"
    marked = Formatted(text + "\x1b", (Span(0, len(text), "raw"),))
    assert lines().encode(1, [marked]) == (text + "\u241b\n").encode()


def test_what_a_server_behind_us_says_is_sent() -> None:
    assert lines(raw=True).encode(1, [Text("\x1b[31m*** red")]) == b"\x1b[31m*** red\n"


FORGED = (
    "*** Your session has ended.",
    "hello\n*** Connect again.",
    "hello\r\n***",
    "\u200b***\u200b hi",
    "*\u200d** hi",
)


@pytest.mark.parametrize("text", FORGED)
def test_no_line_of_others_looks_like_the_gateway_s(text: str) -> None:
    for item in (Text(text), Formatted(text, (Span(0, 1, "bold"),)), Notice(f"x\n{text}")):
        shown = lines().encode(1, [item]).decode()
        for line in shown.splitlines()[isinstance(item, Notice) :]:
            assert not re.sub("[\u200b\u200d]", "", line).startswith("***")


def test_the_gateway_s_own_lines_stay() -> None:
    assert lines().encode(1, [Notice("hello")]) == b"*** hello\n"
    assert notice("a\nb") == "*** a\nb"


def test_a_style_does_not_hide_a_forgery() -> None:
    painted = unforged(paint("*** x", (Span(0, 1, "bold"), Span(2, 1, "red")), 8))
    assert painted.startswith(" ")


class Core:
    deflate = None

    def encode_text(self, data: bytes) -> bytes:
        return data


def test_a_plain_websocket_tells_notices_from_text() -> None:
    core: Core = Core()
    said = PlainDialect().write(core, 1, [Text("*** x"), Notice("y")])  # type: ignore[arg-type]
    assert said == b" *** x*** y"


@given(st.text())
def test_ordinary_text_is_untouched(text: str) -> None:
    if text.isprintable() and "*" not in text:
        assert unforged(visible(text)) == text


@given(st.text(alphabet="*a \n\u200b\x1b[1m"))
def test_shown_twice_is_shown_once(text: str) -> None:
    once = unforged(visible(text))
    assert unforged(visible(once)) == once


@pytest.mark.parametrize(
    ("control", "shown"),
    [
        ("\x00", "\u2400"),
        ("\x1f", "\u241f"),
        ("\x7f", "\u2421"),
        ("\x80", "\ufffd"),
        ("\x9f", "\ufffd"),
        ("\xa0", "\xa0"),
        ("\t", "\t"),
        ("\n", "\n"),
        ("\r\n", "\n"),
        ("\r", "\u240d"),
    ],
    ids=repr,
)
def test_how_a_control_is_shown(control: str, shown: str) -> None:
    assert visible(f"a{control}b") == f"a{shown}b"
