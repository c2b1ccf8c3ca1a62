"""What was agreed on a TLS connection, and why a handshake failed."""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import Any, Final, NamedTuple

from holdfast.core.identity import ClientCertificate


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


def describe(connection: ssl.SSLObject) -> TlsInfo:
    """What was agreed on a connection whose handshake is over."""
    cipher = connection.cipher()
    certificate = peer_certificate(connection)
    subject = certificate.get("subject", ())
    return TlsInfo(
        version=connection.version() or "",
        cipher=cipher[0] if cipher is not None else "",
        alpn=connection.selected_alpn_protocol() or "",
        subject=_subject(subject),
        names=tuple(name for _, name in certificate.get("subjectAltName", ())),
        common_name=_common_name(subject),
        shown=bool(certificate),
    )


def client_certificate(connection: ssl.SSLObject) -> ClientCertificate | None:
    """The client's certificate, if it showed one and that was verified."""
    certificate = peer_certificate(connection)
    if not certificate:
        return None
    subject = certificate.get("subject", ())
    return ClientCertificate(
        subject=_subject(subject),
        common_name=_common_name(subject),
        names=tuple(f"{kind}:{name}" for kind, name in certificate.get("subjectAltName", ())),
        fingerprint=hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest(),
        serial=certificate.get("serialNumber", ""),
        expires=ssl.cert_time_to_seconds(certificate["notAfter"]),
    )


class ServerTlsObject(ssl.SSLObject):
    """One TLS connection at a server."""

    requested_name = ""
    """The name that the client asked for (RFC 6066 section 3)."""


def requested_name(connection: ssl.SSLObject) -> str:
    """The name that the client of this connection asked for, in lower case; empty if none."""
    return connection.requested_name if isinstance(connection, ServerTlsObject) else ""


_Subject = tuple[tuple[tuple[str, str], ...], ...]


def _subject(subject: _Subject) -> str:
    return ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part)
        for part in subject
    )


def _common_name(subject: _Subject) -> str:
    return next((value for part in subject for kind, value in part if kind == "commonName"), "")


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
    """Why a handshake failed, as text for operators."""
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


def peer_certificate(connection: ssl.SSLObject) -> dict[str, Any]:
    """The peer's certificate, if it showed one and that was checked."""
    found: dict[str, Any] | None = connection.getpeercert()
    return found or {}
