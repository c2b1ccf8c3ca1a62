"""Text as users see it: without active control characters, and distinct from the gateway's
lines.

A line that begins with `***` is the gateway's. In text of others, a space precedes it. Control
characters become visible symbols, except line ends and tabs: on a terminal, an escape sequence
could move the cursor, set the clipboard or rename the window. Hot path.
"""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "***"
"""The beginning of the gateway's own lines."""

_PICTURES: Final = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),  # C1 controls have none
}
# What shows nothing may stand before and between: styles and elements of ours, and format
# characters.
_NOTHING: Final = (
    "\x1b\\[[0-9;]*[mz]|</?send>|[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_FORGED: Final = re.compile(rf"^(?=(?:(?:{_NOTHING})*\*){{3}})", re.MULTILINE)


def visible(text: str) -> str:
    """`text`, with every control shown instead of sent."""
    if text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_PICTURES)


def unforged(text: str) -> str:
    """`text`, of which no line can be taken for the gateway's own."""
    return _FORGED.sub(" ", text) if "*" in text else text


def notice(text: str) -> str:
    """`text` as the gateway's own."""
    first, *rest = visible(text).split("\n", 1)
    return "\n".join([f"{MARK} {first}", *map(unforged, rest)])
