"""The data of channels, past what asyncssh does for every packet. Hot path.

asyncssh takes 100 µs for a packet, most of which data on an established connection with AES-GCM
does not need. For such data alone, this has the same effect on asyncssh's connection and channel.
All else, and what is wrong, is left to asyncssh.
"""

from __future__ import annotations

import os
import time
from typing import Final

import asyncssh

from holdfast.backends.ssh.gcm import AesGcm

DATA: Final = 94
"""The type of the message (RFC 4254 section 5.2)."""
_NUMBER_BYTES: Final = 4
_BLOCK_BYTES: Final = 16
_PADDING_BYTES_MIN: Final = 4
_RANDOM_BYTES: Final = 512
_SEQUENCE_MASK: Final = (1 << 32) - 1
_KEEPALIVE_SECONDS: Final = 1.0
"""So often at most, data sets back the time of the next keep-alive."""
_RECEIVING: Final = (
    ("_auth_complete", "_channels", "_decompressor", "_recv_seq", "_reset_keepalive_timer"),
    ("_accept_data", "_recv_state", "_recv_window"),
)
_SENDING: Final = (
    (
        *("_auth_complete", "_compressor", "_kex_complete", "_rekey_bytes", "_rekey_bytes_sent"),
        *("_rekey_seconds", "_rekey_time", "_send", "_send_encryption", "_send_seq"),
    ),
    ("_send_buf", "_send_chan", "_send_pktsize", "_send_state", "_send_window"),
)
"""What is used of asyncssh's connection and of its channel, and is not of their interfaces. For a
version without one of them, asyncssh does all."""


def _has(whole: object, names: tuple[str, ...]) -> bool:
    return all(hasattr(whole, name) for name in names)


class DataReceiver:
    """What the channels of one connection receive."""

    __slots__ = ("_able", "_channel", "_connection", "_heard_at")

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection
        self._able = _has(connection, _RECEIVING[0])
        self._channel: object = None
        """One that has what is used of it."""
        self._heard_at = 0.0

    def take(self, number: bytes, data: bytes, packets: int) -> bool:
        """Give channel `number` the data of some packets. False, and nothing done, if that is for
        asyncssh to do."""
        connection = self._connection
        if not self._able or not connection._auth_complete or connection._decompressor:
            return False
        channel = connection._channels.get(int.from_bytes(number, "big"))
        if channel is not self._channel:
            if not _has(channel, _RECEIVING[1]):
                return False
            self._channel = channel
        if channel is None or channel._recv_state != "open" or len(data) > channel._recv_window:
            return False
        now = time.monotonic()
        if now - self._heard_at > _KEEPALIVE_SECONDS:
            self._heard_at = now
            connection._reset_keepalive_timer()
        channel._accept_data(data)
        connection._recv_seq = connection._recv_seq + packets & _SEQUENCE_MASK
        return True


class DataSender:
    """What one channel sends."""

    __slots__ = ("_able", "_channel", "_connection", "_random")

    def __init__(
        self, connection: asyncssh.SSHClientConnection, channel: asyncssh.SSHClientChannel[bytes]
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._able = _has(connection, _SENDING[0]) and _has(channel, _SENDING[1])
        self._random = b""

    def send(self, data: bytes) -> bool:
        """Send data in one packet. False, and nothing done, if that is for asyncssh to do."""
        connection, channel = self._connection, self._channel
        cipher = connection._send_encryption if self._able else None
        if type(cipher) is not AesGcm or not self._may_send(len(data)):
            return False
        size = 1 + 2 * _NUMBER_BYTES + len(data)
        padding = -(1 + size) % _BLOCK_BYTES
        if padding < _PADDING_BYTES_MIN:
            padding += _BLOCK_BYTES
        length = 1 + size + padding
        packet = b"".join(
            (
                bytes((padding, DATA)),
                channel._send_chan.to_bytes(_NUMBER_BYTES, "big"),  # type: ignore[union-attr]
                len(data).to_bytes(_NUMBER_BYTES, "big"),
                data,
                self._padding(padding),
            )
        )
        connection._send(cipher.sealed(length.to_bytes(_NUMBER_BYTES, "big"), packet))
        connection._send_seq = connection._send_seq + 1 & _SEQUENCE_MASK
        connection._rekey_bytes_sent += length
        channel._send_window -= len(data)
        return True

    def _padding(self, size: int) -> bytes:
        """Random bytes. To ask the system for them for each key takes longer."""
        if len(self._random) < size:
            self._random = os.urandom(_RANDOM_BYTES)
        padding, self._random = self._random[:size], self._random[size:]
        return padding

    def _may_send(self, size: int) -> bool:
        """Whether a packet with so much data is the next thing to send."""
        connection, channel = self._connection, self._channel
        return (
            0 < size <= channel._send_window
            and size <= channel._send_pktsize
            and not channel._send_buf
            and channel._send_state == "open"
            and connection._auth_complete
            and connection._kex_complete
            and not connection._compressor
            and connection._rekey_bytes_sent < connection._rekey_bytes
            and not (connection._rekey_seconds and time.monotonic() >= connection._rekey_time)
        )
