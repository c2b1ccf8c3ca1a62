"""What others say is cut, and its controls are written out."""

from __future__ import annotations

import pytest

from holdfast.core.text import TEXT_CHARS_MAX, is_package, presentable, typed_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("look at the Würfel", "look at the Würfel"),
        ("one\ntwo", "one\\ntwo"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\u2028b", "a\\u2028b"),
    ],
    ids=repr,
)
def test_controls_are_written_out(text: str, shown: str) -> None:
    assert presentable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12345", "12345"),
        ("123456", "12345… (6 characters)"),
        ("1234\n6789", "1234\\n… (9 characters)"),
    ],
    ids=repr,
)
def test_a_long_text_is_cut(text: str, shown: str) -> None:
    assert presentable(text, 5) == shown


def test_a_text_is_cut_at_200_characters() -> None:
    assert TEXT_CHARS_MAX == 200
    assert presentable("é" * 200) == "é" * 200
    assert presentable("é" * 201) == "é" * 200 + "… (201 characters)"


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("look", "look"),
        ("Привет 😀", "Привет 😀"),
        ("a\tb\x1b[31m", "a\tb\x1b[31m"),
        ("a\0b\x07\x7fc\r\n\x0b", "abc"),
        ("a b\x01~", "a b~"),
        ("\x03", ""),
    ],
)
def test_a_typed_line_has_no_controls_but_tab_and_escape(line: str, typed: str) -> None:
    assert typed_line(line) == typed


@pytest.mark.parametrize(
    ("name", "valid"), [("Char.Vitals-2_b", True), ("", False), ("a b", False)]
)
def test_the_name_of_a_package(name: str, valid: bool) -> None:
    assert is_package(name) is valid
