"""TLS without I/O."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.net.certificates import write_pems

from holdfast.net.tls.contexts import client_context, server_context
from holdfast.net.tls.core import TlsCore


def cores(folder: Path) -> tuple[TlsCore, TlsCore]:
    """A client and a server that have not begun."""
    pems = write_pems(folder)
    client = client_context(pems.authority)
    server = server_context(pems.certificate)
    return (
        TlsCore(client, server_side=False, server_hostname="localhost"),
        TlsCore(server, server_side=True),
    )


def move(source: TlsCore, target: TlsCore) -> None:
    target.incoming.write(source.outgoing.read())


def agreed(folder: Path) -> tuple[TlsCore, TlsCore]:
    client, server = cores(folder)
    assert not client.shake_hands()
    move(client, server)
    assert not server.shake_hands()
    move(server, client)
    assert client.shake_hands()
    move(client, server)
    assert server.shake_hands()
    move(server, client)
    return client, server


def test_the_end_of_one_direction_leaves_what_is_unread(tmp_path: Path) -> None:
    client, server = agreed(tmp_path)
    server.records.write(b"unread")
    move(server, client)
    client.notify_close()
    assert client.records.read(100) == b"unread"
    move(client, server)
    assert server.records.read(100) == b""  # the end
    server.records.write(b"more")
    move(server, client)
    assert client.records.read(100) == b"more"


def test_an_end_before_the_handshake_says_nothing(tmp_path: Path) -> None:
    client, _ = cores(tmp_path)
    client.notify_close()
    assert client.outgoing.read() == b""


def test_a_handshake_that_is_no_tls_fails_for_good(tmp_path: Path) -> None:
    _, server = cores(tmp_path)
    server.incoming.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ssl.SSLError, match=r"(?i)http.request"):
        server.shake_hands()


def test_a_refused_certificate_is_told_to_the_peer(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    client = TlsCore(client_context(), server_side=False, server_hostname="localhost")
    server = TlsCore(server_context(pems.certificate), server_side=True)
    client.shake_hands()
    move(client, server)
    server.shake_hands()
    move(server, client)
    with pytest.raises(ssl.SSLCertVerificationError):
        client.shake_hands()
    assert client.outgoing.pending  # the alert
