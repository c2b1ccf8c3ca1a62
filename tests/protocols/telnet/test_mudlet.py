"""Mudlet, by transcripts of our own making: what it says, in the order in which it says it.

It answers what it was offered in one piece, with GMCP's introduction behind its DO; it tells its
terminal in the cycle of MTTS, compresses nothing itself, and has MSDP off unless a person turns
it on. It must not be sent a compressed stream before it has answered for its terminal.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from tests.protocols.telnet.wire import LIMITS, TERMINAL, cut, cuts, feed, properties, sb, wire

from holdfast.protocols.telnet import (
    Capabilities,
    Event,
    Gmcp,
    Msdp,
    ProbeAnswered,
    Settled,
    TelnetClient,
    TelnetServer,
    WindowSize,
)
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import (
    CHARSET,
    DO,
    DONT,
    ECHO,
    END_OF_RECORD,
    EOR,
    GMCP,
    IAC,
    MCCP2,
    MCCP3,
    MSDP,
    MXP,
    NAWS,
    NEW_ENVIRON,
    SGA,
    TIMING_MARK,
    TTYPE,
    WILL,
    WONT,
)
from holdfast.protocols.telnet.server import Offers, server_options

ATCP, ZMP, MSP, AARDWOLF = 200, 93, 90, 102
OPTIONS = server_options(Offers(msdp=True, mxp=True, mccp2=True, mccp3=True))
HELLO = '{ "client": "Mudlet", "version": "4.17.2" }'
SUPPORTS = '[ "Char 1", "Char.Skills 1", "Char.Items 1", "Room 1", "Client.Media 1" ]'
MTTS = "MTTS 813"  # ANSI, UTF-8, 256 colours, OSC palette, true colour, MNES
FIRST = (
    wire(IAC, WILL, TTYPE, IAC, WILL, NAWS)
    + sb(NAWS, 0, 120, 0, 40)
    + wire(IAC, WILL, NEW_ENVIRON, IAC, DO, CHARSET, IAC, DO, END_OF_RECORD, IAC, DO, GMCP)
    + sb(GMCP, f"Core.Hello {HELLO}")
    + sb(GMCP, f"Core.Supports.Set {SUPPORTS}")
    + wire(IAC, DONT, MSDP, IAC, DO, MXP, IAC, DO, MCCP2, IAC, DONT, MCCP3)
)
MUDLET = (
    FIRST,
    sb(TTYPE, 0, "MUDLET")
    + sb(NEW_ENVIRON, 0, 0, "CLIENT_NAME", 1, "MUDLET", 0, "CLIENT_VERSION", 1, "4.17.2")
    + sb(NEW_ENVIRON, 2, 0, "MTTS", 1, "813", 3, "WORD_WRAP", 1, "100")
    + sb(CHARSET, 2, "UTF-8"),
    sb(TTYPE, 0, "ANSI-TRUECOLOR"),
    sb(TTYPE, 0, MTTS),
    sb(TTYPE, 0, MTTS),
)
KNOWN = Capabilities(
    "MUDLET", "4.17.2", "ANSI-TRUECOLOR", 813, "UTF-8", 120, 40, 120, 40,
    gmcp=True, eor=True, mxp=True, environment=(("WORD_WRAP", "100"),),
)  # fmt: skip


def server() -> TelnetServer:
    core = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    core.data_to_send()
    return core


def settled() -> tuple[TelnetServer, bytes]:
    core = server()
    events, sent = feed(core, MUDLET)
    assert events[-1] == Settled()
    return core, sent


def test_the_opening() -> None:
    core, _ = settled()
    assert core.capabilities == KNOWN
    assert core.malformed == 0
    assert core.handle_timer(1.0) == [WindowSize(120, 40)]


def test_its_introduction_comes_with_its_first_answer() -> None:
    events, _ = feed(server(), [FIRST])
    assert [event for event in events if isinstance(event, Gmcp)] == [
        Gmcp("Core.Hello", HELLO),
        Gmcp("Core.Supports.Set", SUPPORTS),
    ]


def test_compression_begins_when_its_terminal_is_known() -> None:
    core = server()
    sent = []
    for chunk in MUDLET:
        core.receive_data(chunk, 0.0)
        sent.append(core.data_to_send())
    begins = sb(MCCP2)
    assert [begins in piece for piece in sent] == [False, False, False, False, True]
    core.send_text("é\n")
    packed = sent[-1].partition(begins)[2] + core.data_to_send()
    assert zlib.decompressobj().decompress(packed) == "é\r\n".encode()


@properties
@given(cuts)
def test_any_split_says_the_same(places: list[int]) -> None:
    whole, pieces = server(), server()
    data = b"".join(MUDLET)
    assert feed(pieces, cut(data, places)) == feed(whole, [data])
    assert pieces.capabilities == whole.capabilities == KNOWN


LATER: dict[str, tuple[bytes, list[Event], bytes]] = {
    "atcp": (wire(IAC, DO, ATCP), [], wire(IAC, WONT, ATCP)),
    "atcp-by-itself": (wire(IAC, WILL, ATCP), [], wire(IAC, DONT, ATCP)),
    "atcp-without-asking": (sb(ATCP, "hello Mudlet 4.17\nauth 1\n"), [], b""),
    "zmp-and-others": (
        wire(IAC, DO, ZMP, IAC, DO, MSP, IAC, DO, AARDWOLF),
        [],
        wire(IAC, WONT, ZMP, IAC, WONT, MSP, IAC, WONT, AARDWOLF),
    ),
    "a-mark": (wire(IAC, DO, TIMING_MARK), [], wire(IAC, WILL, TIMING_MARK)),
    "no-mark": (wire(IAC, WONT, TIMING_MARK), [], b""),
    "go-aheads-suppressed": (wire(IAC, DO, SGA), [], wire(IAC, WILL, SGA)),
    "more-supported": (
        sb(GMCP, 'Core.Supports.Add ["Comm.Channel 1"]'),
        [Gmcp("Core.Supports.Add", '["Comm.Channel 1"]')],
        b"",
    ),
    "a-word-that-is-no-json": (
        sb(GMCP, "Char.Items.Inv inv"),
        [Gmcp("Char.Items.Inv", "inv")],
        b"",
    ),
    "a-message-alone": (sb(GMCP, "Core.KeepAlive"), [Gmcp("Core.KeepAlive", "")], b""),
}


@pytest.mark.parametrize(("data", "events", "sent"), LATER.values(), ids=LATER)
def test_later(data: bytes, events: list[Event], sent: bytes) -> None:
    core = server()
    feed(core, [FIRST.replace(wire(IAC, DO, MCCP2), wire(IAC, DONT, MCCP2)), *MUDLET[1:]])
    assert feed(core, [data]) == (events, sent)


def test_a_person_who_turns_msdp_on_and_gmcp_off() -> None:
    answers = wire(IAC, DONT, GMCP, IAC, DO, MSDP) + sb(MSDP, 1, "LIST", 2, "COMMANDS")
    events, _ = feed(server(), [answers])
    assert events[-1] == Msdp("LIST", '"COMMANDS"')
    core, _ = settled()
    feed(core, [wire(IAC, DONT, GMCP, IAC, DO, MSDP)], 1.0)
    assert core.capabilities.msdp
    assert not core.capabilities.gmcp
    assert not core.send_gmcp("Char.Vitals", "{}")
    assert core.send_msdp("Char.Vitals", '{"hp":"1"}')


def test_a_prompt_a_password_and_a_probe() -> None:
    core, _ = settled()
    plain = server()
    feed(plain, [FIRST.replace(wire(IAC, DO, MCCP2), wire(IAC, DONT, MCCP2)), *MUDLET[1:]])
    plain.send_prompt("Name? ")
    assert plain.data_to_send() == b"Name? " + wire(IAC, EOR)
    plain.hide_input(True)
    assert plain.data_to_send() == wire(IAC, WILL, ECHO)
    assert feed(plain, [wire(IAC, DO, ECHO), b"secret\r\n"]) == (["secret"], b"\r\n")
    plain.hide_input(False)
    assert plain.data_to_send() == wire(IAC, WONT, ECHO)
    assert feed(plain, [wire(IAC, DONT, ECHO)]) == ([], b"")
    assert plain.probe(5.0)
    plain.data_to_send()
    assert plain.receive_data(sb(TTYPE, 0, MTTS), 5.5) == [ProbeAnswered(0.5)]
    assert core.capabilities == KNOWN


def test_a_server_that_offers_what_mudlet_would_take_is_refused_atcp() -> None:
    client = TelnetClient(LIMITS, TERMINAL, also=(MSDP, MXP, MCCP2))
    offers = wire(IAC, WILL, ATCP, IAC, WILL, MSP, IAC, WILL, ZMP, IAC, WILL, AARDWOLF)
    assert feed(client, [offers])[1] == offers.replace(wire(IAC, WILL), wire(IAC, DONT))
    assert feed(client, [sb(ATCP, "Auth.Request CH")]) == ([], b"")
    assert client.malformed == 1
