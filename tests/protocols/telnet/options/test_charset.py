"""CHARSET (RFC 2066)."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.wire import (
    LIMITS,
    TERMINAL,
    client,
    feed,
    sb,
    silent_server,
    telnet_server,
    wire,
)

from holdfast.protocols.telnet import (
    Capabilities,
    CapabilitiesChanged,
    CharsetHeard,
    TelnetClient,
    TelnetServer,
)
from holdfast.protocols.telnet.charsets import Charsets
from holdfast.protocols.telnet.codes import CHARSET, DO, DONT, IAC, WILL, WONT

DO_CHARSET = wire(IAC, DO, CHARSET)
WILL_CHARSET = wire(IAC, WILL, CHARSET)
REQUEST = sb(CHARSET, 1, ";UTF-8")
REJECTED = sb(CHARSET, 3)
IN_UTF_8 = CapabilitiesChanged(Capabilities(charset="UTF-8"))


def test_exactly_one_name_is_offered() -> None:
    assert feed(silent_server(), [DO_CHARSET]) == ([], REQUEST)


@pytest.mark.parametrize(
    ("answer", "utf8"),
    [
        pytest.param(sb(CHARSET, 2, "UTF-8"), True, id="accepted"),
        pytest.param(sb(CHARSET, 2, "utf-8"), True, id="accepted-in-lower-case"),
        pytest.param(sb(CHARSET, 2, "KOI8-R"), False, id="accepted-something-else"),
        pytest.param(sb(CHARSET, 2, b"\xff"), False, id="accepted-nonsense"),
        pytest.param(sb(CHARSET, 2), False, id="accepted-nothing"),
        pytest.param(sb(CHARSET, 2, "US-ASCII"), False, id="accepted-what-was-not-offered"),
        pytest.param(REJECTED, False, id="rejected"),
        pytest.param(wire(IAC, DONT, CHARSET), False, id="refused"),
    ],
)
def test_the_answer(answer: bytes, utf8: bool) -> None:
    server = telnet_server(DO_CHARSET)
    events, _ = feed(server, [answer])
    assert events == ([IN_UTF_8] if utf8 else [])
    assert server.capabilities.utf8 is utf8
    # There is nothing left to be answered.
    assert feed(server, [sb(CHARSET, 2, "UTF-8")])[0] == []


def test_what_is_agreed_holds_behind_the_answer_in_the_same_chunk() -> None:
    server = telnet_server(DO_CHARSET)
    events, _ = feed(server, [b"\xe9\r\n" + sb(CHARSET, 2, "UTF-8") + b"\xe9\r\n"])
    assert events == ["é", CharsetHeard("ISO-8859-1"), IN_UTF_8, "\ufffd"]
    server.send_text("é")
    assert server.data_to_send() == "é".encode()


@pytest.mark.parametrize(
    ("offered", "answer", "charset"),
    [
        pytest.param(";UTF-8", sb(CHARSET, 2, "UTF-8"), "UTF-8", id="one"),
        pytest.param(
            " ISO-8859-1 UTF-8", sb(CHARSET, 2, "UTF-8"), "UTF-8", id="utf-8-is-preferred"
        ),
        pytest.param(";utf8", sb(CHARSET, 2, "utf8"), "UTF-8", id="as-the-peer-spells-it"),
        pytest.param(
            ";X;latin1", sb(CHARSET, 2, "latin1"), "ISO-8859-1", id="another-that-we-know"
        ),
        pytest.param(";X;Y", REJECTED, "", id="none-that-we-know"),
        pytest.param(";", REJECTED, "", id="no-name"),
        pytest.param("", REJECTED, "", id="nothing"),
        pytest.param(b";\xff", REJECTED, "", id="nonsense"),
        pytest.param("[TTABLE]\1;UTF-8", REJECTED, "", id="translation-tables"),
    ],
)
def test_a_clients_request(offered: str | bytes, answer: bytes, charset: str) -> None:
    server = telnet_server(wire(IAC, DONT, CHARSET), WILL_CHARSET)
    assert feed(server, [sb(CHARSET, 1, offered)])[1] == answer
    assert server.capabilities.charset == charset


def test_when_requests_cross_the_servers_stands() -> None:
    server = telnet_server(DO_CHARSET, WILL_CHARSET)
    assert feed(server, [sb(CHARSET, 1, ";UTF-8")]) == ([], REJECTED)
    assert feed(server, [sb(CHARSET, 2, "UTF-8")]) == ([IN_UTF_8], b"")
    # And it is over: the next one is answered on its merits.
    assert feed(server, [sb(CHARSET, 1, ";UTF-8")])[1] == sb(CHARSET, 2, "UTF-8")


def test_a_client_that_performs_it_too_is_asked_once() -> None:
    assert feed(silent_server(), [WILL_CHARSET, DO_CHARSET])[1] == wire(IAC, DO, CHARSET) + REQUEST


@pytest.mark.parametrize("payload", [b"", b"\5", b"\6", b"\7", b"\x63"], ids=repr)
def test_what_is_not_asked_for_is_ignored(payload: bytes) -> None:
    server = telnet_server(DO_CHARSET)
    assert feed(server, [sb(CHARSET, payload)]) == ([], b"")


def test_the_client_answers_and_does_not_ask() -> None:
    peer = client()
    assert feed(peer, [WILL_CHARSET])[1] == DO_CHARSET
    assert feed(peer, [REQUEST]) == ([IN_UTF_8], sb(CHARSET, 2, "UTF-8"))
    assert feed(peer, [sb(CHARSET, 1, ";KOI-7")]) == ([], REJECTED)
    assert feed(peer, [sb(CHARSET, 2, "UTF-8"), wire(IAC, WONT, CHARSET)]) == (
        [],
        wire(IAC, DONT, CHARSET),
    )


KOI8_R = Charsets(fixed="KOI8-R")


def test_a_fixed_character_set_is_the_one_that_is_offered() -> None:
    server = TelnetServer(LIMITS, 0.0, KOI8_R)
    server.data_to_send()
    _, sent = feed(server, [DO_CHARSET])
    assert sent == sb(CHARSET, 1, ";KOI8-R")
    feed(server, [sb(CHARSET, 2, "koi8-r")])
    assert server.capabilities.charset == "KOI8-R"


@pytest.mark.parametrize("answer", [REJECTED, wire(IAC, DONT, CHARSET), b"\xff\xf1"])
def test_a_fixed_character_set_is_spoken_whatever_is_answered(answer: bytes) -> None:
    server = TelnetServer(LIMITS, 0.0, KOI8_R)
    server.data_to_send()
    events, _ = feed(server, [DO_CHARSET + answer, "Привет\r\n".encode("koi8-r")])
    assert events[-1] == "Привет"
    server.send_text("Ответ")
    assert server.data_to_send() == "Ответ".encode("koi8-r").replace(b"\xff", b"\xff\xff")


def test_another_than_the_fixed_one_is_not_accepted() -> None:
    peer = TelnetClient(LIMITS, TERMINAL, charsets=KOI8_R)
    feed(peer, [wire(IAC, WILL, CHARSET)])
    assert feed(peer, [sb(CHARSET, 1, ";UTF-8")])[1] == REJECTED
    assert feed(peer, [sb(CHARSET, 1, ";UTF-8;KOI8-R")])[1] == sb(CHARSET, 2, "KOI8-R")


def test_a_translation_table_is_rejected() -> None:
    assert feed(telnet_server(DO_CHARSET), [sb(CHARSET, 4, 1, "x")])[1] == sb(CHARSET, 5)
    peer = client()
    feed(peer, [WILL_CHARSET])
    assert feed(peer, [sb(CHARSET, 4, 1, "x")])[1] == sb(CHARSET, 5)
