"""The format of an event stream (server-sent events, HTML Living Standard section 9.2)."""

from __future__ import annotations

from typing import Final

MEDIA_TYPE: Final = "text/event-stream"

_SEPARATOR: Final = ":"
_DIGITS_MAX: Final = 16


def write_event(data: bytes, *, id_: bytes = b"", kind: bytes = b"") -> bytes:
    """An event with this data.

    A reader that loses its connection comes back with the newest `id_`. An event without a `kind`
    is a `message`.
    """
    if b"\n" in data or b"\r" in data:  # one event, whose lines are joined again
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    head = b"id: %b\n" % id_ if id_ else b""
    if kind:
        head += b"event: %b\n" % kind
    return b"%bdata: %b\n\n" % (head, data)


def write_comment(text: bytes = b"") -> bytes:
    """A line that is no event: it shows that the connection is alive."""
    return b":%b\n\n" % text


def write_retry(milliseconds: int) -> bytes:
    """How long a reader that loses its connection waits."""
    return b"retry: %d\n\n" % milliseconds


def write_position(epoch: str, number: int) -> bytes:
    """An id that names a place in the numbered output of an epoch."""
    return f"{epoch}{_SEPARATOR}{number}".encode()


def read_position(id_: str) -> tuple[str, int] | None:
    """The epoch and the number that `write_position` has written; `None` for another id."""
    epoch, _, number = id_.rpartition(_SEPARATOR)
    if not (epoch and number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX):
        return None
    return epoch, int(number)
