"""Items: what passes through the house, in either direction.

An adapter turns bytes into items and items into bytes; a session numbers them;
the store and the link write them as they are. So an item is one small value
from the client's socket to the application's handler: a frozen `msgspec`
struct, built in C and written as a tagged array, `["text", "look"]`.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Text(Struct, frozen=True, array_like=True, tag="text", gc=False):
    """A line typed by a person, or text for one: whole lines, without the last one's end."""

    text: str


class Binary(Struct, frozen=True, array_like=True, tag="binary", gc=False):
    """Bytes as they are, for clients whose protocol can carry them."""

    data: bytes


class Data(Struct, frozen=True, array_like=True, tag="data", gc=False):
    """A structured message beside the text (GMCP's `Package.Message {json}`).

    `json` is JSON text. The gateway passes it on unread, so nothing is lost in
    a conversion; the ends parse it.
    """

    package: str
    json: str


class Interrupt(Struct, frozen=True, array_like=True, tag="interrupt", gc=False):
    """The person asked to stop what is running (Telnet IP and BRK, RFC 854)."""


class Resized(Struct, frozen=True, array_like=True, tag="resized", gc=False):
    """The size of the client's screen in characters. A state, not a command: never logged."""

    width: int
    height: int


class Span(Struct, frozen=True, array_like=True, gc=False):
    """A style for `length` characters of a text from `start` on: `"bold red"`, `"dim"` …"""

    start: int
    length: int
    style: str


class Formatted(Struct, frozen=True, array_like=True, tag="formatted", gc=False):
    """Text with styled spans. A client that shows no styles gets the plain text."""

    text: str
    spans: tuple[Span, ...]


class Prompt(Struct, frozen=True, array_like=True, tag="prompt", gc=False):
    """What stands before the person's cursor, on the same line. A newer one replaces it."""

    text: str


class Notice(Struct, frozen=True, array_like=True, tag="notice", gc=False):
    """A line from the house itself: a restart, a resume, an offer."""

    text: str


Command = Text | Binary | Data | Interrupt
"""What a client sends that a backend must apply once and in order."""

Output = Text | Formatted | Data | Prompt | Binary | Notice
"""What a backend sends to a client."""

MUST: Final = "must"
"""Delivery class: logged, never dropped."""
VOLATILE: Final = "volatile"
"""Delivery class: not numbered, dropped first when a client reads slowly."""
LATEST: Final = "latest:"
"""Prefix of the delivery class `latest:KEY`: a newer one replaces an unsent older one."""
LATEST_PROMPT: Final = "latest:prompt"
"""The delivery class of prompts."""

OVERHEAD_BYTES: Final = 32
"""What an item counts for beside its content."""


def size_of(item: Command | Output) -> int:
    """What an item counts for where space is limited: its bytes (text in UTF-8) and a little more.

    `item` has been read or checked before (`core.validation`). Hot path.
    """
    kind = type(item)
    if kind is Text:
        text = item.text  # type: ignore[union-attr]
        return (len(text) if text.isascii() else len(text.encode())) + OVERHEAD_BYTES
    match item:
        case Binary(data):
            return len(data) + OVERHEAD_BYTES
        case Data(package, json):
            return utf8_bytes(package) + utf8_bytes(json) + OVERHEAD_BYTES
        case Formatted(text, spans):
            styles = sum(OVERHEAD_BYTES + utf8_bytes(span.style) for span in spans)
            return utf8_bytes(text) + styles + OVERHEAD_BYTES
        case Text(shown) | Prompt(shown) | Notice(shown):
            return utf8_bytes(shown) + OVERHEAD_BYTES
        case Interrupt():
            return OVERHEAD_BYTES


def lines_of(text: str) -> list[str]:
    """The lines of a text. LF, CR LF and CR end one; the last one's end may be missing."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def utf8_bytes(text: str) -> int:
    """The size of `text` in UTF-8. Raises `UnicodeEncodeError` for a lone surrogate."""
    return len(text) if text.isascii() else len(text.encode())
