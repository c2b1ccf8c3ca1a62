"""Items: the messages between clients and applications, in either direction.

An adapter turns bytes into items and items into bytes, a session numbers them, and the store
and the link encode them. An item is one small value from the client's socket to the
application's handler: a frozen `msgspec` struct, built in C and encoded as a tagged array,
`["text", "look"]`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

INPUT_MODES: Final = ("line", "key", "secret")
"""How typing is taken."""


class Text(Struct, frozen=True, array_like=True, tag="text", gc=False):
    """A line of input, or output text: whole lines without the last line ending."""

    text: str


class Binary(Struct, frozen=True, array_like=True, tag="binary", gc=False):
    """Bytes, for clients whose protocol can carry them."""

    data: bytes


class Data(Struct, frozen=True, array_like=True, tag="data", gc=False):
    """A structured message beside the text (GMCP's `Package.Message {json}`).

    `json` is JSON text. The gateway passes it on unread, so nothing is lost in
    a conversion; the ends parse it. Telnet peers may send bare words instead
    (`Char.Login bob`): they are passed on as they are (`value_in`).
    """

    package: str
    json: str


def value_in(json: str) -> Any:
    """The value of a `Data`: of its JSON text, or its bare words, as text.

    Raises `ValueError` for text that is neither, or that holds a number that Python does not read.
    """
    try:
        return msgspec.json.decode(json)
    except msgspec.ValidationError:  # JSON, with a number that is too large
        raise
    except msgspec.DecodeError:
        if not are_words(json):
            raise
        return json


def are_words(text: str) -> bool:
    """Whether `text`, which is no JSON, is bare words: no controls, and no JSON that is broken."""
    return text.isprintable() and text[:1] not in _JSON_BEGINS


_JSON_BEGINS: Final = ("", "{", "[", '"')
_LOGIN: Final = "char.login"
"""GMCP's login: `Char.Login {"name", "password"}`, or `Char.Login.Credentials`."""


def is_secret(item: Data) -> bool:
    """Whether a client's structured message has a password in it."""
    return item.package.lower().startswith(_LOGIN)


class Interrupt(Struct, frozen=True, array_like=True, tag="interrupt", gc=False):
    """The user asks to stop the running command (Telnet IP and BRK, RFC 854)."""


class Resized(Struct, frozen=True, array_like=True, tag="resized", gc=False):
    """The size of the client's screen in characters. It is a state, not a command, and is never
    kept."""

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
    """The text before the user's cursor, on the same line. A newer prompt replaces it."""

    text: str


class Notice(Struct, frozen=True, array_like=True, tag="notice", gc=False):
    """A line from the gateway itself: a restart, a resume, an offer."""

    text: str


Command = Text | Binary | Data | Interrupt
"""Input that a backend applies once and in order."""

Output = Text | Formatted | Data | Prompt | Binary | Notice
"""Output of a backend to a client."""

MUST: Final = "must"
"""Delivery class: kept, and never dropped."""
VOLATILE: Final = "volatile"
"""Delivery class: not numbered, dropped first when a client reads slowly."""
LATEST: Final = "latest:"
"""Prefix of the delivery class `latest:KEY`: a newer one replaces an unsent older one."""
LATEST_PROMPT: Final = "latest:prompt"
"""The delivery class of prompts."""

OVERHEAD_BYTES: Final = 32
"""The size that an item counts for in addition to its content."""


def size_of(item: Command | Output) -> int:
    """Return the size of an item for limits: its bytes (text in UTF-8) and a small overhead.

    `item` has been decoded or validated before (`core.validation`). Hot path.
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
            styles = sum([OVERHEAD_BYTES + utf8_bytes(span.style) for span in spans])
            return utf8_bytes(text) + styles + OVERHEAD_BYTES
        case Text(shown) | Prompt(shown) | Notice(shown):
            return utf8_bytes(shown) + OVERHEAD_BYTES
        case Interrupt():
            return OVERHEAD_BYTES


def lines_of(text: str) -> list[str]:
    """Return the lines of a text. LF, CR LF and CR end a line; the last line ending is optional."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def utf8_bytes(text: str) -> int:
    """The size of `text` in UTF-8. Raises `UnicodeEncodeError` for a lone surrogate."""
    return len(text) if text.isascii() else len(text.encode())
