"""Styled spans as terminal control sequences (ECMA-48, SGR)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Span

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
"""What a span's style may name, each word one: `"bold red on-white"`. Others are ignored."""


def paint(text: str, spans: Sequence[Span], colors: int) -> str:
    """`text` with its spans as SGR sequences; plain for a terminal without colours."""
    if not colors or not spans:
        return text
    parts = []
    pos = 0
    for span in sorted(spans, key=lambda span: span.start):
        start = max(pos, min(span.start, len(text)))
        end = max(start, min(span.start + span.length, len(text)))
        codes = ";".join(_CODES[word] for word in span.style.split() if word in _CODES)
        parts.append(text[pos:start])
        if codes and end > start:
            parts.append(f"\x1b[{codes}m{text[start:end]}{_RESET}")
        else:
            parts.append(text[start:end])
        pos = end
    parts.append(text[pos:])
    return "".join(parts)
