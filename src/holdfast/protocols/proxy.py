"""The PROXY protocol, versions 1 and 2: the client of a proxy.

The header precedes all other bytes of a connection. `ProxyDecoder` parses one, `encode_v1` and
`encode_v2` make one. Sections are those of HAProxy's `proxy-protocol.txt`.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from msgspec import Struct

from holdfast.core.errors import ProtocolError

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V1_PREFIX: Final = b"PROXY"
V1_BYTES_MAX: Final = 107
"""The longest line of version 1 with its CR LF (section 2.1)."""
_V2_HEAD_SIZE: Final = 16
_V2_LENGTH_MAX: Final = 0xFFFF
_UNIX_PATH_SIZE: Final = 108
_UNIQUE_ID_BYTES_MAX: Final = 128


class ProxyError(ProtocolError):
    """An invalid PROXY header. The message names the value found and the value expected."""


class Family(Enum):
    """The address family of a header (section 2.2)."""

    UNSPEC = 0
    INET = 1
    INET6 = 2
    UNIX = 3


class TlvType(IntEnum):
    """The types of section 2.2.1 to 2.2.8."""

    ALPN = 0x01
    AUTHORITY = 0x02
    CRC32C = 0x03
    NOOP = 0x04
    UNIQUE_ID = 0x05
    SSL = 0x20
    SSL_VERSION = 0x21
    SSL_CN = 0x22
    SSL_CIPHER = 0x23
    SSL_SIG_ALG = 0x24
    SSL_KEY_ALG = 0x25
    NETNS = 0x30


class Tlv(NamedTuple):
    """A type and its value. The type may be unknown here."""

    type: int
    value: bytes


class Endpoint(NamedTuple):
    """An address and a port; of a Unix socket its path, and port 0."""

    host: str
    port: int


class Ssl(NamedTuple):
    """The TLS connection between the client and the proxy (section 2.2.6)."""

    used: bool
    """The client connected over TLS."""
    certificate_shown: bool
    """The client showed a certificate, on this connection or on one whose session it resumed."""
    verified: bool
    """The certificate was verified."""
    tlvs: tuple[Tlv, ...]

    def text(self, kind: TlvType) -> str:
        """Return a value (version, common name, cipher …); empty if it is absent."""
        return next(
            (tlv.value.decode(errors="replace") for tlv in self.tlvs if tlv.type == kind), ""
        )


class ProxyHeader(Struct, frozen=True):
    """One header.

    Without addresses (`LOCAL`, `UNKNOWN`, an unspecified family), the connection
    stands for itself: its own addresses count.
    """

    version: int
    family: Family = Family.UNSPEC
    source: Endpoint | None = None
    destination: Endpoint | None = None
    tlvs: tuple[Tlv, ...] = ()
    local: bool = False
    """Whether the connection is the proxy's own (LOCAL), as for a health check."""

    def value(self, kind: TlvType) -> bytes | None:
        """The first value of a type."""
        return next((tlv.value for tlv in self.tlvs if tlv.type == kind), None)

    @property
    def ssl(self) -> Ssl | None:
        """Parse the TLS TLV. Raises `ProxyError`."""
        value = self.value(TlvType.SSL)
        return _parse_ssl(value) if value is not None else None


class ProxyDecoder:
    """Reads one header of either version from the beginning of a stream."""

    __slots__ = ("_bytes_max", "_data", "_required", "rest")

    def __init__(self, bytes_max: int, *, required: bool = True) -> None:
        self._bytes_max = bytes_max
        self._required = required
        self._data = b""
        self.rest = b""
        """The bytes after the header: the beginning of the stream."""

    def receive_data(self, data: bytes) -> list[ProxyHeader]:
        """The header, once it is whole; an empty list before. Raises `ProxyError`.

        Not to be called again after that.
        """
        self._data = data = self._data + data
        if data.startswith(SIGNATURE[: len(data)]):
            return self._receive_v2()
        if data.startswith(V1_PREFIX[: len(data)]):
            return self._receive_v1()
        if not self._required:
            self.rest = data
            return [ProxyHeader(version=0, local=True)]
        raise ProxyError(f"expected a PROXY header, found {data[:16]!r}")

    def _receive_v1(self) -> list[ProxyHeader]:
        end = self._data.find(b"\r\n", 0, V1_BYTES_MAX)
        if end < 0:
            if len(self._data) >= V1_BYTES_MAX:
                raise ProxyError(f"expected CR LF within {V1_BYTES_MAX} bytes, found none")
            return []
        self.rest = self._data[end + 2 :]
        return [_parse_v1(self._data[:end])]

    def _receive_v2(self) -> list[ProxyHeader]:
        data = self._data
        if len(data) < _V2_HEAD_SIZE:
            return []
        size = _V2_HEAD_SIZE + int.from_bytes(data[14:16], "big")
        if size > self._bytes_max:
            raise ProxyError(f"expected a header of at most {self._bytes_max} bytes, found {size}")
        if len(data) < size:
            return []
        self.rest = data[size:]
        return [_parse_v2(data[:size])]


# --- version 1


def _parse_v1(line: bytes) -> ProxyHeader:
    words = line.split(b" ")
    if words[:2] == [V1_PREFIX, b"UNKNOWN"]:
        return ProxyHeader(version=1)
    if len(words) != 6 or words[0] != V1_PREFIX or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyError(f"expected 'PROXY TCP4|TCP6 FROM TO PORT PORT', found {line!r}")
    family = Family.INET if words[1] == b"TCP4" else Family.INET6
    return ProxyHeader(
        version=1,
        family=family,
        source=Endpoint(_parse_host(words[2], family), _parse_port(words[4])),
        destination=Endpoint(_parse_host(words[3], family), _parse_port(words[5])),
    )


def _parse_host(word: bytes, family: Family) -> str:
    kind = ipaddress.IPv4Address if family is Family.INET else ipaddress.IPv6Address
    try:
        return str(kind(word.decode("ascii")))
    except ValueError:
        raise ProxyError(f"expected an address of {family.name}, found {word!r}") from None


def _parse_port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or int(word) > 0xFFFF or (word[:1] == b"0" != word):
        raise ProxyError(f"expected a port from 0 to 65535, found {word!r}")
    return int(word)


def encode_v1(header: ProxyHeader) -> bytes:
    """Return the header line. Raises `ProxyError` for Unix sockets and TLVs, which version 1
    lacks."""
    if header.tlvs:
        raise ProxyError("version 1 has no TLVs")
    if header.local or header.family is Family.UNSPEC:
        return b"PROXY UNKNOWN\r\n"
    if header.family is Family.UNIX:
        raise ProxyError("version 1 has no Unix sockets")
    source, destination = _ends(header)
    family = "TCP4" if header.family is Family.INET else "TCP6"
    line = f"PROXY {family} {source.host} {destination.host} {source.port} {destination.port}\r\n"
    return line.encode("ascii")


# --- version 2

_SIZES: Final = {Family.UNSPEC: 0, Family.INET: 12, Family.INET6: 36, Family.UNIX: 216}
_STREAM: Final = 1


def _parse_v2(data: bytes) -> ProxyHeader:
    version, command = data[12] >> 4, data[12] & 15
    if version != 2 or command > 1:
        raise ProxyError(f"expected version 2 and LOCAL or PROXY, found 0x{data[12]:02x}")
    if data[13] >> 4 > 3 or data[13] & 15 > 2:
        raise ProxyError(f"expected a known family and protocol, found 0x{data[13]:02x}")
    family = Family(data[13] >> 4)
    if family is not Family.UNSPEC and data[13] & 15 == 0:
        family = Family.UNSPEC
    block = data[_V2_HEAD_SIZE:]
    local = command == 0
    if local:
        # Section 2.2: the receiver must use the real addresses and discard the block's.
        return ProxyHeader(version=2, local=True)
    size = _SIZES[family]
    if len(block) < size:
        raise ProxyError(f"expected {size} bytes of addresses, found {len(block)}")
    tlvs = () if family is Family.UNSPEC else tuple(_parse_tlvs(block[size:]))
    _check_checksum(data, len(data) - len(block) + size, tlvs)
    source, destination = _parse_addresses(family, block[:size])
    return ProxyHeader(version=2, family=family, source=source, destination=destination, tlvs=tlvs)


def _parse_addresses(family: Family, block: bytes) -> tuple[Endpoint | None, Endpoint | None]:
    match family:
        case Family.UNSPEC:
            return None, None
        case Family.UNIX:
            paths = block[:_UNIX_PATH_SIZE], block[_UNIX_PATH_SIZE:]
            return Endpoint(_parse_path(paths[0]), 0), Endpoint(_parse_path(paths[1]), 0)
        case Family.INET | Family.INET6:
            size = len(block) // 2 - 2
            hosts = [str(ipaddress.ip_address(block[at : at + size])) for at in (0, size)]
            ports = struct.unpack("!HH", block[2 * size :])
            return Endpoint(hosts[0], ports[0]), Endpoint(hosts[1], ports[1])


def _parse_path(field: bytes) -> str:
    """A Unix socket's path; `@name` for one in the abstract namespace."""
    if field[:1] == b"\0":
        name = field[1:].rstrip(b"\0")
        return "@" + name.decode(errors="surrogateescape") if name else ""
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _parse_tlvs(data: bytes) -> Iterator[Tlv]:
    while data:
        if len(data) < 3:
            raise ProxyError(f"expected a TLV, found {len(data)} bytes")
        size = int.from_bytes(data[1:3], "big")
        if len(data) < 3 + size:
            raise ProxyError(f"expected a TLV of {size} bytes, found {len(data) - 3}")
        if data[0] == TlvType.UNIQUE_ID and size > _UNIQUE_ID_BYTES_MAX:
            raise ProxyError(
                f"expected a unique id of at most {_UNIQUE_ID_BYTES_MAX} bytes, found {size}"
            )
        yield Tlv(data[0], data[3 : 3 + size])
        data = data[3 + size :]


def _parse_ssl(value: bytes) -> Ssl:
    if len(value) < 5:
        raise ProxyError(f"expected at least 5 bytes on TLS, found {len(value)}")
    client, verify = struct.unpack("!BI", value[:5])
    return Ssl(
        used=bool(client & 1),
        certificate_shown=bool(client & 6),
        verified=bool(client & 6) and verify == 0,
        tlvs=tuple(_parse_tlvs(value[5:])),
    )


def _check_checksum(data: bytes, at: int, tlvs: Sequence[Tlv]) -> None:
    """Section 2.2.3: the CRC32C of the whole header with this field as zeros."""
    for tlv in tlvs:
        if tlv.type == TlvType.CRC32C:
            if len(tlv.value) != 4:
                raise ProxyError(f"expected a CRC32C of 4 bytes, found {len(tlv.value)}")
            found = int.from_bytes(tlv.value, "big")
            expected = crc32c(data[: at + 3] + bytes(4) + data[at + 7 :])
            if found != expected:
                raise ProxyError(f"expected the CRC32C 0x{expected:08x}, found 0x{found:08x}")
        at += 3 + len(tlv.value)


def encode_v2(header: ProxyHeader, *, checksum: bool = False) -> bytes:
    """The binary header, with a CRC32C if asked for. Raises `ProxyError` if it is too long."""
    tlvs = list(header.tlvs)
    if checksum:
        tlvs.append(Tlv(TlvType.CRC32C, bytes(4)))
    if header.local:
        family, block = Family.UNSPEC, b""
    else:
        family, block = header.family, _encode_addresses(header)
    block += encode_tlvs(tlvs)
    if len(block) > _V2_LENGTH_MAX:
        raise ProxyError(f"expected at most {_V2_LENGTH_MAX} bytes, found {len(block)}")
    protocol = 0 if family is Family.UNSPEC else family.value << 4 | _STREAM
    command = 0x20 if header.local else 0x21
    data = SIGNATURE + struct.pack("!BBH", command, protocol, len(block)) + block
    return data[:-4] + crc32c(data).to_bytes(4, "big") if checksum else data


def encode_ssl(ssl: Ssl) -> Tlv:
    """Return the TLV for the client's TLS."""
    client = ssl.used | (2 | 4 if ssl.certificate_shown else 0)
    verify = 0 if ssl.verified else 1
    value = struct.pack("!BI", client, verify)
    return Tlv(TlvType.SSL, value + encode_tlvs(ssl.tlvs))


def encode_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    """TLVs one after the other. Raises `ProxyError` for a value that is too long."""
    data = bytearray()
    for tlv in tlvs:
        if len(tlv.value) > _V2_LENGTH_MAX:
            raise ProxyError(f"expected at most {_V2_LENGTH_MAX} bytes, found {len(tlv.value)}")
        data += struct.pack("!BH", tlv.type, len(tlv.value)) + tlv.value
    return bytes(data)


def _encode_addresses(header: ProxyHeader) -> bytes:
    if header.family is Family.UNSPEC:
        return b""
    ends = _ends(header)
    if header.family is Family.UNIX:
        return b"".join(_encode_path(end.host) for end in ends)
    hosts = b"".join(ipaddress.ip_address(end.host).packed for end in ends)
    if len(hosts) + 4 != _SIZES[header.family]:
        raise ProxyError(f"expected addresses of {header.family.name}, found {header.source}")
    return hosts + struct.pack("!HH", *(end.port for end in ends))


def _encode_path(path: str) -> bytes:
    data = path.encode(errors="surrogateescape")
    if path.startswith("@"):
        data = b"\0" + data[1:]
    if len(data) > _UNIX_PATH_SIZE:
        raise ProxyError(f"expected a path of at most {_UNIX_PATH_SIZE} bytes, found {len(data)}")
    return data.ljust(_UNIX_PATH_SIZE, b"\0")


def _ends(header: ProxyHeader) -> tuple[Endpoint, Endpoint]:
    if header.source is None or header.destination is None:
        raise ProxyError(f"expected two addresses of {header.family.name}, found fewer")
    return header.source, header.destination


# --- CRC32C (Castagnoli; RFC 3720 appendix B.4)


def _table() -> Iterator[int]:
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        yield number


_CRC32C: Final = tuple(_table())


def crc32c(data: bytes) -> int:
    """The checksum of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
