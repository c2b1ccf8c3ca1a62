"""MXP (option 91): detected, locked, and escaped where a line is read as markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import LIMITS, TERMINAL, converse, feed, sb, wire

from holdfast.protocols.telnet import Capabilities, CapabilitiesChanged, TelnetClient, TelnetServer
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import DO, DONT, IAC, MXP, WILL, WONT
from holdfast.protocols.telnet.options.mxp import defused, escape, secure_line
from holdfast.protocols.telnet.server import Offers, server_options

BEGIN = sb(MXP) + b"\x1b[7z"
ON = CapabilitiesChanged(Capabilities(mxp=True))


def mxp_server() -> TelnetServer:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, server_options(Offers(mxp=True)))
    assert server.data_to_send().endswith(wire(IAC, WILL, MXP))
    return server


def test_a_client_that_accepts() -> None:
    assert feed(mxp_server(), [wire(IAC, DO, MXP)]) == ([ON], BEGIN)


def test_a_client_that_offers_it_itself() -> None:
    server = mxp_server()
    assert feed(server, [wire(IAC, WILL, MXP)]) == ([ON], wire(IAC, DO, MXP) + BEGIN)
    assert feed(server, [wire(IAC, DO, MXP)]) == ([], b"")  # it has begun


def test_a_client_that_refuses() -> None:
    assert feed(mxp_server(), [wire(IAC, DONT, MXP)]) == ([], b"")


def test_the_end() -> None:
    server = mxp_server()
    feed(server, [wire(IAC, DO, MXP)])
    events, sent = feed(server, [wire(IAC, DONT, MXP)])
    assert events == [CapabilitiesChanged(Capabilities())]
    assert sent == wire(IAC, WONT, MXP)


@pytest.mark.parametrize("also", [[], [MXP]])
def test_our_client_accepts_it_on_request(also: list[int]) -> None:
    server, peer = mxp_server(), TelnetClient(LIMITS, TERMINAL, also=also)
    peer.receive_data(wire(IAC, WILL, MXP), 0.0)
    converse(server, peer)
    assert server.capabilities.mxp is peer.capabilities.mxp is bool(also)


def test_text_in_a_secure_line() -> None:
    assert escape('<b>"a" & b</b>') == "&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;"
    line = secure_line(f"<send>{escape('go <north>')}</send>")
    assert line == "\x1b[1z<send>go &lt;north&gt;</send>\n"


def test_users_cannot_change_the_mode() -> None:
    assert defused("\x1b[1z<send>\x1b[31m\x1b[z") == "␛[1z<send>\x1b[31m␛[z"
    assert escape("\x1b[1z<") == "␛[1z&lt;"


@given(st.text("\x1b\x9b[01;? zm", max_size=30))
@example("\x1b[\x1b[1z1z")
@example("\x9b1z")
@example("\x1b[1;0z")
def test_no_change_of_the_mode_is_left(text: str) -> None:
    assert not re.search("(\x1b\\[|\x9b)[0-?]*[ -/]*z", defused(text))
    assert len(defused(text)) == len(text)
