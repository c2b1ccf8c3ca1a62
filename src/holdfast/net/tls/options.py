"""TLS settings: what can be said of them without reading a file."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

Version = Literal["1.2", "1.3"]


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A server's certificate chain and its private key, as PEM files."""

    cert: str
    """A PEM file: the certificate, then those that sign it."""
    key: str
    """A PEM file with the private key."""
    passphrase_file: str = ""
    """A file whose first line opens the key."""
    passphrase_env: str = ""
    """An environment variable that opens the key."""


class TlsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a listener does about TLS."""

    certificates: tuple[Certificate, ...] = ()
    """The first is for clients that ask for no name, or for one that none is for."""
    minimum: Version = "1.2"
    """The lowest version of TLS."""
    maximum: Version = "1.3"
    """The highest version of TLS."""
    ciphers: str = ""
    """Of TLS 1.2, in OpenSSL's words. Empty: OpenSSL's own choice."""
    client_certificates: Literal["none", "optional", "required"] = "none"
    """Whether clients are asked for a certificate, and whether they must have one."""
    client_ca: str = ""
    """A PEM file of the authorities that client certificates are checked against."""
    alpn: tuple[str, ...] = ()
    """Protocols in the order of our liking (RFC 7301)."""
    unknown_names: Literal["default", "refuse"] = "default"
    """A name that no certificate is for: show the first one, or end the handshake."""
    session_tickets: bool = True
    """Let clients resume without a whole handshake (RFC 5077, RFC 8446 section 4.6.1)."""


def check(options: TlsOptions) -> None:
    """What can be said without reading a file. Raises `ConfigurationError` naming the key."""
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
