"""Regular expressions in PCRE's notation, compiled with the library `regex`.

The two agree on nearly everything that test scripts use; what differs is
rewritten. The subject ends at its first NUL, as a C string does. A search that
backtracks without end is given up, as PCRE gives up at its match limit.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

import regex

SEARCH_SECONDS_MAX = 1.0

_FLAGS = regex.VERSION1 | regex.ASCII
"""Version 1: an option in mid-pattern holds to the end of its group, as in PCRE."""

_ESCAPES = {"Z": r"(?=\n?\z)", "N": r"[^\n]", "e": r"\x1b"}

_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|\Z)"
    r"|\\x\{(?P<hex>[0-9a-fA-F]{1,2})\}"
    r"|\\(?P<escape>.)"
    r"|(?P<set>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\])",
    re.DOTALL,
)
_IN_SET = re.compile(
    r"\[:\^?[a-z]+:\]|\\x\{(?P<hex>[0-9a-fA-F]{1,2})\}|\\e|\\.|(?P<operator>[-&|~])(?P=operator)|\["
)
"""In a set `regex` reads a bracket as a set within the set, and doubled signs as operators."""


class PatternError(ValueError):
    """A pattern cannot be compiled, or its search took too long. The message says which."""


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str, compiled: regex.Pattern[str]) -> None:
        self._text = text
        self._compiled = compiled
        self.groups = compiled.groups
        """How many groups it has."""

    def search(self, subject: str) -> regex.Match[str] | None:
        """Where it is found in `subject`. Raises `PatternError` if that takes too long."""
        try:
            return self._compiled.search(subject, timeout=SEARCH_SECONDS_MAX)
        except TimeoutError:
            text = f"given up after {SEARCH_SECONDS_MAX:g} s of backtracking ({self._text})"
            raise PatternError(text) from None


def _rewritten(match: re.Match[str]) -> str:
    kind = match.lastgroup
    text = match[kind] if kind else ""
    if kind == "quoted":
        return regex.escape(text)
    if kind == "hex":
        return f"\\x{int(text, 16):02x}"
    if kind == "escape":
        return _ESCAPES.get(text, match[0])
    head = 1 + (text[1] == "^")
    return text[:head] + _IN_SET.sub(_rewritten_in_set, text[head:-1]) + "]"


def _rewritten_in_set(match: re.Match[str]) -> str:
    if match["hex"]:
        return f"\\x{int(match['hex'], 16):02x}"
    if match["operator"]:
        return f"\\{match['operator']}\\{match['operator']}"
    return {"\\e": r"\x1b", "[": r"\["}.get(match[0], match[0])


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Pattern:
    """`pattern`, ready to search. Raises `PatternError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Pattern(pattern, regex.compile(_TOKEN.sub(_rewritten, pattern), _FLAGS))
        except regex.error as error:
            raise PatternError(f"{error} ({pattern})") from None


def matches(pattern: str, subject: str) -> bool:
    """Whether `pattern` is found in `subject`. Raises `PatternError`."""
    return compile_pattern(pattern).search(subject.partition("\0")[0]) is not None
