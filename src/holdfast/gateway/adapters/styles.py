"""Styled spans as terminal control sequences (ECMA-48, SGR), and commands as elements (MXP)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Span
from holdfast.gateway.adapters.shown import visible
from holdfast.protocols.telnet.options.mxp import SECURE_LINE, defused, escape

_RESET: Final = "\x1b[0m"
_COLORS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
COLORS: Final = (*_COLORS, *(f"bright-{name}" for name in _COLORS))
"""The 16 colours that have names."""
_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "underline": "4",
    "reverse": "7",
    **{name: str(30 + number) for number, name in enumerate(_COLORS)},
    **{f"bright-{name}": str(90 + number) for number, name in enumerate(_COLORS)},
    **{f"on-{name}": str(40 + number) for number, name in enumerate(_COLORS)},
    **{f"on-bright-{name}": str(100 + number) for number, name in enumerate(_COLORS)},
}
"""What a span's style may name, each word one: `"bold red on-white"`, `"#ff8000 on-#202020"`.
Others are ignored."""
RAW: Final = "raw"
"""The style of what the application has made for terminals itself: its controls are sent."""
SEND: Final = "send"
"""The style of a command: a client that can sends the text of the span when it is chosen."""


_RGB: Final = re.compile("(on-)?#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def _code(word: str) -> str:
    """The SGR parameters of one word of a style; none for one that is not known."""
    found = _RGB.fullmatch(word)
    if found is None:
        return _CODES.get(word, "")
    background, *parts = found.groups()
    red, green, blue = (int(part, 16) for part in parts)
    return f"{48 if background else 38};2;{red};{green};{blue}"


def paint(text: str, spans: Sequence[Span], colors: int, *, elements: bool = False) -> str:
    """`text` with its spans as SGR sequences; plain for a terminal without colours.

    Controls in it are shown, but in spans of the style `raw`. With `elements`, text with commands
    is in secure lines of MXP; all else in them is escaped.
    """
    if not spans:
        return visible(text)
    if not elements or all(SEND not in span.style.split() for span in spans):
        return _painted(text, spans, colors, elements=False)
    lines = defused(_painted(text, spans, colors, elements=True)).split("\n")
    return "\n".join(f"{SECURE_LINE}{line}" for line in lines)


def _painted(text: str, spans: Sequence[Span], colors: int, *, elements: bool) -> str:
    escaped = escape if elements else str
    parts = []
    pos = 0
    for span in sorted(spans, key=lambda span: span.start):
        start = max(pos, min(span.start, len(text)))
        end = max(start, min(span.start + span.length, len(text)))
        words = span.style.split()
        piece = text[start:end] if RAW in words else visible(text[start:end])
        piece = escaped(piece)
        if elements and SEND in words and piece and "\n" not in piece:  # it must end in its line
            piece = f"<send>{piece}</send>"
        codes = ";".join(filter(None, map(_code, words))) if colors else ""
        parts.append(escaped(visible(text[pos:start])))
        parts.append(f"\x1b[{codes}m{piece}{_RESET}" if codes and piece else piece)
        pos = end
    parts.append(escaped(visible(text[pos:])))
    return "".join(parts)
