"""Telnet clients: what is particular to them. The rest of a terminal is in `test_lines`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.recorded import RECORDED
from tests.protocols.telnet.wire import BURST, cut, cuts, sb, wire

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.items import Data, Formatted, Interrupt, Output, Prompt, Resized, Span, Text
from holdfast.core.limits import Limits
from holdfast.gateway.adapters.events import (
    AbortOutput,
    Ack,
    Broken,
    Capable,
    Enter,
    Event,
    Left,
    LoginGiven,
    Proven,
    TokenWanted,
)
from holdfast.gateway.adapters.notifications import (
    InputModeChanged,
    LoginNeeded,
    MaybeDelivered,
    Restart,
    Resumption,
    SessionActive,
    TokenIssued,
    Welcomed,
)
from holdfast.gateway.adapters.telnet import TelnetAdapter
from holdfast.protocols.telnet.codes import (
    AO,
    CHARSET,
    DO,
    DONT,
    ECHO,
    END_OF_RECORD,
    EOR,
    GMCP,
    IAC,
    IP,
    MSDP,
    MXP,
    NAWS,
    NEW_ENVIRON,
    TTYPE,
    WILL,
    WONT,
)
from holdfast.protocols.telnet.server import Offers, server_options
from holdfast.sessions.position import ClientPosition, ResetReason
from holdfast.sessions.records import Capabilities

LIMITS = Limits().but(telnet={"line_chars_max": 100}).telnet
OFFERED = (TTYPE, NAWS, NEW_ENVIRON, CHARSET, END_OF_RECORD, GMCP)
SEND = sb(TTYPE, 1)
NEW = Welcomed("sid", "e1", "tok", "ABCD2345", 30.0)


def answers(*accepted: int) -> bytes:
    """A client's answers to the opening offers."""
    yes = {TTYPE: WILL, NAWS: WILL, NEW_ENVIRON: WILL, CHARSET: DO, END_OF_RECORD: DO, GMCP: DO}
    no = {WILL: WONT, DO: DONT}
    return b"".join(
        wire(IAC, yes[option] if option in accepted else no[yes[option]], option)
        for option in OFFERED
    )


def begun() -> TelnetAdapter:
    """A client that has connected at time 0 and said nothing."""
    adapter = TelnetAdapter(LIMITS)
    assert adapter.begin(0.0) == []
    assert adapter.data_to_send() == BURST
    return adapter


def active(*accepted: int, welcomed: Welcomed = NEW) -> TelnetAdapter:
    """A client with a new session that is active, after a negotiation without delay."""
    adapter = begun()
    events = adapter.receive_data(answers(*accepted), 1.0)
    if TTYPE in accepted:
        events += adapter.receive_data(sb(TTYPE, 0, "XTERM") * 2, 1.0)
    assert isinstance(events[-1], Enter)
    adapter.notify(welcomed)
    adapter.notify(SessionActive())
    adapter.data_to_send()
    return adapter


def counting() -> TelnetAdapter:
    """An active client that speaks the package `Holdfast`."""
    adapter = active(GMCP)
    adapter.receive_data(gmcp("Holdfast.Hello {}"), 1.0)
    adapter.data_to_send()
    return adapter


def gmcp(message: str) -> bytes:
    return sb(GMCP, message)


def told(data: bytes) -> list[tuple[str, Any]]:
    """The GMCP messages in what is sent, in order."""
    found = []
    for part in data.split(wire(IAC, 250, GMCP))[1:]:
        package, _, value = part.partition(wire(IAC, 240))[0].decode().partition(" ")
        found.append((package, msgspec.json.decode(value)))
    return found


# --- the beginning


def test_a_client_that_answers_gets_its_session_at_once() -> None:
    adapter = begun()
    assert adapter.receive_data(answers(), 0.1) == [
        Capable(Capabilities()),
        Enter(or_new=True),
    ]


def test_a_client_that_is_silent_gets_one_after_a_moment() -> None:
    adapter = begun()
    assert adapter.next_deadline() == 2.0
    assert adapter.handle_timer(2.0) == [Capable(Capabilities()), Enter(or_new=True)]
    assert adapter.next_deadline() is None


def test_what_it_tells_of_itself_is_known_then() -> None:
    adapter = begun()
    events = adapter.receive_data(
        answers(TTYPE, NAWS, CHARSET, GMCP)
        + sb(NAWS, 0, 100, 0, 30)
        + sb(TTYPE, 0, "TINTIN++")
        + sb(TTYPE, 0, "xterm-256color")
        + sb(TTYPE, 0, "MTTS 13")
        + sb(TTYPE, 0, "MTTS 13")
        + sb(CHARSET, 2, "UTF-8"),
        0.1,
    )
    assert events == [
        Capable(
            Capabilities(
                client="TINTIN++",
                terminal="xterm-256color",
                width=100,
                height=30,
                utf8=True,
                colors=256,
                data=True,
            )
        ),
        Enter(or_new=True),
    ]


def test_what_it_says_while_we_negotiate_comes_with_its_session() -> None:
    adapter = begun()
    hello, supports = gmcp('Core.Hello {"client":"Mudlet"}'), gmcp('Core.Supports.Set ["Char 1"]')
    assert adapter.receive_data(wire(IAC, DO, GMCP) + hello + supports, 0.1) == []
    assert adapter.receive_data(answers()[:-3], 0.2)[1:] == [
        Enter(or_new=True),
        Data("Core.Hello", '{"client":"Mudlet"}'),
        Data("Core.Supports.Set", '["Char 1"]'),
    ]


def test_it_may_not_say_too_much_while_we_negotiate() -> None:
    adapter = begun()
    events = adapter.receive_data(wire(IAC, DO, GMCP) + gmcp("A 1") * 17, 0.1)
    assert events[1:] == [Enter(or_new=True), *[Data("A", "1")] * 17]


def test_data_is_gmcp_or_else_msdp() -> None:
    adapter = TelnetAdapter(LIMITS, options=server_options(Offers(msdp=True)))
    adapter.begin(0.0)
    adapter.receive_data(answers() + wire(IAC, DO, MSDP), 0.1)
    adapter.data_to_send()
    assert adapter.encode(1, [Data("HP", "[1]")]) == sb(MSDP, b"\1HP\2\5\x021\6")
    assert adapter.receive_data(sb(MSDP, b"\1SEND\2HP"), 0.2) == [Data("SEND", '"HP"')]
    adapter.receive_data(wire(IAC, DO, GMCP), 0.3)
    adapter.data_to_send()
    assert adapter.encode(2, [Data("HP", "[1]")]) == sb(GMCP, "HP [1]")


SERVER_COLORS = {
    "nothing-known": ("", b"\x1b[38;2;255;0;0mred\x1b[0m\r\n"),
    "dumb": ("dumb", b"red\r\n"),
    "xterm": ("xterm", b"\x1b[91mred\x1b[0m\r\n"),
    "xterm-256": ("xterm-256color", b"\x1b[38;5;196mred\x1b[0m\r\n"),
    "xterm-direct": ("xterm-direct", b"\x1b[38;2;255;0;0mred\x1b[0m\r\n"),
}


@pytest.mark.parametrize(("name", "shown"), SERVER_COLORS.values(), ids=SERVER_COLORS)
def test_a_servers_colours_are_those_that_the_terminal_has(name: str, shown: bytes) -> None:
    adapter = TelnetAdapter(LIMITS, raw=True)
    adapter.begin(0.0)
    adapter.receive_data(answers(*([TTYPE] if name else [])) + sb(TTYPE, 0, name) * 2, 0.1)
    adapter.data_to_send()
    assert adapter.encode(1, [Text("\x1b[38;2;255;0;0mred\x1b[0m")]) == shown


@pytest.mark.parametrize(
    ("mxp", "mtts", "shown"),
    [
        pytest.param(True, "MTTS 265", b"\x1b[1z<b>\x1b[38;2;1;2;3mred</b>\r\n", id="mxp"),
        pytest.param(True, "MTTS 1", b"\x1b[1z<b>\x1b[30mred</b>\r\n", id="mxp-with-16-colours"),
        pytest.param(True, "MTTS 64", b"red\r\n", id="screen-reader"),
        pytest.param(False, "MTTS 265", b"\x1b[38;2;1;2;3mred\r\n", id="none"),
    ],
)
def test_a_servers_elements_are_for_clients_with_mxp(mxp: bool, mtts: str, shown: bytes) -> None:
    adapter = TelnetAdapter(LIMITS, options=server_options(Offers(mxp=True)), raw=True)
    adapter.begin(0.0)
    adapter.receive_data(answers(TTYPE) + wire(IAC, DO if mxp else DONT, MXP), 0.1)
    adapter.receive_data(sb(TTYPE, 0, "X") + sb(TTYPE, 0, "XTERM") + sb(TTYPE, 0, mtts) * 2, 0.1)
    adapter.data_to_send()
    assert adapter.encode(1, [Text("\x1b[1z<b>\x1b[38;2;1;2;3mred</b>"), Text("a < b")]) == (
        shown + b"a < b\r\n"
    )
    only_elements = adapter.encode(3, [Text("\x1b[1z<!ELEMENT x>"), Text("\x1b[1z<br>")])
    assert (b"ELEMENT" in only_elements) is (mxp and mtts != "MTTS 64")


WRAPPED = {
    "a client of lines": ("MTTS 13", b"one two three four\r\nfive\r\n"),
    "a screen reader": ("MTTS 77", b"one two three four five\r\n"),
}


@pytest.mark.parametrize(("mtts", "shown"), WRAPPED.values(), ids=WRAPPED)
def test_lines_are_wrapped_at_the_window_and_not_for_a_screen_reader(
    mtts: str, shown: bytes
) -> None:
    adapter = TelnetAdapter(LIMITS, raw=True, wraps=True)
    adapter.begin(0.0)
    adapter.receive_data(answers(TTYPE, NAWS), 0.1)
    adapter.receive_data(sb(TTYPE, 0, "HAND") + sb(TTYPE, 0, "XTERM") + sb(TTYPE, 0, mtts) * 2, 0.1)
    adapter.receive_data(sb(NAWS, 0, 20, 0, 10), 0.1)
    adapter.data_to_send()
    assert adapter.encode(1, [Text("one two three four five")]) == shown


NORTH = Formatted("north, <b>", (Span(0, 5, "send"),))
NORTH_IN_MXP = b"\x1b[1z<send>north</send>, &lt;b&gt;\r\n"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param(wire(IAC, DO, MXP), NORTH_IN_MXP, id="mxp"),
        pytest.param(wire(IAC, WILL, MXP), NORTH_IN_MXP, id="mxp-by-itself"),
        pytest.param(wire(IAC, DONT, MXP), b"north, <b>\r\n", id="none"),
        pytest.param(
            wire(IAC, DO, MXP, IAC, WILL, TTYPE)
            + b"".join(sb(TTYPE, 0, name) for name in ("READER", "XTERM", "MTTS 64")),
            b"north, <b>\r\n",
            id="screen-reader",
        ),
    ],
)
def test_commands_are_elements_for_a_client_with_mxp(said: bytes, shown: bytes) -> None:
    adapter = TelnetAdapter(LIMITS, options=server_options(Offers(mxp=True)), wraps=True)
    adapter.begin(0.0)
    adapter.receive_data(said + wire(IAC, WILL, NAWS) + sb(NAWS, 0, 20, 0, 24), 1.0)
    adapter.handle_timer(5.0)
    adapter.notify(SessionActive())
    adapter.data_to_send()
    assert adapter.encode(1, [NORTH]) == shown
    # What nobody chooses is text, whoever wrote it.
    assert adapter.encode(2, [Text("\x1b[1z<b>")]) == "␛[1z<b>\r\n".encode()


def test_a_screen_reader_is_sent_no_control_sequences() -> None:
    adapter = TelnetAdapter(LIMITS, raw=True)
    adapter.begin(0.0)
    adapter.receive_data(answers(TTYPE), 0.1)
    told = [sb(TTYPE, 0, name) for name in ("HAND", "XTERM", "MTTS 77", "MTTS 77")]
    events = adapter.receive_data(b"".join(told), 0.1)
    (known,) = [event.capabilities for event in events if isinstance(event, Capable)]
    assert (known.screen_reader, known.colors) == (True, 0)
    adapter.data_to_send()
    assert adapter.encode(1, [Text("\x1b[31mred\x1b[0m")]) == b"red\r\n"


COLORS: dict[str, tuple[str, int]] = {
    "mtts-ansi": ("MTTS 1", 8),
    "mtts-256": ("MTTS 9", 256),
    "mtts-true": ("MTTS 265", 1 << 24),
    "mtts-none": ("MTTS 4", 0),
    "mtts-other": ("MTTS 64", 0),
    "ansi": ("ANSI", 8),
    "tf": ("ANSI-ATTR", 8),
    "dumb": ("DUMB", 0),
    "vt100": ("VT100", 0),
    "inetutils-in-tmux": ("TMUX-256COLOR", 256),
    "xterm": ("XTERM", 8),
    "xterm-256": ("xterm-256color", 256),
    "xterm-mono": ("xterm-mono", 0),
    "xterm-direct": ("xterm-direct", 1 << 24),
    "kitty": ("xterm-kitty", 1 << 24),
    "screen": ("screen", 8),
    "screen-256": ("SCREEN.XTERM-256COLOR", 256),
    "linux": ("linux", 8),
    "putty": ("putty", 8),
    "mudlet-says-its-name": ("MUDLET", 256),
}


@pytest.mark.parametrize(("name", "colors"), COLORS.values(), ids=COLORS)
def test_colours_are_known_by_mtts_or_by_name(name: str, colors: int) -> None:
    adapter = begun()
    adapter.receive_data(answers(TTYPE), 0.1)
    names = [name] if not name.startswith("MTTS") else ["A", "B", name]
    for told_name in names:
        adapter.receive_data(sb(TTYPE, 0, told_name), 0.1)
    (capable, _) = adapter.receive_data(sb(TTYPE, 0, names[-1]), 0.1)
    adapter.data_to_send()
    assert isinstance(capable, Capable)
    assert capable.capabilities.colors == colors
    painted = adapter.encode(1, [Formatted("x", (Span(0, 1, "red"),))])
    assert painted == (b"\x1b[31mx\x1b[0m\r\n" if colors else b"x\r\n")


def test_lines_that_come_early_wait_for_the_session() -> None:
    adapter = begun()
    assert adapter.receive_data(b"look\r\nnorth\r\n", 0.1) == []
    assert adapter.handle_timer(2.0)[1:] == [Enter(or_new=True)]
    adapter.notify(NEW)
    adapter.notify(SessionActive())
    assert adapter.receive_data(b"", 2.1) == [Text("look"), Text("north")]


def test_an_early_resume_is_the_way_in() -> None:
    adapter = begun()
    assert adapter.receive_data(b"resume ABCD-2345\r\nlook\r\n", 0.1) == []
    assert adapter.handle_timer(2.0)[1:] == [Enter(code="ABCD-2345", or_new=True)]


def test_who_talks_without_end_does_not_negotiate() -> None:
    adapter = begun()
    assert adapter.receive_data(b"x\r\n" * 16, 0.1) == []
    assert adapter.receive_data(b"x\r\n", 0.1)[1:] == [Enter(or_new=True)]
    # What the negotiation comes to afterwards changes nothing.
    assert adapter.receive_data(answers(), 0.2) == []
    assert adapter.handle_timer(5.0) == []


EARLY: dict[str, bytes] = {
    "interrupt": wire(IAC, IP),
    "abort-output": wire(IAC, AO),
    "window-size": wire(IAC, WILL, NAWS) + sb(NAWS, 0, 80, 0, 24),
    "gmcp": wire(IAC, DO, GMCP) + gmcp('Core.Hello {"client":"x"}'),
    "hello": wire(IAC, DO, GMCP) + gmcp("Holdfast.Hello {}"),
}


@pytest.mark.parametrize("data", EARLY.values(), ids=EARLY)
def test_what_comes_before_there_is_a_session_breaks_nothing(data: bytes) -> None:
    assert begun().receive_data(data, 0.1) == []


# --- commands and what goes with them

COMMANDS: dict[str, tuple[bytes, list[Event]]] = {
    "line": (b"look\r\n", [Text("look")]),
    "interrupt": (wire("ki", IAC, IP, "look\r\n"), [Interrupt(), Text("look")]),
    "abort-output": (wire(IAC, AO), [AbortOutput()]),
    "data": (gmcp('Char.Skills {"a":1}'), [Data("Char.Skills", '{"a":1}')]),
    "data-of-a-word": (gmcp("Char.Login bob"), [Data("Char.Login", "bob")]),
    "data-without-a-value": (gmcp("Char.Login"), [Data("Char.Login", "null")]),
    "ack": (gmcp('Holdfast.Ack {"n":3}'), [Ack(3)]),
    "ack-in-capitals": (gmcp('HOLDFAST.ACK {"n":3}'), [Ack(3)]),
    "hello-without-a-token": (gmcp("Holdfast.Hello {}"), [TokenWanted()]),
    "hello-with-nothing": (gmcp("Holdfast.Hello"), [TokenWanted()]),
    "hello-with-a-token": (
        gmcp('Holdfast.Hello {"token":"tok","epoch":"e1","last":4}'),
        [Enter(token="tok", position=ClientPosition("e1", 4), or_new=True)],
    ),
    "hello-from-nowhere": (
        gmcp('Holdfast.Hello {"token":"tok"}'),
        [Enter(token="tok", or_new=True)],
    ),
}


@pytest.mark.parametrize(("data", "events"), COMMANDS.values(), ids=COMMANDS)
def test_commands(data: bytes, events: list[Event]) -> None:
    assert active(GMCP).receive_data(data, 2.0) == events


def test_a_new_window_size_is_told_when_it_has_settled() -> None:
    adapter = active(NAWS)
    assert adapter.receive_data(sb(NAWS, 0, 80, 0, 24), 2.0) == []
    assert adapter.receive_data(sb(NAWS, 0, 120, 0, 50), 2.0) == []
    due = adapter.next_deadline()
    assert due is not None
    assert adapter.handle_timer(due) == [Resized(120, 50)]


def test_more_that_becomes_known_is_told() -> None:
    adapter = active()
    (event,) = adapter.receive_data(
        wire(IAC, WILL, NEW_ENVIRON) + sb(NEW_ENVIRON, 0, 0, "CLIENT_NAME", 1, "Late"), 2.0
    )
    assert isinstance(event, Capable)
    assert event.capabilities.client == "Late"


def test_core_ping_is_answered_by_the_gateway() -> None:
    adapter = active(GMCP)
    assert adapter.receive_data(gmcp("Core.Ping 120"), 2.0) == []
    assert adapter.data_to_send() == gmcp("Core.Ping")


BROKEN: dict[str, tuple[bytes, str, bytes]] = {
    "http": (b"GET / HTTP/1.1\r\n", "speaks HTTP, not Telnet", b"This port speaks Telnet.\r\n"),
    "ssh": (b"SSH-2.0-x\r\n", "speaks SSH, not Telnet", b"This port speaks Telnet.\r\n"),
    "tls": (b"\x16\x03\x01", "speaks TLS on a plain port", b"\x15\x03\x01\x00\x02\x02\x28"),
    "a-flood-of-negotiation": (
        wire(IAC, DO, 99) * 300,
        "too many commands and negotiations",
        b"*** Too many commands and negotiations.\r\n",
    ),
    "too-much-in-subnegotiations": (
        sb(TTYPE, "x" * 2000) * 3,
        "too many overlong subnegotiations",
        b"*** Too many overlong subnegotiations.\r\n",
    ),
}


@pytest.mark.parametrize(("data", "fault", "answer"), BROKEN.values(), ids=BROKEN)
def test_who_breaks_the_rules_is_told_and_goes(data: bytes, fault: str, answer: bytes) -> None:
    adapter = begun()
    assert adapter.receive_data(data, 0.1)[-1] == Broken(Reason.PROTOCOL_ERROR, fault)
    assert adapter.data_to_send().endswith(answer)


BAD_GMCP = ['Holdfast.Ack {"n":"x"}', "Holdfast.Ack", "Holdfast.Ack []", "Holdfast.Hello 3"]


@pytest.mark.parametrize("message", BAD_GMCP)
def test_who_speaks_the_package_wrongly_is_told_and_goes(message: str) -> None:
    adapter = active(GMCP)
    (event,) = adapter.receive_data(gmcp(message), 2.0)
    assert isinstance(event, Broken)
    assert event.text.startswith(message.partition(" ")[0] + ": ")
    assert adapter.data_to_send().startswith(b"*** Holdfast.")


def test_the_end() -> None:
    assert active().receive_eof() == [Left(done=False)]


# --- what is shown

SHOWN: dict[str, tuple[tuple[int, ...], list[Output | None], bytes]] = {
    "text": ((), [Text("a\nb")], b"a\r\nb\r\n"),
    "prompt-with-its-mark": ((END_OF_RECORD,), [Prompt("> ")], wire("> ", IAC, EOR)),
    "prompt-with-the-old-mark": ((), [Prompt("> ")], wire("> ", IAC, 249)),
    "data": ((GMCP,), [Data("Room.Info", '{"a":1}')], gmcp('Room.Info {"a":1}')),
    "data-of-a-word": (
        (GMCP,),
        [Data("Core.Goodbye", "till soon")],
        gmcp("Core.Goodbye till soon"),
    ),
    "data-to-who-does-not-speak-it": ((), [Data("Room.Info", "{}")], b""),
    "no-escape-from-text": ((), [Text("ÿ")], "ÿ\r\n".encode()),
}


@pytest.mark.parametrize(("accepted", "outputs", "shown"), SHOWN.values(), ids=SHOWN)
def test_what_outputs_look_like(
    accepted: tuple[int, ...], outputs: list[Output | None], shown: bytes
) -> None:
    assert active(*accepted).encode(1, outputs) == shown


def test_a_password_is_hidden_and_its_enter_is_shown_once() -> None:
    adapter = active()
    adapter.notify(LoginNeeded())
    assert adapter.data_to_send() == wire("Name: ", IAC, 249)
    adapter.receive_data(b"ann\r\n", 2.0)
    assert adapter.data_to_send() == wire(IAC, WILL, ECHO, "Password: ", IAC, 249)
    adapter.receive_data(wire(IAC, DO, ECHO), 2.0)
    assert adapter.receive_data(b"secret\r\n", 2.0) == [LoginGiven("ann", "secret")]
    assert adapter.data_to_send() == wire("\r\n", IAC, WONT, ECHO)


def test_the_application_may_hide_what_is_typed() -> None:
    adapter = active()
    adapter.notify(InputModeChanged("secret"))
    assert adapter.data_to_send() == wire(IAC, WILL, ECHO)
    adapter.receive_data(wire(IAC, DO, ECHO), 2.0)
    adapter.notify(InputModeChanged("secret"))
    assert adapter.data_to_send() == b""
    adapter.notify(InputModeChanged("line"))
    assert adapter.data_to_send() == wire(IAC, WONT, ECHO)


# --- proofs of delivery


def test_a_probe_is_answered_after_what_was_sent_before_it() -> None:
    adapter = active(TTYPE)
    assert adapter.probe(7, 60.0)
    assert adapter.data_to_send() == SEND
    assert not adapter.probe(9, 60.0)  # one at a time: nothing tells the answers apart
    assert adapter.data_to_send() == b""
    assert adapter.receive_data(sb(TTYPE, 0, "XTERM"), 2.0) == [Proven(7)]
    assert adapter.probe(9, 60.0)


def test_who_has_no_terminal_type_cannot_be_probed() -> None:
    assert not active().probe(3, 60.0)


# --- the package Holdfast


def test_a_client_that_counts_is_welcomed_with_its_token() -> None:
    adapter = begun()
    adapter.receive_data(wire(IAC, DO, GMCP) + gmcp("Holdfast.Hello {}"), 0.1)
    assert adapter.wants_token
    assert adapter.receive_data(answers()[:-3], 0.1)[-1] == Enter(or_new=True)
    adapter.data_to_send()
    adapter.notify(NEW)
    sent = adapter.data_to_send()
    assert told(sent) == [
        ("Holdfast.Welcome", {"sid": "sid", "token": "tok", "epoch": "e1", "seq": 0})
    ]
    assert b'type "resume ABCD-2345"' in sent


def test_a_client_that_does_not_count_is_told_of_no_token() -> None:
    adapter = begun()
    adapter.receive_data(answers(GMCP), 0.1)
    adapter.data_to_send()
    assert not adapter.wants_token
    adapter.notify(NEW)
    assert told(adapter.data_to_send()) == []


def test_a_place_told_early_is_taken_up() -> None:
    adapter = begun()
    hello = 'Holdfast.Hello {"token":"tok","epoch":"e1","last":4}'
    adapter.receive_data(wire(IAC, DO, GMCP) + gmcp(hello), 0.1)
    assert adapter.receive_data(answers()[:-3], 0.1)[-1] == Enter(
        token="tok", position=ClientPosition("e1", 4), or_new=True
    )


def test_what_the_person_types_goes_before_what_the_program_knows() -> None:
    adapter = begun()
    adapter.receive_data(wire(IAC, DO, GMCP) + gmcp('Holdfast.Hello {"token":"tok"}'), 0.1)
    adapter.receive_data(b"resume ABCD-2345\r\n", 0.1)
    # Were the token taken up first, its session would be left for good by the code.
    assert adapter.receive_data(answers()[:-3], 0.1)[1:] == [Enter(code="ABCD-2345", or_new=True)]


def test_a_token_is_told_on_demand() -> None:
    adapter = counting()
    adapter.notify(TokenIssued("sid", "tok2", "e1", 7))
    assert told(adapter.data_to_send()) == [
        ("Holdfast.Welcome", {"sid": "sid", "token": "tok2", "epoch": "e1", "seq": 7})
    ]


def test_every_batch_ends_with_its_number() -> None:
    adapter = counting()
    assert told(adapter.encode(4, [Text("a"), None, Text("b")])) == [
        ("Holdfast.Next", {"n": 4}),
        ("Holdfast.Seq", {"n": 6}),
    ]
    assert told(adapter.encode_volatile(Text("a"))) == []


def test_a_resume_is_told_before_what_follows() -> None:
    adapter = counting()
    adapter.notify(Resumption("sid", "e1", "tok2", "WXYZ6789", 30.0, 5, 9, 0, 0, 0))
    sent = adapter.data_to_send()
    assert told(sent) == [
        ("Holdfast.Resumed", {"sid": "sid", "token": "tok2", "epoch": "e1", "from": 5, "to": 9})
    ]
    assert sent.index(b"Holdfast.Resumed") < sent.index(b"Welcome back")


def test_who_counts_is_not_told_what_it_may_have_seen() -> None:
    adapter = counting()
    adapter.notify(Resumption("sid", "e1", "tok2", "WXYZ6789", 30.0, 5, 5, 0, 0, 0))
    adapter.notify(MaybeDelivered(5))
    assert b"may have seen" not in adapter.data_to_send() + adapter.encode(5, [Text("a")])


def test_a_reset_is_told_to_the_program_and_to_the_person() -> None:
    adapter = counting()
    adapter.notify(Restart("sid", "e2", "tok2", 30.0, ResetReason.EPOCH, 9, 0))
    sent = adapter.data_to_send()
    assert told(sent) == [
        (
            "Holdfast.Reset",
            {"sid": "sid", "token": "tok2", "epoch": "e2", "reason": "epoch", "top": 9},
        )
    ]
    assert b"*** Welcome back. Some of what was said meanwhile could not be kept.\r\n" in sent


def test_a_goodbye() -> None:
    adapter = active()
    disconnect = DISCONNECTS[Reason.SHUTDOWN]
    assert not adapter.goodbye(disconnect, disconnect.text, 1.0)
    assert adapter.data_to_send() == (
        b"*** The gateway is restarting; your session is kept.\r\n"
        b'*** Connect again and type "resume ABCD-2345".\r\n'
    )


# --- chunks do not matter


@given(data=st.sampled_from(sorted(RECORDED)), places=cuts)
def test_a_real_client_in_pieces_says_the_same(data: str, places: list[int]) -> None:
    recorded = b"".join(RECORDED[data])
    whole, pieces = begun(), begun()
    events = [event for chunk in cut(recorded, places) for event in pieces.receive_data(chunk, 0.1)]
    assert events == whole.receive_data(recorded, 0.1)
    assert pieces.data_to_send() == whole.data_to_send()


@given(data=st.binary(max_size=200), places=cuts)
def test_any_bytes_in_pieces_say_the_same(data: bytes, places: list[int]) -> None:
    whole, pieces = active(GMCP, TTYPE), active(GMCP, TTYPE)
    events = [event for chunk in cut(data, places) for event in pieces.receive_data(chunk, 2.0)]
    assert events == whole.receive_data(data, 2.0)
    assert pieces.data_to_send() == whole.data_to_send()
