"""TLS contexts, with errors that say which file is wrong and why.

A context is proven before it is used: each certificate must pass a handshake
with itself in memory. That also tells which names it is for, and until when.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from holdfast.core.errors import ConfigurationError
from holdfast.net.tls.core import TlsCore
from holdfast.net.tls.describe import ServerTlsObject, peer_certificate
from holdfast.net.tls.options import Certificate, TlsOptions, Version, check

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""
_PEM_END: Final = "-----END CERTIFICATE-----"


class CertificateFacts(NamedTuple):
    """The fields of a certificate."""

    names: tuple[str, ...]
    """DNS names and IP addresses, in lower case."""
    expires: float
    """Seconds since the epoch."""


class ServerContexts(NamedTuple):
    """A context that answers for several names, and the facts of each certificate."""

    context: ssl.SSLContext
    facts: tuple[CertificateFacts, ...]


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3. Raises `ConfigurationError` naming the file at fault."""
    return server_contexts(TlsOptions(certificates=(certificate,))).context


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


def server_contexts(options: TlsOptions) -> ServerContexts:
    """Make what `options` say. Raises `ConfigurationError` naming the file or key at fault."""
    check(options)
    contexts = [_context(certificate, options) for certificate in options.certificates]
    facts = tuple(
        _prove(certificate, options.minimum, options.maximum)
        for certificate in options.certificates
    )
    by_name: dict[str, ssl.SSLContext] = {}
    for context, fact in zip(contexts, facts, strict=True):
        for name in fact.names:
            by_name.setdefault(name, context)
    if len(contexts) == 1 and options.unknown_names != "refuse":
        by_name.clear()  # there is nothing to choose
    contexts[0].sslobject_class = ServerTlsObject
    contexts[0].sni_callback = _chooser(by_name, refuse=options.unknown_names == "refuse")
    return ServerContexts(contexts[0], facts)


def _context(certificate: Certificate, options: TlsOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[options.minimum]
    context.maximum_version = _VERSIONS[options.maximum]
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load(context, certificate)
    if options.ciphers:
        try:
            context.set_ciphers(options.ciphers)
        except ssl.SSLError:
            raise ConfigurationError(
                f"ciphers: expected ciphers of TLS 1.2 in OpenSSL's words,"
                f" found {options.ciphers!r}"
            ) from None
    if options.alpn:
        _set_alpn(context, options.alpn)
    if not options.session_tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    if options.client_certificates != "none":
        context.verify_mode = (
            ssl.CERT_REQUIRED if options.client_certificates == "required" else ssl.CERT_OPTIONAL
        )
        _load_authorities(context, options.client_ca)
    return context


def _set_alpn(context: ssl.SSLContext, protocols: Sequence[str]) -> None:
    for name in protocols:
        if not 0 < len(name.encode()) < 256:
            raise ConfigurationError(
                f"alpn: expected names of 1 to 255 bytes (RFC 7301), found {name!r}"
            )
    context.set_alpn_protocols(list(protocols))


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    for file in (certificate.cert, certificate.key):
        if not Path(file).is_file():
            raise ConfigurationError(f"{file}: expected a PEM file, found none")
    passphrase = _passphrase(certificate)
    asked = []

    def answer() -> str:
        asked.append(certificate.key)
        return passphrase()

    try:
        context.load_cert_chain(certificate.cert, certificate.key, answer)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        if asked and reason != "KEY_VALUES_MISMATCH":
            # OpenSSL does not say it so: to it, a key that was opened wrongly is no key.
            raise ConfigurationError(
                f"{certificate.key}: the passphrase does not open this key"
            ) from error
        raise ConfigurationError(
            f"{certificate.cert} and {certificate.key}: expected a certificate chain and its key"
            f" in PEM, found: {reason or error}"
        ) from error


def _passphrase(certificate: Certificate) -> Callable[[], str]:
    """What gives the passphrase, if the key asks for one: else OpenSSL would ask the terminal."""
    if certificate.passphrase_file and certificate.passphrase_env:
        raise ConfigurationError(
            f"{certificate.key}: expected passphrase_file or passphrase_env, found both"
        )
    if file := certificate.passphrase_file:
        try:
            passphrase = Path(file).read_text().partition("\n")[0].removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file}: expected a passphrase: {error}") from error
        return lambda: passphrase
    if name := certificate.passphrase_env:
        found = os.environ.get(name)
        if found is None:
            raise ConfigurationError(
                f"{certificate.key}: expected its passphrase in the environment variable"
                f" {name}, found none"
            )
        return lambda: found

    def refuse() -> str:
        raise ConfigurationError(
            f"{certificate.key}: expected a key without a passphrase,"
            " or passphrase_file or passphrase_env"
        )

    return refuse


def _load_authorities(context: ssl.SSLContext, file: str) -> None:
    if not Path(file).is_file():
        raise ConfigurationError(f"{file}: expected a PEM file of authorities, found none")
    try:
        context.load_verify_locations(file)
    except OSError as error:
        raise ConfigurationError(
            f"{file}: expected PEM certificates of authorities, found:"
            f" {getattr(error, 'reason', None) or error}"
        ) from error


# --- names


def _chooser(
    by_name: dict[str, ssl.SSLContext], *, refuse: bool
) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]:
    """RFC 6066 section 3: the certificate for the name that the client asks for, which is noted."""

    def choose(connection: Any, name: str | None, _: ssl.SSLContext) -> int | None:
        if name is None:
            return None
        name = connection.requested_name = name.lower().rstrip(".")
        context = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
        if context is not None:
            connection.context = context
        elif refuse:
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        return None

    return choose


def _prove(certificate: Certificate, minimum: Version, maximum: Version) -> CertificateFacts:
    """Test the certificate in a handshake with itself, and return its facts."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.minimum_version, context.maximum_version = _VERSIONS[minimum], _VERSIONS[maximum]
    _load(server, certificate)
    # Around its blocks a PEM file may have text of any kind (RFC 7468 section 2).
    text = Path(certificate.cert).read_bytes().decode("ascii", errors="ignore")
    first = text.partition(_PEM_END)[0] + _PEM_END
    client.check_hostname = False
    client.load_verify_locations(cadata=first)
    # The certificate is its own authority here, whatever its age: age is for the clients to judge.
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        found = _shake_hands(server, client)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason or str(error)
        raise ConfigurationError(
            f"{certificate.cert}: expected a server's certificate, found one that no client"
            f" could accept: {reason}"
        ) from error
    names = tuple(name.lower() for kind, name in found.get("subjectAltName", ()))
    return CertificateFacts(names, ssl.cert_time_to_seconds(found["notAfter"]))


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """The server's certificate as the client sees it."""
    near = TlsCore(client, server_side=False)
    far = TlsCore(server, server_side=True)
    waiting = [(near, far), (far, near)]
    while waiting:
        for end, other in list(waiting):
            if end.shake_hands():
                waiting.remove((end, other))
            other.incoming.write(end.outgoing.read())
    return peer_certificate(near.object)
