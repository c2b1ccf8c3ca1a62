"""Transcripts of tt++, tf and inetutils telnet: what they sent, what we make of it and answer."""

from __future__ import annotations

import pytest
from tests.protocols.telnet.recorded import INETUTILS_SLC, RECORDED
from tests.protocols.telnet.wire import feed, sb, silent_server

from holdfast.protocols.telnet import (
    Capabilities,
    Event,
    Gmcp,
    Interrupt,
    OutputAborted,
    ProbeAnswered,
    Settled,
    TelnetServer,
    Violation,
    WindowSize,
    codes,
)
from holdfast.protocols.telnet.codes import DO, IAC, SGA, WILL

SEND = b"\xff\xfa\x18\x01\xff\xf0"
REQUEST = b"\xff\xfa*\x01;UTF-8\xff\xf0"
VARIABLES = (
    b"\xff\xfa'\x01\x00CLIENT_NAME\x00CLIENT_VERSION\x00TERMINAL_TYPE\x00MTTS\x00CHARSET\xff\xf0"
)
LINEMODE = b'\xff\xfd"\xff\xfa"\x01\x03\xff\xf0'

SLC_ACKNOWLEDGED = sb(
    codes.LINEMODE,
    *(3, 3, 0xE2, 3, 4, 0x82, 15, 7, 0xE2, 28, 8, 0x82, 4, 9, 0xC2, 26, 10, 0x82, 127),
    *(11, 0x82, 21, 12, 0x82, 23, 13, 0x82, 18, 14, 0x82, 22, 15, 0x82, 17, 16, 0x82, 19),
)
"""inetutils' keys, taken as they are."""

ANSWERS = {
    "tt++": [SEND + VARIABLES + REQUEST, SEND, b"", SEND, SEND, b""],
    "tt++-gmcp": [SEND + VARIABLES + REQUEST, SEND, b"", SEND, SEND, b""],
    "tf": [SEND, SEND, SEND, SEND, b""],
    "inetutils": [SEND + VARIABLES, SEND, b""],
    "inetutils-forward": [
        b"\xff\xfc&\xff\xfe&\xff\xfb\x03"
        + SEND
        + b"\xff\xfe \xff\xfe!"
        + LINEMODE
        + VARIABLES
        + b"\xff\xfc\x05",
        SEND + SLC_ACKNOWLEDGED,
        b"",
    ],
}

KNOWN = {
    "tt++": Capabilities(
        "TinTin++", "2.02.20", "tmux-256color", 783, "UTF-8", 100, 30, 100, 30, eor=True
    ),
    "tt++-gmcp": Capabilities(
        "TinTin++", "2.02.20", "tmux-256color", 783, "UTF-8", 100, 30, 100, 30, gmcp=True, eor=True
    ),
    "tf": Capabilities("TINYFUGUE", "", "ANSI-ATTR", 0, "", 99, 26, 99, 26, eor=True),
    "inetutils": Capabilities("", "", "TMUX-256COLOR", 0, "", 100, 30, 100, 30),
    "inetutils-forward": Capabilities("", "", "TMUX-256COLOR", 0, "", 100, 30, 100, 30),
}

PROMPTS = {
    "tt++": b"caf\xc3\xa9> \xff\xef",
    "tt++-gmcp": b"caf\xc3\xa9> \xff\xef",
    "tf": b"cafe> \xff\xef",
    "inetutils": b"caf\xc3\xa9> \xff\xf9",
    "inetutils-forward": b"caf\xc3\xa9> ",
}


def settled(name: str) -> TelnetServer:
    server = silent_server()
    feed(server, RECORDED[name])
    server.handle_timer(1.0)
    return server


@pytest.mark.parametrize("name", RECORDED)
def test_the_opening(name: str) -> None:
    server = silent_server()
    events: list[Event] = []
    for chunk, answer in zip(RECORDED[name], ANSWERS[name], strict=True):
        told, sent = feed(server, [chunk])
        assert sent == answer
        events += told
    assert events.count(Settled()) == 1
    assert events[-1] == Settled()
    assert server.capabilities == KNOWN[name]
    assert server.malformed == 0
    width, height = KNOWN[name].width, KNOWN[name].height
    assert server.handle_timer(1.0) == [WindowSize(width, height)]


@pytest.mark.parametrize("name", RECORDED)
def test_the_prompt(name: str) -> None:
    server = settled(name)
    server.send_prompt("café> ")
    assert server.data_to_send() == PROMPTS[name]


LAST_NAMES = {
    "tt++": b"MTTS 271",
    "tt++-gmcp": b"MTTS 271",
    "tf": b"UNKNOWN",
    "inetutils": b"TMUX-256COLOR",
    "inetutils-forward": b"TMUX-256COLOR",
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_probe(name: str) -> None:
    server = settled(name)
    for now in (10.0, 20.0, 30.0):
        assert server.probe(now)
        assert server.data_to_send() == SEND
        answer = b"\xff\xfa\x18\x00" + LAST_NAMES[name] + b"\xff\xf0"
        assert server.receive_data(answer, now + 0.5) == [ProbeAnswered(0.5)]
    assert server.capabilities == KNOWN[name]


SECOND_PASSWORDS = {
    # What each client says to `WONT ECHO` and `WILL ECHO` in one segment.
    "tt++": [b"\xff\xfd\x01"],
    "tf": [b"\xff\xfe\x01", b"\xff\xfd\x01"],
    "inetutils": [b"\xff\xfe\x01\xff\xfd\x01"],
}


@pytest.mark.parametrize("name", SECOND_PASSWORDS)
def test_a_wrong_password_and_another(name: str) -> None:
    server = settled(name)
    server.hide_input(True)
    feed(server, [b"\xff\xfd\x01"])
    assert feed(server, [b"wrong\r\n"]) == (["wrong"], b"\r\n")
    server.hide_input(False)
    server.hide_input(True)
    assert server.data_to_send() == b"\xff\xfc\x01\xff\xfb\x01"
    feed(server, SECOND_PASSWORDS[name])
    assert feed(server, [b"secret\r\n"]) == (["secret"], b"\r\n")
    server.hide_input(False)
    assert server.data_to_send() == b"\xff\xfc\x01"


INETUTILS_LATER: dict[str, tuple[bytes, list[Event], bytes]] = {
    "send-ayt": (b"\xff\xf6", [], b"[Yes]\r\n"),
    "send-ao": (b"\xff\xf5", [OutputAborted()], b"\xff\xf2"),
    "send-ip": (b"\xff\xf4", [Interrupt()], b""),
    "send-brk": (b"\xff\xf3", [Interrupt()], b""),
    "send-abort": (b"\xff\xee", [Interrupt()], b""),
    "send-ec-el-susp-eof-eor-ga-nop": (
        b"\xff\xf7\xff\xf8\xff\xed\xff\xec\xff\xef\xff\xf9\xff\xf1",
        [],
        b"",
    ),
    "send-synch": (b"\xff\xf2", [], b""),
    "send-do-6": (b"\xff\xfd\x06", [], b"\xff\xfb\x06"),
    "mode-character": (b"\xff\xfd\x03\xff\xfd\x01", [], b"\xff\xfb\x03\xff\xfc\x01"),
    "in-character-mode": (b"lox\x7f\x7fok\r\x00", ["lok"], b""),
    "mode-line": (b'\xff\xfe\x03\xff\xfb"', [], LINEMODE),
    "linemode": (
        b"\xff\xfd\x03" + INETUTILS_SLC + b'\xff\xfd\x03\xff\xfa"\x01\x07\xff\xf0',
        [],
        b"\xff\xfb\x03",
    ),
    "toggle-binary": (b"\xff\xfd\x00\xff\xfb\x00", [], b"\xff\xfb\x00\xff\xfd\x00"),
    "in-binary": (b"b\xc3\xa9n\n", ["bén"], b""),
    "binary-and-mode-character": (b"\xff\xfd\x01binc\r", ["binc"], b"\xff\xfc\x01"),
}


@pytest.mark.parametrize(("data", "events", "sent"), INETUTILS_LATER.values(), ids=INETUTILS_LATER)
def test_what_a_person_does_with_inetutils(data: bytes, events: list[Event], sent: bytes) -> None:
    assert feed(settled("inetutils"), [data]) == (events, sent)


@pytest.mark.parametrize(
    ("name", "resize", "size"),
    [
        ("tt++", b"\xff\xfa\x1f\x00x\x00#\xff\xf0", WindowSize(120, 35)),
        ("tf", b"\xff\xfa\x1f\x00w\x00\x1f\xff\xf0", WindowSize(119, 31)),
        ("inetutils", b"\xff\xfa\x1f\x00x\x00#\xff\xf0", WindowSize(120, 35)),
    ],
    ids=["tt++", "tf", "inetutils"],
)
def test_a_resize(name: str, resize: bytes, size: WindowSize) -> None:
    server = settled(name)
    assert server.receive_data(resize, 10.0) == []
    assert server.handle_timer(10.2) == [size]


@pytest.mark.parametrize("transcript", RECORDED.values(), ids=RECORDED)
def test_every_split_in_two_gives_the_same(transcript: tuple[bytes, ...]) -> None:
    data = b"".join(transcript)
    whole = feed(silent_server(), [data])
    for place in range(1, len(data)):
        assert feed(silent_server(), [data[:place], data[place:]]) == whole


@pytest.mark.parametrize("transcript", RECORDED.values(), ids=RECORDED)
def test_a_client_that_answers_everything_twice(transcript: tuple[bytes, ...]) -> None:
    server = silent_server()
    events, sent = feed(server, [chunk for chunk in transcript for _ in range(2)])
    events += server.handle_timer(2.0)
    assert not any(isinstance(event, Violation) for event in events)
    assert events.count(Settled()) == 1
    assert len(sent) <= 2 * len(feed(silent_server(), transcript)[1])
    assert server.receive_data(b"look\r\n", 3.0) == ["look"]


@pytest.mark.parametrize("name", ["inetutils", "tf"])
def test_sga_is_never_offered(name: str) -> None:
    # It would put inetutils into character mode.
    server = silent_server()
    _, sent = feed(server, RECORDED[name])
    assert bytes((IAC, WILL, SGA)) not in sent
    assert bytes((IAC, DO, SGA)) not in sent


def test_tintins_gmcp_script() -> None:
    server = silent_server()
    events, _ = feed(server, RECORDED["tt++-gmcp"])
    assert [event for event in events if isinstance(event, Gmcp)] == [
        Gmcp("Core.Hello", '{"client":"tt++","version":"2.02.20"}'),
        Gmcp("Core.Supports.Set", '["Char 1"]'),
    ]
    # tt++ showed: GOTGMCP mod=Char.Vitals val={hp}{1} json=Char.Vitals {"hp":1}
    assert server.send_gmcp("Char.Vitals", '{"hp":1}')
    assert server.data_to_send() == b'\xff\xfa\xc9Char.Vitals {"hp":1}\xff\xf0'
