"""What is known of a client beside its bytes: its request, its TLS connection, its identity.

A backend is told the facts of a client when a session opens and each time that its client
returns. They are never stored: an allow-listed header or cookie may hold a secret.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field


class RequestFacts(Struct, frozen=True, omit_defaults=True):
    """The HTTP request of a WebSocket client, as far as the listener's `request` allows."""

    path: str = ""
    query: str = ""
    """Without the question mark."""
    host: str = ""
    origin: str = ""
    user_agent: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """By lower-case name. Several fields of one name are joined by commas."""
    cookies: dict[str, str] = field(default_factory=dict)


class ClientCertificate(Struct, frozen=True, omit_defaults=True):
    """A client certificate that was verified in the handshake."""

    subject: str = ""
    """As `CN=anna,O=Example` (RFC 4514), in the certificate's order."""
    common_name: str = ""
    names: tuple[str, ...] = ()
    """The subject alternative names with their kinds: `DNS:a.example`, `email:a@example`,
    `URI:spiffe://example/a`, `IP Address:192.0.2.1`."""
    fingerprint: str = ""
    """The SHA-256 of the certificate, in lower-case hexadecimal digits."""
    serial: str = ""
    """In upper-case hexadecimal digits."""
    expires: float = 0.0
    """Seconds since the epoch."""


class ClientFacts(Struct, frozen=True, omit_defaults=True):
    """The facts of one connection of a client."""

    request: RequestFacts | None = None
    """`None` for a client without HTTP."""
    sni: str = ""
    """The server name that the client asked for in TLS."""
    alpn: str = ""
    certificate: ClientCertificate | None = None
    proxy: dict[str, str] = field(default_factory=dict)
    """The TLVs of a trusted proxy's header: `authority`, `alpn`, `unique_id` (in hexadecimal
    digits), `tls_version`, `tls_cipher`, `tls_common_name`, `tls_verified`."""


NO_FACTS: Final = ClientFacts()


class Identity(Struct, frozen=True, omit_defaults=True):
    """The user that a credential of the listener's `auth` proves."""

    user: str
    properties: dict[str, str] = field(default_factory=dict)
    expires: float = 0.0
    """When the credential expires, in seconds since the epoch; 0 if it does not."""
