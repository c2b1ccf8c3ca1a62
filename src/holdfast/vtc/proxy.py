"""Headers of the PROXY protocol, versions 1 and 2, as HAProxy's `proxy-protocol.txt` defines them.

A script writes `"CLIENT SERVER [TYPE=VALUE …]"`.
"""

from __future__ import annotations

import socket
import struct

from holdfast.vtc.address import Address, AddressError, resolve
from holdfast.vtc.numbers import unhex
from holdfast.vtc.source import ENCODING

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_VERSION_2_PROXY = 0x21
_TCP4, _TCP6 = 0x11, 0x21
_LENGTH_MAX = 0xFFFF

TLV_TYPES = {
    "alpn": 0x01,
    "authority": 0x02,
    "crc32c": 0x03,
    "noop": 0x04,
    "unique_id": 0x05,
    "netns": 0x30,
}


class ProxyError(ValueError):
    """What a script wrote is no PROXY header. The text says why."""


async def proxy_header(version: int, spec: str) -> bytes:
    """The header that `spec` describes. Raises `ProxyError`."""
    words = spec.split()
    if len(words) < 2:
        raise ProxyError("PROXY header: CLIENT and SERVER are needed")
    source, target = await _address(words[0]), await _address(words[1])
    tlvs = b"".join(tlv(word) for word in words[2:])
    if version == 1:
        return version_1(source, target) + tlvs
    return version_2(source, target, tlvs)


async def _address(text: str) -> Address:
    try:
        found = await resolve(text, None, socket.SOCK_STREAM)
    except AddressError as error:
        raise ProxyError(f"Could not resolve client address {text}: {error}") from None
    if len(found) != 1 or found[0].family == socket.AF_UNIX:
        raise ProxyError(f"Could not resolve client address {text}")
    return found[0]


def tlv(word: str) -> bytes:
    """One `TYPE=VALUE`, each a name or text, or hexadecimal behind `0x`. Raises `ProxyError`."""
    name, _, value = word.partition("=")
    if not value:
        raise ProxyError("tlv value missing")
    data = _unhex(value) if value.startswith("0x") else value.encode(ENCODING)
    return struct.pack("!BH", _tlv_type(name), len(data)) + data


def _tlv_type(name: str) -> int:
    if name.startswith("0x"):
        number = _unhex(name)
        if len(number) != 1:
            raise ProxyError("tlv hex type has wrong length")
        return number[0]
    if name not in TLV_TYPES:
        raise ProxyError(f"tlv type {name} not found")
    return TLV_TYPES[name]


def _unhex(text: str) -> bytes:
    data = unhex(text.removeprefix("0x"))
    if data is None:
        raise ProxyError("Illegal hex string")
    return data


def version_1(source: Address, target: Address) -> bytes:
    """The one-line header."""
    family = "TCP6" if target.family == socket.AF_INET6 else "TCP4"
    line = f"PROXY {family} {source.host} {target.host} {source.port} {target.port}\r\n"
    return line.encode(ENCODING)


def version_2(source: Address, target: Address, tlvs: bytes) -> bytes:
    """The binary header. Raises `ProxyError` if it is too long or mixes families."""
    if source.family != target.family:
        raise ProxyError("PROXY header: CLIENT and SERVER are of different families")
    family = _TCP6 if target.family == socket.AF_INET6 else _TCP4
    block = b"".join(socket.inet_pton(end.family, end.host) for end in (source, target))
    block += struct.pack("!HH", source.port, target.port) + tlvs
    if len(block) > _LENGTH_MAX:
        raise ProxyError("PROXY header: too long")
    return _SIGNATURE + struct.pack("!BBH", _VERSION_2_PROXY, family, len(block)) + block
