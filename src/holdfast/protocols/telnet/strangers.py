"""Peers that came to the wrong port: by their first bytes, and the answer they understand."""

from __future__ import annotations

from typing import Final

from holdfast.protocols.telnet.events import Event, Fault

TLS_HANDSHAKE: Final = b"\x16\x03"
"""How a TLS ClientHello begins: record type 22, major version 3 (RFC 8446 section 5.1)."""

_ONE_LINE: Final = b"This port speaks Telnet.\r\n"

ANSWERS: Final = {
    # RFC 4253 section 4.2 lets a server send lines before its version string.
    Fault.HTTP: _ONE_LINE,
    Fault.SSH: _ONE_LINE,
    # An alert: fatal(2), handshake_failure(40) (RFC 8446 section 6).
    Fault.TLS: b"\x15\x03\x01\x00\x02\x02\x28",
}


def recognise(line: Event) -> Fault | None:
    """What a peer speaks whose first line is `line`; `None` for anybody who may stay."""
    if not isinstance(line, str):
        return None
    if line.startswith("SSH-2.0-"):
        return Fault.SSH
    # RFC 9112 section 3: request-line = method SP request-target SP HTTP-version
    words = line.split(" ")
    if len(words) == 3 and words[0].isupper() and words[2].startswith("HTTP/1."):
        return Fault.HTTP
    return None
