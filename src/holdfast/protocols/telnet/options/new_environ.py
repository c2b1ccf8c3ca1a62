"""NEW-ENVIRON (RFC 1572) as MNES uses it: the client sends the few requested variables.

https://tintin.mudhalla.net/protocols/mnes/. The values describe the client and are never put
into a process environment. IPADDRESS is not requested: only a trusted proxy could vouch for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import structs

from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.charsets import known_charset
from holdfast.protocols.telnet.codes import NEW_ENVIRON
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option, printable
from holdfast.protocols.telnet.terminal import Terminal

_IS: Final = 0
_SEND: Final = 1
_INFO: Final = 2

_VAR: Final = 0
_VALUE: Final = 1
_ESC: Final = 2
_USERVAR: Final = 3

_ASKED_MAX: Final = 32
"""Of what a server asks for, what is answered."""
_ASKED: Final = ("CLIENT_NAME", "CLIENT_VERSION", "TERMINAL_TYPE", "MTTS", "CHARSET")

# By name: to an empty SEND, which asks for everything, tt++ does not answer.
_REQUEST: Final = bytes((_SEND,)) + b"".join(
    bytes((_VAR,)) + name.encode("ascii") for name in _ASKED
)


class EnvironmentAsked(Option):
    """The server's side. Variables beside those of MNES are kept up to a limit."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.send_subnegotiation(NEW_ENVIRON, _REQUEST)

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if not payload or payload[0] not in (_IS, _INFO):
            return
        known, limits = host.capabilities, host.limits
        others = dict(known.environment)
        for name, told in _variables(payload[1:]):
            value = printable(told, limits.name_chars_max)
            known = _with_variable(known, name, value)
            kept = printable(name, limits.name_chars_max)
            full = len(others) >= limits.environment_variables_max
            if _is_other(name) and (kept in others or not full):
                others[kept] = value
        if others:
            known = structs.replace(known, environment=tuple(others.items()))
        host.learn(known)


def _is_other(name: bytes) -> bool:
    """Whether a variable may be kept: it has a printable name, and is no capability."""
    return name.replace(b"_", b"").isalnum() and name.decode("ascii") not in _ASKED


class EnvironmentTold(Option):
    """The client's side: it tells the variables of MNES, and of them those it is asked for. Later
    it tells what has changed (INFO)."""

    __slots__ = ("_is_told", "_terminal")

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._is_told = False
        """Whether the server has asked: INFO is only for changes (RFC 1572)."""

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self._is_told,)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        (self._is_told,) = taken or (False,)

    def disabled(self, host: Host, side: Side) -> None:
        self._is_told = False

    def describe(self, host: Host, terminal: Terminal) -> None:
        """The client has another terminal."""
        before = self._values(host)
        self._terminal = terminal
        changed = {
            name: value for name, value in self._values(host).items() if before.get(name) != value
        }
        if changed and self._is_told:
            told = b"".join(_variable(_VAR, name, value) for name, value in changed.items())
            host.send_subnegotiation(NEW_ENVIRON, bytes((_INFO,)) + told)

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if payload[:1] != bytes((_SEND,)):
            return
        values = self._values(host)
        told = b"".join(
            _variable(kind, name, values.get(name))
            for kind, name in _asked_for(payload[1:], values)
        )
        host.send_subnegotiation(NEW_ENVIRON, bytes((_IS,)) + told)
        self._is_told = True

    def _values(self, host: Host) -> dict[bytes, bytes]:
        terminal = self._terminal
        values = {
            "CLIENT_NAME": terminal.name,
            "CLIENT_VERSION": terminal.version,
            "TERMINAL_TYPE": terminal.type,
            "MTTS": str(int(terminal.mtts)),
            "CHARSET": host.capabilities.charset or host.charsets.fixed or host.charsets.fallback,
            "IPADDRESS": terminal.address,
        }
        return {
            name.encode(): value.encode("ascii", "replace")
            for name, value in values.items()
            if value
        }


def _asked_for(data: bytes, known: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The variables of a SEND, in its order: VAR or USERVAR, and a name. VAR without a name asks
    for all well-known ones, and so does a SEND of nothing; ours are all well-known (RFC 1572)."""
    asked = [(kind, name) for kind, name in _fields(data) if kind != _VALUE][:_ASKED_MAX]
    for kind, name in asked or [(_VAR, b"")]:
        if name:
            yield kind, name
        elif kind == _VAR:
            yield from ((_VAR, one) for one in known)


def _variable(kind: int, name: bytes, value: bytes | None) -> bytes:
    """A variable; without a value, it is not defined here (RFC 1572)."""
    told = bytes((kind,)) + _escape(name)
    return told if value is None else told + bytes((_VALUE,)) + _escape(value)


def _escape(text: bytes) -> bytes:
    """A name or a value: what could be a mark is preceded by ESC."""
    return b"".join(bytes((_ESC, byte)) if byte <= _USERVAR else bytes((byte,)) for byte in text)


def _with_variable(known: Capabilities, name: bytes, value: str) -> Capabilities:
    if not value:
        return known
    match name:
        case b"CLIENT_NAME":
            return structs.replace(known, client_name=value)
        case b"CLIENT_VERSION":
            return structs.replace(known, client_version=value)
        case b"TERMINAL_TYPE":
            return structs.replace(known, terminal_type=value)
        case b"MTTS":
            return known.with_mtts(value)
        case b"CHARSET":
            return structs.replace(known, charset=known_charset(value) or known.charset)
        case _:
            return known


def _variables(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The variables that have a value, in `[ type name [ VALUE value ] ]...`."""
    name = b""
    for mark, text in _fields(data):
        if mark == _VALUE:
            yield name, text
        else:
            name = text


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each mark (VAR, USERVAR or VALUE) and the text up to the next one; ESC taken off."""
    mark: int | None = None
    text = bytearray()
    escaped = False
    for byte in data:
        if byte == _ESC and not escaped:
            escaped = True
        elif byte in (_VAR, _VALUE, _USERVAR) and not escaped:
            if mark is not None:
                yield mark, bytes(text)
            mark = byte
            text.clear()
        else:
            text.append(byte)
            escaped = False
    if mark is not None:
        yield mark, bytes(text)
