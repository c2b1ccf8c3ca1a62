"""The head of an HTTP/1.1 request or response (RFC 9112), parsed strictly.

It supports the WebSocket opening handshake only. Ambiguous input is refused, because two
parsers that disagree on the end of a request allow request smuggling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from holdfast.protocols.uris import split_target

END = b"\r\n\r\n"

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(r"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: ([\t -~\x80-\xff]*))?")
# RFC 9112 section 5: no space before the colon, no folding, no control characters. The white
# space around a value is cut off afterwards: two runs that may share it take quadratic time.
_FIELD_LINE = re.compile(rf"({_TOKEN}):([\t -~\x80-\xff]*)")


class HeadError(Exception):
    """A head that cannot be read. `status` is the answer it deserves."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Headers(Struct, frozen=True):
    """Header fields in their order. Names are lower case; values are Latin-1 text."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of `name` (lower case), or `None`."""
        for field, value in self.fields:
            if field == name:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """Every value of `name` (lower case), in order."""
        return [value for field, value in self.fields if field == name]

    def tokens(self, name: str) -> list[str]:
        """The elements of a list field (RFC 9110 section 5.6.1), all its lines joined."""
        return [
            element.strip()
            for value in self.get_all(name)
            for element in value.split(",")
            if element.strip()
        ]

    def has_token(self, name: str, token: str) -> bool:
        """Whether the list field `name` contains `token`, in any case."""
        for field, value in self.fields:
            if field == name:
                lower = value.lower()
                if lower == token or token in [part.strip() for part in lower.split(",")]:
                    return True
        return False


class Request(Struct, frozen=True):
    """A request head."""

    method: str
    target: str
    version: tuple[int, int]
    headers: Headers

    @property
    def path(self) -> str:
        """Return the path of the target, which may be a whole URL (RFC 9112 section 3.2.2)."""
        return split_target(self.target)[1].partition("?")[0]

    @property
    def host(self) -> str | None:
        """Whom the request is for: the authority of a whole URL, else the Host header."""
        return split_target(self.target)[0] or self.headers.get("host")


class Response(Struct, frozen=True):
    """A response head."""

    status: int
    reason: str
    headers: Headers


def parse_request(head: bytes, *, header_count_max: int) -> Request:
    """Read a request head, which ends before its empty line. Raises `HeadError`."""
    line, fields = _split(head, header_count_max)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HeadError(400, "malformed request line")
    method, target, major, minor = match.groups()
    return Request(method, target, (int(major), int(minor)), fields)


def parse_response(head: bytes, *, header_count_max: int) -> Response:
    """Read a response head, which ends before its empty line. Raises `HeadError`."""
    line, fields = _split(head, header_count_max)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise HeadError(502, "malformed status line")
    return Response(int(match[3]), match[4] or "", fields)


def _split(head: bytes, header_count_max: int) -> tuple[str, Headers]:
    first, *lines = head.decode("latin-1").split("\r\n")
    if len(lines) > header_count_max:
        raise HeadError(431, f"{len(lines)} header fields; at most {header_count_max} are read")
    fields = []
    for line in lines:
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise HeadError(400, "malformed header field")
        name, value = match.groups()
        fields.append((name.lower(), value.strip(" \t")))
    return first, Headers(tuple(fields))


def write_head(first: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A head with its empty line. Raises `ValueError` when a field holds a line end."""
    lines = [first, *[f"{name}: {value}" for name, value in fields], "", ""]
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
        raise ValueError(f"a header field holds a line end: {lines!r}")
    return text.encode("latin-1")
