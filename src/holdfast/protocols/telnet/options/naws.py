"""Negotiate About Window Size (RFC 1073).

Dragging a window's corner sends dozens of sizes a second. The newest size is known at once, and
reported once after `resize_seconds_max`.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from msgspec import structs

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.codes import NAWS
from holdfast.protocols.telnet.events import WindowSize
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option
from holdfast.protocols.telnet.terminal import Terminal

_SIZE: Final = Struct("!HH")
_COLUMNS_MIN: Final = 20
_ROWS_MIN: Final = 5


class WindowSizeAsked(Option):
    """The server's side."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = False

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self._pending,)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        (self._pending,) = taken

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        if len(payload) != _SIZE.size:
            return
        width, height = _SIZE.unpack(payload)
        known = host.capabilities
        if (width, height) == (known.raw_width, known.raw_height):
            return
        host.capabilities = _sized(known, width, height, host.limits)
        if not self._pending:
            self._pending = True
            host.set_timer(NAWS, now + host.limits.resize_seconds_max)

    def timer(self, host: Host) -> None:
        self._pending = False
        host.emit(WindowSize(host.capabilities.width, host.capabilities.height))


def _sized(known: Capabilities, width: int, height: int, limits: TelnetLimits) -> Capabilities:
    return structs.replace(
        known,
        raw_width=width,
        raw_height=height,
        width=_usable(width, _COLUMNS_MIN, limits.columns_max),
        height=_usable(height, _ROWS_MIN, limits.rows_max),
    )


def _usable(size: int, least: int, most: int) -> int:
    """`size` held to what can be used. RFC 1073: 0 leaves it to the server, and is kept."""
    return min(max(size, least), most) if size else 0


class WindowSizeTold(Option):
    """The client's side."""

    __slots__ = ("_size",)

    def __init__(self, terminal: Terminal) -> None:
        self._size = (terminal.width, terminal.height)

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return self._size

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        width, height = taken
        self._size = (width, height)

    def enabled(self, host: Host, side: Side) -> None:
        self._tell(host)

    def resize(self, host: Host, width: int, height: int) -> None:
        """Tell the new size, now or when the server asks for it."""
        if (width, height) != self._size:
            self._size = (width, height)
            self._tell(host)

    def _tell(self, host: Host) -> None:
        host.send_subnegotiation(NAWS, _SIZE.pack(*self._size))
