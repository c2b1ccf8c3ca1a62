"""Decoding of what a store has, with one error for all that may be wrong with it."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError)
"""What msgspec raises."""


class UnreadableError(Exception):
    """Bytes that are not what they should be."""


def read(decoder: msgspec.msgpack.Decoder[T], body: bytes | bytearray | msgspec.Raw) -> T:
    """`body` as `decoder` reads it. Raises `UnreadableError`."""
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise UnreadableError(str(error)) from error
