"""The cells of a screen and the cursor in them. Rows and columns count from 0."""

from __future__ import annotations

from dataclasses import dataclass

TAB = 8
BLANK = ord(" ")
_UNKNOWN = ord("?")


@dataclass(slots=True)
class CursorPosition:
    """A place on the screen."""

    row: int = 0
    column: int = 0


class Screen:
    """Cells, cursor, margins and tab stops, and how they change."""

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
        self._tabs: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """The state after power-on; the cells stay."""
        self.cursor = CursorPosition()
        self.wrapped = self.insert = self.origin = False
        self.auto_wrap = True
        self.top, self.bottom = 0, self.rows
        self._tabs = set(range(TAB, self.columns, TAB))

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
    def _end_row(self) -> int:
        return self.bottom if self.origin else self.rows

    def go_to(self, row: int | None, column: int | None) -> None:
        """Move to a place, counted from the origin; `None` stays."""
        if row is not None:
            self.cursor.row = min(row + self.first_row, self._end_row - 1)
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

    # Tabs.

    def set_tab(self) -> None:
        """Put a tab stop here."""
        self._tabs.add(self.cursor.column)

    def clear_tabs(self, *, everywhere: bool) -> None:
        """Remove the tab stop here, or all."""
        if everywhere:
            self._tabs.clear()
        else:
            self._tabs.discard(self.cursor.column)

    def tab(self, count: int) -> None:
        """Move to the next tab stop, or to the last column."""
        for _ in range(count):
            stops = [stop for stop in self._tabs if stop > self.cursor.column]
            self.cursor.column = min([*stops, self.columns - 1])

    def tab_back(self, count: int) -> None:
        """Move to the tab stop before, or to the first column."""
        for _ in range(count):
            stops = [stop for stop in self._tabs if stop < self.cursor.column]
            self.cursor.column = max([*stops, 0])

    # Lines.

    def scroll(self, count: int) -> None:
        """Move the region's lines up, or down if `count` is negative."""
        self._shift(self.top, count)

    def _shift(self, first: int, count: int) -> None:
        """Move the lines from `first` to the region's end up by `count`, or down."""
        size = self.bottom - first
        moved = min(abs(count), size)
        blank = [bytearray(b" " * self.columns) for _ in range(moved)]
        lines = self.cells[first : self.bottom]
        if count > 0:
            self.cells[first : self.bottom] = lines[moved:] + blank
        else:
            self.cells[first : self.bottom] = blank + lines[: size - moved]

    def index(self) -> None:
        """Move down; scroll at the region's last row."""
        if self.cursor.row < self.bottom - 1:
            self.cursor.row += 1
            self.wrapped = False
        else:
            self.scroll(1)

    def reverse_index(self) -> None:
        """Move up; scroll down at the region's top."""
        if self.cursor.row > self.top:
            self.cursor.row -= 1
            self.wrapped = False
        else:
            self.scroll(-1)

    def line_feed(self) -> None:
        """Move to the next line; at or below the region's end scroll."""
        self.cursor.row += 1
        if self.cursor.row >= self.bottom:
            self.scroll(1)
            self.cursor.row = self.bottom - 1
        self.wrapped = False

    def insert_lines(self, count: int) -> None:
        """Insert blank lines here, if the cursor is in the region."""
        if self.top <= self.cursor.row < self.bottom:
            self._shift(self.cursor.row, -count)

    def delete_lines(self, count: int) -> None:
        """Delete lines from here on, if the cursor is in the region."""
        if self.top <= self.cursor.row < self.bottom:
            self._shift(self.cursor.row, count)

    # Characters.

    def put(self, code: int, width: int) -> None:
        """Write a character at the cursor and move on."""
        cursor = self.cursor
        waits = self.wrapped and cursor.column == self.columns - 1
        if self.auto_wrap and (waits or cursor.column + width > self.columns):
            self._wrap(code, width)
            return
        self._write(code, width)
        cursor.column += width
        self.wrapped = cursor.column >= self.columns
        cursor.column = min(cursor.column, self.columns - 1)

    def _wrap(self, code: int, width: int) -> None:
        cursor = self.cursor
        if cursor.row == self.bottom - 1:
            self.scroll(1)
        elif cursor.row + 1 == self.rows:
            self._write(code, width)  # below the region on the last row: there is no next line
            return
        else:
            cursor.row += 1
        cursor.column = 0
        self._write(code, width)
        cursor.column = width
        self.wrapped = False

    def put_on_console(self, code: int, width: int) -> None:
        """The same in console mode, which wraps at once."""
        self._write(code, width)
        self.cursor.column += width
        if self.cursor.column >= self.columns:
            self.cursor.column = 0
            if self.cursor.row == self.bottom - 1:
                self.scroll(1)
            elif self.cursor.row < self.rows - 1:
                self.cursor.row += 1

    def _write(self, code: int, width: int) -> None:
        line, column = self.cells[self.cursor.row], self.cursor.column
        shown = code if BLANK <= code < 0x7F else _UNKNOWN
        new = bytes((shown,)) * min(width, self.columns - column)
        if self.insert and column < self.columns - width:
            line[column:] = new + line[column : self.columns - width]
        else:
            line[column : column + len(new)] = new

    def insert_characters(self, count: int) -> None:
        """Insert blanks here."""
        line, column = self.cells[self.cursor.row], self.cursor.column
        count = min(count, self.columns - column)
        line[column:] = b" " * count + line[column : self.columns - count]

    def delete_characters(self, count: int) -> None:
        """Delete characters from here on."""
        line, column = self.cells[self.cursor.row], self.cursor.column
        count = min(count, self.columns - column)
        line[column:] = line[column + count :] + b" " * count

    def erase_characters(self, count: int) -> None:
        """Blank characters from here on."""
        column = self.cursor.column
        self._blank(self.cursor.row, column, min(self.columns, column + count))

    def _blank(self, row: int, start: int, end: int) -> None:
        self.cells[row][start:end] = b" " * (end - start)

    def erase_line(self, mode: int) -> None:
        """Blank the line: from here on, up to here (1), or all of it (2)."""
        start = 0 if mode in (1, 2) else self.cursor.column
        end = self.cursor.column + 1 if mode == 1 else self.columns
        self._blank(self.cursor.row, start, end)

    def erase_display(self, mode: int) -> None:
        """Blank the screen: from here on, up to here (1), or all of it (2)."""
        if mode == 2:
            rows = range(self.rows)
        elif mode == 1:
            self.erase_line(1)
            rows = range(self.cursor.row)
        else:
            self.erase_line(0)
            rows = range(self.cursor.row + 1, self.rows)
        for row in rows:
            self._blank(row, 0, self.columns)

    def clear_region(self) -> None:
        """Blank what row numbers count, and go to its first place: a new page."""
        for row in range(self.first_row, self._end_row):
            self._blank(row, 0, self.columns)
        self.go_to(0, 0)

    def align(self) -> None:
        """Fill the screen with E, to align the picture tube (DECALN)."""
        self.top, self.bottom, self.origin = 0, self.rows, False
        self.go_to(0, 0)
        self.cells = [bytearray(b"E" * self.columns) for _ in range(self.rows)]
