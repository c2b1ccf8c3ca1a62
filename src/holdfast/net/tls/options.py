"""TLS settings and contexts, with errors that say which file is wrong and why.

A context is proven before it is used: each certificate must pass a handshake
with itself in memory. That also tells which names it is for, and until when.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

Version = Literal["1.2", "1.3"]
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""
_PEM_END: Final = "-----END CERTIFICATE-----"


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A server's certificate chain and its private key, as PEM files."""

    cert: str
    key: str
    passphrase_file: str = ""
    """A file whose first line opens the key."""
    passphrase_env: str = ""
    """An environment variable that opens the key."""


class TlsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a listener does about TLS."""

    certificates: tuple[Certificate, ...] = ()
    """The first is for clients that ask for no name, or for one that none is for."""
    minimum: Version = "1.2"
    maximum: Version = "1.3"
    ciphers: str = ""
    """Of TLS 1.2, in OpenSSL's words. Empty: OpenSSL's own choice."""
    client_certificates: Literal["none", "optional", "required"] = "none"
    client_ca: str = ""
    """A PEM file of the authorities that client certificates are checked against."""
    alpn: tuple[str, ...] = ()
    """Protocols in the order of our liking (RFC 7301)."""
    unknown_names: Literal["default", "refuse"] = "default"
    """A name that no certificate is for: show the first one, or end the handshake."""
    session_tickets: bool = True
    """Let clients resume without a whole handshake (RFC 5077, RFC 8446 section 4.6.1)."""


class TlsInfo(NamedTuple):
    """What was agreed on one connection."""

    version: str
    cipher: str
    alpn: str
    subject: str
    """Of the peer's certificate, as `CN=anna,O=Example`, in the certificate's order, escaped as in
    RFC 4514 section 2.4; empty where it has none."""
    names: tuple[str, ...]
    """DNS names, addresses and e-mail addresses in the peer's certificate."""
    common_name: str = ""
    """The first common name of the peer's certificate, as it stands there."""
    shown: bool = False
    """Whether the peer showed a certificate, and it was accepted."""


class CertificateFacts(NamedTuple):
    """What a certificate says of itself."""

    names: tuple[str, ...]
    """DNS names and IP addresses, in lower case."""
    expires: float
    """Seconds since the epoch."""


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3. Raises `ConfigurationError` naming the file at fault."""
    return server_contexts(TlsOptions(certificates=(certificate,))).context


class ServerContexts(NamedTuple):
    """A context that answers for several names, and the facts of each certificate."""

    context: ssl.SSLContext
    facts: tuple[CertificateFacts, ...]


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
    if len(contexts) > 1 or options.unknown_names == "refuse":
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
    """RFC 6066 section 3: the certificate for the name that the client asks for."""

    def choose(connection: Any, name: str | None, _: ssl.SSLContext) -> int | None:
        if name is None:
            return None
        name = name.lower().rstrip(".")
        context = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
        if context is not None:
            connection.context = context
        elif refuse:
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        return None

    return choose


def _prove(certificate: Certificate, minimum: Version, maximum: Version) -> CertificateFacts:
    """Let the certificate pass a handshake with itself, and read what it says."""
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
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [near, far]
    while waiting:
        for end in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
    return _certificate(near)


def _certificate(connection: ssl.SSLObject) -> dict[str, Any]:
    """The peer's certificate, if it showed one and that was checked."""
    found: dict[str, Any] | None = connection.getpeercert()
    return found or {}


# --- what was agreed


def describe(connection: ssl.SSLObject) -> TlsInfo:
    """What was agreed on a connection whose handshake is over."""
    cipher = connection.cipher()
    certificate = _certificate(connection)
    subject = certificate.get("subject", ())
    return TlsInfo(
        version=connection.version() or "",
        cipher=cipher[0] if cipher is not None else "",
        alpn=connection.selected_alpn_protocol() or "",
        subject=",".join(
            "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part)
            for part in subject
        ),
        names=tuple(name for _, name in certificate.get("subjectAltName", ())),
        common_name=next(
            (value for part in subject for kind, value in part if kind == "commonName"), ""
        ),
        shown=bool(certificate),
    )


def _escaped(value: str) -> str:
    """A subject's words in which no sign means anything (RFC 4514 section 2.4)."""
    text = re.sub(r'[,+"\\<>;]', r"\\\g<0>", value).replace("\0", "\\00")
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if len(value) > 1 and value.endswith(" ") else text


_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
}
"""RFC 4514 section 3."""


def explain(error: BaseException) -> str:
    """Why a handshake failed, for whoever runs the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    reason = getattr(error, "reason", None)
    if reason is None:
        return str(error) or type(error).__name__
    return _REASONS.get(reason) or reason.lower().replace("_", " ")


_REASONS: Final = {
    "HTTP_REQUEST": "expected TLS, found a plain HTTP request",
    "HTTPS_PROXY_REQUEST": "expected TLS, found a plain HTTP request",
    "WRONG_VERSION_NUMBER": "expected TLS, found something else",
    "UNSUPPORTED_PROTOCOL": "the peer offers no version of TLS that is allowed here",
    "NO_SHARED_CIPHER": "the peer offers no cipher that is allowed here",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer showed no certificate, and one is required",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not know the authority of our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer finds that our certificate has expired",
    "CALLBACK_FAILED": "the peer asks for a name that no certificate is for",
}


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
