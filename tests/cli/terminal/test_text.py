"""What of a text reaches the terminal: colours, and no other control."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.terminal.text import RESET, Printable, colors_here, painted
from holdfast.gateway.adapters.ansi import TRUE_COLORS

HOSTILE = (
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b[2J\x1b[5;5H",
    "\x1bP+q\x1b\\",
    "\x9b2J",
    "\x01\x1b]0;x\x07\x02",
    "a\rb\x08c\x7f\x0e",
    "\x1b[31",
    "\x1b[?1049h",
    "\x1b[6n",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_controls_are_shown(text: str) -> None:
    for colors in (0, 8, TRUE_COLORS):
        shown = Printable(colors).text(text)
        assert shown.isprintable()
        assert shown != ""


@given(st.text(st.sampled_from("\x1b[]0;31m\n\x07\x9b:?aé ")))
def test_nothing_but_colours_and_lines_is_sent(text: str) -> None:
    for colors in (0, 8, 256, TRUE_COLORS):
        shown = Printable(colors).text(text)
        assert re.sub("\x1b\\[[0-9;:]*m|\n", "", shown).isprintable() or shown == ""
        if not colors:
            assert "\x1b" not in shown


def test_a_style_applies_until_it_ends() -> None:
    printable = Printable(256)
    red, bold = "\x1b[31m", "\x1b[1m"
    assert printable.text("plain") == "plain"
    assert printable.text(f"{red}one") == f"{red}one{RESET}"
    assert printable.text("two") == f"{red}two{RESET}"
    assert printable.text(f"{bold}x") == f"{red}{bold}x{RESET}"
    assert printable.once("own") == "own"
    assert printable.text("\x1b[0;34mfour") == f"{red}{bold}\x1b[0;34mfour{RESET}"
    assert printable.text("five\x1b[m") == f"\x1b[0;34mfive\x1b[m{RESET}"
    assert printable.text("six") == "six"
    for _ in range(1000):
        printable.text(red)
    assert len(printable.text("x")) < 200


def test_colours_are_those_that_the_terminal_has() -> None:
    orange = "\x1b[38;2;255;135;0mx"
    assert Printable(TRUE_COLORS).text(orange) == orange + RESET
    assert Printable(256).text(orange) == f"\x1b[38;5;208mx{RESET}"
    assert Printable(0).text(orange) == "x"


def test_the_colours_of_this_terminal() -> None:
    assert colors_here({"TERM": "xterm-256color"}) == 256
    assert colors_here({"TERM": "linux"}) == 8
    assert colors_here({"TERM": "vt100"}) == 0
    assert colors_here({"TERM": "xterm", "COLORTERM": "truecolor"}) == TRUE_COLORS
    assert colors_here({"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"}) == 0


def test_spans_are_checked() -> None:
    assert painted("red", ([0, 3, "red"],)) == f"\x1b[31mred{RESET}"
    for wrong in (([0, 3],), (["x", 1, "red"],), ("red",), (None,)):
        assert painted("red", wrong) == "red"
    raw = painted("\x1b]0;x\x07", ([0, 9, "raw"],))
    assert Printable(256).text(raw).isprintable()
