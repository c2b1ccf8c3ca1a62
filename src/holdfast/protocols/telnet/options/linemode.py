"""LINEMODE (RFC 1184): the minimum for a client that starts it.

The client is told once to edit lines and to trap signals. Its special characters (SLC) are not
answered: answers can loop forever.
"""

from __future__ import annotations

from typing import Final

from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.codes import LINEMODE
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

_FORWARDMASK: Final = 2
_MODE_EDIT_TRAPSIG: Final = b"\x01\x03"
_DO_FORWARDMASK: Final = bytes((codes.DO, _FORWARDMASK))
_WONT_FORWARDMASK: Final = bytes((codes.WONT, _FORWARDMASK))


class LinemodeAnswered(Option):
    """The server's side."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.send_subnegotiation(LINEMODE, _MODE_EDIT_TRAPSIG)

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if payload.startswith(_DO_FORWARDMASK):
            host.send_subnegotiation(LINEMODE, _WONT_FORWARDMASK)
