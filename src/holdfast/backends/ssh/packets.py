"""Reads the packets of an SSH server for asyncssh. Hot path.

The output of a pseudo-terminal comes in packets of 4 KiB, of which each takes asyncssh 50 µs.
Where the connection has AES-GCM, the packets are therefore decrypted here, and successive ones
with output are given to their channel as a single one. All else of the protocol is asyncssh's:
what it expects next is read from its connection, and where it expects anything but the start of a
packet with AES-GCM, it gets its input as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncssh

from holdfast.backends.ssh.channel_data import DATA, DataReceiver
from holdfast.backends.ssh.gcm import TAG_BYTES, AesGcm
from holdfast.core.limits import KIB

_PIECE_BYTES: Final = 16 * KIB
"""asyncssh copies all input that is left for each packet that it takes from it."""
_JOINED_BYTES: Final = 64 * KIB
"""With so much, output is given on. asyncssh takes packets of 256 KiB, and a server sends no
larger ones than 32 KiB."""
_MUCH_BYTES: Final = 1 * KIB
"""After so much in one read, more is under way: the next read waits for it."""
_PAUSE_SECONDS: Final = 0.002
_PACKET_BYTES_MAX: Final = 128 * KIB
"""A larger packet is left to asyncssh, which knows the limit."""
_LENGTH_BYTES: Final = 4
_NUMBER: Final = slice(2, 6)
"""In a decrypted packet with data: the channel."""
_DATA: Final = bytes((DATA,))
_HEAD_BYTES: Final = 10
"""In a decrypted packet with data: all before the data. The size of the data is the end of it."""
_SIZE: Final = slice(6, 10)
_IGNORE: Final = b"\x02"
_PADDING: Final = bytes(4)
_PADDED: Final = b"\x04"
_NO_TAG: Final = bytes(TAG_BYTES)
_SEQUENCE_MASK: Final = (1 << 32) - 1
_NOT_PUBLIC: Final = (
    *("_inpbuf", "_recv_encryption", "_recv_handler", "_recv_pkthdr", "_recv_seq"),
    "_transport",
)
"""What is used of asyncssh's connection and is not of its interface. A version without one of
them gets its input as it is."""


class PacketReader(asyncio.Protocol):
    """The protocol of the socket: all that it is told goes to asyncssh's connection. `later` is the
    event loop's `call_later`."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._connection = connection
        self._joins = all(hasattr(connection, name) for name in _NOT_PUBLIC)
        self._held = b""
        """The start of a packet whose rest has not come."""
        self._data = DataReceiver(connection)
        self._transport: Any = None
        self._later = later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connection.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._joins:
            self._take(data)
        elif self._open:
            self._pass(data)
        if len(data) >= _MUCH_BYTES and self._open:
            self._pause()

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def _pause(self) -> None:
        """Let what comes gather: a read takes hardly longer for much than for little."""
        transport = self._transport
        transport.pause_reading()
        self._later(_PAUSE_SECONDS, transport.resume_reading)

    def _take(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        connection, at = self._connection, 0
        while at < len(data) and connection._transport is not None:  # as `_open`, in few steps
            cipher = connection._recv_encryption
            if (
                type(cipher) is not AesGcm
                or connection._inpbuf  # asyncssh is not ready for a packet
                or connection._recv_handler != connection._recv_pkthdr
            ):
                self._pass(data[at:] if at else data)
                return
            after = self._read(cipher, data, at)
            if after == at:
                self._held = data[at:] if at else data
                return
            at = after

    @property
    def _open(self) -> bool:
        """False once asyncssh has closed the connection, because of an error."""
        return self._connection.get_extra_info("socket") is not None

    def _read(self, cipher: AesGcm, data: bytes, at: int) -> int:
        """Give asyncssh the packets from `at` on: those with output of one channel up to the first
        other one, and that one. Returns the end of what it got, which is `at` if the first
        is not whole."""
        view, end = memoryview(data), len(data)
        run = _Run()
        while run.size < _JOINED_BYTES and end - at >= _LENGTH_BYTES:
            length = int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
            after = at + _LENGTH_BYTES + length + TAG_BYTES
            if length <= _PACKET_BYTES_MAX and after > end:
                break
            packet = cipher.open(view[at : at + _LENGTH_BYTES], view[at + _LENGTH_BYTES : after])
            if packet is None:  # asyncssh finds the same, and says what is wrong
                self._give_run(cipher, run)
                self._pass(data[at:])
                return end
            at = after
            if not run.take(packet):
                self._give_run(cipher, run)
                if self._open:
                    self._give(cipher, packet)
                return at
        self._give_run(cipher, run)
        return at

    def _give_run(self, cipher: AesGcm, run: _Run) -> None:
        """Give the channel the data of some packets as that of one."""
        if not run.count or self._data.take(run.channel, run.data(), run.count):
            return
        self._give(cipher, run.joined())
        connection = self._connection
        # The server's number of the packet, should asyncssh answer to a later one by its number.
        connection._recv_seq = connection._recv_seq + run.count - 1 & _SEQUENCE_MASK

    def _give(self, cipher: AesGcm, packet: bytes) -> None:
        """Give asyncssh one packet, decrypted."""
        with cipher.opened():
            length = len(packet).to_bytes(_LENGTH_BYTES, "big")
            self._connection.data_received(b"".join((length, packet, _NO_TAG)))

    def _pass(self, data: bytes) -> None:
        """Give asyncssh its input as it is, in small pieces."""
        connection = self._connection
        if len(data) <= _PIECE_BYTES:
            connection.data_received(data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            if not self._open:
                break
            connection.data_received(data[start : start + _PIECE_BYTES])


class _Run:
    """Decrypted packets in a row with data of one channel; and, behind the first, packets that are
    to be ignored (RFC 4253 section 11.2)."""

    __slots__ = ("_parts", "channel", "count", "size")

    def __init__(self) -> None:
        self.channel = b""
        self._parts: list[bytes] = []
        self.count = 0
        """Of packets."""
        self.size = 0
        """Of their data, in bytes."""

    def take(self, packet: bytes) -> bool:
        """Add a packet, if it is one of these."""
        if len(packet) > _HEAD_BYTES and packet[1] == DATA:
            channel = packet[_NUMBER]
            size = int.from_bytes(packet[_SIZE], "big")
            fits = 0 < packet[0] == len(packet) - _HEAD_BYTES - size
            if not fits or (channel != self.channel and self.count):
                return False
            self.channel = channel
            self._parts.append(packet[_HEAD_BYTES : _HEAD_BYTES + size])
            self.size += size
        elif not self.count or packet[1:2] != _IGNORE:
            return False
        self.count += 1
        return True

    def data(self) -> bytes:
        """That of all."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def joined(self) -> bytes:
        """The packet that has the data of all."""
        size = self.size.to_bytes(_LENGTH_BYTES, "big")
        return b"".join((_PADDED, _DATA, self.channel, size, self.data(), _PADDING))
