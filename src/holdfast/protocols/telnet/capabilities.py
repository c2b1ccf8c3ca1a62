"""What is known of the peer: a value, replaced whenever more is learned.

The terms of MTTS (https://tintin.mudhalla.net/protocols/mtts/) are kept as the
client sent them: an application asks for the bit that it needs.
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
    """The peer as it has described itself so far. Nothing in it may be trusted."""

    client_name: str = ""
    client_version: str = ""
    terminal_type: str = ""
    mtts: int = 0
    charset: str = ""
    """What the peer has said that it speaks (`charsets`); empty while it has said nothing."""
    width: int = 0
    """Columns, held to what an application can use; 0 is unknown."""
    height: int = 0
    raw_width: int = 0
    """Columns as the client said them."""
    raw_height: int = 0
    gmcp: bool = False
    eor: bool = False

    @property
    def utf8(self) -> bool:
        """Whether the peer has said that it reads UTF-8."""
        return self.charset == UTF_8

    def with_mtts(self, text: str) -> Capabilities:
        """These, with the bits of the decimal `text`; as they are when it is no such number.

        Bits are added: tt++ sets MNES in its variable and not in its terminal types.
        """
        if not (text.isascii() and text.isdigit() and len(text) <= _MTTS_DIGITS_MAX):
            return self
        bits = self.mtts | int(text)
        charset = UTF_8 if not self.charset and bits & Mtts.UTF_8 else self.charset
        return structs.replace(self, mtts=bits, charset=charset)
