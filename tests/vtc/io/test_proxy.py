import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.proxy import ProxyError
from holdfast.vtc.io.proxy import TLV_TYPES, proxy_header, tlv
from holdfast.vtc.io.socket_address import SocketAddress

PORT = st.integers(0, 65535)
V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


def address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> SocketAddress:
    if ip.version == 4:
        return SocketAddress(socket.AF_INET, (str(ip), port))
    return SocketAddress(socket.AF_INET6, (str(ip), port, 0, 0))


ADDRESSES = st.one_of(
    st.tuples(st.builds(address, V4, PORT), st.builds(address, V4, PORT)),
    st.tuples(st.builds(address, V6, PORT), st.builds(address, V6, PORT)),
)


def read_version_2(data: bytes) -> tuple[SocketAddress, SocketAddress, bytes]:
    """What a receiver makes of a header (proxy-protocol.txt section 2.2)."""
    assert data[:12] == b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
    kind, family, length = struct.unpack("!BBH", data[12:16])
    assert kind == 0x21
    block = data[16:]
    assert len(block) == length
    of, size = (socket.AF_INET, 4) if family == 0x11 else (socket.AF_INET6, 16)
    hosts = [socket.inet_ntop(of, block[i * size : (i + 1) * size]) for i in (0, 1)]
    ports = struct.unpack("!HH", block[2 * size : 2 * size + 4])
    ends = [
        address(ipaddress.ip_address(host), port) for host, port in zip(hosts, ports, strict=True)
    ]
    return ends[0], ends[1], block[2 * size + 4 :]


@given(ADDRESSES, st.binary(min_size=1, max_size=40))
async def test_a_binary_header_is_read_again(
    ends: tuple[SocketAddress, SocketAddress], value: bytes
) -> None:
    spec = f"{ends[0].joined} {ends[1].joined} 0xe0=0x{value.hex()}"
    tlvs = b"\xe0" + struct.pack("!H", len(value)) + value
    assert read_version_2(await proxy_header(2, spec)) == (*ends, tlvs)


@given(ADDRESSES)
async def test_a_line_is_read_again(ends: tuple[SocketAddress, SocketAddress]) -> None:
    line = await proxy_header(1, f"{ends[0].joined} {ends[1].joined}")
    words = line.decode().removesuffix("\r\n").split(" ")
    assert words[0] == "PROXY"
    assert words[1] == ("TCP4" if ends[0].family == socket.AF_INET else "TCP6")
    assert words[2:] == [ends[0].host, ends[1].host, str(ends[0].port), str(ends[1].port)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("alpn=h2", (1, b"h2")),
        ("authority=a=b", (2, b"a=b")),
        ("0xE0=text", (0xE0, b"text")),
        ("0x05=0x0a0b", (5, b"\x0a\x0b")),
        ("noop=0x", (4, b"")),
    ],
)
def test_a_tlv_is_a_type_and_a_value(word: str, expected: tuple[int, bytes]) -> None:
    assert tlv(word) == expected


def test_every_type_by_name_can_be_sent() -> None:
    assert {tlv(f"{name}=x")[0] for name in TLV_TYPES} == set(TLV_TYPES.values())


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("1.2.3.4:5", "CLIENT and SERVER are needed"),
        ("1.2.3.4:5 [::1]:6", "different families"),
        ("nonsense.invalid:5 1.2.3.4:6", "Could not resolve client address"),
        ("/a /b", "Could not resolve client address"),
        ("1.2.3.4:5 1.2.3.4:6 alpn", "tlv value missing"),
        ("1.2.3.4:5 1.2.3.4:6 what=x", "tlv type what not found"),
        ("1.2.3.4:5 1.2.3.4:6 0x0102=x", "tlv hex type has wrong length"),
        ("1.2.3.4:5 1.2.3.4:6 noop=0xzz", "Illegal hex string"),
        (f"1.2.3.4:5 1.2.3.4:6 noop={'x' * 65536}", "expected at most 65535 bytes, found 65536"),
        (f"1.2.3.4:5 1.2.3.4:6 noop={'x' * 65535}", "expected at most 65535 bytes, found 65550"),
    ],
)
async def test_what_is_no_header_is_refused(spec: str, reason: str) -> None:
    with pytest.raises(ProxyError, match=reason):
        await proxy_header(2, spec)


async def test_a_header_is_put_together_from_a_script_s_words() -> None:
    found = await proxy_header(1, "1.2.3.4:5 6.7.8.9:10")
    assert found == b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n"
    with_tlv = await proxy_header(1, "1.2.3.4:5 6.7.8.9:10 alpn=h2")  # as the reference sends it
    assert with_tlv == found + b"\x01\x00\x02h2"
    source, target, tlvs = read_version_2(await proxy_header(2, "[::1]:5 [::2]:6 alpn=h2"))
    assert (source.joined, target.joined, tlvs) == ("[::1]:5", "[::2]:6", b"\x01\x00\x02h2")
