"""Peers that came to the wrong port: as faults, with the answer they understand."""

from __future__ import annotations

from typing import Final

from holdfast.protocols.strangers import TLS_ALERT, Stranger, recognise
from holdfast.protocols.telnet.events import Event, Fault

_ONE_LINE: Final = b"This port speaks Telnet.\r\n"
_FAULTS: Final = {Stranger.HTTP: Fault.HTTP, Stranger.SSH: Fault.SSH, Stranger.TLS: Fault.TLS}

ANSWERS: Final = {
    # RFC 4253 section 4.2 lets a server send lines before its version string.
    Fault.HTTP: _ONE_LINE,
    Fault.SSH: _ONE_LINE,
    Fault.TLS: TLS_ALERT,
}


def judge(line: Event) -> Fault | None:
    """What is wrong with a peer whose first line is `line`; `None` for anybody who may stay."""
    stranger = recognise(line) if isinstance(line, str) else None
    return _FAULTS[stranger] if stranger is not None else None
