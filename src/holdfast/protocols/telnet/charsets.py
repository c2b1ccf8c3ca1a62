"""Character sets: their names, and which one is spoken with a peer.

A name that a peer sends is only looked up in tables made at import: Python's
own look-up imports modules and remembers every unknown name for ever.
"""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from functools import cache
from typing import Final

from msgspec import Struct

UTF_8: Final = "UTF-8"
LATIN_1: Final = "ISO-8859-1"
US_ASCII: Final = "US-ASCII"
AUTO: Final = "auto"

_STATEFUL: Final = ("iso2022", "idna", "raw_unicode_escape", "charmap")
"""Encodings that encode ASCII as itself and are no character sets of lines."""
_NVT: Final = bytes(range(0x20, 0x7F)) + b"\r\n\t\x1b"


class Charsets(Struct, frozen=True):
    """Which character set is spoken on a connection. Both names are of `supported_charset`."""

    fixed: str = ""
    """The character set to use in any case; empty to let the peer decide."""
    fallback: str = UTF_8
    """The one that is used while nothing is known of the peer."""

    @property
    def legacy(self) -> str:
        """The character set of received text that is not UTF-8, while the peer's is unknown."""
        return LATIN_1 if self.fallback == UTF_8 else self.fallback


AUTOMATIC: Final = Charsets()


def supported_charset(name: str) -> str | None:
    """The character set that an operator calls `name`, by the name that is used for it here.

    `None` if Python does not know it, or if its lines cannot be found in it: the bytes of ASCII
    must mean ASCII (RFC 854), which leaves out UTF-16 and EBCDIC.
    """
    try:
        return _supported(codecs.lookup(name).name)
    except (LookupError, ValueError):  # a name with a NUL in it
        return None


def known_charset(name: str) -> str | None:
    """The same for a name that a peer sent."""
    python = _NAMES.get(_normal(name))
    return _supported(python) if python is not None else None


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_").replace(".", "_").replace(":", "_")


_NAMES: Final = aliases | {python: python for python in aliases.values()} | {"koi8_u": "koi8_u"}


@cache  # of Python's own names only
def _supported(python: str) -> str | None:
    try:
        info = codecs.lookup(python)
    except LookupError:  # of another platform
        return None
    if _normal(info.name).startswith(_STATEFUL) or not _carries_ascii(info):
        return None
    if info.name == "ascii":
        return US_ASCII
    return info.name.upper().replace("_", "-").replace("ISO8859", "ISO-8859")


def _carries_ascii(info: codecs.CodecInfo) -> bool:
    text = _NVT.decode("ascii")
    try:
        return info.encode(text) == (_NVT, len(text)) and info.decode(_NVT)[0] == text
    except Exception:  # a codec from bytes to bytes, or one that has no decoder
        return False
