"""What others say is cut, and its controls are written out."""

from __future__ import annotations

import pytest

from holdfast.core.text import TEXT_CHARS_MAX, presentable


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
