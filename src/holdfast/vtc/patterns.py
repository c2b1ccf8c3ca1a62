"""Regular expressions in PCRE's notation, compiled with Python's `re`.

The two agree on nearly everything that test scripts use. What differs is
rewritten: POSIX classes, `\\Q..\\E`, `\\h`, `\\R`, the anchors `\\z` and `\\Z`,
`(?<name>..)`, `\\x{..}`, and an option such as `(?i)` in mid-pattern. The
subject ends at its first NUL, as a C string does.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "ascii": r"\x00-\x7f",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "word": "a-zA-Z0-9_",
    "xdigit": "0-9a-fA-F",
}

_ESCAPES = {
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "h": r"[ \t]",
    "H": r"[^ \t]",
    "R": r"(?:\r\n|[\n\v\f\r])",
    "N": r"[^\n]",
    "e": r"\x1b",
}

_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|\Z)"
    r"|\\x\{(?P<hex>[0-9a-fA-F]{1,2})\}"
    r"|\\(?P<escape>.)"
    r"|(?P<set>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\])"
    r"|\(\?<(?P<name>[A-Za-z_]\w*)>"
    r"|\(\?(?P<options>[imsx]+)\)"
    r"|(?P<open>\()"
    r"|(?P<close>\))"
    r"|(?P<or>\|)",
    re.DOTALL,
)
_IN_SET = re.compile(r"\[:(?P<negated>\^?)(?P<cls>[a-z]+):\]|\\h|\\x\{([0-9a-fA-F]{1,2})\}|\\.|\[")


class PatternError(ValueError):
    """A pattern cannot be compiled. The text says why and where."""


class _Translation:
    """One pattern's rewriting.

    PCRE's `(?i)` holds to the end of its group and Python's only at the start,
    so it becomes a group of its own, closed and opened again around each `|`.
    """

    def __init__(self) -> None:
        self._options: list[list[str]] = [[]]
        """For each open group, the options that were switched on in it."""

    def run(self, pattern: str) -> str:
        return _TOKEN.sub(self._token, pattern) + ")" * len(self._options[0])

    def _token(self, match: re.Match[str]) -> str:
        kind = match.lastgroup
        text = match[kind] if kind else ""
        if kind == "quoted":
            return re.escape(text)
        if kind == "hex":
            return f"\\x{int(text, 16):02x}"
        if kind == "escape":
            return _ESCAPES.get(text, match[0])
        if kind == "set":
            return _set(text)
        return self._group(kind, text, match[0])

    def _group(self, kind: str | None, text: str, whole: str) -> str:
        here = self._options[-1]
        if kind == "options":
            here.append(text)
            return f"(?{text}:"
        if kind == "or":
            return ")" * len(here) + "|" + "".join(f"(?{options}:" for options in here)
        if kind == "close":
            return ")" * (len(self._close()) + 1)
        self._options.append([])
        return f"(?P<{text}>" if kind == "name" else whole

    def _close(self) -> list[str]:
        return self._options.pop() if len(self._options) > 1 else []


def _set(text: str) -> str:
    head = re.match(r"\[\^?\]?", text)
    start = head.end() if head else 0
    return text[:start].replace("]", r"\]") + _IN_SET.sub(_in_set, text[start:])


def _in_set(match: re.Match[str]) -> str:
    text = match[0]
    if match["cls"]:
        return _posix_class(match["cls"], bool(match["negated"]))
    if text == "\\h":
        return r" \t"
    if match[3]:
        return f"\\x{int(match[3], 16):02x}"
    return r"\[" if text == "[" else text


def _posix_class(name: str, negated: bool) -> str:
    if name not in _CLASSES:
        raise PatternError(f"unknown POSIX class name {name!r}")
    if not negated:
        return _CLASSES[name]
    members = re.compile(f"[{_CLASSES[name]}]")
    return "".join(f"\\x{code:02x}" for code in range(256) if not members.match(chr(code)))


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`pattern`, ready to search. Raises `PatternError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(_Translation().run(pattern), re.ASCII)
        except re.error as error:
            where = "" if error.pos is None else f" (@{error.pos})"
            raise PatternError(f"{error.msg}{where} ({pattern})") from None


def matches(pattern: str, subject: str) -> bool:
    """Whether `pattern` is found in `subject`. Raises `PatternError`."""
    return compile_pattern(pattern).search(subject.partition("\0")[0]) is not None
