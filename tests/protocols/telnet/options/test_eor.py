"""END-OF-RECORD (RFC 885), SGA (RFC 858) and GA (RFC 854): the marks behind prompts."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import client, feed, silent_server, telnet_server, wire

from holdfast.protocols.telnet import Capabilities, CapabilitiesChanged, Prompt
from holdfast.protocols.telnet.codes import DO, DONT, END_OF_RECORD, EOR, GA, IAC, NOP, SGA, WILL

DO_EOR = wire(IAC, DO, END_OF_RECORD)
DONT_EOR = wire(IAC, DONT, END_OF_RECORD)
DO_SGA = wire(IAC, DO, SGA)


@pytest.mark.parametrize(
    ("received", "mark"),
    [
        pytest.param([], b"", id="nothing-heard-of-telnet"),
        pytest.param([b"look\r\n"], b"", id="only-lines"),
        pytest.param([wire(IAC, NOP)], wire(IAC, GA), id="telnet"),
        pytest.param([DO_EOR], wire(IAC, EOR), id="eor"),
        pytest.param([DONT_EOR], wire(IAC, GA), id="no-eor"),
        pytest.param([DO_EOR, DO_SGA], wire(IAC, EOR), id="eor-and-sga"),
        pytest.param([DONT_EOR, DO_SGA], b"", id="sga"),
        pytest.param([DO_EOR, DONT_EOR], wire(IAC, GA), id="eor-no-more"),
    ],
)
def test_the_mark_behind_a_prompt(received: list[bytes], mark: bytes) -> None:
    server = telnet_server(*received)
    server.send_prompt("é> ")
    assert server.data_to_send() == "é> ".encode() + mark


def test_the_capability() -> None:
    server = silent_server()
    assert feed(server, [DO_EOR])[0] == [CapabilitiesChanged(Capabilities(eor=True))]
    assert feed(server, [DONT_EOR])[0] == [CapabilitiesChanged(Capabilities())]


def test_marks_from_a_client_mean_nothing() -> None:
    assert feed(silent_server(), [wire("lo", IAC, GA, "o", IAC, EOR, "k\r\n")]) == (["look"], b"")


@pytest.mark.parametrize("mark", [GA, EOR])
def test_the_client_is_told_of_prompts(mark: int) -> None:
    peer = client()
    chunk = wire("Hello\r\n> ", IAC, mark, "You see\r\n", IAC, mark)
    assert feed(peer, [chunk])[0] == ["Hello", Prompt("> "), "You see"]


def test_the_client_sees_a_prompt_without_a_mark() -> None:
    peer = client()
    assert feed(peer, [b"Hello\r\nlogin: "])[0] == ["Hello"]
    assert peer.unfinished_line == "login: "


def test_the_client_takes_eor_and_sga() -> None:
    offers = wire(IAC, WILL, END_OF_RECORD, IAC, WILL, SGA)
    assert feed(client(), [offers])[1] == DO_EOR + DO_SGA
