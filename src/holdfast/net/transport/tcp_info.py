"""What the kernel knows of a connection: Linux's `TCP_INFO`, and what it holds."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, Literal, NamedTuple, Protocol

if sys.platform == "linux":
    import fcntl
    import termios

# struct tcp_info, linux/tcp.h. u8: tcpi_state. u64 each: tcpi_bytes_acked since Linux 4.1;
# tcpi_bytes_sent, in which what was sent again counts again, and tcpi_bytes_retrans, how much that
# is, since 4.19. u32: tcpi_snd_wnd, since 5.4.
_STATE: Final = 0
_ACKED: Final = struct.Struct("=120xQ")
_SENT: Final = struct.Struct("=200xQQ")
_ROUND_TRIP: Final = struct.Struct("=68xI")
_WINDOW: Final = struct.Struct("=228xI")
_ESTABLISHED: Final = 1


class Socket(Protocol):
    """What an event loop gives as a transport's socket."""

    @property
    def family(self) -> int: ...
    def fileno(self) -> int: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


class TcpInfo(NamedTuple):
    """Bytes are counted from the handshake on."""

    established: bool
    """Neither side has ended it."""
    acked: int
    """The peer's kernel has acknowledged so many bytes."""
    sent: int
    """So many have left this machine: what lies between may have arrived."""
    window: int | None
    """The peer would take so many more: 0 while its program does not read what is there. `None`
    where the kernel does not tell."""


class Delivery(NamedTuple):
    """How far what was written has come, in bytes from the beginning of the connection."""

    acked: int
    """The peer's kernel has acknowledged so much."""
    sent: int
    """So much has left this machine: what lies between may have arrived."""


def tcp_info(sock: Socket | None) -> TcpInfo | None:
    """The TCP_INFO of `sock`; `None` for other sockets and other systems."""
    if sys.platform != "linux" or sock is None:
        return None
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WINDOW.size)
    except (OSError, ValueError):  # it is closed
        return None
    if len(info) < _SENT.size:
        return None
    (acked,) = _ACKED.unpack_from(info)
    sent, again = _SENT.unpack_from(info)
    window = _WINDOW.unpack_from(info)[0] if len(info) >= _WINDOW.size else None
    return TcpInfo(info[_STATE] == _ESTABLISHED, acked, max(acked, sent - again), window)


def round_trip(sock: Socket | None) -> float | None:
    """Seconds to the peer's kernel and back, as this one has measured; `None` where it has not."""
    if sys.platform != "linux" or sock is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ROUND_TRIP.size)
    except (OSError, ValueError):  # it is closed, or no TCP
        return None
    return _ROUND_TRIP.unpack(info)[0] / 1e6 if len(info) == _ROUND_TRIP.size else None


def through_tls(info: TcpInfo, plain: int, wire: int) -> Delivery:
    """How far the plain bytes have come, of which `plain` are in the first `wire` of the socket's.

    Records are longer than what is in them: what has not arrived holds fewer plain bytes.
    """
    acked = max(0, plain - (wire - info.acked))
    sent = plain if info.sent >= wire else min(plain, acked + info.sent - info.acked)
    return Delivery(acked, sent)


def output_held(sock: Socket | None) -> int:
    """Bytes of output that the kernel holds, as the peer has not acknowledged them; 0 if not known.

    Much cheaper than `tcp_info`.
    """
    return _count(sock, "TIOCOUTQ")


def input_held(sock: Socket | None) -> int:
    """Bytes of input that the kernel holds for us; 0 if not known."""
    return _count(sock, "FIONREAD")


def _count(sock: Socket | None, request: Literal["TIOCOUTQ", "FIONREAD"]) -> int:
    if sys.platform != "linux" or sock is None:
        return 0
    try:
        found = fcntl.ioctl(sock.fileno(), getattr(termios, request), bytes(4))
    except (OSError, ValueError):  # it is closed
        return 0
    return int.from_bytes(found, sys.byteorder)
