"""Who came to the wrong port, by the first line."""

from __future__ import annotations

import pytest

from holdfast.protocols.sniffing import TLS_ALERT, TLS_HANDSHAKE, ForeignProtocol, recognise


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("SSH-2.0-OpenSSH_9.6", ForeignProtocol.SSH),
        ("SSH-1.99-x", None),
        (" SSH-2.0-x", None),
        ("GET / HTTP/1.1", ForeignProtocol.HTTP),
        ("M-SEARCH * HTTP/1.0", ForeignProtocol.HTTP),
        ("GET / HTTP/2.0", None),
        ("get / HTTP/1.1", None),
        ("GET HTTP/1.1", None),
        ("GET / x HTTP/1.1", None),
        ("GET / HTTP/1.1 x", None),
        ("SAY something", None),
        ("", None),
    ],
)
def test_a_first_line_tells_who_speaks(line: str, found: ForeignProtocol | None) -> None:
    assert recognise(line) is found


def test_the_names_of_the_others_stand_in_logs() -> None:
    assert {protocol.value for protocol in ForeignProtocol} == {"HTTP", "SSH", "TLS"}


def test_tls_begins_with_a_handshake_and_ends_with_an_alert() -> None:
    """RFC 8446: a record of type 22; and an alert of two bytes, fatal and handshake_failure."""
    assert bytes((22, 3)) == TLS_HANDSHAKE
    assert bytes((21, 3, 1, 0, 2, 2, 40)) == TLS_ALERT
