"""Text that comes from others, on its way to applications and into logs, answers and goodbyes."""

from __future__ import annotations

import re
from typing import Final

TEXT_CHARS_MAX: Final = 200
"""The length at which a client's text is cut."""

_PACKAGE: Final = re.compile(r"[A-Za-z0-9_.-]+")
TYPED_CONTROLS: Final = "\t\x1b"
"""The control characters that are text in a typed line."""
_NOT_TYPED: Final = dict.fromkeys(
    code for code in (*range(0x20), 0x7F) if chr(code) not in TYPED_CONTROLS
)


def is_package(name: str) -> bool:
    """Whether this may be the name of a structured message: another name could forge the text
    after it (GMCP)."""
    return _PACKAGE.fullmatch(name) is not None


def typed_line(line: str) -> str:
    """A typed line as an application gets it: without control characters but tab and escape."""
    return line if line.isprintable() else line.translate(_NOT_TYPED)


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
