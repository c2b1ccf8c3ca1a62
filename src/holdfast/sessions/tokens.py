"""Tokens and codes: the right to resume a session.

A token is `base64url(sid ‖ 32 random bytes)`; only the SHA-256 of the random part is kept. Each
attach issues a new one. The previous one stays valid until the client has acknowledged
something under the new one, because the answer with it may have been lost; an older one is
evidence of theft. A resume code is replaced in the same way (`Claims.confirm`), but an
older one is only unknown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from enum import Enum, auto
from typing import Final
from uuid import UUID

from msgspec import Struct

_SID_BYTES: Final = 16
_SECRET_BYTES: Final = 32
_RETIRED_MAX: Final = 8
_NOTHING: Final = bytes(32)


class TokenStatus(Enum):
    """The status of a presented credential."""

    VALID = auto()
    RETIRED = auto()
    """It was replaced and its successor used: its holder is not to be trusted."""
    UNKNOWN = auto()


class Tokens(Struct):
    """The hashes of one session's tokens."""

    current: bytes = _NOTHING
    previous: bytes = _NOTHING
    retired: tuple[bytes, ...] = ()

    def issue(self, sid: str, presented: bytes | None = None) -> str:
        """Issue a token, for a new session or for the holder of the secret `presented`.

        The presented one stays valid beside it; any other is retired.
        """
        kept = _NOTHING if presented is None else hash_secret(presented)
        for old in (self.current, self.previous):
            if old not in (_NOTHING, kept):
                self._retire(old)
        secret = new_secret()
        self.previous = kept
        self.current = hash_secret(secret)
        return join_token(sid, secret)

    def renew(self, sid: str) -> str:
        """Issue a new token for the holder of the current one, which stays valid.

        Others become unknown, and none counts as stolen: an earlier holder must neither get the
        session nor be able to end it.
        """
        current, self.retired = self.current, ()
        token = self.issue(sid)
        self.previous, self.retired = current, ()
        return token

    def keep_newest(self) -> None:
        """Make all tokens but the present one unknown: none of them counts as stolen."""
        self.previous, self.retired = _NOTHING, ()

    def confirm(self) -> None:
        """Retire the previous token: the client has used the present one."""
        if self.previous != _NOTHING:
            self._retire(self.previous)
            self.previous = _NOTHING

    def forget(self) -> None:
        """Make all tokens unknown: none is valid, and none counts as stolen."""
        self.current = self.previous = _NOTHING
        self.retired = ()

    def judge(self, secret: bytes) -> TokenStatus:
        """The status of `secret`. Takes the same time for a wrong one as for a right one."""
        digest = hash_secret(secret)
        valid = _equal(digest, self.current) | _equal(digest, self.previous)
        retired = False
        for old in self.retired:
            retired |= _equal(digest, old)
        if valid:
            return TokenStatus.VALID
        return TokenStatus.RETIRED if retired else TokenStatus.UNKNOWN

    def _retire(self, old: bytes) -> None:
        self.retired = (*self.retired, old)[-_RETIRED_MAX:]


UNKNOWN_SESSION: Final = Tokens()
"""Judges the tokens of sessions that do not exist, in the time that a real one takes."""


def hash_secret(secret: bytes) -> bytes:
    """Return the stored form of a secret. It is random and long, so no salt or stretching is
    needed."""
    return hashlib.sha256(secret).digest()


def hash_code(code: str) -> bytes:
    """Return the stored form of a resume code."""
    return hash_secret(b"resume code " + code.encode())


def new_secret() -> bytes:
    """The random part of a token."""
    return secrets.token_bytes(_SECRET_BYTES)


def join_token(sid: str, secret: bytes) -> str:
    """The token of a session's id and a secret."""
    return base64.urlsafe_b64encode(UUID(sid).bytes + secret).decode()


def split_token(token: str) -> tuple[str, bytes] | None:
    """The session id and the secret in a token, or `None` if it is not one."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _SID_BYTES + _SECRET_BYTES:
        return None
    return str(UUID(bytes=raw[:_SID_BYTES])), raw[_SID_BYTES:]


def _equal(digest: bytes, kept: bytes) -> bool:
    return hmac.compare_digest(digest, kept) and kept != _NOTHING
