"""The user that a verified client certificate names. Pure."""

from __future__ import annotations

from typing import Final

from holdfast.core.identity import ClientCertificate, Identity
from holdfast.core.validation import UnsendableError, check_text
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.options import CertificateName

_KINDS: Final = {"dns": "DNS:", "email": "email:", "uri": "URI:"}
_NO_NAME: Final = "your certificate names no user"


def identity_of(
    certificate: ClientCertificate, name: CertificateName, *, name_bytes_max: int
) -> Identity:
    """Raises `CredentialError` for a certificate without such a name."""
    match name:
        case "subject":
            user = certificate.subject
        case "common_name":
            user = certificate.common_name
        case _:
            prefix = _KINDS[name]
            found = [one for one in certificate.names if one.startswith(prefix)]
            user = found[0].removeprefix(prefix) if found else ""
    if not user:
        raise CredentialError(f"expected a certificate with a {name}, found none", _NO_NAME)
    try:
        check_text("user", user, name_bytes_max)
    except UnsendableError as error:
        raise CredentialError(str(error), _NO_NAME) from error
    return Identity(user, expires=certificate.expires)
