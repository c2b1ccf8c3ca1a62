"""The PROXY protocol: bytes on the wire and what they say."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.proxy import (
    SIGNATURE,
    Endpoint,
    Family,
    ProxyDecoder,
    ProxyError,
    ProxyHeader,
    Ssl,
    Tlv,
    TlvType,
    crc32c,
    encode_ssl,
    encode_v1,
    encode_v2,
)

BYTES_MAX = 4096
SSL_TLV = encode_ssl(
    Ssl(True, True, True, (Tlv(TlvType.SSL_VERSION, b"TLSv1.3"), Tlv(TlvType.SSL_CN, b"anna")))
)


def decode(data: bytes, bytes_max: int = BYTES_MAX) -> tuple[ProxyHeader, bytes]:
    decoder = ProxyDecoder(bytes_max)
    (header,) = decoder.receive_data(data)
    return header, decoder.rest


def inet(version: int, *tlvs: Tlv) -> ProxyHeader:
    return ProxyHeader(
        version,
        Family.INET,
        Endpoint("192.0.2.1", 56324),
        Endpoint("192.0.2.2", 443),
        tlvs,
    )


def inet6(version: int, *tlvs: Tlv) -> ProxyHeader:
    return ProxyHeader(
        version, Family.INET6, Endpoint("2001:db8::1", 1), Endpoint("::1", 65535), tlvs
    )


def unix(source: str, destination: str) -> ProxyHeader:
    return ProxyHeader(2, Family.UNIX, Endpoint(source, 0), Endpoint(destination, 0))


ADDRESSES_4 = bytes.fromhex("c0000201 c0000202 dc04 01bb")

# --- wire bytes and headers, both ways

BOTH_WAYS = [
    pytest.param(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", inet(1), id="2.1-tcp4"),
    pytest.param(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", inet6(1), id="2.1-tcp6"),
    pytest.param(b"PROXY UNKNOWN\r\n", ProxyHeader(1), id="2.1-unknown"),
    pytest.param(SIGNATURE + b"\x21\x11\x00\x0c" + ADDRESSES_4, inet(2), id="2.2-inet"),
    pytest.param(
        SIGNATURE
        + b"\x21\x21\x00\x24"
        + bytes.fromhex("20010db8000000000000000000000001" + "0" * 31 + "1" + "0001ffff"),
        inet6(2),
        id="2.2-inet6",
    ),
    pytest.param(
        SIGNATURE + b"\x21\x31\x00\xd8" + b"/run/a".ljust(108, b"\0") + b"\0b".ljust(108, b"\0"),
        unix("/run/a", "@b"),
        id="2.2-unix",
    ),
    pytest.param(SIGNATURE + b"\x20\x00\x00\x00", ProxyHeader(2, local=True), id="2.2-local"),
    pytest.param(SIGNATURE + b"\x21\x00\x00\x00", ProxyHeader(2), id="2.2-unspec"),
    pytest.param(
        SIGNATURE + b"\x21\x11\x00\x14" + ADDRESSES_4 + b"\x02\x00\x05a.org",
        inet(2, Tlv(TlvType.AUTHORITY, b"a.org")),
        id="2.2.2-authority",
    ),
    pytest.param(
        SIGNATURE + b"\x21\x11\x00\x15" + ADDRESSES_4 + b"\x04\x00\x00\xea\x00\x03xyz",
        inet(2, Tlv(TlvType.NOOP, b""), Tlv(0xEA, b"xyz")),
        id="2.2.4-noop-and-a-custom-type",
    ),
]


@pytest.mark.parametrize(("data", "header"), BOTH_WAYS)
def test_a_header_is_read(data: bytes, header: ProxyHeader) -> None:
    assert decode(data + b"GET /") == (header, b"GET /")


@pytest.mark.parametrize(("data", "header"), BOTH_WAYS)
def test_a_header_is_written(data: bytes, header: ProxyHeader) -> None:
    assert (encode_v1 if header.version == 1 else encode_v2)(header) == data


@pytest.mark.parametrize(
    ("data", "header"),
    [
        pytest.param(b"PROXY UNKNOWN ff ff 1 2\r\n", ProxyHeader(1), id="2.1-unknown-with-more"),
        pytest.param(
            SIGNATURE + b"\x20\x11\x00\x0c" + ADDRESSES_4,
            ProxyHeader(2, local=True),
            id="2.2-local-ignores-addresses",
        ),
        pytest.param(
            SIGNATURE + b"\x21\x00\x00\x02ab", ProxyHeader(2), id="2.2-unspec-ignores-the-block"
        ),
        pytest.param(
            SIGNATURE + b"\x21\x10\x00\x0c" + ADDRESSES_4,
            ProxyHeader(2),
            id="2.2-no-transport-is-unspec",
        ),
    ],
)
def test_what_must_be_ignored_is(data: bytes, header: ProxyHeader) -> None:
    assert decode(data) == (header, b"")


REFUSED = [
    pytest.param(b"GET / HTTP/1.1\r\n", "expected a PROXY header, found b'GET /", id="none"),
    pytest.param(b"PROXY TCP4 1.2.3.4\r\n", "expected 'PROXY TCP4|TCP6", id="2.1-too-few"),
    pytest.param(b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "expected 'PROXY", id="2.1-family"),
    pytest.param(b"PROXYX\r\n", "expected 'PROXY", id="2.1-name"),
    pytest.param(b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n", "of INET, found b'1.2.3.04'", id="2.1-ip"),
    pytest.param(b"PROXY TCP4 ::1 ::1 1 1\r\n", "of INET, found b'::1'", id="2.1-mixed"),
    pytest.param(b"PROXY TCP6 1.2.3.4 ::1 1 1\r\n", "of INET6", id="2.1-mixed-6"),
    pytest.param(b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "port from 0 to 65535", id="2.1-port"),
    pytest.param(b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "port from 0", id="2.1-leading-zero"),
    pytest.param(b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "port from 0", id="2.1-negative"),
    pytest.param(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \xb2\r\n", "port from 0", id="2.1-no-ascii"),
    pytest.param(b"PROXY TCP4 1.2.3.4  1.2.3.4 1 1\r\n", "expected 'PROXY", id="2.1-two-spaces"),
    pytest.param(b"PROXY " + 101 * b"x", "CR LF within 107 bytes", id="2.1-too-long"),
    pytest.param(SIGNATURE + b"\x11\x11\0\0", "version 2 and LOCAL or PROXY", id="2.2-version"),
    pytest.param(SIGNATURE + b"\x22\x11\0\0", "version 2 and LOCAL or PROXY", id="2.2-command"),
    pytest.param(SIGNATURE + b"\x21\x41\0\0", "known family", id="2.2-family"),
    pytest.param(SIGNATURE + b"\x21\x13\0\0", "known family", id="2.2-transport"),
    pytest.param(SIGNATURE + b"\x21\x11\0\x04abcd", "12 bytes of addresses", id="2.2-short"),
    pytest.param(SIGNATURE + b"\x21\x11\xff\xff", "at most 4096 bytes, found 65551", id="2.2-big"),
    pytest.param(
        SIGNATURE + b"\x21\x11\0\x0e" + ADDRESSES_4 + b"\x02\0", "expected a TLV", id="2.2-half-tlv"
    ),
    pytest.param(
        SIGNATURE + b"\x21\x11\0\x0f" + ADDRESSES_4 + b"\x02\0\x01",
        "TLV of 1 bytes, found 0",
        id="2.2-tlv-too-long",
    ),
    pytest.param(
        SIGNATURE + b"\x21\x11\0\x90" + ADDRESSES_4 + b"\x05\0\x81" + 129 * b"u",
        "unique id of at most 128",
        id="2.2.5-unique-id",
    ),
    pytest.param(
        SIGNATURE + b"\x21\x11\0\x13" + ADDRESSES_4 + b"\x03\0\x04abcd",
        "expected the CRC32C 0x",
        id="2.2.3-checksum",
    ),
    pytest.param(
        SIGNATURE + b"\x21\x11\0\x11" + ADDRESSES_4 + b"\x03\0\x02ab",
        "CRC32C of 4 bytes, found 2",
        id="2.2.3-checksum-of-another-size",
    ),
]


@pytest.mark.parametrize(("data", "fault"), REFUSED)
def test_what_is_no_header_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(ProxyError) as caught:
        ProxyDecoder(BYTES_MAX).receive_data(data)
    assert fault in str(caught.value)


@pytest.mark.parametrize("data", [b"GET /", b"P0", b"\r\n\r\nx"])
def test_a_header_that_is_not_required_may_be_absent(data: bytes) -> None:
    decoder = ProxyDecoder(BYTES_MAX, required=False)
    assert decoder.receive_data(data) == [ProxyHeader(0, local=True)]
    assert decoder.rest == data


# --- 2.2.3 checksum, 2.2.6 TLS


def test_crc32c_is_castagnoli_s() -> None:
    """RFC 3720 appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


@given(st.data())
def test_any_bit_that_changes_is_found_by_the_checksum(data: st.DataObject) -> None:
    wire = bytearray(encode_v2(inet(2, Tlv(TlvType.AUTHORITY, b"example.org")), checksum=True))
    assert decode(bytes(wire))[0].tlvs[0].value == b"example.org"
    first = len(SIGNATURE) + 4  # the length and the family decide what is checked at all
    bit = data.draw(st.integers(8 * first, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    checksum_at = len(wire) - 7
    if bit // 8 in (checksum_at, checksum_at + 1, checksum_at + 2) or bit // 8 in (28, 29, 30):
        return  # the type and the length of a TLV: no checksum is found any more
    with pytest.raises(ProxyError, match="expected the CRC32C"):
        decode(bytes(wire))


def test_what_a_proxy_tells_of_tls() -> None:
    header, _ = decode(encode_v2(inet(2, SSL_TLV)))
    assert header.ssl is not None
    assert (header.ssl.used, header.ssl.certificate_shown, header.ssl.verified) == (True,) * 3
    assert header.ssl.text(TlvType.SSL_VERSION) == "TLSv1.3"
    assert header.ssl.text(TlvType.SSL_CN) == "anna"
    assert header.ssl.text(TlvType.SSL_CIPHER) == ""


def test_a_certificate_that_was_not_shown_is_not_verified() -> None:
    """Section 2.2.6: `verify` is 0 also where no certificate was shown."""
    header, _ = decode(encode_v2(inet(2, Tlv(TlvType.SSL, b"\x01\0\0\0\0"))))
    assert header.ssl == Ssl(True, False, False, ())
    assert inet(2).ssl is None


def test_too_little_on_tls_is_refused() -> None:
    with pytest.raises(ProxyError, match="at least 5 bytes on TLS, found 2"):
        _ = inet(2, Tlv(TlvType.SSL, b"ab")).ssl


# --- what cannot be written


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (inet(1, Tlv(1, b"")), "version 1 has no TLVs"),
        (unix("a", "b"), "version 1 has no Unix sockets"),
        (ProxyHeader(1, Family.INET), "expected two addresses"),
    ],
)
def test_version_1_cannot_say_everything(header: ProxyHeader, fault: str) -> None:
    with pytest.raises(ProxyError, match=fault):
        encode_v1(header)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (inet(2, Tlv(1, bytes(65535))), "at most 65535 bytes"),
        (unix("a" * 109, "b"), "path of at most 108 bytes, found 109"),
        (
            ProxyHeader(2, Family.INET, Endpoint("::1", 1), Endpoint("::1", 2)),
            "expected addresses of INET",
        ),
        (ProxyHeader(2, Family.INET6), "expected two addresses of INET6"),
    ],
)
def test_version_2_has_limits(header: ProxyHeader, fault: str) -> None:
    with pytest.raises(ProxyError, match=fault):
        encode_v2(header)


# --- properties

ports = st.integers(0, 65535)
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(str)
tlvs = st.lists(st.builds(Tlv, st.integers(0x30, 0xFF), st.binary(max_size=40)), max_size=4).map(
    tuple
)
paths = st.text("abc/.", min_size=1, max_size=30)


@st.composite
def headers(draw: st.DrawFn) -> ProxyHeader:
    version = draw(st.sampled_from([1, 2]))
    family = draw(st.sampled_from([Family.INET, Family.INET6, Family.UNIX][: version + 1]))
    hosts = {Family.INET: ipv4, Family.INET6: ipv6, Family.UNIX: paths}[family]
    port = st.just(0) if family is Family.UNIX else ports
    source, destination = (Endpoint(draw(hosts), draw(port)) for _ in range(2))
    return ProxyHeader(version, family, source, destination, draw(tlvs) if version == 2 else ())


@given(headers(), st.binary(max_size=20), st.lists(st.integers(0, 300), max_size=5))
def test_what_is_written_is_read_however_it_is_cut(
    header: ProxyHeader, rest: bytes, cuts: list[int]
) -> None:
    wire = (encode_v1 if header.version == 1 else encode_v2)(header) + rest
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    decoder = ProxyDecoder(BYTES_MAX)
    found: list[ProxyHeader] = []
    later = b""
    for start, end in itertools.pairwise(edges):
        if found:
            later += wire[start:end]
        else:
            found = decoder.receive_data(wire[start:end])
    assert found == [header]
    assert decoder.rest + later == rest


@given(st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary())
def test_arbitrary_bytes_give_a_header_or_an_error_and_nothing_else(
    prefix: bytes, data: bytes
) -> None:
    try:
        found = ProxyDecoder(BYTES_MAX).receive_data(prefix + data)
    except ProxyError:
        return
    assert all(type(header) is ProxyHeader for header in found)


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("verified", [True, False])
def test_what_is_told_of_tls_is_read_again(used: bool, shown: bool, verified: bool) -> None:
    tlvs = (Tlv(TlvType.SSL_CIPHER, b"a"), Tlv(TlvType.SSL_CIPHER, b"b"))
    tlv = encode_ssl(Ssl(used, shown, verified, tlvs))
    assert tlv.type == 0x20
    assert tlv.value[:5] == bytes((used + 6 * shown, 0, 0, 0, not verified))
    assert inet(2, tlv).ssl == Ssl(used, shown, shown and verified, tlvs)


@pytest.mark.parametrize(("size", "right"), [(128, True), (129, False)])
def test_a_unique_id_has_a_limit_and_other_values_have_none(size: int, right: bool) -> None:
    other = Tlv(TlvType.NETNS, bytes(200))
    data = encode_v2(inet(2, other, Tlv(TlvType.UNIQUE_ID, bytes(size))))
    if right:
        assert decode(data)[0].tlvs[0] == other
        return
    with pytest.raises(ProxyError, match="a unique id of at most 128 bytes, found 129"):
        decode(data)


@pytest.mark.parametrize(("size", "right"), [(107, True), (108, False)])
def test_a_line_of_version_1_has_a_limit(size: int, right: bool) -> None:
    line = b"PROXY UNKNOWN ".ljust(size - 2, b"x") + b"\r\n"
    if right:
        assert decode(line + b"rest") == (ProxyHeader(version=1), b"rest")
        return
    with pytest.raises(ProxyError, match="expected CR LF within 107 bytes"):
        decode(line)


def test_a_header_of_version_2_has_the_limit_of_the_decoder() -> None:
    data = encode_v2(inet(2))
    assert decode(data, len(data))[0] == inet(2)
    with pytest.raises(ProxyError, match=f"at most {len(data) - 1} bytes, found {len(data)}"):
        decode(data, len(data) - 1)


@pytest.mark.parametrize(
    ("source", "destination"),
    [(Endpoint("192.0.2.1", 1), None), (None, Endpoint("192.0.2.1", 1)), (None, None)],
)
@pytest.mark.parametrize("encode", [encode_v1, encode_v2])
def test_one_address_is_not_enough(
    encode: Callable[[ProxyHeader], bytes], source: Endpoint | None, destination: Endpoint | None
) -> None:
    with pytest.raises(ProxyError, match="expected two addresses of INET, found fewer"):
        encode(ProxyHeader(1, Family.INET, source, destination))
