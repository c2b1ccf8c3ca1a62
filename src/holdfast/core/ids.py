"""Names that are made once: session ids, epochs, secrets and codes."""

from __future__ import annotations

import secrets
import time

_NS_PER_MS = 1_000_000
# Crockford's base32 has no I, L, O or U: nothing to misread on a screen or a phone.
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARS = 12
_OLD_CODE_CHARS = 8
_GROUP_CHARS = 4
_MISREAD = str.maketrans("ILO", "110")


def new_sid() -> str:
    """Return a session id: a UUID of version 7 (RFC 9562 section 5.7), which sorts by time.

    Twelve bits count within the millisecond (section 6.2, method 3), so that ids of one
    millisecond keep their order.
    """
    milliseconds, rest = divmod(time.time_ns(), _NS_PER_MS)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (rest << 12) // _NS_PER_MS << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def pack_sid(sid: str) -> bytes | str:
    """The 16 bytes of a session id; the id itself if it is not written as `new_sid` writes it."""
    digits = sid.replace("-", "")
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return sid
    return packed if unpack_sid(packed) == sid else sid


def unpack_sid(packed: bytes | str) -> str:
    """The session id that `pack_sid` has packed."""
    if isinstance(packed, str):
        return packed
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_epoch() -> str:
    """The name of one output log: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)


def new_instance() -> str:
    """The name of one run of a program: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)


def new_secret() -> str:
    """A value that cannot be guessed: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


def new_resume_code() -> str:
    """Return a new resume code: 60 random bits in base32."""
    drawn = secrets.token_bytes(_CODE_CHARS)  # at once: each call asks the system
    return "".join([_CODE_ALPHABET[byte % len(_CODE_ALPHABET)] for byte in drawn])


def show_resume_code(code: str) -> str:
    """Format a code for users, in groups of four characters."""
    starts = range(0, len(code), _GROUP_CHARS)
    return "-".join(code[start : start + _GROUP_CHARS] for start in starts)


def read_resume_code(typed: str) -> str | None:
    """Normalise typed input to the form of `new_resume_code`; `None` if it is no code.

    Case, spaces and hyphens do not matter. I and L are read as 1, O as 0. A code of 40 bits, as
    earlier versions issued, is accepted with its hyphen.
    """
    code = typed.upper().replace("-", "").replace(" ", "").translate(_MISREAD)
    old = len(code) == _OLD_CODE_CHARS and "-" in typed
    if not (old or len(code) == _CODE_CHARS) or any(char not in _CODE_ALPHABET for char in code):
        return None
    return code
