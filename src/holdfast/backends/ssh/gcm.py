"""AES-GCM for SSH packets (RFC 5647), in place of asyncssh's. Hot path.

asyncssh sets the key up anew for each packet, which takes longer than to decrypt it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from asyncssh.encryption import Encryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FIXED_BYTES: Final = 4
_COUNTER_BYTES: Final = 8
_COUNTER_MASK: Final = (1 << 64) - 1
TAG_BYTES: Final = 16
_KIND: Final = 1
"""Where the type of its message is in a packet."""
_IGNORE: Final = 2


class AesGcm(Encryption):
    """One direction of one connection. The names of the methods are asyncssh's."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._cipher = AESGCM(key)
        self._fixed = iv[:_FIXED_BYTES]
        self._counter = int.from_bytes(iv[_FIXED_BYTES:], "big")
        self._nonce = iv
        """Of the next packet."""
        self._is_open = False
        """Whether the packet that asyncssh has decrypted now is decrypted already."""
        self._held = b""
        """Encrypted packets that are sent with the next one."""

    # --- what asyncssh calls

    @classmethod
    def new(cls, cipher_name: str, key: bytes, iv: bytes, *_mac: Any, **_more: Any) -> AesGcm:
        return cls(key, iv)

    @classmethod
    def needs_mac(cls) -> bool:
        return False

    @classmethod
    def get_mac_params(cls, mac_alg: bytes) -> tuple[int, int, bool]:
        return 0, TAG_BYTES, True

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        """asyncssh sends a packet to be ignored (RFC 4253 section 11.2) before each one, and each
        of both in a write of its own: the server would be woken up for nothing."""
        sealed = self.sealed(header, packet)
        if packet[_KIND] == _IGNORE:
            self._held = sealed
            return b"", b""
        return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        return first_block, first_block[:header_len]

    def decrypt_packet(
        self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes
    ) -> bytes | None:
        if self._is_open:
            return first[header_len:] + rest
        return self.open(first[:header_len], b"".join((first[header_len:], rest, mac)))

    # --- for packets that are encrypted or decrypted past asyncssh

    def sealed(self, header: bytes, packet: bytes) -> bytes:
        """The next packet encrypted, with its tag, behind those that are held."""
        sealed = self._cipher.encrypt(self._nonce, packet, header)
        self._step()
        held, self._held = self._held, b""
        return b"".join((held, header, sealed))

    def open(self, header: bytes | memoryview, sealed: bytes | memoryview) -> bytes | None:
        """Decrypt the next packet, with its tag. `None`, and no step on, if it is not genuine."""
        try:
            packet = self._cipher.decrypt(self._nonce, sealed, header)
        except InvalidTag:
            return None
        self._step()
        return packet

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Within, asyncssh gets a packet that `open` gave."""
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False

    def _step(self) -> None:
        """Never the same nonce twice for one key (RFC 5647 section 7.1)."""
        counter = self._counter = (self._counter + 1) & _COUNTER_MASK
        self._nonce = self._fixed + counter.to_bytes(_COUNTER_BYTES, "big")
