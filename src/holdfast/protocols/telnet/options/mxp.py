"""MXP, the MUD eXtension Protocol (option 91): elements in the text, as links are in HTML.

A client that has it reads a line in one of several modes. Most of what is sent is text that
nobody has written for MXP, in which `<` is a `<`. So the mode is locked as soon as MXP is in
effect: nothing is read as an element, and nothing in text need be escaped, until a line says of
itself that it is secure. In such a line, and there only, `escape` is for the text.

https://www.zuggsoft.com/zmud/mxp.htm
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import structs

from holdfast.protocols.telnet.codes import MXP
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

LOCK_LOCKED: Final = "\x1b[7z"
"""From here on each line begins in the mode in which nothing is read as an element."""
SECURE_LINE: Final = "\x1b[1z"
"""This line has elements."""
_MODE: Final = re.compile("\x1b(?=\\[[0-?]*[ -/]*z)|\x9b(?=[0-?]*[ -/]*z)")
"""The first character of a change of the mode, in any form of CSI (ECMA-48)."""
_SHOWN: Final = "\u241b"
_ESCAPES: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;"})


class MxpSupported(Option):
    """Either end. Both sides of the option mean the same: some clients offer it themselves."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, mxp=True))

    def disabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, mxp=False))


class MxpLocked(MxpSupported):
    """The server's end: it says that MXP begins, and locks the mode."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        if not host.capabilities.mxp:
            host.send_subnegotiation(MXP, b"")
            host.send_text(LOCK_LOCKED)
        super().enabled(host, side)


def escape(text: str) -> str:
    """Text as it must stand in a secure line."""
    return defused(text).translate(_ESCAPES)


def secure_line(markup: str) -> str:
    """A line with elements. What users have written in it is escaped before."""
    return f"{SECURE_LINE}{defused(markup)}\n"


def defused(text: str) -> str:
    """Text without changes of the mode: other users' must not make elements of it.

    They are shown instead. Left out, one within another could leave a third.
    """
    return text if text.isprintable() else _MODE.sub(_SHOWN, text)
