"""Mutants that change nothing that a test could see. Each says why."""

from __future__ import annotations

import re
from typing import Final

KINDS: Final = {
    r"__all__\b": "the names for `import *`",
    r"_?log(ger)?\.": "a log line; the events that operators read have tests of their own",
    r"if TYPE_CHECKING": "this runs in no program",
    r"[A-Z]\w+ = \w+(\[| \|)": "an alias of types",
    r"[A-Z]\w* = TypeVar\(": "a type variable, which the type checker alone reads",
    r"[A-Z][A-Z0-9_]* = auto\(\)$": "a member of an enumeration: no value is read, only the member",
}
"""By the beginning of the line before the change."""

LINES: Final[dict[tuple[str, str, str], str]] = {}
"""By the module, below `src/holdfast`, and the line before and after the change."""


def is_equivalent(module: str, before: str, after: str) -> bool:
    """Whether a change of a line is in one of the lists."""
    return (module, before, after) in LINES or any(re.match(kind, before) for kind in KINDS)
