"""AES-GCM for SSH packets, against asyncssh's own."""

from __future__ import annotations

import os

import pytest
from asyncssh.encryption import GCMEncryption, get_encryption

from holdfast.backends.ssh import algorithms as algorithms  # which registers it
from holdfast.backends.ssh.gcm import AesGcm

HEADER = b"\x00\x00\x00\x10"
LAST = b"\xff" * 8


@pytest.mark.parametrize("counter", [os.urandom(8), LAST], ids=["any", "at its end"])
@pytest.mark.parametrize(("name", "size"), [("aes128-gcm", 16), ("aes256-gcm", 32)])
def test_it_is_the_same(name: str, size: int, counter: bytes) -> None:
    key, iv = os.urandom(size), os.urandom(4) + counter
    theirs = GCMEncryption.new(name, key, iv)
    sends, receives = (get_encryption(f"{name}@openssh.com".encode(), key, iv) for _ in "ab")
    assert isinstance(sends, AesGcm)
    for number in range(3):
        packet = os.urandom(16)
        sealed, tag = sends.encrypt_packet(number, HEADER, packet)
        assert (sealed, tag) == theirs.encrypt_packet(number, HEADER, packet)
        first, length = receives.decrypt_header(number, sealed[:16], 4)
        assert length == HEADER
        assert receives.decrypt_packet(number, first, sealed[16:], 4, tag) == packet


@pytest.mark.parametrize("at", [0, 4, 19, 20, 35], ids=["length", "first", "last", "tag", "end"])
def test_a_packet_that_was_changed(at: int) -> None:
    key, iv = os.urandom(16), os.urandom(12)
    sealed, tag = AesGcm(key, iv).encrypt_packet(0, HEADER, os.urandom(16))
    whole = bytearray(sealed + tag)
    whole[at] ^= 1
    changed = bytes(whole)
    receives = AesGcm(key, iv)
    assert receives.decrypt_packet(0, changed[:16], changed[16:20], 4, changed[20:]) is None
