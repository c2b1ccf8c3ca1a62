"""How wide text is on a terminal."""

from __future__ import annotations

import pytest

from holdfast.core.display_width import char_width, clusters

SEEN = {
    "ascii": ("ab", [("a", 1), ("b", 1)]),
    "wide": ("a世界", [("a", 1), ("世", 2), ("界", 2)]),
    "half": ("ｱ", [("ｱ", 1)]),
    "marks": ("e\u0301x", [("e\u0301", 1), ("x", 1)]),
    "emoji": ("😀!", [("😀", 2), ("!", 1)]),
    "as an emoji": ("❤\ufe0fx", [("❤\ufe0f", 2), ("x", 1)]),
    "as text": ("❤x", [("❤", 1), ("x", 1)]),
    "a tone": ("👋🏽x", [("👋🏽", 2), ("x", 1)]),
    "joined": ("👩\u200d💻x", [("👩\u200d💻", 2), ("x", 1)]),
    "the first mark": ("e\u0300x", [("e\u0300", 1), ("x", 1)]),
    "after the last letter of a flag": ("🇿\U0001f200", [("🇿", 1), ("\U0001f200", 2)]),
    "a flag": ("🇨🇭🇩🇪", [("🇨🇭", 2), ("🇩🇪", 2)]),
    "a mark alone": ("\u0301", [("\u0301", 0)]),
    "controls": ("\ta", [("\t", 0), ("a", 1)]),
}


@pytest.mark.parametrize(("text", "seen"), SEEN.values(), ids=SEEN)
def test_characters_as_they_are_seen(text: str, seen: list[tuple[str, int]]) -> None:
    assert clusters(text) == seen
    assert "".join(part for part, _ in clusters(text)) == text


@pytest.mark.parametrize(
    ("code", "width"),
    [(0x1F, 0), (0x20, 1), (0x7E, 1), (0x7F, 0), (0x9F, 0), (0xA0, 1), (0x2FF, 1), (0x300, 0)],
)
def test_the_width_of_a_character(code: int, width: int) -> None:
    assert char_width(code) == width


def test_what_is_no_character_takes_a_column() -> None:
    assert char_width(0x110000) == 1
