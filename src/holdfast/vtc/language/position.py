"""A place in a script."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """A place in a file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    text: str
    """The whole line, to be shown above a caret."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> tuple[str, str]:
        """The line, and a line with a caret below the column. Tabs keep their width."""
        lead = "".join("\t" if char == "\t" else " " for char in self.text[: self.column - 1])
        return self.text, lead + "^"
