"""Text that comes from others, on its way into logs, answers and goodbyes."""

from __future__ import annotations

from typing import Final

TEXT_CHARS_MAX: Final = 200
"""What is passed on of a text that a client can make as long as it likes."""


def shorten(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """`text`, or its beginning and how much there was."""
    if len(text) <= chars_max:
        return text
    return f"{text[:chars_max]}… ({len(text)} characters)"
