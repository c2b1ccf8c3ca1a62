"""A server's lines with elements: each says how it is read, and can be shown without them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.telnet.mxp_lines import LineModes, is_marked, without_elements


def reading() -> LineModes:
    modes = LineModes()
    modes.switch(True)
    return modes


LINES: dict[str, tuple[list[str], list[str], list[str | None]]] = {
    "plain": (["hello"], ["hello"], ["hello"]),
    "open-at-first": (["<b>hi</b>"], ["\x1b[0z<b>hi</b>"], ["hi"]),
    "a-color-is-no-element": (["\x1b[31mred"], ["\x1b[31mred"], ["\x1b[31mred"]),
    "an-entity": (["a &lt; b"], ["\x1b[0za &lt; b"], ["a < b"]),
    "one-secure-line": (
        ["\x1b[1z<send>n</send>", "<i>x</i>"],
        ["\x1b[0z\x1b[1z<send>n</send>", "\x1b[0z<i>x</i>"],
        ["n", "x"],
    ),
    "secure-from-here": (
        ["\x1b[6z<A>", "<B>b</B>"],
        ["\x1b[0z\x1b[1z<A>", "\x1b[1z<B>b</B>"],
        [None, "b"],
    ),
    "locked-from-here": (["\x1b[7z<b>", "<b>"], ["\x1b[0z\x1b[2z<b>", "<b>"], ["<b>", "<b>"]),
    "one-secure-element": (
        ["\x1b[7z", "<a> \x1b[4z<send>n <b>"],
        ["\x1b[0z\x1b[2z", "\x1b[2z<a> \x1b[4z<send>n <b>"],
        [None, "<a> n <b>"],
    ),
    "reset": (["\x1b[3z<b>"], ["\x1b[0z\x1b[3z\x1b[7z\x1b[0z<b>"], [None]),
    "the-name-of-a-room": (["\x1b[10zSquare"], ["\x1b[0z\x1b[10zSquare"], ["Square"]),
    "no-mode": (["\x1b[8zx\x1b[1;2zy"], ["\x1b[0zx␛[1;2zy"], ["x␛[1;2zy"]),
    "a-line-end": (["a<BR/>b"], ["\x1b[0za<BR/>b"], ["a\nb"]),
    "an-end-in-a-string": (['<a href=">">x'], ['\x1b[0z<a href=">">x'], ["x"]),
    "no-end": (["<a"], ["\x1b[0z<a"], ["<a"]),
    "a-number": (["&#60;&#233;"], ["\x1b[0z&#60;&#233;"], ["<é"]),
    "no-entity": (["&not; &#10; &#27; &"], ["\x1b[0z&not; &#10; &#27; &"], ["&not; &#10; &#27; &"]),
    "no-character": (["&#55296;&#1114112;"], ["\x1b[0z&#55296;&#1114112;"], ["&#55296;&#1114112;"]),
}


@pytest.mark.parametrize(("lines", "marked", "shown"), LINES.values(), ids=LINES)
def test_lines(lines: list[str], marked: list[str], shown: list[str | None]) -> None:
    modes = reading()
    said = [modes.line(line) for line in lines]
    assert said == marked
    assert [without_elements(line) for line in said] == shown


def test_a_server_without_mxp_has_no_elements() -> None:
    assert LineModes().line("<b>\x1b[1z<send>\x1b[31m") == "<b>␛[1z<send>\x1b[31m"


def test_a_prompt_is_locked_behind() -> None:
    modes = reading()
    assert modes.prompt("\x1b[6z<P>5</P>> ", ended=False) == "\x1b[0z\x1b[1z<P>5</P>> \x1b[7z"
    assert modes.line("<b>", before="\x1b[6z<P>5</P>> ") == "\x1b[1z<b>"
    assert modes.line("<b>") == "\x1b[1z<b>"


def test_a_prompt_that_has_ended_ends_its_mode() -> None:
    modes = reading()
    modes.prompt("\x1b[1z<P>5</P>> ", ended=True)
    assert modes.line("<b>") == "\x1b[0z<b>"


def test_a_prompt_that_goes_on_has_changed_nothing_yet() -> None:
    modes = reading()
    modes.prompt("\x1b[6z> ", ended=False)
    assert modes.line("<b>") == "\x1b[0z<b>"


texts = st.text(st.sampled_from("\x1b[]z0123456789;<>&\"' abm"), max_size=30)


@given(st.lists(texts | st.sampled_from(["\x1b[6z", "\x1b[5z", "\x1b[7z"]), max_size=5))
def test_no_line_changes_how_later_lines_are_read(lines: list[str]) -> None:
    modes = reading()
    for line in lines:
        said = modes.line(line)
        assert re.search("\x1b\\[[56]z", said) is None
        assert is_marked(said) or "z" not in said or not re.search("\x1b\\[[0-9;]*z", said)
        shown = without_elements(said)
        assert shown is None or re.search("\x1b\\[[0-9]{1,2}z", shown) is None


@given(texts)
def test_of_a_server_without_mxp_nothing_is_marked(text: str) -> None:
    assert not is_marked(LineModes().line(text))
