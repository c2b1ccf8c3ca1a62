"""Standard input as lines: from a terminal, a pipe or a file, each line of a bounded size."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from typing import IO, Final

from holdfast.core.limits import KIB, MIB

LINE_BYTES_MAX: Final = MIB
"""The length at which a line is not kept. The session decides what can be sent."""
_CHUNK_BYTES: Final = 64 * KIB


class LineSplitter:
    """Bytes in, lines out; of a line that is too long, `None` stands for the whole."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0

    def receive_data(self, data: bytes) -> list[bytes | None]:
        """The lines that `data` ends, without their ends."""
        *ended, rest = data.split(b"\n")
        lines = [self._end(each) for each in ended]
        self._add(rest)
        return lines

    def receive_eof(self) -> list[bytes | None]:
        """The last line, if it has no end."""
        return [self._end(b"")] if self._size else []

    def _end(self, data: bytes) -> bytes | None:
        self._add(data)
        line = b"".join(self._parts) if self._size <= self._bytes_max else None
        self._parts.clear()
        self._size = 0
        return line

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._bytes_max:
            self._parts.clear()
        elif data:
            self._parts.append(data)


async def typed_lines() -> AsyncIterator[bytes | None]:
    """The lines of standard input, as they come; `None` for one above `LINE_BYTES_MAX`."""
    splitter = LineSplitter(LINE_BYTES_MAX)
    async for data in _chunks():
        for line in splitter.receive_data(data):
            yield line
    for line in splitter.receive_eof():
        yield line


async def _chunks() -> AsyncIterator[bytes]:
    source: IO[bytes] = sys.stdin.buffer
    if sys.stdin.isatty():
        # A separate file description: the event loop makes it non-blocking, unlike the screen.
        source = open(os.ttyname(sys.stdin.fileno()), "rb", buffering=0)  # noqa: ASYNC230, SIM115
    elif not _may_wait(os.fstat(sys.stdin.fileno()).st_mode):
        while data := source.read(_CHUNK_BYTES):
            yield data
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    while data := await reader.read(_CHUNK_BYTES):
        yield data


def _may_wait(mode: int) -> bool:
    """Whether reading may have to wait, as from a pipe and not from a file."""
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
