"""Styled spans for terminals."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import Span
from holdfast.gateway.adapters.shown import visible
from holdfast.gateway.adapters.styles import paint

OFF = "\x1b[0m"

PAINTED: dict[str, tuple[str, list[Span], str]] = {
    "whole": ("dragon", [Span(0, 6, "red")], f"\x1b[31mdragon{OFF}"),
    "inside": ("a dragon!", [Span(2, 6, "red")], f"a \x1b[31mdragon{OFF}!"),
    "several-words": ("x", [Span(0, 1, "bold red on-white")], f"\x1b[1;31;47mx{OFF}"),
    "bright": ("x", [Span(0, 1, "bright-black")], f"\x1b[90mx{OFF}"),
    "every-style": (
        "x",
        [Span(0, 1, "dim italic underline reverse")],
        f"\x1b[2;3;4;7mx{OFF}",
    ),
    "two": ("ab", [Span(1, 1, "blue"), Span(0, 1, "red")], f"\x1b[31ma{OFF}\x1b[34mb{OFF}"),
    "overlapping": (
        "abc",
        [Span(0, 2, "red"), Span(1, 2, "blue")],
        f"\x1b[31mab{OFF}\x1b[34mc{OFF}",
    ),
    "within-another": ("abc", [Span(0, 3, "red"), Span(1, 1, "blue")], f"\x1b[31mabc{OFF}"),
    "unknown-word": ("x", [Span(0, 1, "shiny bold")], f"\x1b[1mx{OFF}"),
    "only-unknown-words": ("x", [Span(0, 1, "shiny")], "x"),
    "no-words": ("x", [Span(0, 1, "")], "x"),
    "nothing": ("abc", [Span(1, 0, "red")], "abc"),
    "beyond-the-end": ("abc", [Span(2, 9, "red")], f"ab\x1b[31mc{OFF}"),
    "behind-the-end": ("abc", [Span(9, 1, "red")], "abc"),
    "before-the-beginning": ("abc", [Span(-5, 2, "red")], "abc"),
    "of-negative-length": ("abc", [Span(2, -1, "red")], "abc"),
    "rgb": ("ab", [Span(0, 1, "#ff8000 bold")], f"\x1b[38;2;255;128;0;1ma{OFF}b"),
    "rgb-background": ("a", [Span(0, 1, "on-#00000A")], f"\x1b[48;2;0;0;10ma{OFF}"),
    "no-rgb": ("a", [Span(0, 1, "#12345 on-#xxxxxx")], "a"),
    "code-points": ("☃☃", [Span(1, 1, "red")], f"☃\x1b[31m☃{OFF}"),
}


@pytest.mark.parametrize(("text", "spans", "painted"), PAINTED.values(), ids=PAINTED)
def test_painting(text: str, spans: list[Span], painted: str) -> None:
    assert paint(text, spans, 8) == painted


def test_a_terminal_without_colours_gets_the_text() -> None:
    assert paint("dragon", [Span(0, 6, "red")], 0) == "dragon"


@given(
    text=st.text(st.characters(exclude_characters="\x1b"), max_size=30),
    spans=st.lists(
        st.builds(
            Span,
            st.integers(-40, 40),
            st.integers(-40, 40),
            st.sampled_from(["red", "bold on-blue", "shiny", ""]),
        ),
        max_size=6,
    ),
)
def test_no_text_is_ever_lost_and_no_colour_runs_on(text: str, spans: list[Span]) -> None:
    text = visible(text)  # no controls, which would be shown
    painted = paint(text, spans, 8)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == text
    assert painted.count(OFF) * 2 == painted.count("\x1b")
