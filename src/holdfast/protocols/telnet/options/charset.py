"""CHARSET (RFC 2066): agree on UTF-8, or on the configured character set.

The server offers exactly one name: clients that were offered several have chosen another one.
The agreed character set is in effect after the answer's SE.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from holdfast.protocols.telnet.charsets import UTF_8, known_charset
from holdfast.protocols.telnet.codes import CHARSET
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

_REQUEST: Final = b"\1"
_ACCEPTED: Final = b"\2"
_REJECTED: Final = b"\3"
_TTABLE_IS: Final = b"\4"
_TTABLE_REJECTED: Final = b"\5"


class CharsetAnswered(Option):
    """The client's side: it answers requests and makes none."""

    __slots__ = ()

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if payload[:1] == _REQUEST:
            self._answer(host, payload[1:])
        elif payload[:1] == _TTABLE_IS:
            host.send_subnegotiation(CHARSET, _TTABLE_REJECTED)

    def _answer(self, host: Host, offered: bytes) -> None:
        """Accept the configured name or, without one, any that we know, UTF-8 if there is a
        choice; as the peer spells it."""
        names = _offered(offered)
        fixed = host.charsets.fixed
        if fixed:
            names = {fixed: names[fixed]} if fixed in names else {}
        if not names:
            host.send_subnegotiation(CHARSET, _REJECTED)
            return
        charset = UTF_8 if UTF_8 in names else next(iter(names))
        host.send_subnegotiation(CHARSET, _ACCEPTED + names[charset])
        host.learn(structs.replace(host.capabilities, charset=charset))


class CharsetRequested(CharsetAnswered):
    """The server's side: it requests UTF-8, or the configured character set, as soon as it may."""

    __slots__ = ("_requested",)

    def __init__(self) -> None:
        self._requested = False

    @property
    def settled(self) -> bool:
        return not self._requested

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self._requested,)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        (self._requested,) = taken

    def enabled(self, host: Host, side: Side) -> None:
        if side is Side.US:
            name = _wanted(host).encode("ascii")
            self._requested = host.send_subnegotiation(CHARSET, _REQUEST + b";" + name)

    def disabled(self, host: Host, side: Side) -> None:
        if side is Side.US:
            self._requested = False

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        command = payload[:1]
        if command == _REQUEST and self._requested:
            # RFC 2066 section 5: when requests cross, the server's stands.
            host.send_subnegotiation(CHARSET, _REJECTED)
        elif command == _REQUEST:
            self._answer(host, payload[1:])
        elif command == _TTABLE_IS:
            host.send_subnegotiation(CHARSET, _TTABLE_REJECTED)
        elif command in (_ACCEPTED, _REJECTED) and self._requested:
            self._requested = False
            wanted = _wanted(host)
            if command == _ACCEPTED and wanted in _known([payload[1:]]):
                host.learn(structs.replace(host.capabilities, charset=wanted))


def _wanted(host: Host) -> str:
    return host.charsets.fixed or UTF_8


def _offered(offered: bytes) -> dict[str, bytes]:
    """The names that we know in a request: a separator of one byte, and names between it.

    One that begins with "[TTABLE]" has no name that we know: with "[" as separator.
    """
    separator = offered[:1]
    return _known(offered[1:].split(separator)) if separator else {}


def _known(names: list[bytes]) -> dict[str, bytes]:
    """The names that we know, by the IANA's, as they were spelled."""
    known: dict[str, bytes] = {}
    for name in names:
        charset = known_charset(name.decode("ascii", "replace"))
        if charset is not None:
            known.setdefault(charset, name)
    return known
