"""TERMINAL-TYPE (RFC 1091), MTTS, and the probe."""

from __future__ import annotations

from itertools import product

import pytest
from tests.protocols.telnet.wire import client, feed, sb, silent_server, telnet_server, wire

from holdfast.protocols.telnet import Capabilities, Event, ProbeAnswered, TelnetServer
from holdfast.protocols.telnet.codes import DO, DONT, IAC, TTYPE, WILL, WONT
from holdfast.protocols.telnet.options.ttype import CYCLE, Cycle, Do, Given

SEND = sb(TTYPE, 1)
WILL_TTYPE = wire(IAC, WILL, TTYPE)


def name(text: str | bytes) -> bytes:
    return sb(TTYPE, 0, text)


CYCLES: dict[str, tuple[list[str], int, Capabilities]] = {
    # what the client answers; how many it is asked for; what is known then
    "tt++": (
        ["TINTIN++", "tmux-256color", "MTTS 271", "MTTS 271"],
        4,
        Capabilities("TINTIN++", terminal_type="tmux-256color", mtts=271, charset="UTF-8"),
    ),
    "tf": (
        ["TINYFUGUE", "ANSI-ATTR", "ANSI", "UNKNOWN"],
        4,
        Capabilities("TINYFUGUE", terminal_type="ANSI-ATTR"),
    ),
    "inetutils": (
        ["TMUX-256COLOR", "TMUX-256COLOR"],
        2,
        Capabilities(terminal_type="TMUX-256COLOR"),
    ),
    "repeated-in-another-case": (["xterm", "XTERM"], 2, Capabilities(terminal_type="xterm")),
    "unknown-at-once": (["UNKNOWN"], 1, Capabilities()),
    "never-ending": (["A", "B", "C", "D"], 4, Capabilities("A", terminal_type="B")),
    "mtts-without-utf-8": (
        ["A", "B", "MTTS 9", "MTTS 9"],
        4,
        Capabilities("A", terminal_type="B", mtts=9),
    ),
    "mtts-no-number": (["A", "B", "MTTS x", "MTTS x"], 4, Capabilities("A", terminal_type="B")),
    "mtts-not-ascii": (["A", "B", "MTTS ²", "MTTS ²"], 4, Capabilities("A", terminal_type="B")),
    "mtts-endless": (
        ["A", "B", "MTTS " + "9" * 30, "MTTS " + "9" * 30],
        4,
        Capabilities("A", terminal_type="B"),
    ),
}


@pytest.mark.parametrize(("names", "asked", "known"), CYCLES.values(), ids=CYCLES)
def test_the_cycle(names: list[str], asked: int, known: Capabilities) -> None:
    server = silent_server()
    _, sent = feed(server, [WILL_TTYPE])
    sends = 0
    while sent == SEND:
        _, sent = feed(server, [name(names[sends])])
        sends += 1
    assert sent == b""
    assert sends == asked
    assert server.capabilities == known


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        (b"x" * 1000, "x" * 40),
        (b"\x1b[2Jevil\r\n", "?[2Jevil??"),
        ("a\u202eb".encode(), "a???b"),
        (b" 2.02 ", "2.02"),
    ],
    ids=["long", "escape-sequence", "bidi-override", "spaces"],
)
def test_a_name_is_short_printable_ascii(payload: bytes, kept: str) -> None:
    assert telnet_server(WILL_TTYPE, name(payload)).capabilities.terminal_type == kept


def test_a_variable_that_is_known_already_is_not_overwritten_by_a_guess() -> None:
    environ = (
        bytes.fromhex("fffb27 fffa27") + b"\0\0CLIENT_NAME\1Tin\0TERMINAL_TYPE\1vt" + b"\xff\xf0"
    )
    server = telnet_server(environ, WILL_TTYPE, name("TIN"))
    assert server.capabilities.terminal_type == "vt"
    feed(server, [name("vt220")])
    assert server.capabilities.client_name == "Tin"
    assert server.capabilities.terminal_type == "vt220"


@pytest.mark.parametrize("payload", [b"", b"\1", b"\2x"], ids=repr)
def test_what_is_no_answer_is_ignored(payload: bytes) -> None:
    server = telnet_server(WILL_TTYPE)
    assert feed(server, [sb(TTYPE, payload)]) == ([], b"")


def test_going_off_and_on_begins_anew() -> None:
    server = telnet_server(WILL_TTYPE, name("A"), name("A"))
    _, sent = feed(server, [wire(IAC, WONT, TTYPE), WILL_TTYPE])
    assert sent == wire(IAC, DONT, TTYPE, IAC, DO, TTYPE) + SEND


def test_going_off_in_the_cycle_forgets_its_names() -> None:
    server = telnet_server(WILL_TTYPE, name("A"), wire(IAC, WONT, TTYPE), WILL_TTYPE)
    assert feed(server, [name("A")])[1] == SEND


def probed(*chunks: bytes) -> tuple[TelnetServer, list[Event]]:
    """A server that sent a probe at 10 and then received `chunks` at 12.5."""
    server = telnet_server(WILL_TTYPE, name("A"), name("A"))
    assert server.probe(10.0)
    assert server.data_to_send() == SEND
    return server, feed(server, chunks, 12.5)[0]


def test_the_answer_to_a_probe_is_told_once() -> None:
    server, events = probed(name("A"), name("A"))
    assert events == [ProbeAnswered(2.5)]
    assert server.data_to_send() == b""


def test_only_one_probe_is_outstanding() -> None:
    server, _ = probed()
    assert not server.probe(11.0)
    assert server.data_to_send() == b""
    feed(server, [name("A")])
    assert server.probe(12.0)


def test_what_the_answer_to_a_probe_says_is_ignored() -> None:
    server, events = probed(name("B"))
    assert events == [ProbeAnswered(2.5)]
    assert server.capabilities.terminal_type == "A"


@pytest.mark.parametrize(
    "received",
    [[], [wire(IAC, WONT, TTYPE)], [WILL_TTYPE], [WILL_TTYPE, name("A")]],
    ids=["silent", "refused", "asked", "in-the-cycle"],
)
def test_who_cannot_be_probed_is_sent_nothing(received: list[bytes]) -> None:
    server = telnet_server(*received)
    assert not server.probe(1.0)
    assert server.data_to_send() == b""


def test_a_client_that_goes_off_owes_no_answer() -> None:
    server, events = probed(wire(IAC, WONT, TTYPE), WILL_TTYPE, name("A"), name("A"))
    assert not any(isinstance(event, ProbeAnswered) for event in events)
    assert server.probe(20.0)


@pytest.mark.parametrize(("state", "given"), list(product(Cycle, Given)))
def test_the_cycle_never_sends_but_to_ask_or_probe(state: Cycle, given: Given) -> None:
    if CYCLE.allows(state, given):
        after, do = CYCLE.step(state, given)
        assert (do is Do.SEND) == (after in (Cycle.ASKING, Cycle.PROBING))
        assert (do is Do.REPORT) == (state is Cycle.PROBING and after is Cycle.OVER)


def test_the_client_answers_every_send() -> None:
    peer = client()
    _, sent = feed(peer, [wire(IAC, DO, TTYPE), *[SEND] * 5])
    assert sent == wire(IAC, WILL, TTYPE) + b"".join(
        map(name, ["Hold", "xterm", "MTTS 271", "MTTS 271", "Hold"])
    )


def test_the_client_begins_anew_when_it_is_asked_anew() -> None:
    peer = client()
    feed(peer, [wire(IAC, DO, TTYPE), SEND, SEND, wire(IAC, DONT, TTYPE)])
    _, sent = feed(peer, [wire(IAC, DO, TTYPE), SEND])
    assert sent == wire(IAC, WILL, TTYPE) + name("Hold")


def test_the_client_ignores_what_is_no_send() -> None:
    peer = client()
    assert feed(peer, [wire(IAC, DO, TTYPE)])[1] == wire(IAC, WILL, TTYPE)
    assert feed(peer, [name("x"), sb(TTYPE), sb(TTYPE, 1, 1)]) == ([], b"")
