"""The expectations of a script about a process's screen."""

from __future__ import annotations

import asyncio
import contextlib

from holdfast.vtc.actors.process import Process
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.language.patterns import PatternError, compile_pattern
from holdfast.vtc.language.source import Token

RESIZE_SECONDS_MAX = 1.0
"""How long to wait for the screen to become as wide as the script expects."""


async def _place(process: Process, line: Token, column: Token) -> tuple[int, int]:
    """A line and a column, 0 for any. Raises `Failure` if the screen is smaller."""
    row, place = unsigned(line), unsigned(column)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RESIZE_SECONDS_MAX):
            while place > process.terminal.screen.columns and await process.changed():
                pass
    screen = process.terminal.screen
    if row > screen.rows:
        raise _failure(process, f"line {row} of {screen.rows} lines", line)
    if place > screen.columns:
        raise _failure(process, f"column {place} of {screen.columns} columns", column)
    return row, place


def _failure(process: Process, text: str, token: Token) -> Failure:
    return Failure(text, token.position(), process.notes())


async def expect_text(process: Process, line: Token, column: Token, text: Token) -> None:
    """Wait until `text` is there. Raises `Failure` when it cannot come any more."""
    row, place = await _place(process, line, column)
    if max(place, 1) + len(text) - 1 > process.terminal.screen.columns:
        raise _failure(process, "the text does not fit on a line", text)
    while not (found := _find(process, row, place, text)):
        if not await process.changed():
            reason = f"the process has ended and '{text}' is not at {row},{place}"
            raise _failure(process, reason, text)
    process.log.line(4, f"found expected text at {found[0]},{found[1]}: '{text}'")


def _find(process: Process, row: int, place: int, text: str) -> tuple[int, int] | None:
    screen = process.terminal.screen
    for number in range(screen.rows) if row == 0 else (row - 1,):
        line = screen.text(number)
        column = line.find(text) if place == 0 else place - 1
        if column >= 0 and line.startswith(text, column):
            return number + 1, column + 1
    return None


async def expect_cursor(process: Process, line: Token, column: Token) -> None:
    """The cursor is there now. Raises `Failure`."""
    row, place = await _place(process, line, column)
    cursor = process.terminal.screen.cursor
    if row and row != cursor.row + 1:
        raise _failure(process, f"Cursor on line {cursor.row + 1} (expected {row})", line)
    if place and place != cursor.column + 1:
        text = f"Cursor in column {cursor.column + 1} (expected {place})"
        raise _failure(process, text, column)


async def match_text(process: Process, line: Token, column: Token, pattern: Token) -> None:
    """The pattern is found now, in the lines from `line` on. Raises `Failure`."""
    row, place = (max(0, number - 1) for number in await _place(process, line, column))
    screen = process.terminal.screen
    lines = [screen.text(number)[place:] for number in range(row, screen.rows)]
    # The reference does not count the ends of lines, so it leaves out the last characters.
    seen = "".join(f"{text}\n" for text in lines)[: sum(map(len, lines))]
    try:
        found = compile_pattern(pattern).search(seen)
    except PatternError as error:
        raise _failure(process, f"invalid regexp {error}", pattern) from None
    if not found:
        raise _failure(process, f'match failed: ("{pattern}")', pattern)
    process.log.line(4, "match succeeded")


async def need_bytes(process: Process, number: Token, before: int) -> None:
    """Wait until so many bytes have come, or so many more than `before`. Raises `Failure`."""
    wanted = unsigned(number) + (before if number.startswith("+") else 0)
    while process.received < wanted:
        if not await process.changed():
            text = f"the process has ended after {process.received} bytes"
            raise _failure(process, text, number)
    process.log.line(4, f"Have {process.received} bytes")


def dump_screen(process: Process) -> None:
    """Write the screen into the log."""
    screen = process.terminal.screen
    for row in range(screen.rows):
        process.log.dump(3, "screen", screen.text(row))
    cursor = screen.cursor
    process.log.line(3, f"Cursor at line {cursor.row + 1} column {cursor.column + 1}")
