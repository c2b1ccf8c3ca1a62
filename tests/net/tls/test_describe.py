"""What is told of a TLS connection: the words of a subject, and why a handshake failed."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from holdfast.net.tls.describe import TlsInfo, describe, explain

CERTIFICATE = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "Example, Inc."),),
        (("commonName", "anna"), ("organizationalUnitName", "a+b")),
        (("commonName", "second"),),
        (("serialNumber", " #1 "),),
    ),
    "subjectAltName": (("DNS", "anna.example"), ("IP Address", "192.0.2.1")),
}


class Agreed:
    """A connection whose handshake is over."""

    def __init__(self, certificate: Any, **told: Any) -> None:
        self._certificate = certificate
        self._told = told

    def getpeercert(self) -> Any:
        return self._certificate

    def cipher(self) -> Any:
        return self._told.get("cipher")

    def version(self) -> Any:
        return self._told.get("version")

    def selected_alpn_protocol(self) -> Any:
        return self._told.get("alpn")


def test_all_that_was_agreed_on_is_told() -> None:
    agreed: Any = Agreed(CERTIFICATE, cipher=("C", "TLSv1.3", 256), version="TLSv1.3", alpn="h2")
    assert describe(agreed) == TlsInfo(
        version="TLSv1.3",
        cipher="C",
        alpn="h2",
        subject=r"C=DE,O=Example\, Inc.,CN=anna+OU=a\+b,CN=second,serialNumber=\ #1\ ",
        names=("anna.example", "192.0.2.1"),
        common_name="anna",
        shown=True,
    )


@pytest.mark.parametrize("certificate", [None, {}])
def test_a_peer_may_show_nothing(certificate: Any) -> None:
    agreed: Any = Agreed(certificate)
    assert describe(agreed) == TlsInfo("", "", "", "", (), "", shown=False)
    assert TlsInfo("", "", "", "", ()) == TlsInfo("", "", "", "", (), "", shown=False)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("anna", "anna"),
        ('a,b+c"d\\e<f>g;h', r"a\,b\+c\"d\\e\<f\>g\;h"),
        (" a ", r"\ a\ "),
        ("#a", r"\#a"),
        ("a#", "a#"),
        (" ", r"\ "),
        ("a ", r"a\ "),
        ("a\0b", r"a\00b"),
    ],
)
def test_no_sign_of_a_subject_means_anything(value: str, escaped: str) -> None:
    """RFC 4514 section 2.4."""
    agreed: Any = Agreed({"subject": ((("commonName", value),),)})
    assert describe(agreed).subject == f"CN={escaped}"


def failed(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "it failed")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (failed("HTTP_REQUEST"), "expected TLS, found a plain HTTP request"),
        (failed("WRONG_VERSION_NUMBER"), "expected TLS, found something else"),
        (failed("SOME_OTHER_REASON"), "some other reason"),
        (ConnectionResetError(104, "reset"), "[Errno 104] reset"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_why_a_handshake_failed(error: BaseException, why: str) -> None:
    assert explain(error) == why
