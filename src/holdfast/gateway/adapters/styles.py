"""Styled spans as terminal control sequences (ECMA-48, SGR)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Span
from holdfast.gateway.adapters.shown import visible

_RESET: Final = "\x1b[0m"
_COLORS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "underline": "4",
    "reverse": "7",
    **{name: str(30 + number) for number, name in enumerate(_COLORS)},
    **{f"bright-{name}": str(90 + number) for number, name in enumerate(_COLORS)},
    **{f"on-{name}": str(40 + number) for number, name in enumerate(_COLORS)},
}
"""What a span's style may name, each word one: `"bold red on-white"`, `"#ff8000 on-#202020"`.
Others are ignored."""
RAW: Final = "raw"
"""The style of what the application has made for terminals itself: its controls are sent."""


_RGB: Final = re.compile("(on-)?#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def _code(word: str) -> str:
    """The SGR parameters of one word of a style; none for one that is not known."""
    found = _RGB.fullmatch(word)
    if found is None:
        return _CODES.get(word, "")
    background, *parts = found.groups()
    red, green, blue = (int(part, 16) for part in parts)
    return f"{48 if background else 38};2;{red};{green};{blue}"


def paint(text: str, spans: Sequence[Span], colors: int) -> str:
    """`text` with its spans as SGR sequences; plain for a terminal without colours.

    Controls in it are shown, but in spans of the style `raw`.
    """
    if not spans:
        return visible(text)
    parts = []
    pos = 0
    for span in sorted(spans, key=lambda span: span.start):
        start = max(pos, min(span.start, len(text)))
        end = max(start, min(span.start + span.length, len(text)))
        words = span.style.split()
        piece = text[start:end] if RAW in words else visible(text[start:end])
        codes = ";".join(filter(None, map(_code, words))) if colors else ""
        parts.append(visible(text[pos:start]))
        parts.append(f"\x1b[{codes}m{piece}{_RESET}" if codes and piece else piece)
        pos = end
    parts.append(visible(text[pos:]))
    return "".join(parts)
