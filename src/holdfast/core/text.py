"""Text that comes from others, on its way into logs, answers and goodbyes."""

from __future__ import annotations

from typing import Final

TEXT_CHARS_MAX: Final = 200
"""The length at which a client's text is cut."""


def presentable(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """`text` in one line without controls, or its beginning and how much there was.

    Controls are written out: a line end would forge a line, an escape moves a terminal's cursor.
    """
    cut = text if len(text) <= chars_max else f"{text[:chars_max]}… ({len(text)} characters)"
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut
    )
