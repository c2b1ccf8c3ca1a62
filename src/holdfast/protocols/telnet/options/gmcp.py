"""GMCP, the Generic MUD Communication Protocol: structured messages beside the text.

`IAC SB GMCP <package> [ <space> <JSON> ] IAC SE`, always in UTF-8. Outgoing JSON is passed on
unparsed. Incoming JSON is validated, so that applications get no malformed text and no nesting
that overflows a stack. Some peers send bare words instead of JSON (`Char.Login bob`): they are
kept as they are.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import structs

from holdfast.core.items import are_words, utf8_bytes
from holdfast.core.limits import KIB
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.events import Gmcp
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option
from holdfast.protocols.telnet.terminal import Terminal

_MESSAGE: Final = re.compile(r"([A-Za-z0-9_.-]+)( ?)(.*)", re.DOTALL)

_HELLO: Final = "core.hello"
_SUPPORTS: Final = "core.supports."
_SUPPORTS_SET: Final = "core.supports.set"
_INTRODUCTION: Final = frozenset(
    {_HELLO, _SUPPORTS_SET, "core.supports.add", "core.supports.remove"}
)
_INTRODUCTION_MAX: Final = 32
"""Messages of an introduction. Later additions and removals of the client are not repeated."""
_INTRODUCTION_BYTES_MAX: Final = 16 * KIB
"""Of all of them: they are kept as long as the session."""

# In valid JSON each string ends, so no character is scanned twice.
_BRACKET_OR_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')

_parse: Final = msgspec.json.Decoder(msgspec.Raw).decode


class GmcpSupported(Option):
    """Either side: GMCP flows both ways while the server performs it."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, gmcp=True))

    def disabled(self, host: Host, side: Side) -> None:
        host.learn(structs.replace(host.capabilities, gmcp=False))

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        message = decode(payload, host.limits.gmcp_depth_max)
        if message is None:
            host.count_malformed()
        else:
            host.emit(message)


class Introduction:
    """What a client says at the beginning of each connection: who it is (`Core.Hello`) and what
    it wants to hear of (`Core.Supports`). It may serve several connections, one after the other.
    """

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], tuple[str, str]] = {}

    def note(self, package: str, json: str) -> bool:
        """Keep a message, if it is one of those; a newer one stands for the older ones."""
        name = package.lower()
        if name not in _INTRODUCTION:
            return False
        messages = self._messages
        if name in (_HELLO, _SUPPORTS_SET):
            kind = _HELLO if name == _HELLO else _SUPPORTS
            for key in [key for key in messages if key[0].startswith(kind)]:
                del messages[key]
        size = sum(utf8_bytes(kept) for _, kept in messages) + utf8_bytes(json)
        if len(messages) < _INTRODUCTION_MAX and size <= _INTRODUCTION_BYTES_MAX:
            messages[name, json] = (package, json)
        return True

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Packages and their JSON, in order."""
        return [*self._messages.values()]


class GmcpIntroduced(GmcpSupported):
    """The client's side: it introduces itself first, by its terminal unless it has another way."""

    __slots__ = ("_introduction", "_terminal")

    def __init__(self, terminal: Terminal, introduction: Introduction) -> None:
        self._terminal = terminal
        self._introduction = introduction

    def enabled(self, host: Host, side: Side) -> None:
        messages = self._introduction.messages
        if not any(package.lower() == _HELLO for package, _ in messages):
            hello = {"client": self._terminal.name, "version": self._terminal.version}
            messages.insert(0, ("Core.Hello", msgspec.json.encode(hello).decode("utf-8")))
        if self._terminal.address:
            told = {"address": self._terminal.address}
            messages.append(("Holdfast.Client", msgspec.json.encode(told).decode("utf-8")))
        for package, json in messages:
            host.send_subnegotiation(codes.GMCP, encode(package, json))
        super().enabled(host, side)


def encode(package: str, json: str) -> bytes:
    """Return the payload for a package's name and a JSON text or bare words; either may be
    empty."""
    return (f"{package} {json}" if json else package).encode("utf-8", "replace")


def decode(payload: bytes, depth_max: int) -> Gmcp | None:
    """The message in a payload: its name and nothing, JSON that is not too deep, or words.

    `None` for a payload that is no message.
    """
    try:
        match = _MESSAGE.fullmatch(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    if match is None:
        return None
    package, space, text = match.groups()
    if text and not _is_json(text, depth_max) and not (space and are_words(text)):
        return None
    return Gmcp(package, text)


def _is_json(text: str, depth_max: int) -> bool:
    try:
        _parse(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return _depth(text, depth_max) <= depth_max


def _depth(text: str, enough: int) -> int:
    """How deep valid JSON is nested; not counted where it cannot be more than `enough`."""
    deepest = text.count("[") + text.count("{")
    if deepest <= enough:
        return deepest
    depth = deepest = 0
    for found in _BRACKET_OR_STRING.finditer(text):
        match found[0]:
            case "[" | "{":
                depth += 1
                deepest = max(deepest, depth)
            case "]" | "}":
                depth -= 1
            case _:  # a string
                pass
    return deepest
