"""The PROXY header for a server: the client of the connection, before the first byte.

No I/O.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from holdfast.net.addresses import split_peer
from holdfast.net.tls.describe import TlsInfo
from holdfast.protocols.proxy import (
    Endpoint,
    Family,
    ProxyHeader,
    Ssl,
    Tlv,
    TlvType,
    encode_ssl,
    encode_v1,
    encode_v2,
)

_ANY = {Family.INET: Endpoint("0.0.0.0", 0), Family.INET6: Endpoint("::", 0)}


class ProxiedClient(NamedTuple):
    """Somebody for whom we come."""

    peer: str
    """`HOST:PORT`, `[HOST]:PORT` or `unix`."""
    local: str = ""
    """The address that it connected to, likewise; empty if unknown."""
    tls: TlsInfo | None = None

    @property
    def host(self) -> str:
        return self.peer.rpartition(":")[0]


def encode_proxy_header(version: int, client: ProxiedClient | None) -> bytes:
    """Return the header for a client, or for this gateway. Only version 2 has TLS."""
    if client is None:
        header = ProxyHeader(version, local=True)
        return encode_v1(header) if version == 1 else encode_v2(header)
    source, tls = _endpoint(client.peer), client.tls
    tlvs = (encode_ssl(_ssl(tls)),) if tls is not None and version == 2 else ()
    if source is None:
        header = ProxyHeader(version, tlvs=tlvs)
    else:
        family = _family(source)
        destination = _endpoint(client.local)
        if destination is None or _family(destination) is not family:
            destination = _ANY[family]
        header = ProxyHeader(version, family, source, destination, tlvs)
    return encode_v1(header) if version == 1 else encode_v2(header, checksum=True)


def _endpoint(text: str) -> Endpoint | None:
    host, port = split_peer(text)
    return Endpoint(host, int(port)) if host else None


def _family(endpoint: Endpoint) -> Family:
    return Family.INET6 if ipaddress.ip_address(endpoint.host).version == 6 else Family.INET


def _ssl(tls: TlsInfo) -> Ssl:
    told = {
        TlvType.SSL_VERSION: tls.version,
        TlvType.SSL_CIPHER: tls.cipher,
        TlvType.SSL_CN: tls.common_name,
    }
    tlvs = tuple(Tlv(kind, text.encode()) for kind, text in told.items() if text)
    return Ssl(used=True, certificate_shown=tls.shown, verified=True, tlvs=tlvs)
