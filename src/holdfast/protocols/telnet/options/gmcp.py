"""GMCP, the Generic MUD Communication Protocol: structured messages beside the text.

`IAC SB GMCP <package> [ <space> <JSON> ] IAC SE`, always in UTF-8. The JSON is
passed on unread; inbound it is checked, so that nobody behind us has to expect
broken text or a nesting that overflows a stack.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import structs

from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.events import Gmcp
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option
from holdfast.protocols.telnet.terminal import Terminal

_MESSAGE: Final = re.compile(r"([A-Za-z0-9_.-]+) ?(.*)", re.DOTALL)
_PACKAGE: Final = re.compile(r"[A-Za-z0-9_.-]+")

# In valid JSON every string ends, so this never looks at a character twice.
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


class GmcpIntroduced(GmcpSupported):
    """The client's side: it introduces itself first."""

    __slots__ = ("_terminal",)

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def enabled(self, host: Host, side: Side) -> None:
        super().enabled(host, side)
        hello = {"client": self._terminal.name, "version": self._terminal.version}
        introduction = encode("Core.Hello", msgspec.json.encode(hello).decode("utf-8"))
        host.send_subnegotiation(codes.GMCP, introduction)


def is_package(name: str) -> bool:
    """Whether a package may have this name: another one would forge what stands behind it."""
    return _PACKAGE.fullmatch(name) is not None


def encode(package: str, json: str) -> bytes:
    """The payload for a package's name and one JSON text, which may be empty."""
    return (f"{package} {json}" if json else package).encode("utf-8", "replace")


def decode(payload: bytes, depth_max: int) -> Gmcp | None:
    """The message in a payload, if its name and its JSON are valid and not too deep."""
    try:
        match = _MESSAGE.fullmatch(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    if match is None:
        return None
    package, json = match.groups()
    return Gmcp(package, json) if not json or _is_json(json, depth_max) else None


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
