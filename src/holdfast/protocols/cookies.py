"""Cookies (RFC 6265) as a server reads and sets them. Pure, and in linear time.

A browser sends the cookies that any page of the host has set, in any form (RFC 6265 section
5.4). Each pair is therefore parsed separately, and a malformed one does not hide others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

HOST_PREFIX: Final = "__Host-"
"""A browser takes a cookie of such a name only from its own host, over TLS, with `Path=/`
(RFC 6265bis section 4.1.3.2): no page of a sibling domain or of plain HTTP can plant one."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def is_cookie_name(name: str) -> bool:
    """Whether `name` is a token (RFC 6265 section 4.1.1)."""
    return _NAME.fullmatch(name) is not None


def read_cookies(headers: Iterable[str], name: str, count_max: int) -> list[str]:
    """The values of the first cookies `name` in the values of Cookie headers, in order.

    A browser sends the one with the longest path first (section 5.4).
    """
    values: list[str] = []
    for header in headers:
        if name not in header:
            continue
        for pair in header.split(";"):
            found, equals, value = pair.partition("=")
            if equals and found.strip(" \t") == name:
                values.append(_unquoted(value.strip(" \t")))
                if len(values) == count_max:
                    return values
    return values


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value
