"""Numbers as the C library and Varnish read them."""

from __future__ import annotations

import re

_SIGNED = re.compile(r"[ \t\n\v\f\r]*([-+]?)(0[xX][0-9a-fA-F]+|[0-9]+)")
_DECIMAL = re.compile(r"[ \t]*(-?)([0-9]{0,15})[ \t]*(?:\.([0-9]*))?[ \t]*\Z")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+\Z|[0-9]+\Z")
_WORD = 1 << 64


def _digits(text: str) -> int:
    """`strtoul` with base 0: a leading `0x` or `0` chooses the base, the rest is ignored."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text[0] == "0":
        octal = re.match("[0-7]+", text)
        return int(octal[0] if octal else "0", 8)
    return int(text)


def unsigned(text: str) -> int:
    """`strtoul(text, NULL, 0)`: text without a leading number is 0, a negative number wraps."""
    match = _SIGNED.match(text)
    if not match:
        return 0
    value = _digits(match[2])
    return (-value if match[1] == "-" else value) % _WORD


def integer(text: str) -> int:
    """`atoi(text)`: decimal; text without a leading number is 0."""
    match = re.match(r"[ \t\n\v\f\r]*([-+]?[0-9]+)", text)
    return int(match[1]) if match else 0


def whole(text: str) -> int | None:
    """An unsigned number that is the whole text, in C notation; `None` for anything else."""
    return _digits(text) if _HEX.match(text) else None


def decimal(text: str) -> float | None:
    """A number with an optional fraction, as Varnish reads it; `None` for anything else."""
    match = _DECIMAL.match(text)
    if not match or not (match[2] or match[3]):
        return None
    value = int(match[2] or "0") + (int(match[3][:3]) / 10 ** len(match[3][:3]) if match[3] else 0)
    return -value if match[1] else float(value)


def unhex(text: str) -> bytes | None:
    """Bytes from hexadecimal digits; white space is ignored, a last single digit is the high one.

    `None` if there is anything else in the text.
    """
    digits = re.sub(r"[ \t\n]", "", text)
    if not re.fullmatch("[0-9a-fA-F]*", digits):
        return None
    return bytes.fromhex(digits + "0" * (len(digits) % 2))
