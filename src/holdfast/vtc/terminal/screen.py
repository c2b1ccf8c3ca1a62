"""The operations on a screen: tabs, lines, characters."""

from __future__ import annotations

from holdfast.vtc.terminal.grid import Grid

BLANK = ord(" ")
_UNKNOWN = ord("?")


class Screen(Grid):
    """A screen that a terminal emulator writes to."""

    # Tabs.

    def set_tab(self) -> None:
        """Put a tab stop here."""
        self.tabs.add(self.cursor.column)

    def clear_tabs(self, *, everywhere: bool) -> None:
        """Remove the tab stop here, or all."""
        if everywhere:
            self.tabs.clear()
        else:
            self.tabs.discard(self.cursor.column)

    def tab(self, count: int) -> None:
        """Move to the next tab stop, or to the last column."""
        for _ in range(count):
            stops = [stop for stop in self.tabs if stop > self.cursor.column]
            self.cursor.column = min([*stops, self.columns - 1])

    def tab_back(self, count: int) -> None:
        """Move to the tab stop before, or to the first column."""
        for _ in range(count):
            stops = [stop for stop in self.tabs if stop < self.cursor.column]
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
        for row in range(self.first_row, self.end_row):
            self._blank(row, 0, self.columns)
        self.go_to(0, 0)

    def align(self) -> None:
        """Fill the screen with E, to align the picture tube (DECALN)."""
        self.top, self.bottom, self.origin = 0, self.rows, False
        self.go_to(0, 0)
        self.cells = [bytearray(b"E" * self.columns) for _ in range(self.rows)]
