"""Lines that are wrapped at a width, by how wide their characters are.

A line is broken at a space, or inside a word that is wider than a line. Control sequences take no
width and are never broken. No line that begins behind a break can be taken for the gateway's own,
even if it gets wider than the others for that. Hot path: a short line of ASCII is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.core.display_width import clusters
from holdfast.gateway.adapters.ansi import SEQUENCE
from holdfast.gateway.adapters.shown import unforged

_WIDTH_MIN: Final = 20
"""Text for narrower terminals is not wrapped."""


def wrap(text: str, width: int) -> str:
    """`text` with no line wider than `width`; as it is for a terminal narrower than 20 columns."""
    if width < _WIDTH_MIN or (len(text) <= width and text.isascii()):
        return text
    return "\n".join(piece for line in text.split("\n") for piece in _unforged(line, width))


def _unforged(line: str, width: int) -> Iterator[str]:
    """The lines that one line becomes; only the first may be the gateway's own."""
    pieces = _pieces(line, width)
    yield next(pieces)
    yield from map(unforged, pieces)


def _pieces(line: str, width: int) -> Iterator[str]:
    """The lines that one line becomes."""
    if len(line) <= width and line.isascii():
        yield line
        return
    piece: list[tuple[str, int]] = []
    used = 0
    after_space = 0
    """Where `piece` may be broken: behind its newest space that is not of its indentation."""
    indented = True
    for part, taken in _parts(line):
        if used + taken > width and taken and part != " ":
            cut = after_space or len(piece)
            yield "".join(each for each, _ in piece[:cut]).rstrip(" ")
            piece = piece[cut:]
            used = sum(each for _, each in piece)
            after_space = 0
        if part != " ":
            indented = indented and not taken
        elif not indented:
            after_space = len(piece) + 1
        piece.append((part, taken))
        used += taken
    yield "".join(each for each, _ in piece)


def _parts(line: str) -> Iterator[tuple[str, int]]:
    """Characters as they are seen and control sequences, each with its width."""
    end = 0
    for found in SEQUENCE.finditer(line):
        yield from clusters(line[end : found.start()])
        yield found[0], 0
        end = found.end()
    yield from clusters(line[end:])
