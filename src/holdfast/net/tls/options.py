"""The TLS options of a listener, and the checks that need no file."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

Version = Literal["1.2", "1.3"]


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A server's certificate chain and its private key, as PEM files."""

    cert: str
    """A PEM file: the certificate, then the intermediate certificates."""
    key: str
    """A PEM file with the private key."""
    passphrase_file: str = ""
    """A file whose first line is the passphrase of the key."""
    passphrase_env: str = ""
    """An environment variable with the passphrase of the key."""


class TlsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The TLS options of a listener."""

    certificates: tuple[Certificate, ...] = ()
    """Certificates, selected by the name that a client asks for (SNI). The first is the default."""
    minimum: Version = "1.2"
    """The lowest TLS version."""
    maximum: Version = "1.3"
    """The highest TLS version."""
    ciphers: str = ""
    """The ciphers of TLS 1.2, in OpenSSL's syntax. Empty: OpenSSL's default."""
    client_certificates: Literal["none", "optional", "required"] = "none"
    """Whether clients are asked for a certificate, and whether one is required."""
    client_ca: str = ""
    """A PEM file of the authorities for client certificates."""
    alpn: tuple[str, ...] = ()
    """The application protocols, the preferred one first (RFC 7301)."""
    unknown_names: Literal["default", "refuse"] = "default"
    """For a name without a certificate: send the first certificate, or end the handshake."""
    session_tickets: bool = True
    """Whether clients may resume TLS sessions (RFC 5077, RFC 8446 section 4.6.1)."""


def check(options: TlsOptions) -> None:
    """Check the options without reading files. Raises `ConfigurationError`, which names the key."""
    if not options.certificates:
        raise ConfigurationError("certificates: expected at least one, found none")
    if options.minimum > options.maximum:
        raise ConfigurationError(
            f"minimum: expected no more than the maximum {options.maximum}, found {options.minimum}"
        )
    if options.client_certificates != "none" and not options.client_ca:
        raise ConfigurationError(
            f"client_ca: expected a file, because client_certificates is"
            f" {options.client_certificates!r}; found none"
        )
