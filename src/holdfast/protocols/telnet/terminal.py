"""The capabilities that our own client reports."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from holdfast.protocols.telnet.capabilities import Mtts

DEFAULT_MTTS: Final = Mtts.ANSI | Mtts.VT100 | Mtts.UTF_8 | Mtts.COLOURS_256 | Mtts.TRUECOLOUR


class Terminal(Struct, frozen=True, gc=False):
    """A client's program and its screen."""

    name: str
    version: str
    type: str
    """As terminfo names it."""
    width: int
    height: int
    address: str = ""
    """Where a client behind us comes from (MNES `IPADDRESS`); empty: it is not told."""
    mtts: int = DEFAULT_MTTS
    """The bits of the Mud Terminal Type Standard (`Mtts`)."""
