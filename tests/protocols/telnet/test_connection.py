"""What both roles share: order, limits, time, and peers that are no Telnet clients."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.recorded import RECORDED
from tests.protocols.telnet.wire import (
    BURST,
    LIMITS,
    client,
    cut,
    cuts,
    feed,
    footprint,
    properties,
    sb,
    silent_server,
    telnet_server,
    wire,
)

from holdfast.core.limits import Limits, TelnetLimits
from holdfast.protocols.telnet import (
    Capabilities,
    CapabilitiesChanged,
    CharsetHeard,
    Event,
    Fault,
    Interrupt,
    OutputAborted,
    Settled,
    TelnetServer,
    Violation,
)
from holdfast.protocols.telnet.codes import (
    ABORT,
    AO,
    AYT,
    BRK,
    CHARSET,
    DM,
    DO,
    DONT,
    EC,
    EL,
    END_OF_RECORD,
    EOF,
    EOR,
    GA,
    GMCP,
    IAC,
    IP,
    NAWS,
    NOP,
    SB,
    SE,
    SUSP,
    TIMING_MARK,
    TTYPE,
    WILL,
    WONT,
)
from holdfast.protocols.telnet.connection import TelnetCore

VERBS = (WILL, WONT, DO, DONT)


def limits(**changed: float) -> TelnetLimits:
    return Limits().but(telnet=changed).telnet


# Commands, RFC 854 and RFC 1184.

COMMANDS: dict[str, tuple[bytes, list[Event], bytes]] = {
    "ayt": (wire(IAC, AYT), [], b"[Yes]\r\n"),
    "ip": (wire(IAC, IP), [Interrupt()], b""),
    "brk": (wire(IAC, BRK), [Interrupt()], b""),
    "abort": (wire(IAC, ABORT), [Interrupt()], b""),
    "ao": (wire(IAC, AO), [OutputAborted()], wire(IAC, DM)),
    "ip-takes-the-line-with-it": (wire("ki", IAC, IP, "look\r\n"), [Interrupt(), "look"], b""),
    "ao-does-not": (wire("lo", IAC, AO, "ok\r\n"), [OutputAborted(), "look"], wire(IAC, DM)),
    "ec": (wire("loo", IAC, EC, "ok\r\n"), ["look"], b""),
    "el": (wire("kill", IAC, EL, "look\r\n"), ["look"], b""),
    **{
        f"ignored-{code}": (wire("lo", IAC, code, "ok\r\n"), ["look"], b"")
        for code in (NOP, DM, GA, EOR, SUSP, EOF)
    },
    "a-command-between-cr-and-lf": (wire("look\r", IAC, NOP, "\n"), ["look"], b""),
    "iac-in-text": (wire("a", IAC, IAC, "b\r\n"), ["aÿb", CharsetHeard("ISO-8859-1")], b""),
}


@pytest.mark.parametrize(("data", "events", "sent"), COMMANDS.values(), ids=COMMANDS)
def test_commands(data: bytes, events: list[Event], sent: bytes) -> None:
    assert feed(silent_server(), [data]) == (events, sent)


def test_a_client_answers_no_ayt() -> None:
    assert feed(client(), [wire(IAC, AYT)]) == ([], b"")


# Options that are in no table.

UNKNOWN: dict[str, tuple[bytes, bytes]] = {
    "will": (wire(IAC, WILL, 99), wire(IAC, DONT, 99)),
    "do": (wire(IAC, DO, 99), wire(IAC, WONT, 99)),
    "wont": (wire(IAC, WONT, 99), b""),
    "dont": (wire(IAC, DONT, 99), b""),
    "timing-mark": (wire(IAC, DO, TIMING_MARK) * 3, wire(IAC, WILL, TIMING_MARK) * 3),
    "timing-mark-not-asked-for": (wire(IAC, WILL, TIMING_MARK, IAC, WONT, TIMING_MARK), b""),
    "timing-mark-refused": (wire(IAC, DONT, TIMING_MARK), b""),
}


@pytest.mark.parametrize(("data", "sent"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_options_are_refused(data: bytes, sent: bytes) -> None:
    assert feed(silent_server(), [data]) == ([], sent)


@pytest.mark.parametrize("verb", VERBS)
def test_a_request_for_every_option_gets_one_answer_at_most_and_costs_no_memory(verb: int) -> None:
    server = silent_server()
    before = footprint(server)
    for code in range(256):
        server.receive_data(wire(IAC, verb, code), 0.0)
        assert server.data_to_send().count(wire(IAC)) <= 2  # an answer, and what it starts
        if code not in (TTYPE, NAWS, CHARSET, GMCP, END_OF_RECORD):
            assert server.receive_data(wire(IAC, verb, code), 100.0 * code) == []
            server.data_to_send()
    assert footprint(server) - before < 512


# Malformed input.

MALFORMED: dict[str, tuple[bytes, list[Event], int]] = {
    "stray-se": (wire("A", IAC, SE, "B\r\n"), ["AB"], 1),
    "unknown-command": (wire("A", IAC, 1, "B\r\n"), ["AB"], 1),
    "interrupted-sb": (wire("A", IAC, SB, GMCP, "x", IAC, NOP, "B", IAC, SE, "C\r\n"), ["ABC"], 2),
    "sb-se": (wire("A", IAC, SB, IAC, SE, "B\r\n"), ["AB"], 1),
    "sb-of-an-option-that-is-off": (wire("A", sb(NAWS, b"\0P\0\x18"), "B\r\n"), ["AB"], 1),
    "sb-of-an-option-that-is-unknown": (wire("A", sb(99, b"x"), "B\r\n"), ["AB"], 1),
    # RFC 1143: "DONT answered by WILL".
    "wont-answered-by-do": (wire(IAC, DO, GMCP, IAC, DONT, GMCP, IAC, DO, 99), [], 0),
}


@pytest.mark.parametrize(("data", "events", "count"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_input_is_dropped_and_counted(
    data: bytes, events: list[Event], count: int
) -> None:
    server = silent_server()
    told = [
        event for event in feed(server, [data])[0] if not isinstance(event, CapabilitiesChanged)
    ]
    assert told == events
    assert server.malformed == count


def test_a_refusal_answered_with_its_opposite_is_counted() -> None:
    server = telnet_server(wire(IAC, DO, 1))
    server.hide_input(True)
    feed(server, [wire(IAC, DO, 1)])
    server.hide_input(False)
    feed(server, [wire(IAC, DO, 1)])
    assert server.malformed == 1


def test_lines_that_are_not_utf_8_are_counted() -> None:
    server = silent_server()
    feed(server, [b"\xe9\r\nlook\r\n"])
    assert server.undecodable == 1


# Limits.


def test_overlong_subnegotiations_end_the_connection() -> None:
    server = silent_server(limits(subnegotiation_overflows_max=3, subnegotiation_bytes_max=8))
    long = sb(99, b"x" * 9)
    assert feed(server, [b"a\r\n" + long + b"b\r\n" + long + b"c\r\n" + long + b"d\r\n"]) == (
        ["a", "b", "c", Violation(Fault.SUBNEGOTIATION_OVERFLOW)],
        b"",
    )
    assert server.overflows == 3


def test_a_flood_of_commands_ends_the_connection() -> None:
    server = silent_server(limits(negotiation_burst_max=4, negotiations_per_second_max=2))
    assert server.receive_data(wire(IAC, AYT) * 4 + b"a\r\n", 0.0) == ["a"]
    assert server.data_to_send() == b"[Yes]\r\n" * 4
    # Two more are earned in a second.
    assert server.receive_data(wire(IAC, AYT) * 2, 1.0) == []
    assert server.data_to_send() == b"[Yes]\r\n" * 2
    flood = wire("b\r\n", IAC, AYT, "c\r\n", IAC, AYT)
    assert server.receive_data(flood, 1.0) == ["b", Violation(Fault.NEGOTIATION_FLOOD)]
    assert server.data_to_send() == b""


@pytest.mark.parametrize(
    "token",
    [
        wire(IAC, NOP),
        wire(IAC, WILL, 99),
        wire(IAC, 1),
        sb(NAWS, b"x"),
        wire(IAC, SB, 99, IAC, NOP),
    ],
    ids=["command", "negotiation", "malformed", "subnegotiation", "interrupted"],
)
def test_everything_that_is_not_text_or_data_is_counted(token: bytes) -> None:
    server = silent_server(limits(negotiation_burst_max=8))
    assert feed(server, [token * 9])[0] == [Violation(Fault.NEGOTIATION_FLOOD)]


def test_text_and_its_marks_are_not_counted() -> None:
    server = silent_server(limits(negotiation_burst_max=1))
    line = wire("a", IAC, IAC, "\r\n", IAC, GA, IAC, EOR)
    events, _ = feed(server, [wire(IAC, NOP), line * 100])
    assert [event for event in events if type(event) is str] == ["aÿ"] * 100


# Time.


def test_silence_is_taken_for_refusal() -> None:
    server = TelnetServer(LIMITS, 100.0)
    assert server.next_deadline() == 102.0
    assert server.handle_timer(101.9) == []
    assert server.handle_timer(102.0) == [Settled()]
    assert server.next_deadline() is None
    assert server.handle_timer(200.0) == []


def test_late_answers_still_count() -> None:
    server = silent_server()
    server.handle_timer(2.0)
    events = server.receive_data(wire(IAC, DO, GMCP, IAC, WILL, TTYPE), 60.0)
    assert events == [CapabilitiesChanged(Capabilities(gmcp=True))]
    assert server.data_to_send() == sb(TTYPE, 1)


ALL_REFUSED = b"".join(
    wire(IAC, {DO: WONT, WILL: DONT}[BURST[at + 1]], BURST[at + 2])
    for at in range(0, len(BURST), 3)
)

OPENINGS: dict[str, list[tuple[bytes, bool]]] = {
    # what comes, and whether it settles then
    "all-refused": [(ALL_REFUSED[:-3], False), (ALL_REFUSED[-3:], True)],
    "ttype-cycle": [
        (ALL_REFUSED[3:] + wire(IAC, WILL, TTYPE), False),
        (sb(TTYPE, 0, "A"), False),
        (sb(TTYPE, 0, "A"), True),
    ],
    "ttype-taken-back": [
        (ALL_REFUSED[3:] + wire(IAC, WILL, TTYPE), False),
        (wire(IAC, WONT, TTYPE), True),
    ],
    "charset": [
        (ALL_REFUSED.replace(wire(IAC, DONT, CHARSET), wire(IAC, DO, CHARSET)), False),
        (sb(CHARSET, 2, "UTF-8"), True),
    ],
    "answers-to-what-was-not-asked": [(wire(IAC, DONT, 99) * 6, False)],
    "text": [(b"look\r\n", False)],
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_it_is_settled_when_everything_is_answered(opening: list[tuple[bytes, bool]]) -> None:
    server = silent_server()
    for data, settles in opening:
        events, _ = feed(server, [data])
        assert (Settled() in events[-1:]) is settles
        assert (server.next_deadline() is None) is settles
    # It is told once.
    assert Settled() not in feed(server, [ALL_REFUSED] * 2)[0][:-1]


def test_an_unfinished_subnegotiation_is_given_up() -> None:
    server = silent_server()
    server.handle_timer(2.0)
    server.receive_data(wire(IAC, DO, GMCP, IAC, SB, GMCP, "x"), 50.0)
    assert server.next_deadline() == 60.0
    server.receive_data(b"look\r\n", 55.0)
    assert server.next_deadline() == 60.0
    assert server.handle_timer(59.9) == []
    assert server.handle_timer(60.0) == []
    assert server.next_deadline() is None
    assert server.malformed == 1
    assert server.receive_data(b"look\r\n", 60.0) == ["look"]


def test_the_next_deadline_is_the_nearest() -> None:
    server = silent_server()
    server.receive_data(wire(IAC, WILL, NAWS) + sb(NAWS, b"\0P\0\x18") + wire(IAC, SB), 1.5)
    assert server.next_deadline() == 1.6
    server.handle_timer(1.6)
    assert server.next_deadline() == 2.0
    assert server.handle_timer(2.0) == [Settled()]
    assert server.next_deadline() == 11.5


# The end.


def test_half_a_line_at_the_end_is_never_a_line() -> None:
    server = silent_server()
    assert server.receive_data(b"look\r\nkill", 0.0) == ["look"]
    assert server.receive_eof() == []
    assert server.receive_data(b"\r\n", 0.0) == []
    assert server.next_deadline() is None
    assert server.handle_timer(10.0) == []


def test_half_a_subnegotiation_at_the_end_is_nothing() -> None:
    server = telnet_server(wire(IAC, DO, GMCP))
    feed(server, [wire(IAC, SB, GMCP, "A 1")])
    assert server.receive_eof() == []
    assert feed(server, [wire(IAC, SE)]) == ([], b"")


def test_what_is_queued_at_the_end_can_still_be_sent() -> None:
    # RFC 793: who closed its own side may still read.
    server = silent_server()
    server.receive_data(wire(IAC, AYT), 0.0)
    server.receive_eof()
    server.send_text("bye\n")
    assert server.data_to_send() == b"[Yes]\r\nbye\r\n"


STRANGERS: dict[str, tuple[bytes, Fault | None]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Fault.HTTP),
    "http-1.0": (b"HEAD /index.html HTTP/1.0\r\n\r\n", Fault.HTTP),
    "http-lf": (b"GET / HTTP/1.1\n\n", Fault.HTTP),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Fault.SSH),
    "tls-1.0": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Fault.TLS),
    "tls-with-iac": (b"\x16\x03\x01\xff\xfd\x18\r\n", Fault.TLS),
    "a-sentence": (b"get the HTTP/1.1 manual\r\n", None),
    "three-words": (b"get / HTTP/1.1\r\n", None),
    "too-few-words": (b"GET HTTP/1.1\r\n", None),
    "a-fourth-word": (b"GET / HTTP/1.1 please\r\n", None),
    "another-version": (b"GET / HTTP/2\r\n", None),
    "ssh-later-in-the-line": (b"say SSH-2.0-\r\n", None),
    "ssh-1": (b"SSH-1.5-x\r\n", None),
    "control-v": (b"\x16look\r\n", None),
    "etx": (b"\x03\x16\x03look\r\n", None),
    "tls-later": (b"a\x16\x03\r\n", None),
    "second-line": (b"look\r\nGET / HTTP/1.1\r\n", None),
    "behind-telnet": (wire(IAC, NOP) + b"GET / HTTP/1.1\r\n", None),
}


@pytest.mark.parametrize(("data", "fault"), STRANGERS.values(), ids=STRANGERS)
def test_peers_that_came_to_the_wrong_port(data: bytes, fault: Fault | None) -> None:
    for chunks in ([data], [bytes((byte,)) for byte in data]):
        events, sent = feed(silent_server(), chunks)
        if fault is None:
            assert all(isinstance(event, str) for event in events)
            assert sent == b""
        else:
            assert events == [Violation(fault)]
            alert = b"\x15\x03\x01\x00\x02\x02\x28"
            assert sent == (alert if fault is Fault.TLS else b"This port speaks Telnet.\r\n")


def test_a_client_does_not_judge_a_servers_first_line() -> None:
    assert feed(client(), [b"GET / HTTP/1.1\r\n"])[0] == ["GET / HTTP/1.1"]


def test_nothing_follows_a_violation() -> None:
    server = silent_server()
    assert server.receive_data(b"GET / HTTP/1.1\r\nlook\r\n", 0.0) == [Violation(Fault.HTTP)]
    server.data_to_send()
    assert feed(server, [b"look\r\n", wire(IAC, AYT), wire(IAC, DO, GMCP)]) == ([], b"")
    assert server.next_deadline() is None
    assert server.handle_timer(10.0) == []


# Properties: what a peer can send.

fragments: st.SearchStrategy[bytes] = st.one_of(
    st.sampled_from([chunk for transcript in RECORDED.values() for chunk in transcript]),
    st.sampled_from(
        [
            *(
                wire(IAC, verb, code)
                for verb in VERBS
                for code in (*BURST[2::3], 0, 1, 3, 6, 34, 99)
            ),
            *(wire(IAC, code) for code in range(230, 256)),
            *(row[0] for row in (*COMMANDS.values(), *MALFORMED.values(), *STRANGERS.values())),
            sb(GMCP, 'A.B {"c":[1]}'),
            sb(GMCP, "x" * 300),
            sb(CHARSET, 1, ";UTF-8"),
            "dis été 😀\r\n".encode(),
            b"\xe9\xff\xff\r\n",
        ]
    ),
    st.binary(max_size=6),
)
transcripts = st.lists(fragments, max_size=25).map(b"".join)

TIGHT = limits(
    line_chars_max=20,
    subnegotiation_bytes_max=100,
    gmcp_bytes_max=200,
    negotiation_burst_max=60,
)


def tight_server() -> TelnetServer:
    return silent_server(TIGHT)


def hiding_server() -> TelnetServer:
    server = tight_server()
    server.hide_input(True)
    server.data_to_send()
    return server


CORES: list[Callable[[], TelnetCore]] = [tight_server, hiding_server, client]


@pytest.mark.parametrize("make", CORES, ids=["server", "hiding-server", "client"])
@properties
@given(transcripts, cuts)
def test_no_cutting_changes_events_or_answers(
    make: Callable[[], TelnetCore], data: bytes, places: list[int]
) -> None:
    whole, pieces = make(), make()
    events, sent = feed(whole, [data])
    assert feed(pieces, cut(data, places)) == (events, sent)
    assert pieces.next_deadline() == whole.next_deadline()
    assert pieces.handle_timer(20.0) == whole.handle_timer(20.0)
    assert pieces.capabilities == whole.capabilities
    assert (pieces.malformed, pieces.overflows) == (whole.malformed, whole.overflows)
    if not any(isinstance(event, Violation) for event in events):
        # Behind a violation, lines of the same chunk may have been decoded in vain.
        assert pieces.undecodable == whole.undecodable


@pytest.mark.parametrize("make", CORES, ids=["server", "hiding-server", "client"])
@properties
@given(st.lists(st.binary(max_size=100) | transcripts, max_size=20))
def test_no_bytes_can_raise_or_grow_it(make: Callable[[], TelnetCore], chunks: list[bytes]) -> None:
    core = make()
    for now, chunk in enumerate(chunks):
        core.receive_data(chunk, float(now))
        core.handle_timer(now + 0.5)
        core.send_text("a\n")
        core.data_to_send()
    assert footprint(core) < 6_000
    core.receive_eof()


@pytest.mark.parametrize(
    "pattern",
    [b"x", b"\n", b"\xff\xff", b"a\x7f", wire(IAC, NOP), wire(IAC, SB, GMCP, "x"), sb(GMCP, "A 1")],
    ids=repr,
)
def test_the_work_is_linear(pattern: bytes) -> None:
    free = limits(negotiation_burst_max=1_000_000, subnegotiation_overflows_max=1_000_000)

    def calls(count: int) -> int:
        server = silent_server(free)
        server.receive_data(wire(IAC, DO, GMCP), 0.0)
        made = 0

        def count_call(frame: FrameType, event: str, argument: object) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        sys.setprofile(count_call)
        try:
            for _ in range(4):
                server.receive_data(pattern * count, 0.0)
        finally:
            sys.setprofile(None)
        return made

    assert calls(1_000) < 2.2 * calls(500)


@pytest.mark.parametrize("data", [b"x", b"\0", b"\x08", wire(IAC, SB, GMCP, "x")], ids=repr)
def test_ten_megabytes_without_an_end_are_not_kept(data: bytes) -> None:
    server = telnet_server(wire(IAC, DO, GMCP))
    feed(server, [data])
    for _ in range(160):
        server.receive_data(b"x" * 65_536, 0.0)
    assert footprint(server) < 5_000


@pytest.mark.parametrize("transcript", [(), RECORDED["tt++"]], ids=["silent", "tt++"])
def test_an_idle_connection_is_small(transcript: tuple[bytes, ...]) -> None:
    def idle_server() -> TelnetServer:
        server = telnet_server(*transcript)
        server.handle_timer(2.0)
        return server

    gc.collect()  # it empties the interpreter's free lists, whose objects are not traced
    tracemalloc.start()
    try:
        servers = [idle_server() for _ in range(400)]
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size / len(servers) < 1_600
