"""Makes a copy of a script in which one expectation is false.

A wrong pass is worse than a wrong failure: a script that passes must fail when
an expectation that was reached is turned into its opposite.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.vtc.language.position import Position

_OPPOSITES = {
    "==": "!=",
    "!=": "==",
    "~": "!~",
    "!~": "~",
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "-lt": "-ge",
    "-le": "-gt",
    "-eq": "-ne",
    "-ne": "-eq",
    "-ge": "-lt",
    "-gt": "-le",
}
_EXPECT = re.compile(r"(expect\s+(?:\S+\s+)?)(==|!=|!~|~|<=|>=|<|>|-lt|-le|-eq|-ne|-ge|-gt)(\s)")
_BAD_CONF = re.compile(r'((?:haproxy|gateway)\s+\S+\s+-conf-BAD\s*["{]?)')
_GOOD_CONF = re.compile(r"(haproxy\s+\S+\s+)-conf-OK(\s*\{)")
_SHELL_TEXT = re.compile(r'(shell\s[^\n]*-(?:expect|match)\s+["{]?)')
_SHELL_STATUS = re.compile(r"(shell\s[^\n]*-exit\s+)(\d+)")
_SHELL_FAILS = re.compile(r"shell\s+-err\s")
_SHELL = re.compile(r"shell(\s)")
_SCREEN = re.compile(r'(process\s[^\n]*-(?:expect-text|match-text)\s+\d+\s+\d+\s+["{]?)')
_CURSOR = re.compile(r"(process\s[^\n]*-expect-cursor\s+)(\d+)")
_RECEIVED = re.compile(r'(rx\s+\S+[ \t]+(?:-until[ \t]+)?["{]?)(?=\S)')
_RECEIVED_ANY = re.compile(r"rx\s+\S+")
_CLOSE = re.compile(r"expect_close\b")
_NONSENSE = "no-such-thing-"


def falsified(text: str, checks: Iterable[Position]) -> tuple[str, Position] | None:
    """A copy of `text` with one expectation falsified, the last one that can be; and where.

    `checks` are the expectations that held, in the order of time. `None` if
    there is nothing to falsify.
    """
    lines = text.split("\n")
    for check in reversed(list(checks)):
        if check.line > len(lines):
            continue
        rest = "\n".join(lines[check.line - 1 :])[check.column - 1 :]
        changed = _opposite(rest)
        if changed is not None:
            start = len(text) - len(rest)
            return text[:start] + changed, check
    return None


def _opposite(command: str) -> str | None:
    """The rest of a script that begins with a command, with this command falsified."""
    if match := _EXPECT.match(command):
        return f"{match[1]}{_OPPOSITES[match[2]]}{command[match.start(3) :]}"
    if match := _BAD_CONF.match(command) or _SHELL_TEXT.match(command) or _SCREEN.match(command):
        return match[1] + _NONSENSE + command[match.end() :]
    if match := _RECEIVED.match(command):
        return match[1] + _NONSENSE + command[match.end() :]
    if match := _RECEIVED_ANY.match(command):
        return f"{match[0]} {_NONSENSE}{command[match.end() :]}"
    if match := _GOOD_CONF.match(command):
        return f"{match[1]}-conf-BAD {{{_NONSENSE}}}{command[match.start(2) :]}"
    if match := _SHELL_STATUS.match(command) or _CURSOR.match(command):
        return f"{match[1]}{int(match[2]) + 1}{command[match.end() :]}"
    if match := _SHELL_FAILS.match(command):
        return "shell " + command[match.end() :]
    if match := _CLOSE.match(command):
        return "recv 1" + command[match.end() :]
    if match := _SHELL.match(command):
        return f"shell -err{command[match.start(1) :]}"
    return None
