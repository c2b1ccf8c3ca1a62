"""URIs, as far as addresses, request targets and origins need them (RFC 3986, 3987, 6454). Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
    "telnet": 23,
    "telnets": 992,
}

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
_TARGET_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"
_TRIPLET: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE: Final = re.compile(r"(?:https?|wss?)://([^/?]*)(.*)", re.IGNORECASE)


class Origin(NamedTuple):
    """Where a page comes from (RFC 6454 section 4). Equal origins compare as equal."""

    scheme: str
    host: str
    port: int
    """0 if the scheme has no default port and none was written."""


def without_user(uri: str) -> str:
    """A URI for a message: without its user, its password, its query and its fragment.

    It need not be valid: a password in which `/`, `?` or `#` stand as they are is left out, too.
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    rest = rest.rpartition("@")[2]
    return f"{scheme}://{rest.partition('?')[0].partition('#')[0]}"


def encode_target(text: str) -> str:
    """Return the path and query of an IRI as those of a URI (RFC 3987 section 3.1).

    Characters that a URI cannot contain become percent-encoded UTF-8. Raises `ValueError` for
    invalid text.
    """
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_TARGET_SAFE)


def normal_path(path: str) -> str:
    """A path in the form in which equal paths are the same text (RFC 3986 section 6.2.2)."""
    return _TRIPLET.sub(_normal_triplet, path)


def _normal_triplet(match: re.Match[str]) -> str:
    byte = int(match[1], 16)
    return chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"


def split_target(target: str) -> tuple[str | None, str]:
    """The authority and the rest of a request target (RFC 9112 section 3.2).

    The authority is `None` in origin-form, where the Host header has it.
    """
    match = None if target.startswith("/") else _ABSOLUTE.fullmatch(target)
    if match is None:
        return None, target
    rest = match[2]
    return match[1], rest if rest.startswith("/") else f"/{rest}"


def split_authority(authority: str) -> tuple[str, int | None] | None:
    """Return the normalised host and the port of `host:port`; `None` if it is malformed.

    The host of an IPv6 address has no brackets. A final dot stays.
    """
    host, colon, digits = authority.rpartition(":")
    if not colon or digits.endswith("]"):
        host, digits = authority, ""
    if digits and not (digits.isascii() and digits.isdecimal() and len(digits) <= 5):
        return None
    if host.startswith("["):
        if not host.endswith("]"):
            return None
        host = host[1:-1]
    elif ":" in host:
        return None
    try:
        found = ascii_host(host)
    except ValueError:
        return None
    return (found, int(digits) if digits else None) if found else None


def bracketed(host: str) -> str:
    """A host as an authority has it: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def ascii_host(host: str) -> str:
    """A host's name in lower case and A-labels (RFC 5890). Raises `ValueError` for none."""
    host = host.lower()
    return host if host.isascii() else host.encode("idna").decode()


def parse_origin(text: str) -> Origin | None:
    """Return an origin as a browser writes it, `None` for an invalid one (`null`, say)."""
    scheme, mark, authority = text.partition("://")
    scheme = scheme.lower()
    split = split_authority(authority) if mark and scheme else None
    if split is None or any(sign in authority for sign in "/?#@"):
        return None
    host, port = split
    return Origin(scheme, host, DEFAULT_PORTS.get(scheme, 0) if port is None else port)
