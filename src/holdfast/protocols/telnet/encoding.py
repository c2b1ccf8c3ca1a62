"""Sent text: the printer of the Network Virtual Terminal (RFC 854).

Text becomes bytes in this order: line ends, character set, doubling of IAC. Negotiations are
not encoded here: a payload may contain the byte LF.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import Final

from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charsets import UTF_8

_TRANSLITERATE: Final = "holdfast.transliterate"

# Common characters that Unicode does not decompose.
_TRANSLITERATIONS: Final = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2022": "*",
    "\u00d7": "x", "\u00df": "ss", "\u00e6": "ae", "\u00c6": "AE", "\u0153": "oe", "\u0152": "OE",
    "\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D",
    "\u20ac": "EUR",
}  # fmt: skip


def encode(text: str, charset: str, *, binary: bool = False) -> bytes:
    """`text` as the peer must be sent it: line ends, character set, IAC doubled, in this order.

    What `charset` has not is transliterated. In BINARY a bare CR needs no NUL (RFC 856).
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if not binary:
            text = text.replace("\r", "\r\0")
    text = text.replace("\n", "\r\n")
    if charset == UTF_8 or text.isascii():
        return text.encode("utf-8", "replace")  # the byte IAC cannot occur
    return codes.escape(text.encode(charset, _TRANSLITERATE))


def _transliterate(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    unencodable = error.object[error.start : error.end]
    return "".join(map(_in_ascii, unencodable)), error.end


def _in_ascii(character: str) -> str:
    if character in _TRANSLITERATIONS:
        return _TRANSLITERATIONS[character]
    if unicodedata.combining(character):
        return ""
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(filter(str.isascii, decomposed)) or "?"


codecs.register_error(_TRANSLITERATE, _transliterate)
