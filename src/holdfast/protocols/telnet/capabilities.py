"""The capabilities of the peer: a value that is replaced when more is known.

The terms are those of MTTS (https://tintin.mudhalla.net/protocols/mtts/), as the client sent
them: an application tests the bit that it needs.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final

from msgspec import Struct, structs

from holdfast.protocols.telnet.charsets import UTF_8

_MTTS_DIGITS_MAX: Final = 9  # twelve bits are defined


class Mtts(IntFlag):
    """The bits of the Mud Terminal Type Standard."""

    ANSI = 1
    VT100 = 2
    UTF_8 = 4
    COLOURS_256 = 8
    MOUSE_TRACKING = 16
    OSC_COLOUR_PALETTE = 32
    SCREEN_READER = 64
    PROXY = 128
    TRUECOLOUR = 256
    MNES = 512
    MSLP = 1024
    SSL = 2048


class Capabilities(Struct, frozen=True, gc=False):
    """The peer as it described itself. It is not to be trusted."""

    client_name: str = ""
    client_version: str = ""
    terminal_type: str = ""
    mtts: int = 0
    charset: str = ""
    """The character sets that the peer named (`charsets`); empty until it names one."""
    width: int = 0
    """Columns, clamped to a usable range; 0 is unknown."""
    height: int = 0
    raw_width: int = 0
    """Columns as the client reported them."""
    raw_height: int = 0
    gmcp: bool = False
    msdp: bool = False
    eor: bool = False
    mxp: bool = False
    """MUD eXtension Protocol: text may carry elements (`options.mxp`)."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that the peer has told beside those above, by name (RFC 1572)."""

    @property
    def utf8(self) -> bool:
        """Whether the peer reported UTF-8."""
        return self.charset == UTF_8

    def with_mtts(self, text: str) -> Capabilities:
        """Return these with the bits of the decimal `text`; unchanged if it is no number.

        Bits are added: tt++ sets MNES in its variable and not in its terminal types.
        """
        if not (text.isascii() and text.isdigit() and len(text) <= _MTTS_DIGITS_MAX):
            return self
        bits = self.mtts | int(text)
        charset = UTF_8 if not self.charset and bits & Mtts.UTF_8 else self.charset
        return structs.replace(self, mtts=bits, charset=charset)
