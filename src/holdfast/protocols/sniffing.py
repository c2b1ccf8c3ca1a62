"""Detects the protocol of peers that are at the wrong port, by their first bytes."""

from __future__ import annotations

from enum import Enum
from typing import Final

TLS_HANDSHAKE: Final = b"\x16\x03"
"""How a TLS ClientHello begins: record type 22, major version 3 (RFC 8446 section 5.1)."""
TLS_ALERT: Final = b"\x15\x03\x01\x00\x02\x02\x28"
"""The answer that such a peer understands: fatal(2), handshake_failure(40) (section 6)."""


class ForeignProtocol(Enum):
    """A protocol that a line or Telnet port does not serve."""

    HTTP = "HTTP"
    SSH = "SSH"
    TLS = "TLS"


def recognise(line: str) -> ForeignProtocol | None:
    """The protocol of a peer whose first line is `line`; `None` if it may be text."""
    if line.startswith("SSH-2.0-"):
        return ForeignProtocol.SSH
    # RFC 9112 section 3: request-line = method SP request-target SP HTTP-version
    words = line.split(" ", 3)
    if len(words) == 3 and words[0].isupper() and words[2].startswith("HTTP/1."):
        return ForeignProtocol.HTTP
    return None
