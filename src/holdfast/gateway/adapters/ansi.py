"""Control sequences (ECMA-48) of others, held to what a terminal can show.

Colours come in three sizes: 16 by name (SGR 30-37, 90-97), 256 by number (`38;5;n`) and 24 bits
(`38;2;r;g;b`). A terminal that does not know a size shows nonsense, often blinking. So a colour
becomes the nearest that the terminal has. Hot path: text without an escape is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

TRUE_COLORS: Final = 1 << 24
SGR: Final = re.compile("\x1b\\[([0-9;:]{0,80})m")
SEQUENCE: Final = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[ -/]*[0-Z\\\\^-~])"
)
"""CSI, OSC, or another escape."""
_EXTENDED: Final = (38, 48)
"""SGR: the next parameters are a colour of the text or of its background."""
_SEQUENCES_MAX: Final = 1024
"""Conversions that are remembered: servers use few colours."""

_LEVELS: Final = (0, 95, 135, 175, 215, 255)
"""Of the cube of 6 x 6 x 6 that colours 16 to 231 are."""
_SIXTEEN: Final = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0)),
    *((0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0)),
    *((92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)),
)
"""As xterm shows them."""

Rgb = tuple[int, int, int]


def fit(text: str, colors: int) -> str:
    """`text` for a terminal with so many colours; without any, no escape is left in it."""
    if "\x1b" not in text or colors >= TRUE_COLORS:
        return text
    if not colors:
        return SEQUENCE.sub("", text).replace("\x1b", "")
    return SGR.sub(lambda found: _fitted(found[1], colors), text)


@lru_cache(_SEQUENCES_MAX)
def _fitted(parameters: str, colors: int) -> str:
    if "38" not in parameters and "48" not in parameters:
        return f"\x1b[{parameters}m"
    kept = [*_parameters(parameters, colors)]
    return f"\x1b[{';'.join(kept)}m" if kept else ""


def _parameters(text: str, colors: int) -> Iterator[str]:
    """The parameters of an SGR sequence, with colours that the terminal has."""
    waiting = [part.split(":") for part in text.split(";")]
    while waiting:
        part = waiting.pop(0)
        code = number_in(part[0])
        if code not in _EXTENDED:
            yield ":".join(part)
            continue
        color = color_in(part[1:], waiting)
        if color is not None:
            yield from _said(code, color, colors)


def color_in(rest: Sequence[str], waiting: list[list[str]]) -> int | Rgb | None:
    """The colour behind a parameter 38 or 48: in the rest of it, or in those that wait.

    It is taken from these then.
    """
    if not rest:  # in the usual form, the colour is in parameters of its own
        count = {5: 2, 2: 4}.get(number_in(waiting[0][0]) if waiting else -1, 0)
        rest = [one[0] for one in waiting[:count]]
        del waiting[:count]
    return _color([number_in(one) for one in rest if one])


def number_in(text: str) -> int:
    """The number that a parameter is; 0 for one that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _color(numbers: list[int]) -> int | Rgb | None:
    """A number of 256, or its red, green and blue."""
    match numbers:
        case [5, number] if number < 256:
            return number
        case [2, *parts] if len(parts) >= 3:  # one in front of them names a colour space
            red, green, blue = (min(part, 255) for part in parts[-3:])
            return red, green, blue
        case _:
            return None


def _said(code: int, color: int | Rgb, colors: int) -> list[str]:
    if colors >= 256:
        number = color if isinstance(color, int) else _of_256(color)
        return [str(code), "5", str(number)]
    number = _of_16(color)
    first = 30 if number < 8 else 90 - 8
    return [str(code - 38 + first + number)]


def _of_256(rgb: Rgb) -> int:
    """The nearest of the cube and of the 24 greys."""
    cube = [min(range(6), key=lambda level: abs(_LEVELS[level] - part)) for part in rgb]
    grey = min(23, max(0, round((sum(rgb) / 3 - 8) / 10)))
    choices = (16 + 36 * cube[0] + 6 * cube[1] + cube[2], 232 + grey)
    return min(choices, key=lambda number: _distance(rgb_of(number), rgb))


def _of_16(color: int | Rgb) -> int:
    if isinstance(color, int):
        if color < 16:
            return color
        color = rgb_of(color)
    return min(range(16), key=lambda number: _distance(_SIXTEEN[number], color))


def rgb_of(number: int) -> Rgb:
    """The red, green and blue of one of the 256 colours."""
    if number < 16:
        return _SIXTEEN[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return grey, grey, grey
    number -= 16
    return _LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6]


def _distance(a: Rgb, b: Rgb) -> int:
    return sum((one - other) ** 2 for one, other in zip(a, b, strict=True))
