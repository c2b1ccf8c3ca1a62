"""Peers that use another protocol than Telnet: the fault, and an answer in their protocol."""

from __future__ import annotations

from typing import Final

from holdfast.protocols.sniffing import TLS_ALERT, ForeignProtocol, recognise
from holdfast.protocols.telnet.events import Event, Fault

_ONE_LINE: Final = b"This port speaks Telnet.\r\n"
_FAULTS: Final = {
    ForeignProtocol.HTTP: Fault.HTTP,
    ForeignProtocol.SSH: Fault.SSH,
    ForeignProtocol.TLS: Fault.TLS,
}

ANSWERS: Final = {
    # RFC 4253 section 4.2 lets a server send lines before its version string.
    Fault.HTTP: _ONE_LINE,
    Fault.SSH: _ONE_LINE,
    Fault.TLS: TLS_ALERT,
}


def judge(line: Event) -> Fault | None:
    """The fault of a peer whose first line is `line`; `None` if it may be Telnet."""
    foreign = recognise(line) if isinstance(line, str) else None
    return _FAULTS[foreign] if foreign is not None else None
