"""TLS contexts, with errors that say which file is wrong and why."""

from __future__ import annotations

import ssl
from pathlib import Path

from msgspec import Struct

from holdfast.core.errors import ConfigurationError


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A server's certificate chain and its private key, as PEM files."""

    cert: str
    key: str


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3. Raises `ConfigurationError` naming the file at fault."""
    for file in (certificate.cert, certificate.key):
        if not Path(file).is_file():
            raise ConfigurationError(f"{file}: expected a PEM file, found none")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def passphrase() -> str:  # without this, OpenSSL would ask the terminal and wait
        raise ConfigurationError(f"{certificate.key}: expected a key without a passphrase")

    try:
        context.load_cert_chain(certificate.cert, certificate.key, passphrase)
    except OSError as error:
        raise ConfigurationError(
            f"{certificate.cert} and {certificate.key}: expected a certificate chain and its key"
            f" in PEM, found: {getattr(error, 'reason', None) or error}"
        ) from error
    return context


def client_context(ca_file: str | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """A context that checks the server's name against the system's or the given authorities."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{ca_file}: expected PEM certificates, found: {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
