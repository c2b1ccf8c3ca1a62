"""A script file, before it runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from holdfast.vtc.language.source import ENCODING, Source

_HEAD = re.compile(r"(?:[ \t\r\n]+|#[^\n]*\n)*")
_GATE = re.compile(r"(?:varnishtest|vtest)[ \t\n\v\f\r]")
_TITLE = re.compile(r'(?:varnishtest|vtest)\s+(?:"((?:[^"\\\n]|\\.)*)"|(\S+))')


class ScriptError(Exception):
    """A file is no script. The text is the reference's message."""

    def __init__(self, message: str, *, foreign: bool = False) -> None:
        super().__init__(message)
        self.foreign = foreign
        """Whether the file is something else; then it counts as skipped."""


@dataclass(frozen=True, slots=True)
class Script:
    """A file that begins as a script does."""

    name: str
    """The path as it was given."""
    source: Source
    title: str


def read_script(path: str) -> Script:
    """Read a script. Raises `ScriptError`."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode(ENCODING)
    except OSError as error:
        raise ScriptError(f'Cannot stat file "{path}": {error.strerror}') from None
    return parse_script(path, text.partition("\0")[0])


def parse_script(name: str, text: str) -> Script:
    """A script from its text. Raises `ScriptError`."""
    head = _HEAD.match(text)
    start = head.end() if head else 0
    rest = text[start:]
    if not rest or (rest.startswith("#") and "\n" not in rest):
        raise ScriptError(f'File "{name}" has no content.')
    if not _GATE.match(text, start):
        raise ScriptError(
            f"File \"{name}\" doesn't start with 'vtest' or 'varnishtest'", foreign=True
        )
    title = _TITLE.match(text, start)
    return Script(name, Source(name, text), (title[1] or title[2] or "") if title else "")


def script_directory(name: str, pwd: str) -> str:
    """The value of `${testdir}`: absolute, but as the path was given."""
    directory = os.path.dirname(name)
    if name.startswith("/"):
        return directory or "/"
    return f"{pwd}/{directory}" if directory else pwd
