"""ECHO (RFC 857): hiding what is typed."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import client, feed, silent_server, wire

from holdfast.core.limits import Limits
from holdfast.protocols.telnet import InputHidden, LineTooLong
from holdfast.protocols.telnet.codes import DO, DONT, ECHO, IAC, WILL, WONT

WILL_ECHO = wire(IAC, WILL, ECHO)
WONT_ECHO = wire(IAC, WONT, ECHO)
DO_ECHO = wire(IAC, DO, ECHO)
DONT_ECHO = wire(IAC, DONT, ECHO)


def test_a_password() -> None:
    server = silent_server()
    server.hide_input(True)
    server.send_prompt("Password: ")
    assert server.data_to_send() == WILL_ECHO + b"Password: "
    assert feed(server, [DO_ECHO]) == ([], b"")
    # The client shows not even Enter; that much of the echo we give.
    assert feed(server, [b"secret\r\n"]) == (["secret"], b"\r\n")
    server.hide_input(False)
    assert server.data_to_send() == WONT_ECHO
    assert feed(server, [DONT_ECHO]) == ([], b"")
    assert feed(server, [b"look\r\n"]) == (["look"], b"")


def test_each_hidden_line_gets_its_line_end() -> None:
    server = silent_server(Limits().but(telnet={"line_chars_max": 3}).telnet)
    server.hide_input(True)
    feed(server, [DO_ECHO])
    assert feed(server, [b"a\r\nb", b"c\r\n", b"1234\r\n"]) == (
        ["a", "bc", LineTooLong()],
        b"\r\n" * 3,
    )


def test_a_client_that_refuses_echoes_itself() -> None:
    server = silent_server()
    server.hide_input(True)
    feed(server, [DONT_ECHO])
    assert feed(server, [b"secret\r\n"]) == (["secret"], b"")
    # Whoever refused once is asked again the next time.
    server.hide_input(False)
    server.hide_input(True)
    assert server.data_to_send() == WILL_ECHO


def test_hiding_twice_asks_once() -> None:
    server = silent_server()
    server.hide_input(True)
    server.hide_input(True)
    feed(server, [DO_ECHO])
    server.hide_input(True)
    server.hide_input(False)
    server.hide_input(False)
    assert server.data_to_send() == WONT_ECHO


def test_a_second_password_does_not_wait_for_an_answer_that_never_comes() -> None:
    # tt++ does not answer WONT ECHO.
    server = silent_server()
    for _ in range(3):
        server.hide_input(True)
        assert server.data_to_send() == WILL_ECHO
        feed(server, [DO_ECHO])
        assert feed(server, [b"secret\r\n"])[1] == b"\r\n"
        server.hide_input(False)
        assert server.data_to_send() == WONT_ECHO


@pytest.mark.parametrize("chunks", [[DONT_ECHO + DO_ECHO], [DONT_ECHO, DO_ECHO]], ids=["1", "2"])
def test_the_answer_to_the_first_may_come_after_all(chunks: list[bytes]) -> None:
    # inetutils and tf answer each, in order.
    server = silent_server()
    server.hide_input(True)
    feed(server, [DO_ECHO])
    server.hide_input(False)
    server.hide_input(True)
    assert server.data_to_send() == WONT_ECHO + WILL_ECHO
    # A WILL more than is needed; who performs it already ignores it.
    assert feed(server, chunks) == ([], WILL_ECHO)
    assert feed(server, [b"secret\r\n"])[1] == b"\r\n"


def test_shown_again_before_the_client_answered() -> None:
    server = silent_server()
    server.hide_input(True)
    server.hide_input(False)
    assert server.data_to_send() == WILL_ECHO
    assert feed(server, [DO_ECHO]) == ([], WONT_ECHO)


def test_a_client_gets_no_echo_that_would_be_none() -> None:
    assert feed(silent_server(), [DO_ECHO]) == ([], WONT_ECHO)


def test_a_client_may_not_echo_to_us() -> None:
    assert feed(silent_server(), [WILL_ECHO]) == ([], DONT_ECHO)


def test_the_client_hides_what_is_typed() -> None:
    peer = client()
    assert feed(peer, [WILL_ECHO]) == ([InputHidden(True)], DO_ECHO)
    assert feed(peer, [WILL_ECHO]) == ([], b"")
    assert feed(peer, [WONT_ECHO]) == ([InputHidden(False)], DONT_ECHO)
    assert feed(peer, [DO_ECHO]) == ([], WONT_ECHO)
