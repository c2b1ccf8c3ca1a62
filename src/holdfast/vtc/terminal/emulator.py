"""Interprets a program's output to its terminal, and answers its queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from holdfast.core.display_width import char_width
from holdfast.vtc.terminal.grid import CursorPosition
from holdfast.vtc.terminal.screen import Screen

NUMBERS_MAX = 8
_NUMBER_MAX = 10_000
_ESC = 0x1B
_BELL = 0x07


class _Charset(Enum):
    ASCII = auto()
    UK = auto()
    GRAPHICS = auto()


_CHARSETS = {
    "0": _Charset.GRAPHICS,
    "2": _Charset.GRAPHICS,
    "1": _Charset.ASCII,
    "B": _Charset.ASCII,
    "A": _Charset.UK,
}
_POUND = 0xA3
_NOT_ASCII = 0x2500
"""Stands for all line drawing: the screen cannot show it."""


class _State(Enum):
    GROUND = auto()
    ESCAPE = auto()
    SEQUENCE = auto()
    """Behind `ESC [`."""
    CHARSET = auto()
    LINE_SIZE = auto()
    STRING = auto()
    """A device control string or an operating system command: skipped."""


@dataclass(slots=True)
class _Saved:
    cursor: CursorPosition
    charset: _Charset


class Emulator:
    """A terminal: bytes in, a screen, and answers out."""

    def __init__(
        self, rows: int, columns: int, answer: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """`answer` is called with the bytes that the terminal sends."""
        self.screen = Screen(rows, columns)
        self._answer = answer
        self._state = _State.GROUND
        self._prefix = ""
        self._numbers: list[int] = []
        self._digits = False
        self._slot = 0
        self._console = False
        self._utf8_left = 0
        self._utf8_code = 0
        self._charsets = [_Charset.ASCII, _Charset.ASCII]
        self._shift = 0
        self._last = 0
        self._saved = _Saved(CursorPosition(), _Charset.ASCII)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the screen."""
        self.screen.resize(rows, columns)
        self._forget()

    def _forget(self) -> None:
        self._charsets = [_Charset.ASCII, _Charset.ASCII]
        self._shift = 0
        self._save()

    def _reset(self) -> None:
        self.screen.reset()
        self._forget()
        self.screen.erase_display(2)

    def feed(self, data: bytes) -> None:
        """Process output of the program."""
        for byte in data:
            if byte < 0x80:
                self._utf8_left = 0
                self._character(byte)
            else:
                self._utf8(byte)

    def _utf8(self, byte: int) -> None:
        for lead, mask, left in ((0xC0, 0xE0, 1), (0xE0, 0xF0, 2), (0xF0, 0xF8, 3)):
            if byte & mask == lead:
                self._utf8_left, self._utf8_code = left, byte & ~mask
                return
        if byte & 0xC0 == 0x80 and self._utf8_left:
            self._utf8_left -= 1
            self._utf8_code = self._utf8_code << 6 | byte & 0x3F
            if self._utf8_left == 0:
                self._character(self._utf8_code)

    def _character(self, code: int) -> None:
        if self._state is _State.STRING:
            if code == _BELL:
                self._state = _State.GROUND
            elif code == _ESC:
                self._state = _State.ESCAPE
        elif not self._control(code):
            self._step(code)

    def _control(self, code: int) -> bool:
        """Obey a control character, which may stand within a sequence. Says whether it was one."""
        screen = self.screen
        match code:
            case 0x00 | 0x07:
                pass
            case 0x08:
                self._backspace()
            case 0x09:
                screen.tab(1)
            case 0x0A | 0x0B:
                screen.line_feed()
            case 0x0C:
                (screen.clear_region if self._console else screen.line_feed)()
            case 0x0D:
                screen.go_to(None, 0)
            case 0x0E | 0x0F if not self._console:
                self._shift = 1 if code == 0x0E else 0
            case _:
                return False
        return True

    def _backspace(self) -> None:
        screen = self.screen
        if not self._console:
            screen.left(1)
        elif screen.cursor.column:
            screen.cursor.column -= 1
        elif screen.cursor.row > screen.first_row:
            screen.cursor = CursorPosition(screen.cursor.row - 1, screen.columns - 1)

    def _step(self, code: int) -> None:
        if code == _ESC:
            self._state = _State.ESCAPE
        elif self._state is _State.GROUND:
            self._print(code)
        elif self._state is _State.ESCAPE:
            self._escape(chr(code))
        elif self._state is _State.SEQUENCE:
            self._sequence(chr(code))
        else:
            self._state, state = _State.GROUND, self._state
            if state is _State.CHARSET:
                self._charsets[self._slot] = _CHARSETS.get(chr(code), self._charsets[self._slot])
            elif code == ord("8"):
                self.screen.align()

    def _print(self, code: int) -> None:
        code = self._translate(code)
        width = char_width(code)
        if width:
            self._last = code
            (self.screen.put_on_console if self._console else self.screen.put)(code, width)

    def _translate(self, code: int) -> int:
        charset = self._charsets[self._shift]
        if charset is _Charset.GRAPHICS and ord("`") <= code <= ord("~"):
            return _NOT_ASCII
        return _POUND if charset is _Charset.UK and code == ord("#") else code

    def _escape(self, char: str) -> None:
        self._state = _State.GROUND
        match char:
            case "[":
                self._state = _State.SEQUENCE
                self._prefix, self._numbers, self._digits = "", [], False
            case "(" | ")":
                self._state, self._slot = _State.CHARSET, "()".index(char)
            case "#":
                self._state = _State.LINE_SIZE
            case "P" | "]":
                self._state = _State.STRING
            case _:
                action = _ESCAPES.get(char)
                if action:
                    action(self)

    def _sequence(self, char: str) -> None:
        if char.isdigit():
            if not self._digits:
                self._numbers.append(0)
                self._digits = True
            self._numbers[-1] = min(self._numbers[-1] * 10 + int(char), _NUMBER_MAX)
        elif char == ";":
            self._end_number()
        elif char in "?>= ":
            self._prefix += char
        else:
            self._state = _State.GROUND
            action = _SEQUENCES.get(self._prefix + char)
            if action:
                action(self, _Numbers(self._numbers))
            self._last = 0  # only the character printed just before is repeated

    def _end_number(self) -> None:
        if not self._digits:
            self._numbers.append(0)
        self._digits = False
        if len(self._numbers) >= NUMBERS_MAX:
            self._state = _State.GROUND

    # The actions of sequences.

    def _save(self) -> None:
        cursor = self.screen.cursor
        charset = self._charsets[self._shift]
        self._saved = _Saved(CursorPosition(cursor.row, cursor.column), charset)

    def _restore(self) -> None:
        screen, saved = self.screen, self._saved
        screen.cursor = CursorPosition(saved.cursor.row, saved.cursor.column)
        screen.wrapped = False
        self._charsets[self._shift] = saved.charset
        if screen.origin and not screen.top <= saved.cursor.row < screen.bottom:
            screen.origin = False

    def _set_private_mode(self, mode: int, on: bool) -> None:
        match mode:
            case 3:
                self.resize(self.screen.rows, 132 if on else 80)
                self._reset()
            case 6:
                self.screen.set_origin(on)
            case 7:
                self.screen.auto_wrap = on
            case _:
                pass  # what does not show: colours, cursor shapes, the mouse

    def _repeat(self, count: int) -> None:
        for _ in range(count if self._last else 0):
            self._print(self._last)

    def _report(self, what: int, lead: str) -> None:
        cursor = self.screen.cursor
        reports = {
            5: "0n",
            6: f"{cursor.row - self.screen.first_row + 1};{cursor.column + 1}R",
            15: "13n",
            25: "20n",
            26: "27;1n",
        }
        if what in reports:
            self._answer(f"\x1b[{lead}{reports[what]}".encode())

    def _identify(self, what: int, text: str) -> None:
        if what == 0:
            self._answer(f"\x1b[{text}".encode())

    def _set_console(self, mode: int) -> None:
        if mode in (0, 1):
            self._console = mode == 1


def _next_line(screen: Screen) -> None:
    screen.go_to(None, 0)
    screen.line_feed()


def _lines_down(screen: Screen, count: int) -> None:
    screen.go_to(None, 0)
    screen.down(count)


def _lines_up(screen: Screen, count: int) -> None:
    screen.go_to(None, 0)
    screen.up(count)


def _clear_tabs(screen: Screen, mode: int) -> None:
    if mode in (0, 3):
        screen.clear_tabs(everywhere=mode == 3)


def _set_mode(screen: Screen, mode: int, on: bool) -> None:
    if mode == 4:
        screen.insert = on


class _Numbers:
    """The numbers of a sequence."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers

    def count(self, place: int = 0) -> int:
        """A number of things: at least 1, and 1 if it is not given."""
        return self.plain(place) or 1

    def plain(self, place: int = 0) -> int:
        """Return a number, 0 if it is absent."""
        return self._numbers[place] if place < len(self._numbers) else 0


_ESCAPES: dict[str, Callable[[Emulator], None]] = {
    "7": Emulator._save,
    "8": Emulator._restore,
    "D": lambda terminal: terminal.screen.index(),
    "E": lambda terminal: _next_line(terminal.screen),
    "H": lambda terminal: terminal.screen.set_tab(),
    "M": lambda terminal: terminal.screen.reverse_index(),
    "c": Emulator._reset,
}

_SEQUENCES: dict[str, Callable[[Emulator, _Numbers], None]] = {
    "@": lambda terminal, n: terminal.screen.insert_characters(n.count()),
    "A": lambda terminal, n: terminal.screen.up(n.count()),
    "B": lambda terminal, n: terminal.screen.down(n.count()),
    "e": lambda terminal, n: terminal.screen.down(n.count()),
    "C": lambda terminal, n: terminal.screen.right(n.count()),
    "a": lambda terminal, n: terminal.screen.right(n.count()),
    "D": lambda terminal, n: terminal.screen.left(n.count()),
    "E": lambda terminal, n: _lines_down(terminal.screen, n.count()),
    "F": lambda terminal, n: _lines_up(terminal.screen, n.count()),
    "G": lambda terminal, n: terminal.screen.go_to(None, n.count() - 1),
    "`": lambda terminal, n: terminal.screen.go_to(None, n.count() - 1),
    "d": lambda terminal, n: terminal.screen.go_to(n.count() - 1, None),
    "H": lambda terminal, n: terminal.screen.go_to(n.count() - 1, n.count(1) - 1),
    "f": lambda terminal, n: terminal.screen.go_to(n.count() - 1, n.count(1) - 1),
    "I": lambda terminal, n: terminal.screen.tab(n.count()),
    "Z": lambda terminal, n: terminal.screen.tab_back(n.count()),
    "J": lambda terminal, n: terminal.screen.erase_display(n.plain()),
    "K": lambda terminal, n: terminal.screen.erase_line(n.plain()),
    "L": lambda terminal, n: terminal.screen.insert_lines(n.count()),
    "M": lambda terminal, n: terminal.screen.delete_lines(n.count()),
    "P": lambda terminal, n: terminal.screen.delete_characters(n.count()),
    "X": lambda terminal, n: terminal.screen.erase_characters(n.count()),
    "S": lambda terminal, n: terminal.screen.scroll(n.count()),
    "T": lambda terminal, n: terminal.screen.scroll(-n.count()),
    "b": lambda terminal, n: terminal._repeat(n.count()),
    "c": lambda terminal, n: terminal._identify(n.plain(), "?1;2c"),
    ">c": lambda terminal, n: terminal._identify(n.plain(), ">0;10;0c"),
    "g": lambda terminal, n: _clear_tabs(terminal.screen, n.plain()),
    "h": lambda terminal, n: _set_mode(terminal.screen, n.plain(), True),
    "l": lambda terminal, n: _set_mode(terminal.screen, n.plain(), False),
    "?h": lambda terminal, n: terminal._set_private_mode(n.plain(), True),
    "?l": lambda terminal, n: terminal._set_private_mode(n.plain(), False),
    "n": lambda terminal, n: terminal._report(n.plain(), ""),
    "?n": lambda terminal, n: terminal._report(n.plain(), "?"),
    "r": lambda terminal, n: terminal.screen.set_margins(n.plain(), n.plain(1)),
    "s": lambda terminal, n: terminal._save(),
    "u": lambda terminal, n: terminal._restore(),
    "=T": lambda terminal, n: terminal._set_console(n.plain()),
}
