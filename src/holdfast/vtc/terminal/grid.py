"""The cells of a screen, the cursor, the margins and the tab stops.

Rows and columns count from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

TAB = 8


@dataclass(slots=True)
class CursorPosition:
    """A place on the screen."""

    row: int = 0
    column: int = 0


class Grid:
    """The state of a screen, and the movements of its cursor."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.cells = [bytearray(b" " * columns) for _ in range(rows)]
        self.cursor = CursorPosition()
        self.wrapped = False
        """The last column was written; the next character goes to the next line."""
        self.insert = False
        self.auto_wrap = True
        self.origin = False
        self.top, self.bottom = 0, rows
        """The scrolling region: from `top` to before `bottom`."""
        self.tabs: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """The state after power-on; the cells stay."""
        self.cursor = CursorPosition()
        self.wrapped = self.insert = self.origin = False
        self.auto_wrap = True
        self.top, self.bottom = 0, self.rows
        self.tabs = set(range(TAB, self.columns, TAB))

    def resize(self, rows: int, columns: int) -> None:
        """Change the size. The cells that are in both stay."""
        cells = [bytearray(b" " * columns) for _ in range(rows)]
        for new, old in zip(cells, self.cells, strict=False):
            shared = min(columns, self.columns)
            new[:shared] = old[:shared]
        self.cells, self.rows, self.columns = cells, rows, columns
        self.reset()

    def text(self, row: int) -> str:
        """A line as text."""
        return self.cells[row].decode("ascii")

    # The cursor.

    @property
    def first_row(self) -> int:
        """Where row numbers count from."""
        return self.top if self.origin else 0

    @property
    def end_row(self) -> int:
        """The row after the last one that the cursor can be moved to."""
        return self.bottom if self.origin else self.rows

    def go_to(self, row: int | None, column: int | None) -> None:
        """Move to a place, counted from the origin; `None` stays."""
        if row is not None:
            self.cursor.row = min(row + self.first_row, self.end_row - 1)
        if column is not None:
            self.cursor.column = min(column, self.columns - 1)
        self.wrapped = False

    def up(self, count: int) -> None:
        """Move up, at most to the region's top."""
        self.cursor.row = max(self.top, self.cursor.row - count)
        self.wrapped = False

    def down(self, count: int) -> None:
        """Move down, at most to the region's last row."""
        self.cursor.row = min(self.bottom - 1, self.cursor.row + count)
        self.wrapped = False

    def left(self, count: int) -> None:
        """Move left, at most to the first column."""
        self.cursor.column = max(0, self.cursor.column - count)
        self.wrapped = False

    def right(self, count: int) -> None:
        """Move right, at most to the last column."""
        self.cursor.column = min(self.columns - 1, self.cursor.column + count)
        self.wrapped = False

    def set_margins(self, top: int, bottom: int) -> None:
        """Set the scrolling region, given as line numbers from 1; 0 is the edge."""
        first, end = max(0, top - 1), bottom
        if end == 0 or end > self.rows:
            end = self.rows
        if first >= end - 1:
            first, end = 0, self.rows
        self.top, self.bottom = first, end
        self.go_to(0, 0)

    def set_origin(self, on: bool) -> None:
        """Count rows from the region's top, and stay in it, or not."""
        self.origin = on
        self.go_to(0, 0)
