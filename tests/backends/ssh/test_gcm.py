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
        packet = b"\4\x5e" + os.urandom(14)
        sealed, tag = sends.encrypt_packet(number, HEADER, packet)
        assert (sealed, tag) == theirs.encrypt_packet(number, HEADER, packet)
        first, length = receives.decrypt_header(number, sealed[:16], 4)
        assert length == HEADER
        assert receives.decrypt_packet(number, first, sealed[16:], 4, tag) == packet


@pytest.mark.parametrize("at", [0, 4, 19, 20, 35], ids=["length", "first", "last", "tag", "end"])
def test_a_packet_that_was_changed(at: int) -> None:
    key, iv = os.urandom(16), os.urandom(12)
    sealed, tag = AesGcm(key, iv).encrypt_packet(0, HEADER, bytes(16))
    whole = bytearray(sealed + tag)
    whole[at] ^= 1
    changed = bytes(whole)
    receives = AesGcm(key, iv)
    assert receives.decrypt_packet(0, changed[:16], changed[16:20], 4, changed[20:]) is None


def test_a_packet_to_be_ignored_is_sent_with_the_next() -> None:
    key, iv = os.urandom(16), os.urandom(12)
    sends, receives = AesGcm(key, iv), AesGcm(key, iv)
    ignored, data = (bytes((4, kind)) + os.urandom(14) for kind in (2, 94))
    assert sends.encrypt_packet(0, HEADER, ignored) == (b"", b"")
    sealed = b"".join(sends.encrypt_packet(1, HEADER, data))
    assert [receives.open(HEADER, sealed[at + 4 : at + 36]) for at in (0, 36)] == [ignored, data]
    assert receives.open(HEADER, sends.sealed(HEADER, data)[4:]) == data, "nothing is held on"
