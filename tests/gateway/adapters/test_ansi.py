"""Colours of others, as a terminal can show them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import properties

from holdfast.gateway.adapters.ansi import TRUE_COLORS, fit

ROWS: dict[str, tuple[str, int, str]] = {
    "plain": ("look", 0, "look"),
    "true-stays-true": ("\x1b[38;2;1;2;3mx", TRUE_COLORS, "\x1b[38;2;1;2;3mx"),
    "true-to-256": ("\x1b[38;2;255;135;0mx\x1b[0m", 256, "\x1b[38;5;208mx\x1b[0m"),
    "true-to-256-grey": ("\x1b[48;2;8;8;8mx", 256, "\x1b[48;5;232mx"),
    "256-stays-256": ("\x1b[1;38;5;208mx", 256, "\x1b[1;38;5;208mx"),
    "256-to-16": ("\x1b[1;38;5;196;4mx", 8, "\x1b[1;91;4mx"),
    "256-to-16-of-the-first": ("\x1b[38;5;3mx", 8, "\x1b[33mx"),
    "background": ("\x1b[48;5;21mx", 8, "\x1b[44mx"),
    "bright-background": ("\x1b[48;2;255;255;0mx", 8, "\x1b[103mx"),
    "both": ("\x1b[38;5;196;48;2;0;0;0mx", 8, "\x1b[91;40mx"),
    "by-colons": ("\x1b[38:2::255:0:0mx", 8, "\x1b[91mx"),
    "by-colons-256": ("\x1b[38:5:196mx", 8, "\x1b[91mx"),
    "sixteen-stay": ("\x1b[1;31;44mx\x1b[m", 8, "\x1b[1;31;44mx\x1b[m"),
    "a-colour-cut-short": ("\x1b[38;2;1mx", 8, "x"),
    "a-colour-of-nothing": ("\x1b[1;38mx", 8, "\x1b[1mx"),
    "a-colour-out-of-range": ("\x1b[38;5;999mx", 8, "x"),
    "other-sequences-stay": ("\x1b[2J\x1b[5;6H", 8, "\x1b[2J\x1b[5;6H"),
    "none": ("\x1b[1;31mred\x1b[0m\x1b[2J", 0, "red"),
    "none-of-osc": ("\x1b]0;title\x07a\x1b]8;;x\x1b\\b\x1b(Bc", 0, "abc"),
    "none-unfinished": ("a\x1b[31", 0, "a[31"),
}


@pytest.mark.parametrize(("text", "colors", "shown"), ROWS.values(), ids=ROWS)
def test_colours(text: str, colors: int, shown: str) -> None:
    assert fit(text, colors) == shown


pieces = st.sampled_from(
    [
        "\x1b[",
        "\x1b",
        "38",
        "48",
        ";",
        ":",
        "2",
        "5",
        "255",
        "m",
        "]",
        "\x07",
        "x",
        "٣",
        "\x1b[38;5;",
    ]
)


@properties
@given(st.lists(pieces | st.text(max_size=3)).map("".join), st.sampled_from([0, 8, 256]))
def test_any_text_can_be_shown(text: str, colors: int) -> None:
    shown = fit(text, colors)
    assert fit(shown, colors) == shown
    if not colors:
        assert "\x1b" not in shown
    if colors == 8:
        assert "\x1b[38;5" not in shown.replace(text, "")


@pytest.mark.parametrize("text", ["\x1b[" * 30_000, "\x1b]" * 30_000, "\x1b[" + "1;" * 30_000])
def test_time_is_linear(text: str) -> None:
    began = time.process_time()
    for colors in (0, 8, 256):
        fit(text, colors)
    assert time.process_time() - began < 1.0
