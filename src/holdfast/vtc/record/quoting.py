"""Quotes recorded text as words of a script."""

from __future__ import annotations

import re

CODE = re.compile(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){1,2}\b")
"""A resume code: it is another one each time."""
CODE_PATTERN = "[0-9A-Z]{4}(-[0-9A-Z]{4})+"

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES |= {chr(code): f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), 127)}
_BRACES = {"{": "\\x7b", "}": "\\x7d"}
_SPECIAL = re.compile(r"[\\.^$*+?()\[\]{}|]")


def quoted(text: str) -> str:
    """A text as one word. Braces are counted wherever they stand, so odd ones are escaped."""
    escapes = _ESCAPES if _balanced(text) else _ESCAPES | _BRACES
    return '"' + "".join(escapes.get(char, char) for char in text) + '"'


def pattern(text: str) -> str:
    """Return a pattern, as one word, for exactly this text with any resume codes."""
    parts = [_SPECIAL.sub(r"\\\g<0>", part) for part in CODE.split(text)]
    return quoted(f"^{CODE_PATTERN.join(parts)}$")


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return False
    return depth == 0
