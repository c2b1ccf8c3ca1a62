"""MSSP: by option and as text."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import LIMITS, TERMINAL, client, converse, feed, sb, wire

from holdfast.protocols.telnet import Mssp, Settled, TelnetClient, TelnetServer
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import DO, DONT, IAC, MSSP, NOP, WILL
from holdfast.protocols.telnet.options.mssp import Values, decode, encode
from holdfast.protocols.telnet.server import Offers, server_options

PLAYERS = [3]


def values() -> Values:
    return {"NAME": "My game", "PLAYERS": PLAYERS[0], "PORT": ["4000", "4001"]}


def offering() -> TelnetServer:
    return TelnetServer(LIMITS, 0.0, AUTOMATIC, server_options(Offers(mssp=values)))


def server() -> TelnetServer:
    it = offering()
    it.data_to_send()
    return it


TOLD = sb(MSSP, b"\1NAME\2My game\1PLAYERS\x023\1PORT\x024000\x024001")
TEXT = (
    b"\r\nMSSP-REPLY-START\r\nNAME\tMy game\r\nPLAYERS\t3\r\nPORT\t4000\t4001\r\nMSSP-REPLY-END\r\n"
)


def test_the_option() -> None:
    assert feed(server(), [wire(IAC, DO, MSSP)])[1] == TOLD


def test_values_cannot_forge_others() -> None:
    assert encode({"NA\1ME": "a\2b\n", "X": ["\xff"]}) == b"\1NAME\2ab\1X\2" + "\xff".encode()


def test_the_request_as_text() -> None:
    it = server()
    assert feed(it, [b"MSSP-REQ", b"UEST\r\nlook\r\n"]) == (["look"], TEXT)
    assert feed(it, [b"MSSP-REQUEST\r\n"]) == (["MSSP-REQUEST"], b"")


def test_behind_telnet_the_request_is_a_line() -> None:
    assert feed(server(), [wire(IAC, NOP), b"MSSP-REQUEST\r\n"]) == (["MSSP-REQUEST"], b"")


def test_a_server_without_values_has_no_answer() -> None:
    it = TelnetServer(LIMITS, 0.0)
    it.data_to_send()
    assert feed(it, [b"MSSP-REQUEST\r\n"]) == (["MSSP-REQUEST"], b"")


def test_nobody_waits_for_the_answer() -> None:
    """tt++ gives none."""
    told, _ = converse(offering(), client())
    assert Settled() in told


def test_a_client_that_wants_it_hears_the_values() -> None:
    asking = TelnetClient(LIMITS, TERMINAL, also=[MSSP])
    _, heard = converse(offering(), asking)
    assert heard[-1] == Mssp({"NAME": "My game", "PLAYERS": "3", "PORT": ["4000", "4001"]})
    assert feed(client(), [wire(IAC, WILL, MSSP)])[1] == wire(IAC, DONT, MSSP)


PAYLOADS: dict[str, tuple[bytes, dict[str, str | list[str]]]] = {
    "nothing": (b"", {}),
    "no-value": (b"\1NAME", {}),
    "an-empty-value": (b"\1NAME\2", {"NAME": ""}),
    "no-name": (b"\2x\1\2y", {}),
    "no-mark": (b"NAME\2x", {}),
    "again": (b"\1A\2x\2y\1A\2z", {"A": "z"}),
    "controls-and-other-bytes": (b"\1A\2\x1b[2Jx\xff", {"A": "[2Jx\ufffd"}),
}


@pytest.mark.parametrize(("payload", "values"), PAYLOADS.values(), ids=PAYLOADS)
def test_payloads(payload: bytes, values: dict[str, str | list[str]]) -> None:
    assert decode(payload) == values
