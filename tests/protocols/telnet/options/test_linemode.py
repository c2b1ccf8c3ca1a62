"""LINEMODE (RFC 1184), for a client that volunteers it."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import client, feed, sb, silent_server, telnet_server, wire

from holdfast.protocols.telnet.codes import DO, DONT, IAC, LINEMODE, WILL, WONT

WILL_LINEMODE = wire(IAC, WILL, LINEMODE)


def test_a_volunteer_is_told_to_edit_lines() -> None:
    sent = wire(IAC, DO, LINEMODE) + sb(LINEMODE, 1, 3)
    assert feed(silent_server(), [WILL_LINEMODE]) == ([], sent)


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        pytest.param(b"\x01\x07", b"", id="mode-acknowledged"),
        pytest.param(b"\x03\x01\x00\x00\x03b\x03", b"", id="special-characters"),
        pytest.param(wire(DO, 2, b"\0" * 32), sb(LINEMODE, WONT, 2), id="do-forwardmask"),
        pytest.param(wire(WONT, 2), b"", id="wont-forwardmask"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_subnegotiations(payload: bytes, answer: bytes) -> None:
    server = telnet_server(WILL_LINEMODE)
    assert feed(server, [sb(LINEMODE, payload)]) == ([], answer)


def test_we_do_not_perform_it() -> None:
    assert feed(silent_server(), [wire(IAC, DO, LINEMODE)])[1] == wire(IAC, WONT, LINEMODE)
    assert feed(client(), [wire(IAC, DO, LINEMODE)])[1] == wire(IAC, WONT, LINEMODE)
    assert feed(client(), [WILL_LINEMODE])[1] == wire(IAC, DONT, LINEMODE)
