from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.net.certificates import AUTHORITY, CHAIN, KEY, OTHER_KEY, locked, write_pems

from holdfast.core.errors import ConfigurationError
from holdfast.net.tls.contexts import client_context, server_context, server_contexts
from holdfast.net.tls.options import Certificate, TlsOptions


def write(folder: Path, name: str, text: str | None) -> str:
    path = folder / name
    if text is not None:
        path.write_text(text)
    return str(path)


def test_a_certificate_and_its_key_make_a_context_for_tls_1_2_and_1_3(tmp_path: Path) -> None:
    context = server_context(write_pems(tmp_path).certificate)
    assert context.protocol is ssl.PROTOCOL_TLS_SERVER
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.maximum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("cert", "key", "fault"),
    [
        pytest.param(None, KEY, "{cert}: expected a PEM file, found none", id="no-cert"),
        pytest.param(CHAIN, None, "{key}: expected a PEM file, found none", id="no-key"),
        pytest.param("", KEY, "{cert} and {key}: expected a certificate chain", id="empty"),
        pytest.param("x", KEY, "{cert} and {key}: expected a certificate chain", id="no-pem"),
        pytest.param(KEY, KEY, "{cert} and {key}: expected a certificate chain", id="key-as-cert"),
        pytest.param(CHAIN, CHAIN, "{cert} and {key}: expected a certificate", id="cert-as-key"),
        pytest.param(
            CHAIN,
            OTHER_KEY,
            "{cert} and {key}: expected a certificate chain and its key in PEM,"
            " found: KEY_VALUES_MISMATCH",
            id="another-key",
        ),
        pytest.param(
            CHAIN, locked(KEY), "{key}: expected a key without a passphrase", id="passphrase"
        ),
    ],
)
def test_a_file_at_fault_is_named(
    tmp_path: Path, cert: str | None, key: str | None, fault: str
) -> None:
    files = Certificate(write(tmp_path, "cert.pem", cert), write(tmp_path, "key.pem", key))
    with pytest.raises(ConfigurationError) as caught:
        server_context(files)
    assert str(caught.value).startswith(fault.format(cert=files.cert, key=files.key))


def test_a_folder_is_no_pem_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a PEM file, found none"):
        server_context(Certificate(str(tmp_path), str(tmp_path)))


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    certificate = write_pems(tmp_path).certificate
    with pytest.raises(ConfigurationError, match="Permission denied") as caught:
        server_context(certificate)
    assert certificate.cert in str(caught.value)


def test_a_client_checks_the_name_and_the_authority(tmp_path: Path) -> None:
    context = client_context(write_pems(tmp_path).authority)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_a_client_trusts_the_system_s_authorities_where_none_are_given() -> None:
    context = client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_client_may_be_told_to_trust_anyone() -> None:
    context = client_context(verify=False)
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("text", [None, "", "x", KEY], ids=["none", "empty", "no-pem", "a-key"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, text: str | None) -> None:
    path = write(tmp_path, "ca.pem", text)
    with pytest.raises(ConfigurationError, match="expected PEM certificates, found:") as caught:
        client_context(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert AUTHORITY not in str(caught.value)


@pytest.mark.parametrize(("name", "good"), [("", False), ("a" * 255, True), ("a" * 256, False)])
def test_a_name_of_alpn_has_1_to_255_bytes(tmp_path: Path, name: str, good: bool) -> None:
    options = TlsOptions((write_pems(tmp_path).certificate,), alpn=(name,))
    if good:
        server_contexts(options)
        return
    with pytest.raises(ConfigurationError, match=r"alpn: expected names of 1 to 255 bytes"):
        server_contexts(options)
