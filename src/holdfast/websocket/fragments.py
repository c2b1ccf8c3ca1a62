"""A message in parts, as the fragments of one message (RFC 6455 section 5.4)."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from msgspec import Struct

Data = str | bytes | bytearray | memoryview


class Fragment(Struct, frozen=True):
    """One frame of a message in several."""

    data: bytes
    text: bool
    first: bool
    final: bool


async def fragments(parts: Iterable[Data] | AsyncIterable[Data]) -> AsyncIterator[Fragment]:
    """Each part a fragment, and an empty one to end with; nothing for no parts.

    Raises `TypeError` for parts that are no data, or not all of one kind.
    """
    text: bool | None = None
    async for part in _each(parts):
        if text is not None and isinstance(part, str) is not text:
            raise TypeError("a message is either text or binary, in all its parts")
        first, text = text is None, isinstance(part, str)
        yield Fragment(to_bytes(part), text, first, final=False)
    if text is not None:
        yield Fragment(b"", text, first=False, final=True)


async def _each(parts: Iterable[Data] | AsyncIterable[Data]) -> AsyncIterator[Data]:
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            yield part
    elif isinstance(parts, dict) or not isinstance(parts, Iterable):
        raise TypeError(f"a message is str, bytes or an iterable of them, found {type(parts)!r}")
    else:
        for part in parts:
            yield part


def to_bytes(data: Data) -> bytes:
    """`data` as a frame carries it. Raises `TypeError` for anything else."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"expected str or bytes, found {type(data)!r}")
