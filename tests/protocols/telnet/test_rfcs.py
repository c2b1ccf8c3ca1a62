"""The examples and the layouts of the specifications, byte by byte.

Each row is one end of a conversation: what it receives, and what it sends, tells or knows then.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs
from tests.protocols.telnet.wire import LIMITS, TERMINAL, feed, telnet_server

from holdfast.protocols.telnet import (
    Capabilities,
    CharsetHeard,
    Gmcp,
    Interrupt,
    Msdp,
    OutputAborted,
    TelnetClient,
    TelnetServer,
)
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import LINEMODE, MCCP2, MSDP, MXP, NAWS
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.events import Event
from holdfast.protocols.telnet.options.linemode import is_in, mask_of
from holdfast.protocols.telnet.options.special_characters import SLC, Level, Setting, Special
from holdfast.protocols.telnet.server import Offers, server_options

Make = Callable[[], TelnetCore]

SYMBOLS = {
    **{"IAC": 255, "DONT": 254, "DO": 253, "WONT": 252, "WILL": 251, "SB": 250, "SE": 240},
    **{"GA": 249, "EL": 248, "EC": 247, "AYT": 246, "AO": 245, "IP": 244, "BRK": 243, "DM": 242},
    **{"NOP": 241, "EOR": 239, "ABORT": 238, "SUSP": 237, "EOF": 236},
    **{"NUL": 0, "LF": 10, "CR": 13, "ESCAPE": 27, "SPACE": 32},
    **{"TRANSMIT-BINARY": 0, "ECHO": 1, "SUPPRESS-GO-AHEAD": 3, "TIMING-MARK": 6},
    **{"TERMINAL-TYPE": 24, "END-OF-RECORD": 25, "NAWS": 31, "LINEMODE": 34, "NEW-ENVIRON": 39},
    **{"CHARSET": 42, "MSDP": 69, "MSSP": 70, "MCCP2": 86, "MXP": 91, "GMCP": 201},
    **{"IS": 0, "SEND": 1, "INFO": 2, "VAR": 0, "VALUE": 1, "ESC": 2, "USERVAR": 3},
    **{"REQUEST": 1, "ACCEPTED": 2, "REJECTED": 3, "TTABLE-IS": 4, "TTABLE-REJECTED": 5},
    **{"MODE": 1, "FORWARDMASK": 2},
    **{"MSDP_VAR": 1, "MSDP_VAL": 2, "MSDP_TABLE_OPEN": 3, "MSDP_TABLE_CLOSE": 4},
    **{"MSDP_ARRAY_OPEN": 5, "MSDP_ARRAY_CLOSE": 6, "MSSP_VAR": 1, "MSSP_VAL": 2},
}
"""As the specifications write them."""


def octets(text: str) -> bytes:
    """Bytes from symbols, decimal numbers and 'quoted' words."""
    made = bytearray()
    for word in text.split():
        if word[0] == "'":
            made += word[1:-1].encode()
        else:
            made.append(SYMBOLS[word] if word in SYMBOLS else int(word))
    return bytes(made)


def server(*received: str) -> Make:
    """A server that has received this."""
    return lambda: telnet_server(*map(octets, received))


def offering() -> TelnetCore:
    """A server that offers what games have."""
    offers = Offers(mssp=lambda: {"PLAYERS": 52, "UPTIME": 1234567890}, mxp=True)
    made = TelnetServer(LIMITS, 0.0, AUTOMATIC, server_options(offers))
    made.data_to_send()
    return made


def client(received: str = "", *, refused: tuple[int, ...] = (), **terminal: str | int) -> Make:
    """A client that has received this."""

    def make() -> TelnetCore:
        described = structs.replace(TERMINAL, **terminal)
        made = TelnetClient(LIMITS, described, refused, also=[LINEMODE, MSDP, MXP, MCCP2])
        feed(made, [octets(received)])
        return made

    return make


SENT: dict[str, tuple[Make, str, str]] = {
    "854-ayt": (server(), "IAC AYT", "'[Yes]' CR LF"),
    "854-ao-is-answered-by-a-synch": (server(), "IAC AO", "IAC DM"),
    "856-binary": (server(), "IAC DO TRANSMIT-BINARY", "IAC WILL TRANSMIT-BINARY"),
    "857-the-server-echoes": (client(), "IAC WILL ECHO", "IAC DO ECHO"),
    "857-no-more": (client("IAC WILL ECHO"), "IAC WONT ECHO", "IAC DONT ECHO"),
    "858-sga": (server(), "IAC WILL SUPPRESS-GO-AHEAD", "IAC DO SUPPRESS-GO-AHEAD"),
    "860-each-mark-is-answered": (
        server(),
        "IAC DO TIMING-MARK IAC DO TIMING-MARK",
        "IAC WILL TIMING-MARK IAC WILL TIMING-MARK",
    ),
    "885-eor": (client(), "IAC WILL END-OF-RECORD", "IAC DO END-OF-RECORD"),
    "1073-6.1": (client(), "255 253 31", "255 251 31 255 250 31 0 80 0 24 255 240"),
    "1073-6.4": (client(refused=(NAWS,)), "IAC DO NAWS", "IAC WONT NAWS"),
    "1073-2-255-is-doubled": (
        client(width=255, height=300),
        "IAC DO NAWS",
        "IAC WILL NAWS IAC SB NAWS 0 255 255 1 44 IAC SE",
    ),
    "1091-8-the-server-asks": (
        server(),
        "IAC WILL TERMINAL-TYPE",
        "IAC SB TERMINAL-TYPE SEND IAC SE",
    ),
    "1091-8-until-a-name-comes-twice": (
        server("IAC WILL TERMINAL-TYPE"),
        "IAC SB TERMINAL-TYPE IS 'DEC-VT220' IAC SE IAC SB TERMINAL-TYPE IS 'DEC-VT52' IAC SE"
        " IAC SB TERMINAL-TYPE IS 'DEC-VT52' IAC SE",
        "IAC SB TERMINAL-TYPE SEND IAC SE IAC SB TERMINAL-TYPE SEND IAC SE",
    ),
    "1091-8-the-client-tells": (
        client("IAC DO TERMINAL-TYPE", name="ZENITH-H19", type="UNKNOWN"),
        "IAC SB TERMINAL-TYPE SEND IAC SE IAC SB TERMINAL-TYPE SEND IAC SE",
        "IAC SB TERMINAL-TYPE IS 'ZENITH-H19' IAC SE IAC SB TERMINAL-TYPE IS 'UNKNOWN' IAC SE",
    ),
    "1184-2.2-the-server-decides": (
        server(),
        "IAC WILL LINEMODE IAC SB LINEMODE MODE 7 IAC SE",
        "IAC DO LINEMODE IAC SB LINEMODE MODE 3 IAC SE",
    ),
    "1184-5.10-the-client-agrees": (
        client("IAC DO LINEMODE IAC SB LINEMODE MODE 1 IAC SE"),
        "IAC SB LINEMODE MODE 2 IAC SE IAC SB LINEMODE MODE 3 IAC SE IAC SB LINEMODE MODE 0 IAC SE",
        "IAC SB LINEMODE MODE 6 IAC SE IAC SB LINEMODE MODE 7 IAC SE IAC SB LINEMODE MODE 4 IAC SE",
    ),
    "1184-2.3-a-forward-mask": (
        client("IAC DO LINEMODE"),
        "IAC SB LINEMODE DO FORWARDMASK 0 IAC IAC IAC SE IAC SB LINEMODE DONT FORWARDMASK IAC SE",
        "IAC SB LINEMODE WILL FORWARDMASK IAC SE IAC SB LINEMODE WONT FORWARDMASK IAC SE",
    ),
    "1572-6-nothing-is-defined": (
        client("IAC DO NEW-ENVIRON"),
        "IAC SB NEW-ENVIRON SEND USERVAR IAC SE",
        "IAC SB NEW-ENVIRON IS IAC SE",
    ),
    "1572-2-in-the-order-of-the-request": (
        client("IAC DO NEW-ENVIRON"),
        "IAC SB NEW-ENVIRON SEND VAR 'USER' USERVAR 'MTTS' VAR 'MTTS' USERVAR IAC SE",
        "IAC SB NEW-ENVIRON IS VAR 'USER' USERVAR 'MTTS' VALUE '271' VAR 'MTTS' VALUE '271' IAC SE",
    ),
    "1572-2-what-could-be-a-mark": (
        client("IAC DO NEW-ENVIRON"),
        "IAC SB NEW-ENVIRON SEND VAR 'A' ESC ESC 'B' ESC USERVAR IAC IAC IAC SE",
        "IAC SB NEW-ENVIRON IS VAR 'A' ESC ESC 'B' ESC USERVAR IAC IAC IAC SE",
    ),
    "2066-accepted-as-it-is-spelled": (
        client("IAC WILL CHARSET"),
        "IAC SB CHARSET REQUEST ';Cyrillic;utf-8' IAC SE",
        "IAC SB CHARSET ACCEPTED 'utf-8' IAC SE",
    ),
    "2066-rejected": (
        client("IAC WILL CHARSET"),
        "IAC SB CHARSET REQUEST SPACE 'EBCDIC-INT' IAC SE",
        "IAC SB CHARSET REJECTED IAC SE",
    ),
    "2066-a-table-is-rejected": (
        client("IAC WILL CHARSET"),
        "IAC SB CHARSET TTABLE-IS 1 IAC SE",
        "IAC SB CHARSET TTABLE-REJECTED IAC SE",
    ),
    "mssp": (
        offering,
        "IAC DO MSSP",
        "IAC SB MSSP MSSP_VAR 'PLAYERS' MSSP_VAL '52'"
        " MSSP_VAR 'UPTIME' MSSP_VAL '1234567890' IAC SE",
    ),
    "mccp-2": (client(), "IAC WILL MCCP2", "IAC DO MCCP2"),
    "mxp": (offering, "IAC DO MXP", "IAC SB MXP IAC SE ESCAPE '[7z'"),
}


@pytest.mark.parametrize(("make", "received", "sent"), SENT.values(), ids=SENT)
def test_what_is_sent(make: Make, received: str, sent: str) -> None:
    assert feed(make(), [octets(received)])[1] == octets(sent)


EVENTS: dict[str, tuple[Make, str, list[Event]]] = {
    "854-lines": (server(), "'one' CR LF 'two' CR NUL", ["one", "two"]),
    "854-data-byte-255": (
        server(),
        "'a' IAC IAC 'b' CR LF",
        ["a\xffb", CharsetHeard("ISO-8859-1")],
    ),
    "854-erasures": (server(), "'ab' IAC EC 'c' CR LF 'x' IAC EL 'y' CR LF", ["ac", "y"]),
    "854-interrupts": (server(), "IAC IP IAC BRK IAC ABORT", [Interrupt()] * 3),
    "854-what-means-nothing": (server(), "IAC NOP IAC DM IAC SUSP IAC EOF IAC GA IAC EOR", []),
    "854-ao": (server(), "IAC AO", [OutputAborted()]),
    "gmcp": (
        server("IAC DO GMCP"),
        """IAC SB GMCP 'Core.Supports.Set' SPACE '["Char' SPACE '1"]' IAC SE""",
        [Gmcp("Core.Supports.Set", '["Char 1"]')],
    ),
    "msdp-a-table": (
        client("IAC WILL MSDP"),
        "IAC SB MSDP MSDP_VAR 'ROOM' MSDP_VAL MSDP_TABLE_OPEN MSDP_VAR 'VNUM' MSDP_VAL '6008'"
        " MSDP_VAR 'EXITS' MSDP_VAL MSDP_TABLE_OPEN MSDP_VAR 'n' MSDP_VAL '6011' MSDP_VAR 'e'"
        " MSDP_VAL '6012' MSDP_TABLE_CLOSE MSDP_TABLE_CLOSE IAC SE",
        [Msdp("ROOM", '{"VNUM":"6008","EXITS":{"n":"6011","e":"6012"}}')],
    ),
    "msdp-an-array": (
        client("IAC WILL MSDP"),
        "IAC SB MSDP MSDP_VAR 'REPORTABLE_VARIABLES' MSDP_VAL MSDP_ARRAY_OPEN"
        " MSDP_VAL 'HEALTH' MSDP_VAL 'MANA' MSDP_ARRAY_CLOSE IAC SE",
        [Msdp("REPORTABLE_VARIABLES", '["HEALTH","MANA"]')],
    ),
}


@pytest.mark.parametrize(("make", "received", "events"), EVENTS.values(), ids=EVENTS)
def test_what_it_means(make: Make, received: str, events: list[Event]) -> None:
    assert feed(make(), [octets(received)])[0] == events


def sized(width: int, height: int) -> Capabilities:
    return Capabilities(width=width, height=height, raw_width=width, raw_height=height)


KNOWN: dict[str, tuple[str, Capabilities]] = {
    "1073-6.1": ("255 251 31 255 250 31 0 80 0 24 255 240", sized(80, 24)),
    "1073-6.1-resized": ("255 251 31 255 250 31 0 80 0 64 255 240", sized(80, 64)),
    "1073-6.2": ("IAC WILL NAWS IAC SB NAWS 1 44 0 24 IAC SE", sized(300, 24)),
    "1091-8": (
        "IAC WILL TERMINAL-TYPE IAC SB TERMINAL-TYPE IS 'IBM-3278-2' IAC SE",
        Capabilities(terminal_type="IBM-3278-2"),
    ),
    "1572-6": (
        "IAC WILL NEW-ENVIRON IAC SB NEW-ENVIRON IS VAR 'USER' VALUE 'joe' VAR 'ACCT' VALUE"
        " 'kernel' VAR 'USER' VALUE 'joe' VAR 'DISPLAY' VALUE 'foo:0.0' USERVAR 'SHELL' VALUE"
        " '/bin/csh' IAC SE",
        Capabilities(
            environment=(
                ("USER", "joe"), ("ACCT", "kernel"), ("DISPLAY", "foo:0.0"), ("SHELL", "/bin/csh"),
            )
        ),
    ),
    "2066": (
        "IAC DO CHARSET IAC SB CHARSET ACCEPTED 'UTF-8' IAC SE",
        Capabilities(charset="UTF-8"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("received", "known"), KNOWN.values(), ids=KNOWN)
def test_what_a_server_knows(received: str, known: Capabilities) -> None:
    assert server(received)().capabilities == known


def test_the_order_of_the_bits_of_a_forward_mask() -> None:
    """RFC 1184 section 2.3."""
    for character, place, bit in ((0, 0, 0x80), (7, 0, 0x01), (8, 1, 0x80), (15, 1, 0x01)):
        assert mask_of(bytes((character,))) == bytes(place) + bytes((bit,))
    assert not is_in(octets("255"), 8)  # what is left out is reset
    assert len(mask_of(b"\xff")) == 32


ACK, FLUSHIN, FLUSHOUT = 128, 64, 32
NOSUPPORT, CANTCHANGE, VALUE, DEFAULT = Level

EXPORTED: list[tuple[int, int, int]] = [
    *((SLC.SYNCH, DEFAULT, 0), (SLC.IP, VALUE | FLUSHIN | FLUSHOUT, 3), (SLC.AYT, DEFAULT, 0)),
    *((SLC.ABORT, VALUE | FLUSHIN | FLUSHOUT, 28), (SLC.EOF, VALUE, 4), (SLC.EC, VALUE, 127)),
    *((SLC.EL, VALUE, 21), (SLC.EW, VALUE, 23), (SLC.RP, VALUE, 18), (SLC.LNEXT, VALUE, 22)),
    *((SLC.XON, VALUE, 17), (SLC.XOFF, VALUE, 19)),
]


def test_the_special_characters_of_the_example() -> None:
    """RFC 1184 section 5.10: what the server can have as well is acknowledged."""
    at_server = Special({})
    said = at_server.receive(b"".join(map(bytes, EXPORTED)))
    assert said == b"".join(
        bytes((function, NOSUPPORT, 0) if flags == DEFAULT else (function, flags | ACK, value))
        for function, flags, value in EXPORTED
    )
    refused = bytes((SLC.SYNCH, NOSUPPORT | ACK, 0, SLC.AYT, NOSUPPORT | ACK, 0))
    assert at_server.receive(refused) == b""
    assert at_server.setting(SLC.IP) == Setting(Level.VALUE, 3, FLUSHIN | FLUSHOUT)
    assert at_server.receive(bytes((SLC.EC, VALUE, 8))) == bytes((SLC.EC, VALUE | ACK, 8))


RULES: dict[str, tuple[Level, Level, int, tuple[int, int]]] = {
    # What this end has, what it is told, and its answer.
    "default": (VALUE, DEFAULT, 0, (VALUE, 5)),
    "default-of-none": (NOSUPPORT, DEFAULT, 0, (NOSUPPORT, 5)),
    "value": (VALUE, VALUE, 9, (VALUE | ACK, 9)),
    "value-of-what-is-fixed": (CANTCHANGE, VALUE, 9, (CANTCHANGE, 5)),
    "fixed": (VALUE, CANTCHANGE, 9, (CANTCHANGE | ACK, 9)),
    "both-fixed": (CANTCHANGE, CANTCHANGE, 9, (NOSUPPORT, 0)),
    "none": (VALUE, NOSUPPORT, 0, (NOSUPPORT | ACK, 0)),
}


@pytest.mark.parametrize(("own", "level", "value", "answer"), RULES.values(), ids=RULES)
def test_the_rules_of_special_characters(
    own: Level, level: Level, value: int, answer: tuple[int, int]
) -> None:
    """RFC 1184 section 5.9."""
    special = Special({SLC.EC: Setting(own, 5)})
    assert special.receive(bytes((SLC.EC, level, value))) == bytes((SLC.EC, *answer))
    assert special.receive(bytes((SLC.EC, level | ACK, 77))) == b""


def test_the_numbers_of_the_functions() -> None:
    names = "SYNCH BRK IP AO AYT EOR ABORT EOF SUSP EC EL EW RP LNEXT XON XOFF FORW1 FORW2"
    names += " MCL MCR MCWL MCWR MCBOL MCEOL INSRT OVER ECR EWR EBOL EEOL"
    assert [SLC[name].value for name in names.split()] == [*range(1, 31)]
