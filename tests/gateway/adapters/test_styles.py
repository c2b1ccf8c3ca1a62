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


IN_ELEMENTS: dict[str, tuple[str, list[Span], str]] = {
    "a-command": ("go north", [Span(3, 5, "send")], "\x1b[1zgo <send>north</send>"),
    "with-colours": (
        "n, s",
        [Span(0, 1, "green send"), Span(3, 1, "send")],
        f"\x1b[1z\x1b[32m<send>n</send>{OFF}, <send>s</send>",
    ),
    "what-others-wrote": (
        '<b>&"\x1b[1z look',
        [Span(10, 4, "send")],
        "\x1b[1z&lt;b&gt;&amp;&quot;␛[1z <send>look</send>",
    ),
    "a-command-of-others": (
        "<send>quit</send>",
        [Span(0, 17, "send")],
        "\x1b[1z<send>&lt;send&gt;quit&lt;/send&gt;</send>",
    ),
    "raw": ("\x1b[1z<a>n", [Span(0, 7, "raw"), Span(7, 1, "send")],
            "\x1b[1z␛[1z&lt;a&gt;<send>n</send>"),
    "raw-and-its-end": ("\x1b[1zn", [Span(0, 2, "raw"), Span(4, 1, "send")],
                        "\x1b[1z␛[1z<send>n</send>"),
    "lines": ("a\nb", [Span(2, 1, "send")], "\x1b[1za\n\x1b[1z<send>b</send>"),
    "over-lines": ("a\nb", [Span(0, 3, "send")], "\x1b[1za\n\x1b[1zb"),
    "nothing": ("ab", [Span(1, 0, "send")], "\x1b[1zab"),
    "no-command": ("<b>", [Span(0, 3, "bold")], f"\x1b[1m<b>{OFF}"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "spans", "painted"), IN_ELEMENTS.values(), ids=IN_ELEMENTS)
def test_commands_are_elements_of_mxp(text: str, spans: list[Span], painted: str) -> None:
    assert paint(text, spans, 8, elements=True) == painted


@given(
    st.text('<>&"/send \x1b[1z\n*ab', max_size=40),
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 9), st.sampled_from(["send", "bold", "raw"]))
    ),
)
def test_no_text_becomes_an_element(text: str, spans: list[tuple[int, int, str]]) -> None:
    painted = paint(text, [Span(*span) for span in spans], 8, elements=True)
    if "\x1b[1z" not in painted or not any(style == "send" for *_, style in spans):
        return
    for line in painted.split("\n"):
        assert line.startswith("\x1b[1z")
        for piece in re.split("<send>([^<>]*)</send>", line.removeprefix("\x1b[1z")):
            assert not {"<", ">", '"'} & set(piece)
            assert not re.search("\x1b\\[[0-9]*z", piece)


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


NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@pytest.mark.parametrize("number", range(8), ids=NAMES)
def test_a_colour_has_the_codes_of_ecma_48_and_aixterm(number: int) -> None:
    name = NAMES[number]
    for style, code in {
        name: 30 + number,
        f"on-{name}": 40 + number,
        f"bright-{name}": 90 + number,
        f"on-bright-{name}": 100 + number,
    }.items():
        assert paint("x", [Span(0, 1, style)], 16) == f"\x1b[{code}mx{OFF}", style
