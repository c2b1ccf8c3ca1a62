"""What the connections of one server or client share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.protocols.telnet.charsets import AUTO, UTF_8, Charsets, supported_charset
from holdfast.protocols.telnet.events import Event

OnEvent = Callable[[Any, Event], None]
"""Called with the connection and each event that is not a line."""


class Settings(Struct, frozen=True):
    """The settings of a server or a client."""

    limits: Limits
    charsets: Charsets
    on_event: OnEvent | None


def charsets(charset: str, fallback: str) -> Charsets:
    """Character sets by their names. Raises `ConfigurationError` for one that is not known."""
    fixed = "" if charset == AUTO else _supported("charset", charset)
    return Charsets(fixed, _supported("charset_fallback", fallback))


def _supported(key: str, name: str) -> str:
    found = supported_charset(name)
    if found is None:
        raise ConfigurationError(
            f"{key}: expected {AUTO!r} or a character set that Python knows and that contains"
            f" ASCII, as in {UTF_8!r}, found {name!r}"
        )
    return found
