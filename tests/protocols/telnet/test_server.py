"""The server's role: its opening, and text in every state of the negotiation."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.telnet.wire import BURST, LIMITS, feed, sb, silent_server, telnet_server, wire

from holdfast.protocols.telnet import TelnetServer, codes
from holdfast.protocols.telnet.codes import (
    BINARY,
    CHARSET,
    DO,
    DONT,
    IAC,
    LINEMODE,
    NAWS,
    NEW_ENVIRON,
    SGA,
    WILL,
    WONT,
)
from holdfast.protocols.telnet.server import Offers, server_options

DO_CHARSET = wire(IAC, DO, CHARSET)
LATIN_1 = wire(IAC, WILL, NEW_ENVIRON) + sb(NEW_ENVIRON, 0, 0, "CHARSET", 1, "ISO-8859-1")


def test_the_opening_is_queued_when_it_is_made() -> None:
    server = TelnetServer(LIMITS, 0.0)
    assert server.data_to_send() == BURST
    assert server.data_to_send() == b""


def test_text_behind_the_opening_stays_behind_it() -> None:
    server = TelnetServer(LIMITS, 0.0)
    server.send_text("Hello\n")
    server.send_text("World\n")
    assert server.data_to_send() == BURST + b"Hello\r\nWorld\r\n"


@pytest.mark.parametrize(
    ("received", "text", "data"),
    [
        pytest.param([], "café Привет", "café Привет".encode(), id="nothing-known"),
        pytest.param([b"\xe9\r\n"], "éÿ", b"\xe9\xff\xff", id="heard-in-latin-1"),
        pytest.param(
            [b"\xe9\r\n", "é\r\n".encode()], "éÿ", "éÿ".encode(), id="heard-in-utf-8-since"
        ),
        pytest.param(
            [b"\xe9\r\n", DO_CHARSET, sb(CHARSET, 2, "UTF-8")],
            "é",
            "é".encode(),
            id="heard-in-latin-1-and-named-utf-8",
        ),
        pytest.param([DO_CHARSET, sb(CHARSET, 2, "UTF-8")], "éÿ", "éÿ".encode(), id="utf-8"),
        pytest.param([LATIN_1], "éÿ", b"\xe9\xff\xff", id="latin-1"),
        pytest.param([], "50%\r60%\n", b"50%\r\x0060%\r\n", id="cr"),
        pytest.param([wire(IAC, DO, BINARY)], "50%\r60%\n", b"50%\r60%\r\n", id="cr-in-binary"),
        pytest.param([wire(IAC, WILL, BINARY)], "\r", b"\r\0", id="cr-in-binary-of-the-other-side"),
    ],
)
def test_text_is_sent_as_the_client_can_read_it(
    received: list[bytes], text: str, data: bytes
) -> None:
    server = telnet_server(*received)
    server.send_text(text)
    assert server.data_to_send() == data


def configured(**offers: Any) -> TelnetServer:
    return TelnetServer(LIMITS, 0.0, options=server_options(Offers(**offers)))


def test_options_are_refused_by_configuration() -> None:
    server = configured(refused=frozenset({NAWS, SGA}))
    opening = server.data_to_send()
    assert wire(IAC, DO, NAWS) not in opening
    assert opening == BURST.replace(wire(IAC, DO, NAWS), b"")
    asked = wire(IAC, WILL, NAWS, IAC, DO, SGA)
    assert feed(server, [asked + sb(NAWS, 0, 80, 0, 24)]) == (
        [],
        wire(IAC, DONT, NAWS, IAC, WONT, SGA),
    )


def test_options_are_offered_by_configuration() -> None:
    opening = configured(offered=frozenset({SGA, LINEMODE})).data_to_send()
    assert opening == BURST + wire(IAC, WILL, SGA, IAC, DO, SGA, IAC, DO, LINEMODE)


def test_input_is_hidden_whatever_is_refused() -> None:
    server = configured(refused=frozenset(codes.NAMES.values()) - {codes.ECHO})
    assert server.data_to_send() == b""
    server.hide_input(True)
    assert server.data_to_send() == wire(IAC, WILL, codes.ECHO)


@pytest.mark.parametrize("option", [SGA, BINARY])
def test_sga_and_binary_are_accepted_on_both_sides(option: int) -> None:
    asked = wire(IAC, DO, option, IAC, WILL, option)
    assert feed(silent_server(), [asked]) == ([], wire(IAC, WILL, option, IAC, DO, option))


def test_text_received_in_latin_1() -> None:
    assert feed(telnet_server(LATIN_1), [b"\xc3\xa9\r\n"])[0] == ["Ã©"]
