"""Text of others for this terminal: its colours are kept, all other controls are shown.

An escape sequence could move the cursor, set the clipboard or rename the window, so none but
those of colours and styles (ECMA-48, SGR) is sent to the terminal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast.core.items import Span
from holdfast.gateway.adapters.ansi import SGR, TRUE_COLORS, fit
from holdfast.gateway.adapters.shown import visible
from holdfast.gateway.adapters.styles import paint
from holdfast.gateway.adapters.terminal_colors import colors_of
from holdfast.protocols.telnet import Capabilities

RESET: Final = "\x1b[0m"
_RESETS: Final = ("", "0", "00")
_STYLES_MAX: Final = 16
"""Sequences that are in effect at a time; older ones are forgotten."""


def colors_here(environment: Mapping[str, str] = os.environ) -> int:
    """How many colours the terminal has: 0, 8, 256 or 16,777,216."""
    if environment.get("NO_COLOR"):
        return 0
    if environment.get("COLORTERM", "") in ("truecolor", "24bit"):
        return TRUE_COLORS
    return colors_of(Capabilities(terminal_type=environment.get("TERM", "")))


def painted(text: str, spans: tuple[Any, ...]) -> str:
    """`text` with its spans as sequences; without them if they are no spans."""
    try:
        return paint(text, msgspec.convert(spans, tuple[Span, ...]), TRUE_COLORS)
    except msgspec.ValidationError:
        return text


class Printable:
    """Makes text safe to print; a style applies until it ends, also in the next text."""

    def __init__(self, colors: int) -> None:
        self._colors = colors
        self._styles: list[str] = []

    def text(self, text: str) -> str:
        """`text` with the styles that are in effect, which end with it."""
        shown = self.once(text)
        before = "".join(self._styles)
        for found in SGR.finditer(shown):
            first, _, rest = found[1].partition(";")
            if first in _RESETS:
                self._styles.clear()
            if first not in _RESETS or rest:
                self._styles = [*self._styles[1 - _STYLES_MAX :], found[0]]
        return f"{before}{shown}{RESET}" if before or "\x1b" in shown else shown

    def once(self, text: str) -> str:
        """`text` by itself."""
        if text.isprintable():
            return text
        pieces = []
        end = 0
        for found in SGR.finditer(text):
            pieces += [visible(text[end : found.start()]), fit(found[0], self._colors)]
            end = found.end()
        return "".join([*pieces, visible(text[end:])])
