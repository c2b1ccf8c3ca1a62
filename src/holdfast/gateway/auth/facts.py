"""What is known of a connection's client: of its request, of TLS, and by a trusted proxy."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from holdfast.core.identity import ClientFacts
from holdfast.net.connection.connection import Connection
from holdfast.net.tls.describe import client_certificate, requested_name
from holdfast.protocols.proxy import ProxyError, ProxyHeader, TlvType

_TEXTS: Final = {TlvType.ALPN: "alpn", TlvType.AUTHORITY: "authority"}
_TLS_TEXTS: Final = {
    TlvType.SSL_VERSION: "tls_version",
    TlvType.SSL_CIPHER: "tls_cipher",
    TlvType.SSL_CN: "tls_common_name",
}


def facts_of(connection: Connection, of_request: ClientFacts) -> ClientFacts:
    """The facts of a client. `of_request` has those of its request, and is returned as it is
    where there is nothing to add."""
    tls, header = connection.extra("ssl_object"), connection.proxy
    if tls is None and (header is None or not header.tlvs):
        return of_request
    facts = of_request
    if tls is not None:
        facts = structs.replace(
            facts,
            sni=requested_name(tls),
            alpn=tls.selected_alpn_protocol() or "",
            certificate=client_certificate(tls),
        )
    if header is not None and header.tlvs:
        facts = structs.replace(facts, proxy=proxy_facts(header))
    return facts


def proxy_facts(header: ProxyHeader) -> dict[str, str]:
    """The TLVs of a PROXY header, by name."""
    found: dict[str, str] = {}
    for kind, name in _TEXTS.items():
        value = header.value(kind)
        if value:
            found[name] = value.decode(errors="replace")
    unique_id = header.value(TlvType.UNIQUE_ID)
    if unique_id:
        found["unique_id"] = unique_id.hex()
    try:
        tls = header.ssl
    except ProxyError:
        return found  # the header as a whole was accepted; this part of it says nothing
    if tls is not None and tls.used:
        found |= {name: text for kind, name in _TLS_TEXTS.items() if (text := tls.text(kind))}
        found["tls_verified"] = "true" if tls.verified else "false"
    return found
