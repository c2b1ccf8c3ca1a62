"""Receiving messages, byte for byte as much as the script asks for."""

from __future__ import annotations

import re

from holdfast.vtc.http.connection import MESSAGE_BYTES_MAX, HttpConnection, NonFatalError
from holdfast.vtc.http.head import (
    Head,
    HttpHeadError,
    count_fields,
    find_end,
    find_field,
    split_head,
)
from holdfast.vtc.language.expect import UNDEFINED
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.scope import Scope

RECEIVE_BYTES_MAX = 256 * 1024
"""Of one system call."""
CHUNK_LINE_BYTES_MAX = 4096

_CHUNK_LENGTH = re.compile(rb"[ \t\r\n]*\+?(?:0[xX])?([0-9a-fA-F]{1,8})[ \t\r\n]")

HttpScope = Scope[HttpConnection]


async def _more(scope: HttpScope, *, look: bool, count: int = 0) -> bytes:
    """The next bytes, read or only looked at; `b""` at the end of the stream."""
    connection = scope.subject
    sock = connection.open_socket(scope)
    while True:
        try:
            if look:
                return await sock.peek(connection.seconds_max)
            return await sock.recv(count, connection.seconds_max)
        except TimeoutError:
            if connection.fatal:
                waited = f"(fd:{sock.fd} {connection.seconds_max:.3f}s)"
                raise connection.trouble(scope, f"HTTP rx timeout {waited}") from None
        except OSError as error:
            text = f"HTTP rx failed (fd:{sock.fd} read: {error.strerror})"
            raise connection.trouble(scope, text) from None


async def read_exactly(scope: HttpScope, count: int) -> bytes:
    """`count` bytes. Raises `Failure`, or `NonFatalError` where errors are not fatal."""
    connection = scope.subject
    data = bytearray()
    while len(data) < count:
        part = await _more(scope, look=False, count=min(count - len(data), RECEIVE_BYTES_MAX))
        if not part:
            missing = count - len(data)
            raise connection.trouble(
                scope, f"HTTP rx EOF (fd:{connection.fd} read: Success) {missing}"
            )
        data += part
    return bytes(data)


async def receive_head(scope: HttpScope) -> Head:
    """The next head, taken apart; incomplete where errors are not fatal. Raises `Failure`."""
    connection = scope.subject
    connection.body = None
    connection.body_length = UNDEFINED
    connection.raw = data = bytearray()
    complete = False
    try:
        complete = await _read_head(scope, data)
    except NonFatalError:
        pass
    finally:
        scope.log.dump(4, "rxhdr", bytes(data))
        scope.log.line(4, f"rxhdrlen = {len(data)}")
    if not complete and connection.fatal:
        raise connection.trouble(scope, "HTTP header is incomplete")
    connection.body = bytearray()
    return _split(scope, data)


async def _read_head(scope: HttpScope, data: bytearray) -> bool:
    """Read into `data` up to the empty line, and no further. Return whether it came."""
    connection = scope.subject
    while True:
        seen = await _more(scope, look=True)
        if not seen:
            return False
        before = len(data)
        end = find_end(data[max(0, before - 2) :] + seen)
        length = len(seen) if end < 0 else end - min(2, before)
        _check_size(scope, before + length)
        data += connection.open_socket(scope).take(length)
        if end >= 0:
            return True


def _check_size(scope: HttpScope, size: int) -> None:
    if size >= MESSAGE_BYTES_MAX:
        raise scope.failure(f"the message is longer than {MESSAGE_BYTES_MAX} bytes")


def _split(scope: HttpScope, data: bytearray) -> Head:
    try:
        head = split_head(data)
    except HttpHeadError as error:
        raise scope.failure(str(error), None, *scope.subject.notes()) from None
    if not head:
        scope.log.line(4, "No headers")
    for number, entry in enumerate(head):
        shown = f"http[{number:2}] "
        if entry is None:
            scope.log.line(4, shown + "(null)")
        else:
            scope.log.dump(4, shown, entry)
    if count_fields(head, "Content-Length") > 1:
        raise scope.failure("Multiple Content-Length headers.", None, *scope.subject.notes())
    return head


async def receive_body(scope: HttpScope, head: Head, *, to_end: bool, bytes_max: int = 0) -> None:
    """Return the body of `head`, or the next part of it.

    `to_end`: without a length, the body extends to the end of the stream; else there is none.
    `bytes_max` bounds this part; 0 does not. Raises `Failure`.
    """
    connection = scope.subject
    body = _body(connection)
    before = len(body)
    try:
        how = await _receive_body(scope, head, to_end, bytes_max)
    except NonFatalError:
        return
    scope.log.dump(4, how, bytes(body[before:]))
    connection.body_length = str(len(body))


def _body(connection: HttpConnection) -> bytearray:
    if connection.body is None:
        connection.body = bytearray()
    return connection.body


async def _receive_body(scope: HttpScope, head: Head, to_end: bool, bytes_max: int) -> str:
    coding = find_field(head, "transfer-encoding")
    length = find_field(head, "content-length")
    if coding is not None and coding.lower() == "chunked":
        if length is not None:
            raise scope.subject.trouble(scope, "Both C-E: Chunked and C-L")
        await _receive_chunks(scope, bytes_max)
        return "chunked"
    if length is not None:
        await _receive_length(scope, max(0, integer(length)), bytes_max)
        return "c-l"
    if to_end:
        await _receive_rest(scope, bytes_max)
        return "eof"
    return "none"


async def _receive_chunks(scope: HttpScope, bytes_max: int) -> None:
    body = _body(scope.subject)
    before = len(body)
    while await receive_chunk(scope) > 0:
        if bytes_max and len(body) - before >= bytes_max:
            break


async def _receive_length(scope: HttpScope, length: int, bytes_max: int) -> None:
    body = _body(scope.subject)
    wanted = max(0, length - len(body))
    if bytes_max and wanted > bytes_max:
        wanted = bytes_max
    _check_size(scope, len(scope.subject.raw) + len(body) + wanted)
    body += await read_exactly(scope, wanted)


async def _receive_rest(scope: HttpScope, bytes_max: int) -> None:
    body = _body(scope.subject)
    end = len(body) + bytes_max if bytes_max else None
    while end is None or len(body) < end:
        count = RECEIVE_BYTES_MAX if end is None else end - len(body)
        part = await _more(scope, look=False, count=count)
        if not part:
            break
        body += part
        _check_size(scope, len(scope.subject.raw) + len(body))


async def receive_chunk(scope: HttpScope) -> int:
    """One chunk, appended to the body; its length. Raises `Failure` or `NonFatalError`."""
    connection = scope.subject
    line = await _read_line(scope)
    scope.log.dump(4, "len", line)
    match = _CHUNK_LENGTH.match(line)
    if not match:
        raise connection.trouble(scope, f"Chunklen fail ({line.decode(ENCODING).strip()!r})")
    length = int(match[1], 16)
    connection.chunk_length = str(length)
    body = _body(connection)
    if length:
        _check_size(scope, len(connection.raw) + len(body) + length)
        data = await read_exactly(scope, length)
        body += data
        scope.log.dump(4, "chunk", data)
    if not (await read_exactly(scope, 2)).startswith((b"\r\n", b"\n")):
        raise connection.trouble(scope, "Chunklen without CRLF")
    return length


async def _read_line(scope: HttpScope) -> bytes:
    """Read a line with its end, and no further."""
    connection = scope.subject
    line = bytearray()
    while not line.endswith(b"\n"):
        seen = await _more(scope, look=True)
        if not seen:
            raise connection.trouble(scope, f"HTTP rx EOF (fd:{connection.fd} read: Success) 1")
        end = seen.find(b"\n") + 1 or len(seen)
        if len(line) + end > CHUNK_LINE_BYTES_MAX:
            raise scope.failure(f"a chunk's length is longer than {CHUNK_LINE_BYTES_MAX} bytes")
        line += connection.open_socket(scope).take(end)
    return bytes(line)
