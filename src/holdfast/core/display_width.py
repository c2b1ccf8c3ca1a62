"""How many columns text takes on a terminal (Unicode Standard Annex 11)."""

from __future__ import annotations

import unicodedata
from typing import Final

_WIDE: Final = ("W", "F")
_INVISIBLE: Final = ("Mn", "Me", "Cf")
"""Marks that stand on the character before them, joiners and other formats."""
_EMOJI_STYLE: Final = 0xFE0F
"""Variation selector 16: the character before it is shown as an emoji, two columns wide."""
_JOINER: Final = 0x200D
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_FLAGS: Final = range(0x1F1E6, 0x1F200)
"""Regional indicators: two of them are one flag."""

_CLUSTER_MAX: Final = 32
"""Code points of what is seen as one character: more of them are another."""


def char_width(code: int) -> int:
    """How many columns a character takes; 0 if it is not shown."""
    if code < 0x20 or 0x7F <= code < 0xA0:
        return 0
    if code < 0x300:
        return 1
    char = chr(code) if code <= 0x10FFFF else " "
    if unicodedata.category(char) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def clusters(text: str) -> list[tuple[str, int]]:
    """The characters as they are seen, each with its width: one with its marks, an emoji with
    what is joined to it, a flag."""
    found: list[tuple[str, int]] = []
    joined = False
    for char in text:
        code = ord(char)
        width = char_width(code)
        before = found[-1][0] if found else ""
        pairs = code in _FLAGS and len(before) == 1 and ord(before) in _FLAGS
        if (
            found
            and len(before) < _CLUSTER_MAX
            and (width == 0 or joined or pairs or code in _SKIN_TONES)
        ):
            seen = 2 if pairs or code == _EMOJI_STYLE else found[-1][1]
            found[-1] = (before + char, seen)
        else:
            found.append((char, width))
        joined = code == _JOINER
    return found
