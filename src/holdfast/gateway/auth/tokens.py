"""JSON Web Tokens as they come: their form, and their signature (RFC 7515, RFC 8725).

The header of a token is unverified input of the client. Only `alg` and `kid` are read: nothing in
it names where keys are (`jku`, `x5u`) or brings one along (`jwk`, `x5c`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import msgspec
from jwt import PyJWS
from jwt.exceptions import PyJWTError
from msgspec import UNSET, Raw, Struct, UnsetType

from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.keys import Key

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_KID_CHARS_MAX: Final = 256
_TRIED_MAX: Final = 8
"""Keys that are tried for a token which does not name one."""
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class TokenHeader(Struct, frozen=True):
    """The fields of a token's header that are read."""

    alg: str
    kid: str = ""
    crit: Raw | UnsetType = UNSET
    """Extensions that must be understood; none is here (RFC 7515 section 4.1.11)."""


def read_header(token: str, bytes_max: int, algorithms: Iterable[str]) -> TokenHeader:
    """The header of a token whose signature is not verified yet. Raises `CredentialError`."""
    if len(token) > bytes_max:
        raise CredentialError(f"expected a token of at most {bytes_max} bytes, found {len(token)}")
    if _FORM.fullmatch(token) is None:
        raise CredentialError("expected a signed JSON Web Token, found something else")
    try:
        header = msgspec.json.decode(_decode(token.partition(".")[0]), type=TokenHeader)
    except _UNREADABLE as error:
        raise CredentialError(f"the token's header: {error}") from error
    if header.crit is not UNSET:
        raise CredentialError("crit: expected no extensions in the token's header")
    if header.alg not in algorithms:
        raise CredentialError(f"alg: expected one of `algorithms`, found {header.alg[:20]!r}")
    if len(header.kid) > _KID_CHARS_MAX:
        raise CredentialError(
            f"kid: expected at most {_KID_CHARS_MAX} characters, found {len(header.kid)}"
        )
    return header


def verify(token: str, algorithm: str, keys: Iterable[Key]) -> dict[str, Any]:
    """The claims of a token that one of these keys has signed. Raises `CredentialError`."""
    verifier = PyJWS(algorithms=[algorithm])
    for key in islice(keys, _TRIED_MAX):
        try:
            payload = verifier.decode(token, key.material, algorithms=[algorithm])
        except (PyJWTError, ValueError, TypeError):
            continue
        return _claims(payload)
    raise CredentialError("the signature is of none of the keys")


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except _UNREADABLE as error:
        raise CredentialError(f"the token's claims: {error}") from error


def _decode(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise CredentialError(f"expected base64url: {error}") from error
