"""Finds the requests of one HTTP/1.1 connection (RFC 9112 sections 2 and 6).

A proxy uses it to check each head: a later request may ask for an upgrade (RFC 9110 section
7.8). Ambiguous input is refused, because two parsers that disagree on the end of a request
allow request smuggling. It takes linear time.
"""

from __future__ import annotations

from typing import Final

from holdfast.protocols.frames import FrameError, chunk_size
from holdfast.protocols.websocket.head import END, HeadError, Request, parse_request

_CHUNK_LINE_BYTES_MAX: Final = 256
_TRAILER_BYTES_MAX: Final = 8 * 1024
_LENGTH_DIGITS_MAX: Final = 18
_CRLF: Final = b"\r\n"
_CHUNKED: Final = -1
"""In place of the size of a body that comes in chunks."""
HEADS_MAX: Final = 4
"""Heads that are remembered: the requests of a program may differ in the sizes of their bodies."""


class RequestReader:
    """Splits the bytes of a client into heads and bodies.

    Take the body before the next head. Raises `HeadError` for a malformed head or body.
    """

    __slots__ = ("_body", "_data", "_head_bytes_max", "_header_count_max", "_heads", "_searched")

    def __init__(self, *, head_bytes_max: int, header_count_max: int) -> None:
        self._head_bytes_max = head_bytes_max
        self._header_count_max = header_count_max
        self._data = bytearray()
        self._searched = 0
        self._body: _Sized | _Chunked | None = None
        self._heads: dict[bytes, tuple[Request, int]] = {}
        """Heads that came before, and the sizes of their bodies: programs often send the same heads
        again, which are not parsed anew."""

    def receive_data(self, data: bytes) -> None:
        """Bytes have come."""
        self._data += data

    @property
    def in_body(self) -> bool:
        """Whether the body of the request has not come to its end."""
        return self._body is not None

    @property
    def waiting(self) -> bool:
        """Whether bytes have come that were not taken."""
        return bool(self._data)

    def take_body(self) -> bytes:
        """Return the received part of the current body. Raises `HeadError`."""
        body = self._body
        if body is None or not self._data:
            return b""
        found = self._take(body.find(self._data))
        if body.over:
            self._body = None
        return found

    def take_head(self) -> tuple[Request, bytes] | None:
        """The next request and the bytes of its head; `None` until it has come. Raises `HeadError`.

        Empty lines before it are left out (RFC 9112 section 2.2).
        """
        assert self._body is None, "the body comes first"
        data = self._data
        while not self._searched and data.startswith(_CRLF):
            del data[: len(_CRLF)]
        end = data.find(END, self._searched)
        if max(end, len(data) if end < 0 else 0) > self._head_bytes_max:
            raise HeadError(431, f"a head of more than {self._head_bytes_max} bytes")
        if end < 0:
            self._searched = max(0, len(data) - len(END))
            return None
        head = self._take(end + len(END))
        found = self._heads.get(head)
        if found is None:
            request = self._parse(head)
            found = request, _body_size(request)
            if len(self._heads) == HEADS_MAX:
                self._heads.clear()
            self._heads[head] = found
        request, size = found
        self._body = _Sized(size) if size > 0 else _Chunked() if size else None
        self._searched = 0
        return request, head

    def find_whole(self, data: bytes) -> tuple[Request, bytes] | None:
        """The request and the body that `data` is, if its head has come before, and nothing waits.

        Otherwise `data` is for `receive_data`.
        """
        end = data.find(END) + len(END)
        found = self._heads.get(data[:end])
        if found is None or found[1] != len(data) - end or self._data or self._body is not None:
            return None
        return found[0], data[end:]

    def _parse(self, head: bytes) -> Request:
        text = head.removesuffix(END)
        request = parse_request(text, header_count_max=self._header_count_max)
        if request.version[0] != 1:
            raise HeadError(505, f"expected HTTP/1.1, found HTTP/{request.version[0]}")
        return request

    def rest(self) -> bytes:
        """All that was not taken."""
        return self._take(len(self._data))

    def _take(self, count: int) -> bytes:
        found = bytes(self._data[:count])
        del self._data[:count]
        return found


class _Sized:
    """A body of so many bytes."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def over(self) -> bool:
        return not self._left

    def find(self, data: bytearray) -> int:
        """How many of these bytes are its."""
        size = min(len(data), self._left)
        self._left -= size
        return size


class _Chunked:
    """A body in chunks (RFC 9112 section 7.1)."""

    __slots__ = ("_left", "_trailer_bytes", "over")

    def __init__(self) -> None:
        self.over = False
        self._left = 0
        self._trailer_bytes = -1
        """Bytes of the trailer section; -1 before it."""

    def find(self, data: bytearray) -> int:
        at = 0
        while at < len(data) and not self.over:
            if self._left:
                size = min(self._left, len(data) - at)
                self._left -= size
                at += size
                continue
            end = data.find(_CRLF, at, at + _CHUNK_LINE_BYTES_MAX)
            if end < 0:
                if len(data) - at >= _CHUNK_LINE_BYTES_MAX:
                    raise HeadError(400, "a line of more than 256 bytes between chunks")
                break
            self._take_line(bytes(data[at:end]))
            at = end + len(_CRLF)
        return at

    def _take_line(self, line: bytes) -> None:
        if self._trailer_bytes < 0:
            try:
                size = chunk_size(line)
            except FrameError as error:
                raise HeadError(400, str(error)) from error
            if size:
                self._left = size + len(_CRLF)
            else:
                self._trailer_bytes = 0
        elif line:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > _TRAILER_BYTES_MAX:
                raise HeadError(431, f"trailers of more than {_TRAILER_BYTES_MAX} bytes")
        else:
            self.over = True


def _body_size(request: Request) -> int:
    """The size of a request's body, or `_CHUNKED` (RFC 9112 section 6.3)."""
    lengths = request.headers.get_all("content-length")
    codings = request.headers.tokens("transfer-encoding")
    if codings:
        if lengths:
            raise HeadError(400, "both Transfer-Encoding and Content-Length")
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise HeadError(501, f"expected the transfer coding chunked, found {codings}")
        return _CHUNKED
    if not lengths:
        return 0
    (length, *others) = lengths
    if others or not (length.isascii() and length.isdigit()) or len(length) > _LENGTH_DIGITS_MAX:
        raise HeadError(400, f"expected one Content-Length, found {lengths}")
    return int(length)
