"""Headers of the PROXY protocol as a script writes them: `"CLIENT SERVER [TYPE=VALUE …]"`."""

from __future__ import annotations

import socket

from msgspec.structs import replace

from holdfast.protocols.proxy import (
    Endpoint,
    Family,
    ProxyError,
    ProxyHeader,
    Tlv,
    TlvType,
    encode_tlvs,
    encode_v1,
    encode_v2,
)
from holdfast.vtc.io.socket_address import AddressError, SocketAddress, resolve
from holdfast.vtc.language.numbers import unhex
from holdfast.vtc.language.source import ENCODING

TLV_TYPES = {
    kind.name.lower(): kind
    for kind in (
        TlvType.ALPN,
        TlvType.AUTHORITY,
        TlvType.CRC32C,
        TlvType.NOOP,
        TlvType.UNIQUE_ID,
        TlvType.NETNS,
    )
}


async def proxy_header(version: int, spec: str) -> bytes:
    """The header that `spec` describes. Raises `ProxyError`."""
    words = spec.split()
    if len(words) < 2:
        raise ProxyError("PROXY header: CLIENT and SERVER are needed")
    source, target = await _address(words[0]), await _address(words[1])
    header = ProxyHeader(
        version=version,
        family=Family.INET6 if target.family == socket.AF_INET6 else Family.INET,
        source=Endpoint(source.host, source.port),
        destination=Endpoint(target.host, target.port),
    )
    tlvs = tuple(tlv(word) for word in words[2:])
    if version == 1:
        return encode_v1(header) + encode_tlvs(tlvs)
    if source.family != target.family:
        raise ProxyError("PROXY header: CLIENT and SERVER are of different families")
    return encode_v2(replace(header, tlvs=tlvs))


async def _address(text: str) -> SocketAddress:
    try:
        found = await resolve(text, None, socket.SOCK_STREAM)
    except AddressError as error:
        raise ProxyError(f"Could not resolve client address {text}: {error}") from None
    if len(found) != 1 or found[0].family == socket.AF_UNIX:
        raise ProxyError(f"Could not resolve client address {text}")
    return found[0]


def tlv(word: str) -> Tlv:
    """Parse one `TYPE=VALUE`, each a name or text, or hexadecimal after `0x`. Raises
    `ProxyError`."""
    name, _, value = word.partition("=")
    if not value:
        raise ProxyError("tlv value missing")
    data = _unhex(value) if value.startswith("0x") else value.encode(ENCODING)
    return Tlv(_tlv_type(name), data)


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
