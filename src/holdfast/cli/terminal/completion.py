"""Completion of commands that begin with a slash: those of this program, those that were typed,
and those that the application has named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

_NAMES_MAX: Final = 200
"""The commands that are known, the newest ones."""
_TEXT_CHARS_MAX: Final = 10_000
"""A longer text is no help, and is not looked at."""
_NAME: Final = re.compile(r"(?<![\w/.:-])/[A-Za-z][\w-]{0,31}(?![\w/.:-])")
"""A word with one slash, which is no part of a path or an address."""


class Commands(Completer):
    """The commands that are known."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)
        self._own = len(self._names)

    def learn(self, text: str) -> None:
        """Take in the commands that a text names."""
        if "/" not in text or len(text) > _TEXT_CHARS_MAX:
            return
        for found in _NAME.finditer(text):
            self._names.setdefault(found[0])
        while len(self._names) > self._own + _NAMES_MAX:
            del self._names[[*self._names][self._own]]

    def typed(self, line: str) -> None:
        """Take in the command of a line that was typed."""
        self.learn(line.partition(" ")[0])

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        before = document.text_before_cursor
        if not before.startswith("/") or " " in before:
            return
        for name in sorted(self._names):
            if name.startswith(before):
                yield Completion(name, start_position=-len(before))
