"""Colours and styles in text (ECMA-48, SGR) as spans: those of `formatted` items.

Clients that count, such as pages, need not know control sequences then, and terminals get the
colours that they have. All other control sequences are left out. Hot path: text without an escape
is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Formatted, Output, Prompt, Span, Text
from holdfast.gateway.adapters.ansi import SEQUENCE, SGR, Rgb, color_in, number_in, rgb_of
from holdfast.gateway.adapters.styles import COLORS

Style = tuple[str, ...]
"""The colour, the background, and the words of what else is in effect."""

_PLAIN: Final[Style] = ("", "")
_TEXTS: Final = (Text, Prompt)
"""A union would be made anew for each item."""
_FLAGS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_ENDS: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",)}
_RANGES: Final = ((30, 0), (40, 1), (90, 0), (100, 1))
"""Where eight colours begin, and whether they are the background's."""
_SIDES: Final = ("", "on-")
_EXTENDED: Final = {38: 0, 48: 1}
_DEFAULTS: Final = {39: 0, 49: 1}


class SpanReader:
    """Reads the outputs of one connection.

    With `continues`, a style applies until it ends, as on a terminal: also in the next output.
    """

    __slots__ = ("_continues", "_style")

    def __init__(self, *, continues: bool) -> None:
        self._continues = continues
        self._style = _PLAIN

    def read(self, items: Sequence[Output | None]) -> Sequence[Output | None]:
        """The items, with spans for their escape sequences."""
        if self._style is _PLAIN and not any(map(_has_escapes, items)):
            return items
        return [item if item is None else self.item(item) for item in items]

    def item(self, item: Output) -> Output:
        """One of them."""
        if type(item) is Prompt and "\x1b" in item.text:
            return Prompt(SEQUENCE.sub("", item.text).replace("\x1b", ""))
        if type(item) is not Text or ("\x1b" not in item.text and self._style is _PLAIN):
            return item
        text, spans = self._parse(item.text)
        return Formatted(text, tuple(spans)) if spans else Text(text)

    def plain(self, item: Output) -> Output:
        """One of them without spans: the message of a volatile output has none."""
        read = self.item(item)
        return Text(read.text) if type(read) is Formatted and read is not item else read

    def _parse(self, text: str) -> tuple[str, list[Span]]:
        pieces: list[str] = []
        spans: list[Span] = []
        style, length, end = self._style, 0, 0
        for found in SEQUENCE.finditer(text):
            length = _append(pieces, spans, text[end : found.start()], length, style)
            end = found.end()
            sgr = SGR.fullmatch(found[0])
            if sgr is not None:
                style = _changed(style, sgr[1])
        _append(pieces, spans, text[end:], length, style)
        self._style = style if self._continues else _PLAIN
        return "".join(pieces), spans


def _has_escapes(item: Output | None) -> bool:
    return isinstance(item, _TEXTS) and "\x1b" in item.text


def _append(pieces: list[str], spans: list[Span], piece: str, length: int, style: Style) -> int:
    """Add a piece of one style; returns the length of all."""
    piece = piece.replace("\x1b", "")  # the beginning of a sequence that has no end
    if not piece:
        return length
    pieces.append(piece)
    if style is not _PLAIN:
        spans.append(Span(length, len(piece), " ".join(filter(None, style))))
    return length + len(piece)


def _changed(style: Style, parameters: str) -> Style:
    """The style after the parameters of an SGR sequence."""
    colors, flags = [*style[:2]], dict.fromkeys(style[2:])
    waiting = [part.split(":") for part in parameters.split(";")]
    while waiting:
        part = waiting.pop(0)
        code = number_in(part[0])
        if code in _EXTENDED:
            color = color_in(part[1:], waiting)
            if color is not None:
                side = _EXTENDED[code]
                colors[side] = _SIDES[side] + _named(color)
        elif code == 0:
            colors, flags = ["", ""], {}
        elif code in _FLAGS:
            flags[_FLAGS[code]] = None
        elif code in _ENDS:
            for flag in _ENDS[code]:
                flags.pop(flag, None)
        elif code in _DEFAULTS:
            colors[_DEFAULTS[code]] = ""
        else:
            _set_named(colors, code)
    if not flags and colors == ["", ""]:
        return _PLAIN
    return (*colors, *flags)


def _set_named(colors: list[str], code: int) -> None:
    """One of the 16 colours that have names."""
    for first, side in _RANGES:
        if first <= code < first + 8:
            colors[side] = _SIDES[side] + _named(code - first + (8 if first >= 90 else 0))


def _named(color: int | Rgb) -> str:
    """A colour by its name, or its red, green and blue."""
    if isinstance(color, int) and color < 16:
        return COLORS[color]
    return "#{:02x}{:02x}{:02x}".format(*(rgb_of(color) if isinstance(color, int) else color))
