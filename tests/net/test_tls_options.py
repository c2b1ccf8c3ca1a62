"""TLS settings: what is wrong with them is named, and files are replaced while running."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.net.certificates import CHAIN, KEY, PASSPHRASE, issue, locked, write_pair, write_pems
from tests.net.fakes import FakeLoop, runtime

from holdfast.core.errors import ConfigurationError
from holdfast.net.tls.certificates import CertificateWatch, ServerTls
from holdfast.net.tls.contexts import server_contexts
from holdfast.net.tls.describe import requested_name
from holdfast.net.tls.options import Certificate, TlsOptions


def options(folder: Path, **more: Any) -> TlsOptions:
    return TlsOptions(**{"certificates": (write_pems(folder).certificate,), **more})


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"certificates": ()}, "certificates: expected at least one, found none"),
        (
            {"minimum": "1.3", "maximum": "1.2"},
            "minimum: expected no more than the maximum 1.2, found 1.3",
        ),
        (
            {"client_certificates": "required"},
            "client_ca: expected a file, because client_certificates is 'required'; found none",
        ),
        ({"ciphers": "NONSENSE"}, "ciphers: expected ciphers of TLS 1.2 .* found 'NONSENSE'"),
        ({"alpn": ("",)}, "alpn: expected names of 1 to 255 bytes"),
        ({"alpn": ("x" * 256,)}, "alpn: expected names of 1 to 255 bytes"),
        (
            {"client_certificates": "optional", "client_ca": "nowhere.pem"},
            "nowhere.pem: expected a PEM file of authorities, found none",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, more: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        server_contexts(options(tmp_path, **more))


@pytest.mark.parametrize("text", ["", "x", KEY])
def test_authorities_of_clients_that_are_none_are_named(tmp_path: Path, text: str) -> None:
    ca = tmp_path / "clients.pem"
    ca.write_text(text)
    with pytest.raises(ConfigurationError, match="expected PEM certificates of authorities"):
        server_contexts(options(tmp_path, client_certificates="required", client_ca=str(ca)))


# --- passphrases


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nmore"])
def test_a_passphrase_comes_from_a_file(tmp_path: Path, ending: str) -> None:
    pair = write_pair(tmp_path, "a", CHAIN, locked(KEY))
    (tmp_path / "secret").write_text(PASSPHRASE + ending)
    server_contexts(
        TlsOptions((Certificate(pair.cert, pair.key, passphrase_file=str(tmp_path / "secret")),))
    )


def test_a_passphrase_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = write_pair(tmp_path, "a", CHAIN, locked(KEY))
    monkeypatch.setenv("KEY_SECRET", PASSPHRASE)
    server_contexts(TlsOptions((Certificate(pair.cert, pair.key, passphrase_env="KEY_SECRET"),)))


@pytest.mark.parametrize(
    ("file", "variable", "fault"),
    [
        ("wrong", "", r"a\.key: the passphrase does not open this key"),
        ("absent", "", "absent: expected a passphrase: .*No such file"),
        ("", "ABSENT_SECRET", r"a\.key: expected its passphrase .* ABSENT_SECRET, found none"),
        (
            "wrong",
            "ABSENT_SECRET",
            r"a\.key: expected passphrase_file or passphrase_env, found both",
        ),
        ("", "", r"a\.key: expected a key without a passphrase, or passphrase_file"),
    ],
)
def test_a_passphrase_that_is_wrong_is_told_and_never_shown(
    tmp_path: Path, file: str, variable: str, fault: str
) -> None:
    (tmp_path / "wrong").write_text("tr0ub4dor")
    pair = write_pair(tmp_path, "a", CHAIN, locked(KEY))
    path = str(tmp_path / file) if file else ""
    certificate = Certificate(pair.cert, pair.key, passphrase_file=path, passphrase_env=variable)
    with pytest.raises(ConfigurationError, match=fault) as caught:
        server_contexts(TlsOptions((certificate,)))
    assert "tr0ub4dor" not in str(caught.value)


# --- what a certificate says


def test_a_certificate_tells_its_names_and_its_end(tmp_path: Path) -> None:
    pair = issue(tmp_path, "A.example", "*.b.example", "192.0.2.1", name="pair", days=30)
    (facts,) = server_contexts(TlsOptions((pair,))).facts
    assert set(facts.names) == {"a.example", "*.b.example", "192.0.2.1"}
    assert facts.expires == pytest.approx(os.path.getmtime(pair.cert) + 30 * 86_400, abs=60)


@pytest.mark.parametrize("note", [b"f\xc3\xbcr M\xc3\xbcller\n", b"f\xfcr M\xfcller\n"])
def test_text_of_any_kind_may_stand_around_a_certificate(tmp_path: Path, note: bytes) -> None:
    """RFC 7468 section 2."""
    certificate = write_pems(tmp_path).certificate
    for file in map(Path, (certificate.cert, certificate.key)):
        file.write_bytes(note + file.read_bytes() + note)
    options = TlsOptions(certificates=(certificate,))
    tls = ServerTls(options)
    assert "localhost" in tls.facts[0].names
    tls.reload()


def test_an_expired_certificate_is_served_for_clients_to_judge(tmp_path: Path) -> None:
    (facts,) = server_contexts(TlsOptions((issue(tmp_path, "a.example", days=-1),))).facts
    assert facts.expires < os.path.getmtime(tmp_path)


def test_the_name_that_a_client_asks_for_is_noted(tmp_path: Path) -> None:
    context = server_contexts(options(tmp_path)).context
    connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert requested_name(connection) == ""
    note = context.sni_callback
    assert note is not None
    assert note(connection, "A.example.", context) is None
    assert requested_name(connection) == "a.example"
    assert connection.context is context, "there is nothing to choose"
    assert context.options & ssl.OP_NO_RENEGOTIATION


# --- replacing


def test_files_are_seen_to_change_and_read_again(tmp_path: Path) -> None:
    tls = ServerTls(TlsOptions((issue(tmp_path, "a.example", name="pair"),)))
    before = tls.context
    assert not tls.changed
    issue(tmp_path, "b.example", name="pair")
    assert tls.changed
    tls.reload()
    assert not tls.changed
    assert tls.context is not before
    assert tls.facts[0].names == ("b.example",)


def test_a_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes and certbot replace certificates."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        issue(tmp_path / name, f"{name}.example", name="pair")
    link = tmp_path / "live"
    link.symlink_to("old")
    tls = ServerTls(TlsOptions((Certificate(str(link / "pair.pem"), str(link / "pair.key")),)))
    link.unlink()
    link.symlink_to("new")
    assert tls.changed
    tls.reload()
    assert tls.facts[0].names == ("new.example",)


def test_what_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    pair = issue(tmp_path, "a.example", name="pair")
    tls = ServerTls(TlsOptions((pair,)))
    before = tls.context
    Path(pair.key).unlink()
    with pytest.raises(ConfigurationError, match="expected a PEM file, found none"):
        tls.reload()
    assert tls.context is before


def test_options_are_replaced_once_they_are_proven(tmp_path: Path) -> None:
    pair, other = (issue(tmp_path, f"{name}.example", name=name) for name in "ab")
    tls = ServerTls(None)
    assert tls.context is None
    assert tls.facts == ()
    tls.reload()
    assert not tls.changed
    tls.replace(TlsOptions((pair,)))
    before = tls.context
    assert before is not None
    with pytest.raises(ConfigurationError, match="KEY_VALUES_MISMATCH"):
        tls.replace(TlsOptions((Certificate(pair.cert, other.key),)))
    assert tls.context is before
    assert tls.options == TlsOptions((pair,))
    tls.replace(TlsOptions((other,)))
    assert tls.facts[0].names == ("b.example",)
    tls.replace(None)
    assert tls.context is None


def test_a_watch_waits_for_the_second_file_and_complains_once(tmp_path: Path) -> None:
    """A certificate is two files, and they are not written at once."""
    pair = issue(tmp_path, "a.example", name="pair")
    tls = ServerTls(TlsOptions((pair,)))
    loop = FakeLoop()
    watch = CertificateWatch(runtime(loop), 1.0)
    watch.add(tls)
    (tmp_path / "next").mkdir()
    after = issue(tmp_path / "next", "b.example", name="pair")
    with structlog.testing.capture_logs() as logs:
        Path(after.cert).replace(pair.cert)
        loop.advance(5)
        assert tls.facts[0].names == ("a.example",)
        Path(after.key).replace(pair.key)
        loop.advance(2)
        assert tls.facts[0].names == ("b.example",)
        loop.advance(5)
        watch.stop()
        Path(pair.key).unlink()
        loop.advance(5)
    assert [log["event"] for log in logs] == ["certificates not replaced", "certificates loaded"]
    assert "KEY_VALUES_MISMATCH" in logs[0]["fault"]


def test_a_watch_that_fails_once_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ServerTls(TlsOptions((issue(tmp_path, "a.example", name="pair"),)))
    loop = FakeLoop()
    watch = CertificateWatch(runtime(loop), 1.0)
    watch.add(tls)
    looks = []

    def reload(self: CertificateWatch, *, only_changed: bool = False) -> None:
        looks.append(only_changed)
        raise RuntimeError("a defect")

    monkeypatch.setattr(CertificateWatch, "reload", reload)
    loop.advance(5)
    watch.stop()
    assert len(looks) > 1


def test_a_certificate_that_fails_in_any_way_keeps_no_other_from_being_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        ServerTls(TlsOptions((issue(tmp_path, "a.example", name=name),)))
        for name in ("first", "second")
    )
    loop = FakeLoop()
    watch = CertificateWatch(runtime(loop), 1.0)
    watch.add(first)
    watch.add(second)

    def fail() -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(first, "reload", fail)
    issue(tmp_path, "b.example", name="first")
    issue(tmp_path, "b.example", name="second")
    with structlog.testing.capture_logs() as logs:
        loop.advance(5)
    watch.stop()
    assert second.facts[0].names == ("b.example",)
    assert [log["event"] for log in logs] == ["certificates loaded", "certificates not replaced"]
    assert logs[1]["fault"] == f"{tmp_path / 'first.pem'}: a defect"
