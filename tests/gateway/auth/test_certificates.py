"""The user that a client certificate names."""

from __future__ import annotations

import pytest

from holdfast.core.identity import ClientCertificate, Identity
from holdfast.gateway.auth.certificates import identity_of
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.options import CertificateName

CERTIFICATE = ClientCertificate(
    subject="CN=anna,O=Example",
    common_name="anna",
    names=("IP Address:192.0.2.1", "DNS:a.example", "DNS:b.example", "URI:spiffe://example/a"),
    expires=1_800_000_000.0,
)


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("subject", "CN=anna,O=Example"),
        ("common_name", "anna"),
        ("dns", "a.example"),
        ("uri", "spiffe://example/a"),
    ],
)
def test_the_user_is_named_until_the_certificate_expires(name: CertificateName, user: str) -> None:
    found = identity_of(CERTIFICATE, name, name_bytes_max=100)
    assert found == Identity(user, expires=1_800_000_000.0)


def test_a_certificate_without_such_a_name_names_no_user() -> None:
    with pytest.raises(CredentialError, match="expected a certificate with a email, found none"):
        identity_of(CERTIFICATE, "email", name_bytes_max=100)


def test_a_name_has_a_limit() -> None:
    assert identity_of(CERTIFICATE, "common_name", name_bytes_max=4).user == "anna"
    with pytest.raises(CredentialError, match="user: expected"):
        identity_of(CERTIFICATE, "common_name", name_bytes_max=3)


@pytest.mark.parametrize(("name", "most"), [("email", 100), ("common_name", 3)])
def test_a_client_is_told_that_its_certificate_names_no_user(
    name: CertificateName, most: int
) -> None:
    with pytest.raises(CredentialError) as raised:
        identity_of(CERTIFICATE, name, name_bytes_max=most)
    assert raised.value.told == "your certificate names no user"
