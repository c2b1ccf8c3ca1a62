"""Lines of a server that has MXP, on their way to clients that have it and to others.

A server can change how all its later lines are read (`ESC [ 6 z`). What a client reads must not
depend on lines that it has not got, and the gateway's own lines are never elements. So a client's
mode stays locked (`mxp.MxpLocked`), and each line of a server that is read otherwise says so
itself, at its beginning: it is *marked*. For a client without MXP, the elements are left out.

https://www.zuggsoft.com/zmud/mxp.htm
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.protocols.telnet.options.mxp import LOCK_LOCKED, defused

_OPEN: Final = 0
_SECURE: Final = 1
_LOCKED: Final = 2
_RESET: Final = 3
_NEXT_SECURE: Final = 4
"""The next element only."""
_LOCKS: Final = {5: _OPEN, 6: _SECURE, 7: _LOCKED}
"""Changes of the mode of this line and of all later ones."""
_TAGS: Final = range(10, 100)
"""Kinds of lines, such as the name of a room, which change no mode."""
_CHANGE: Final = re.compile("\x1b\\[([0-9]{1,2})z")
_ELEMENT: Final = re.compile(r"""<(?:"[^"]*+"|'[^']*+'|[^<>"'])*+>""")
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ENTITY: Final = re.compile("&(?:#([0-9]{1,7})|([a-z]{2,4}));")
_ENTITIES: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'", "nbsp": " "}
# A change as it is said to clients, whose later lines stay locked.
_SAID: Final = {
    **{mode: f"\x1b[{mode}z" for mode in (_OPEN, _SECURE, _LOCKED, _NEXT_SECURE, *_TAGS)},
    **{lock: f"\x1b[{mode}z" for lock, mode in _LOCKS.items()},
    _RESET: f"\x1b[{_RESET}z{LOCK_LOCKED}\x1b[{_OPEN}z",
}


class LineModes:
    """How the lines of one server are read, from each to the next."""

    __slots__ = ("_default", "_mode", "on")

    def __init__(self) -> None:
        self.on = False
        """Whether the server has MXP. The lines of one that has not hold no elements."""
        self._default = _OPEN
        """Of the lines to come."""
        self._mode = _OPEN
        """Of the line that has begun."""

    def switch(self, on: bool) -> None:
        """The server has MXP from now on, or no more."""
        self.on = on
        self._default = self._mode = _OPEN

    def line(self, text: str, before: str = "") -> str:
        """A line, marked if it is read for elements. `before` is what was sent of it before, as a
        prompt."""
        if before:
            self._read(before)
        marked = self._read(text)
        self._mode = self._default
        return marked

    def prompt(self, text: str, *, ended: bool) -> str:
        """A line without an end, marked up to its last character. Unless it has `ended`, more of
        it may come."""
        kept = self._mode, self._default
        marked = self.line(text)
        if not ended:
            self._mode, self._default = kept
        return marked + LOCK_LOCKED if is_marked(marked) else marked

    def _read(self, text: str) -> str:
        """The text as clients get it; follows the changes in it."""
        if not self.on:
            return defused(text)
        begins = self._mode
        first, *rest = _CHANGE.split(text)
        parts = [defused(first)]
        for number, piece in zip(rest[::2], rest[1::2], strict=True):
            parts += self._change(int(number)), defused(piece)
        said = "".join(parts)
        if rest or (begins != _LOCKED and ("<" in said or "&" in said)):
            return f"\x1b[{begins}z{said}"
        return said

    def _change(self, number: int) -> str:
        """The change that a client gets for one of the server."""
        if number in _LOCKS:
            self._mode = self._default = _LOCKS[number]
        elif number in (_OPEN, _SECURE, _LOCKED):
            self._mode = number
        elif number == _RESET:
            self._mode = _OPEN
        return _SAID.get(number, "")


def is_marked(text: str) -> bool:
    """Whether a line of `LineModes` says how it is read."""
    return text.startswith("\x1b[") and text[3:4] == "z"


def without_elements(text: str) -> str | None:
    """A marked line as a client without MXP is shown it; `None` if there is nothing but elements.

    A text that is not marked is itself.
    """
    if not is_marked(text):
        return text
    mode = _LOCKED
    shown = []
    first, *rest = _CHANGE.split(text)
    for number, piece in zip(map(int, rest[::2]), rest[1::2], strict=True):
        if number in (_OPEN, _SECURE, _LOCKED):
            mode = number
        elif number in (_RESET, 7):
            mode = _OPEN if number == _RESET else _LOCKED
        if number == _NEXT_SECURE and mode == _LOCKED:
            shown.append(_ELEMENT.sub(_in_text, piece, 1) if piece[:1] == "<" else piece)
        else:
            shown.append(piece if mode == _LOCKED else _plain(piece))
    return first + "".join(shown) or None


def _plain(markup: str) -> str:
    """Markup without its elements, and with the characters that its entities stand for."""
    return _ENTITY.sub(_character, _ELEMENT.sub(_in_text, markup))


def _in_text(element: re.Match[str]) -> str:
    return "\n" if _BREAK.fullmatch(element[0]) else ""


def _character(entity: re.Match[str]) -> str:
    """The character of an entity; the entity itself if it is another, or stands for a control."""
    number, name = entity.groups()
    if name:
        return _ENTITIES.get(name, entity[0])
    code = int(number)
    character = chr(code) if code < 0x110000 else ""
    return character if character and character.isprintable() else entity[0]
