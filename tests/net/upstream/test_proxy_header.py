from __future__ import annotations

import pytest

from holdfast.net.tls.describe import TlsInfo
from holdfast.net.upstream.proxy_header import ProxiedClient, encode_proxy_header
from holdfast.protocols.proxy import Endpoint, Family, ProxyDecoder, ProxyHeader, TlvType

V4 = "192.0.2.7:4711"
V6 = "[2001:db8::7]:4711"
TLS = TlsInfo(
    "TLSv1.3", "TLS_AES_256_GCM_SHA384", "", r"O=Example\,CN=admin,CN=anna", (), "anna", shown=True
)


def told(version: int, client: ProxiedClient | None) -> ProxyHeader:
    """What a server reads."""
    decoder = ProxyDecoder(4096)
    (header,) = decoder.receive_data(encode_proxy_header(version, client) + b"rest")
    assert decoder.rest == b"rest"
    assert header.version == version
    return header


ENDS: dict[str, tuple[ProxiedClient, Family, Endpoint | None, Endpoint | None]] = {
    "ipv4": (
        ProxiedClient(V4, "192.0.2.1:80"),
        Family.INET,
        Endpoint("192.0.2.7", 4711),
        Endpoint("192.0.2.1", 80),
    ),
    "ipv6": (
        ProxiedClient(V6, "[2001:db8::1]:80"),
        Family.INET6,
        Endpoint("2001:db8::7", 4711),
        Endpoint("2001:db8::1", 80),
    ),
    "a-zone-is-ours-alone": (
        ProxiedClient("[fe80::7%eth0]:1", "[fe80::1%eth0]:2"),
        Family.INET6,
        Endpoint("fe80::7", 1),
        Endpoint("fe80::1", 2),
    ),
    "came-in-somewhere": (
        ProxiedClient(V4),
        Family.INET,
        Endpoint("192.0.2.7", 4711),
        Endpoint("0.0.0.0", 0),
    ),
    "another-family-inside": (
        ProxiedClient(V6, "192.0.2.1:80"),
        Family.INET6,
        Endpoint("2001:db8::7", 4711),
        Endpoint("::", 0),
    ),
    "unix": (ProxiedClient("unix", ""), Family.UNSPEC, None, None),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("client", "family", "source", "destination"), ENDS.values(), ids=ENDS)
def test_for_whom_we_come(
    version: int,
    client: ProxiedClient,
    family: Family,
    source: Endpoint | None,
    destination: Endpoint | None,
) -> None:
    header = told(version, client)
    assert (header.family, header.source, header.destination) == (family, source, destination)


NO_CERTIFICATE = TLS._replace(subject="", common_name="", shown=False)


def test_version_2_tells_of_tls_and_has_a_checksum() -> None:
    header = told(2, ProxiedClient(V4, "192.0.2.1:443", TLS))
    assert header.value(TlvType.CRC32C) is not None
    ssl = header.ssl
    assert ssl is not None
    assert (ssl.used, ssl.certificate_shown, ssl.verified) == (True, True, True)
    assert ssl.text(TlvType.SSL_VERSION) == "TLSv1.3"
    assert ssl.text(TlvType.SSL_CIPHER) == "TLS_AES_256_GCM_SHA384"
    assert ssl.text(TlvType.SSL_CN) == "anna"
    without = told(2, ProxiedClient(V4, "192.0.2.1:443", NO_CERTIFICATE)).ssl
    assert without is not None
    assert not without.certificate_shown


def test_a_certificate_without_a_subject_is_shown() -> None:
    """One may name its holder among its alternative names alone (RFC 5280 section 4.1.2.6)."""
    ssl = told(2, ProxiedClient(V4, "192.0.2.1:443", NO_CERTIFICATE._replace(shown=True))).ssl
    assert ssl is not None
    assert ssl.certificate_shown
    assert ssl.text(TlvType.SSL_CN) == ""


def test_a_check_speaks_for_itself() -> None:
    assert told(2, None).local
    assert told(1, None).source is None
