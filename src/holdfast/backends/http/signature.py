"""The signature of a request: HMAC-SHA-256 over the time and the body (docs/http-backend.md)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

HEADER: Final = "Holdfast-Signature"
_AGE_SECONDS_MAX: Final = 300.0


def sign(secrets: Sequence[bytes], time: int, body: bytes) -> str:
    """The value of the header: `t=TIME,v1=HEX`, with a `v1` for each secret."""
    return ",".join([f"t={time}", *(f"v1={_hex(secret, time, body)}" for secret in secrets)])


def verify(secrets: Sequence[bytes], header: str, body: bytes, now: float) -> bool:
    """Whether one of these secrets has signed `body`, not long before or after `now`."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()):
        return False
    time = int(times[0][:12])
    shown = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    signed = [_hex(secret, time, body).encode() for secret in secrets]
    good = [hmac.compare_digest(value, one) for one in signed for value in shown]
    return any(good) and abs(now - time) <= _AGE_SECONDS_MAX


def _hex(secret: bytes, time: int, body: bytes) -> str:
    return hmac.new(secret, b"%d." % time + body, hashlib.sha256).hexdigest()
