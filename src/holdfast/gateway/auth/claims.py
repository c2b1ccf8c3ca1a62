"""What the claims of a token prove, whose signature was verified (RFC 7519 section 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast.core.identity import Identity
from holdfast.core.validation import UnsendableError, check_text
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.options import AuthOptions

_EXPIRED: Final = "the token has expired"


def judge_claims(
    claims: Mapping[str, Any],
    options: AuthOptions,
    now: float,
    *,
    name_bytes_max: int,
    properties_bytes_max: int,
) -> Identity:
    """The user of a token. `now` is the wall clock. Raises `CredentialError`."""
    expires = _judge_times(claims, options.leeway_seconds, now)
    if options.issuer and claims.get("iss") != options.issuer:
        raise CredentialError(
            f"iss: expected {options.issuer!r}, found {_shown(claims.get('iss'))}"
        )
    _judge_audience(claims.get("aud"), options.audience)
    user = claims.get(options.user_claim)
    if not isinstance(user, str) or not user:
        raise CredentialError(
            f"{options.user_claim}: expected the name of a user, found {_shown(user)}"
        )
    try:
        check_text(options.user_claim, user, name_bytes_max)
    except (UnsendableError, TypeError) as error:
        raise CredentialError(str(error)) from error
    properties = {name: _text(claims[name]) for name in options.property_claims if name in claims}
    size = sum(len(name) + len(text.encode()) for name, text in properties.items())
    if size > properties_bytes_max:
        raise CredentialError(
            f"expected properties of at most {properties_bytes_max} bytes, found {size}"
        )
    return Identity(user, properties, expires)


def _judge_times(claims: Mapping[str, Any], leeway: float, now: float) -> float:
    """Return when the token expires."""
    expires = _time(claims, "exp")
    if expires is None:
        raise CredentialError("exp: expected the time at which the token expires, found none")
    if now >= expires + leeway:
        raise CredentialError(f"exp: expired {now - expires:.0f} s ago", _EXPIRED)
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > now + leeway:
            raise CredentialError(
                f"{name}: begins in {begins - now:.0f} s", "the token is not valid yet"
            )
    return expires


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_TIME_MAX <= value <= _TIME_MAX:  # not so of a NaN either
        raise CredentialError(f"{name}: expected seconds since the epoch, found {_shown(value)}")
    return float(value)


def _judge_audience(found: Any, expected: str) -> None:
    """RFC 7519 section 4.1.3: a recipient that a token's `aud` does not name must reject it."""
    audiences = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    if expected:
        if expected not in audiences:
            raise CredentialError(f"aud: expected {expected!r}, found {_shown(found)}")
    elif found is not None:
        raise CredentialError(f"aud: expected none, as `audience` is empty; found {_shown(found)}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(value: Any) -> str:
    """A value for the log. Of what is no text only the type: a number may have any length."""
    if value is None:
        return "none"
    return repr(value[:80]) if isinstance(value, str) else f"a value of type {type(value).__name__}"


_TIME_MAX: Final = 1e12
"""Seconds: tens of thousands of years."""
