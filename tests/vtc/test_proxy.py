import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.address import Address
from holdfast.vtc.proxy import TLV_TYPES, ProxyError, proxy_header, tlv, version_1, version_2

PORT = st.integers(0, 65535)
V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


def address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> Address:
    if ip.version == 4:
        return Address(socket.AF_INET, (str(ip), port))
    return Address(socket.AF_INET6, (str(ip), port, 0, 0))


ADDRESSES = st.one_of(
    st.tuples(st.builds(address, V4, PORT), st.builds(address, V4, PORT)),
    st.tuples(st.builds(address, V6, PORT), st.builds(address, V6, PORT)),
)


def read_version_2(data: bytes) -> tuple[Address, Address, bytes]:
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


@given(ADDRESSES, st.binary(max_size=40))
def test_a_binary_header_is_read_again(ends: tuple[Address, Address], tlvs: bytes) -> None:
    assert read_version_2(version_2(*ends, tlvs)) == (*ends, tlvs)


@given(ADDRESSES)
def test_a_line_is_read_again(ends: tuple[Address, Address]) -> None:
    words = version_1(*ends).decode().removesuffix("\r\n").split(" ")
    assert words[0] == "PROXY"
    assert words[1] == ("TCP4" if ends[0].family == socket.AF_INET else "TCP6")
    assert words[2:] == [ends[0].host, ends[1].host, str(ends[0].port), str(ends[1].port)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("alpn=h2", b"\x01\x00\x02h2"),
        ("authority=a=b", b"\x02\x00\x03a=b"),
        ("0xE0=text", b"\xe0\x00\x04text"),
        ("0x05=0x0a0b", b"\x05\x00\x02\x0a\x0b"),
        ("noop=0x", b"\x04\x00\x00"),
    ],
)
def test_a_tlv_is_a_type_and_a_value(word: str, expected: bytes) -> None:
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
    ],
)
async def test_what_is_no_header_is_refused(spec: str, reason: str) -> None:
    with pytest.raises(ProxyError, match=reason):
        await proxy_header(2, spec)


async def test_a_header_is_put_together_from_a_script_s_words() -> None:
    found = await proxy_header(1, "1.2.3.4:5 6.7.8.9:10")
    assert found == b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n"
    source, target, tlvs = read_version_2(await proxy_header(2, "[::1]:5 [::2]:6 alpn=h2"))
    assert (source.joined, target.joined, tlvs) == ("[::1]:5", "[::2]:6", b"\x01\x00\x02h2")
