"""What a server says, as items, and what is said to it: tables."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import sb
from tests.protocols.telnet.wire import wire as wire_bytes

from holdfast.backends.tcp.upstream_protocols import (
    ByteProtocol,
    InputMode,
    LineProtocol,
    Said,
    TelnetProtocol,
    UpstreamProtocol,
    UpstreamProtocolError,
    make_protocol,
    terminal_of,
)
from holdfast.core.items import Binary, Command, Data, Interrupt, Prompt, Resized, Text
from holdfast.core.limits import Limits
from holdfast.protocols.telnet import Mtts
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import (
    DO,
    DONT,
    GMCP,
    IAC,
    MCCP2,
    MCCP3,
    MSDP,
    MXP,
    NAWS,
    NEW_ENVIRON,
    SB,
    SE,
    TTYPE,
    WILL,
)
from holdfast.protocols.telnet.mxp_lines import LineModes
from holdfast.protocols.telnet.options.gmcp import Introduction
from holdfast.protocols.telnet.terminal import DEFAULT_MTTS
from holdfast.sessions.records import Capabilities

LIMITS = Limits().but(line={"line_bytes_max": 40})
QUIET = None
"""In a table: nothing comes for a while."""


def protocol(kind: str) -> UpstreamProtocol:
    scheme, _, content = kind.partition("/")
    terminal = terminal_of(Capabilities(width=80, height=24))
    return make_protocol(scheme, content or "lines", LIMITS, terminal, AUTOMATIC, Introduction())


def hear(it: UpstreamProtocol, *pieces: bytes | None) -> list[Said]:
    said: list[Said] = []
    for piece in pieces:
        if piece is None:
            prompt = it.prompt()
            said += [prompt] if prompt is not None else []
        else:
            said += it.receive_data(piece, 1.0)
    return said


HEARD: dict[str, tuple[str, list[bytes | None], list[Said]]] = {
    "lines": ("tcp", [b"one\r\ntwo\nthree"], [Text("one"), Text("two")]),
    "an-empty-line": ("tcp", [b"\n"], [Text("")]),
    "not-utf-8": ("tcp", [b"\xff\n"], [Text("\ufffd")]),
    "a-prompt": ("tcp", [b"hello\nName: ", QUIET], [Text("hello"), Prompt("Name: ")]),
    "a-prompt-once": ("tcp", [b"> ", QUIET, QUIET], [Prompt("> ")]),
    "a-prompt-that-grows": (
        "tcp",
        [b"Na", QUIET, b"me: ", QUIET],
        [Prompt("Na"), Prompt("Name: ")],
    ),
    "the-end-of-a-prompt's-line": (
        "tcp",
        [b"Name: ", QUIET, b"\r\nWelcome\n"],
        [Prompt("Name: "), Text("Welcome")],
    ),
    "half-a-line-whose-rest-was-slow": (
        "tcp",
        [b"You see", QUIET, b" a door.\n"],
        [Prompt("You see"), Text("You see a door.")],
    ),
    "no-prompt-in-time": ("tcp", [b"Na", b"me\n", QUIET], [Text("Name")]),
    "nothing": ("tcp", [QUIET], []),
    "telnet-line": ("telnet", [b"hello\r\n"], [Text("hello")]),
    "telnet-prompt-by-ga": ("telnet", [b"> \xff\xf9"], [Prompt("> ")]),
    "telnet-line-after-ga": ("telnet", [b"> \xff\xf9> hi\r\n"], [Prompt("> "), Text("> hi")]),
    "telnet-prompt-by-silence": ("telnet", [b"Name: ", QUIET], [Prompt("Name: ")]),
    "telnet-hides-and-shows": (
        "telnet",
        [b"\xff\xfb\x01", b"\xff\xfc\x01"],
        [InputMode("secret"), InputMode("line")],
    ),
    "telnet-gmcp": (
        "telnet",
        [b'\xff\xfb\xc9\xff\xfa\xc9Room.Info {"a":1}\xff\xf0'],
        [Data("Room.Info", '{"a":1}')],
    ),
    "telnet-gmcp-of-words": (
        "telnet",
        [b"\xff\xfb\xc9\xff\xfa\xc9Core.Goodbye till soon\xff\xf0"],
        [Data("Core.Goodbye", "till soon")],
    ),
    "bytes": ("tcp/bytes", [b"\x00\xff", b"\n"], [Binary(b"\x00\xff"), Binary(b"\n")]),
    "bytes-have-no-prompt": ("tcp/bytes", [b"> ", QUIET], [Binary(b"> ")]),
    "much": ("tls/bytes", [b"x" * 20_000], [Binary(b"x" * 16_384), Binary(b"x" * 3_616)]),
}


@pytest.mark.parametrize(("kind", "pieces", "said"), HEARD.values(), ids=HEARD)
def test_what_a_server_says(kind: str, pieces: list[bytes | None], said: list[Said]) -> None:
    assert hear(protocol(kind), *pieces) == said


LAST: dict[str, tuple[str, list[bytes | None], list[Said]]] = {
    "half-a-line": ("tcp", [b"bye"], [Text("bye")]),
    "a-prompt-that-was-shown": ("tcp", [b"> ", QUIET], []),
    "nothing": ("tcp", [b"bye\n"], []),
    "telnet-half-a-line": ("telnet", [b"bye"], [Text("bye")]),
    "telnet-nothing": ("telnet", [b"bye\r\n"], []),
    "bytes": ("tcp/bytes", [b"bye"], []),
}


@pytest.mark.parametrize(("kind", "pieces", "said"), LAST.values(), ids=LAST)
def test_what_has_no_end_is_said_at_the_end(
    kind: str, pieces: list[bytes | None], said: list[Said]
) -> None:
    it = protocol(kind)
    hear(it, *pieces)
    assert it.receive_eof() == said


SAID: dict[str, tuple[str, Command, bytes]] = {
    "line": ("tcp", Text("look"), b"look\n"),
    "utf-8": ("unix", Text("é"), "é\n".encode()),
    "line-with-its-end": ("tcp", Text("look\r\n"), b"look\n"),
    "lines-at-once": ("tcp", Text("look\nnorth\r\n\rsay hi"), b"look\nnorth\n\nsay hi\n"),
    "controls": ("tcp", Text("a\x00\x1b]52;c;x\x07\tb\x7f\x9bc"), b"a]52;c;x\tbc\n"),
    "an-empty-line": ("tcp", Text(""), b"\n"),
    "bytes-among-lines": ("tcp", Binary(b"\xe9t\xe9\n\x1bquit\r\n"), b"\xe9t\xe9quit\n"),
    "data-among-lines": ("tcp", Data("A", "1"), b""),
    "interrupt-among-lines": ("tcp", Interrupt(), b""),
    "telnet-line": ("telnet", Text("look"), b"look\r\n"),
    "telnet-lines-at-once": ("telnet", Text("look\nnorth\r"), b"look\r\nnorth\r\n"),
    "telnet-controls": ("telnet", Text("a\x1b[2J\x07"), b"a[2J\r\n"),
    "telnet-escapes": ("telnet", Text("\xff"), "\xff\r\n".encode()),
    "telnet-interrupt": ("telnets", Interrupt(), b"\xff\xf4"),
    "telnet-data-to-who-wants-none": ("telnet", Data("A", "1"), b""),
    "telnet-bytes": ("telnet", Binary(b"x"), b""),
    "bytes": ("tcp/bytes", Binary(b"\x00\n"), b"\x00\n"),
    "text-among-bytes": ("tcp/bytes", Text("ls\n"), b"ls\n"),
    "data-among-bytes": ("tcp/bytes", Data("A", "1"), b""),
}


@pytest.mark.parametrize(("kind", "item", "sent"), SAID.values(), ids=SAID)
def test_what_is_said_to_a_server(kind: str, item: Command, sent: bytes) -> None:
    it = protocol(kind)
    it.say(item)
    assert it.data_to_send() == sent
    assert it.data_to_send() == b""


def test_telnet_tells_the_size_of_the_screen_and_its_changes() -> None:
    it = protocol("telnet")
    hear(it, b"\xff\xfd\x1f")
    assert it.data_to_send() == b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0"
    it.resize(Resized(100, 30))
    assert it.data_to_send() == b"\xff\xfa\x1f\x00\x64\x00\x1e\xff\xf0"


SAID_BY_GMCP = {
    "object": (Data("Char.Login", '{"name":"x"}'), b'Char.Login {"name":"x"}'),
    "word": (Data("Char.Login", "bob"), b"Char.Login bob"),
    "string": (Data("Char.Login", '"bob"'), b'Char.Login "bob"'),
    "nothing": (Data("Core.KeepAlive", "null"), b"Core.KeepAlive"),
}


@pytest.mark.parametrize(("item", "payload"), SAID_BY_GMCP.values(), ids=SAID_BY_GMCP)
def test_data_goes_to_a_server_that_speaks_gmcp(item: Data, payload: bytes) -> None:
    it = protocol("telnet")
    hear(it, b"\xff\xfb\xc9")
    it.data_to_send()
    it.say(item)
    assert it.data_to_send() == b"\xff\xfa\xc9" + payload + b"\xff\xf0"


@pytest.mark.parametrize("kind", ["tcp", "telnet"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_long_line_is_passed_on_in_pieces(kind: str, size: int) -> None:
    data = b"x" * 39 + "é".encode() + b"y" * 60 + b"\nnext\n"
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    said = [item.text for item in hear(protocol(kind), *pieces) if isinstance(item, Text)]
    assert said == ["x" * 39, "é" + "y" * 38, "y" * 22, "next"]


BROKEN = {
    "endless-negotiation": (
        "telnet",
        b"\xff\xfb\x63\xff\xfc\x63" * 300,
        "too many commands and negotiations",
    ),
}


@pytest.mark.parametrize(("kind", "data", "fault"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_passed_on(kind: str, data: bytes, fault: str) -> None:
    with pytest.raises(UpstreamProtocolError, match=fault):
        hear(protocol(kind), data)


KINDS = {"tcp": LineProtocol, "telnet": TelnetProtocol, "tcp/bytes": ByteProtocol}


@pytest.mark.parametrize(("kind", "class_"), KINDS.items(), ids=KINDS)
def test_each_scheme_has_its_protocol(kind: str, class_: type) -> None:
    assert type(protocol(kind)) is class_


@given(st.sampled_from(sorted(KINDS)), st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_are_items_or_refused(kind: str, pieces: list[bytes]) -> None:
    it = protocol(kind)
    try:
        hear(it, *pieces, QUIET)
        it.receive_eof()
    except UpstreamProtocolError:
        pass


@given(st.lists(st.integers(0, 5), max_size=6), st.lists(st.integers(0, 40), max_size=6))
def test_chunks_do_not_change_what_is_said(lengths: list[int], cuts: list[int]) -> None:
    """Also with a silence after each piece: nothing is lost, nothing is said twice."""
    lines = [str(number) * length for number, length in enumerate(lengths)]
    data = "".join(f"{line}\n" for line in lines).encode()
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    assert hear(protocol("tcp"), *pieces) == [Text(line) for line in lines]
    seen: list[str] = []
    cursor = ""
    for said in hear(protocol("tcp"), *[piece for one in pieces for piece in (one, QUIET)]):
        assert isinstance(said, Prompt | Text)
        if cursor and not said.text.startswith(cursor):
            seen.append(cursor)  # its line had nothing more
        cursor = said.text if isinstance(said, Prompt) else ""
        if isinstance(said, Text):
            seen.append(said.text)
    seen.append(cursor)
    assert list(filter(None, seen)) == list(filter(None, lines))


@pytest.mark.parametrize("kind", ["tcp", "telnet"])
def test_behind_an_answered_prompt_only_what_is_new_is_shown(kind: str) -> None:
    it = protocol(kind)
    assert hear(it, b"> ", QUIET) == [Prompt("> ")]
    it.say(Text("look"))
    assert hear(it, b"A door.\r\n> ", QUIET) == [Text("A door."), Prompt("> ")]
    assert hear(it, b"\r\nA goblin comes.\r\n") == [Text("A goblin comes.")]


def test_what_the_client_says_before_the_server_speaks_gmcp_is_passed_on() -> None:
    introduction = Introduction()
    telnet = make_protocol(
        "telnet", "lines", LIMITS, terminal_of(Capabilities()), AUTOMATIC, introduction
    )
    hello, supports = '{"client":"Mudlet"}', '["Char 1"]'
    for package, json in (
        ("Core.Supports.Set", "[]"),
        ("Core.Hello", hello),
        ("Char.Items.Inv", "null"),
        ("Core.Supports.Set", supports),
    ):
        telnet.say(Data(package, json))
    assert telnet.data_to_send() == b""
    telnet.receive_data(wire_bytes(IAC, WILL, GMCP), 0.0)
    first = wire_bytes(IAC, DO, GMCP)
    introduced = sb(GMCP, f"Core.Hello {hello}") + sb(GMCP, f"Core.Supports.Set {supports}")
    assert telnet.data_to_send() == first + introduced + sb(GMCP, "Char.Items.Inv")
    # A new connection begins in the same way.
    telnet.say(Data("Core.Supports.Add", '["Room 1"]'))
    again = make_protocol(
        "telnet", "lines", LIMITS, terminal_of(Capabilities()), AUTOMATIC, introduction
    )
    again.receive_data(wire_bytes(IAC, WILL, GMCP), 0.0)
    added = sb(GMCP, 'Core.Supports.Add ["Room 1"]')
    assert again.data_to_send() == first + introduced + added


def test_what_waits_for_a_server_without_gmcp_is_bounded() -> None:
    introduction = Introduction()
    telnet = make_protocol(
        "telnet", "lines", LIMITS, terminal_of(Capabilities()), AUTOMATIC, introduction
    )
    for number in range(100):
        telnet.say(Data("Char.Items.Get", str(number)))
        telnet.say(Data("Core.Supports.Add", f'["A{number} 1"]'))
    telnet.receive_data(wire_bytes(IAC, WILL, GMCP), 0.0)
    sent = telnet.data_to_send()
    assert sent.count(b"Char.Items.Get") == 32
    assert sent.count(b"Core.Supports.Add") == 32


@pytest.mark.parametrize("package", ["Char.Items.Get", "Core.Supports.Add"])
def test_what_is_kept_for_a_server_is_bounded_in_bytes(package: str) -> None:
    telnet = make_protocol(
        "telnet", "lines", LIMITS, terminal_of(Capabilities()), AUTOMATIC, Introduction()
    )
    for number in range(32):
        telnet.say(Data(package, f'"{number}{"é" * 5_000}"'))
    telnet.say(Data(package, '"short"'))
    telnet.receive_data(wire_bytes(IAC, WILL, GMCP), 0.0)
    sent = telnet.data_to_send()
    assert sent.count(package.encode()) == 2
    assert b'"short"' in sent


TERMINALS = {
    "nothing-known": (Capabilities(), ("Holdfast", "xterm", int(DEFAULT_MTTS | Mtts.PROXY))),
    "mudlet": (
        Capabilities(client="MUDLET", terminal="ANSI-TRUECOLOR", colors=1 << 24),
        ("MUDLET", "ANSI-TRUECOLOR", 1 + 4 + 8 + 128 + 256),
    ),
    "latin-1-without-colours": (
        Capabilities(terminal="vt100", utf8=False),
        ("Holdfast", "vt100", 128),
    ),
}


@pytest.mark.parametrize(("known", "told"), TERMINALS.values(), ids=TERMINALS)
def test_the_server_is_told_of_the_clients_terminal(
    known: Capabilities, told: tuple[str, str, int]
) -> None:
    terminal = terminal_of(known)
    assert (terminal.name, terminal.type, terminal.mtts) == told


def test_the_server_is_told_the_clients_address_if_it_asks() -> None:
    terminal = terminal_of(Capabilities(), "2001:db8::1")
    told = make_protocol("telnet", "lines", LIMITS, terminal, AUTOMATIC, Introduction())
    asked = wire_bytes(IAC, DO, NEW_ENVIRON) + sb(NEW_ENVIRON, b"\1\0IPADDRESS")
    told.receive_data(asked, 0.0)
    answer = sb(NEW_ENVIRON, b"\0\0IPADDRESS\x012001:db8::1")
    assert told.data_to_send() == wire_bytes(IAC, WILL, NEW_ENVIRON) + answer


def test_the_server_is_told_the_clients_address_by_gmcp() -> None:
    terminal = terminal_of(Capabilities(client="MUDLET"), "192.0.2.7")
    told = make_protocol("telnet", "lines", LIMITS, terminal, AUTOMATIC, Introduction())
    told.receive_data(wire_bytes(IAC, WILL, GMCP), 0.0)
    _, hello, address = told.data_to_send().split(wire_bytes(IAC, SB, GMCP))
    assert hello.startswith(b'Core.Hello {"client":"MUDLET"')
    assert address == b'Holdfast.Client {"address":"192.0.2.7"}' + wire_bytes(IAC, SE)


def test_the_server_is_told_what_changes_of_the_client() -> None:
    it = protocol("telnet")
    assert isinstance(it, TelnetProtocol)
    it.describe(terminal_of(Capabilities(client="TINTIN++", width=80, height=24)))
    hear(it, wire_bytes(IAC, DO, NEW_ENVIRON, IAC, DO, TTYPE, IAC, DO, NAWS))
    it.data_to_send()
    it.describe(terminal_of(Capabilities(client="MUDLET", width=80, height=24)))
    assert it.data_to_send() == b""  # it has not asked
    hear(it, sb(NEW_ENVIRON, b"\1\0CLIENT_NAME"))
    assert it.data_to_send() == sb(NEW_ENVIRON, b"\0\0CLIENT_NAME\1MUDLET")
    it.describe(terminal_of(Capabilities(client="MUDLET", width=80, height=24)))
    assert it.data_to_send() == b""
    it.describe(terminal_of(Capabilities(client="KildClient", width=90, height=24)))
    changed = sb(NEW_ENVIRON, b"\2\0CLIENT_NAME\1KildClient")
    assert it.data_to_send() == changed + sb(NAWS, b"\0\x5a\0\x18")
    hear(it, sb(TTYPE, b"\1"))
    assert it.data_to_send() == sb(TTYPE, b"\0KildClient")


@pytest.mark.parametrize("kind", ["tcp", "tcp/bytes"])
def test_without_telnet_a_server_is_told_nothing_of_the_client(kind: str) -> None:
    it = protocol(kind)
    it.describe(terminal_of(Capabilities(client="MUDLET")))
    assert it.data_to_send() == b""


def options_protocol(*options: int) -> UpstreamProtocol:
    """The protocol to a server with which these are spoken, where it offers them."""
    terminal = terminal_of(Capabilities(width=80, height=24))
    return make_protocol(
        "telnet", "lines", LIMITS, terminal, AUTOMATIC, Introduction(), frozenset(options)
    )


def test_variables_of_msdp_are_data_in_both_directions() -> None:
    it = options_protocol(MSDP)
    it.say(Data("REPORT", '["HEALTH"]'))
    assert it.data_to_send() == b""  # it waits for the offer
    assert hear(it, wire_bytes(IAC, WILL, MSDP)) == []
    asked = sb(MSDP, b"\x01REPORT\x02\x05\x02HEALTH\x06")
    assert it.data_to_send() == wire_bytes(IAC, DO, MSDP) + asked
    said = hear(it, sb(MSDP, b"\x01HEALTH\x0257\x01ROOM\x02\x03\x01VNUM\x026\x04"))
    assert said == [Data("HEALTH", '"57"'), Data("ROOM", '{"VNUM":"6"}')]


def test_gmcp_is_preferred_to_msdp() -> None:
    it = options_protocol(MSDP)
    hear(it, wire_bytes(IAC, WILL, GMCP), wire_bytes(IAC, WILL, MSDP))
    it.data_to_send()
    it.say(Data("Char.Ask", "1"))
    assert it.data_to_send() == sb(GMCP, b"Char.Ask 1")


def test_compressed_output_of_a_server_is_read() -> None:
    it = options_protocol(MCCP2)
    hear(it, wire_bytes(IAC, WILL, MCCP2))
    assert it.data_to_send() == wire_bytes(IAC, DO, MCCP2)
    packed = zlib.compress(b"One.\r\nTwo.\r\n")
    assert hear(it, sb(MCCP2, b"") + packed[:5], packed[5:] + b"Plain.\r\n") == [
        Text("One."),
        Text("Two."),
        Text("Plain."),
    ]


@pytest.mark.parametrize("option", [MSDP, MCCP2, MCCP3])
def test_what_is_not_configured_is_refused(option: int) -> None:
    it = options_protocol()
    hear(it, wire_bytes(IAC, WILL, option))
    assert it.data_to_send() == wire_bytes(IAC, DONT, option)


def in_front_of_mxp(*received: bytes | None) -> tuple[UpstreamProtocol, list[Said]]:
    """The protocol to a server with MXP, which has sent this as well."""
    it = make_protocol(
        "telnet",
        "lines",
        LIMITS,
        terminal_of(Capabilities()),
        AUTOMATIC,
        Introduction(),
        frozenset({MXP}),
        LineModes(),
    )
    return it, hear(it, bytes((IAC, WILL, MXP)), *received)


def test_the_lines_of_a_server_with_mxp_say_how_they_are_read() -> None:
    _, said = in_front_of_mxp(b"\x1b[6z<P>5</P>> \xff\xf9", b"<B>\r\n", b"\x1b[7z<B>\r\n<B>\r\n")
    assert said == [
        Prompt("\x1b[0z\x1b[1z<P>5</P>> \x1b[7z"),
        Text("\x1b[1z<B>"),
        Text("\x1b[1z\x1b[2z<B>"),
        Text("<B>"),
    ]


def test_a_line_whose_beginning_was_a_prompt_is_read_in_its_mode() -> None:
    it, said = in_front_of_mxp(b"\x1b[1z<P>5</P>> ", QUIET)
    assert said == [Prompt("\x1b[0z\x1b[1z<P>5</P>> \x1b[7z")]
    it.say(Text("look"))
    assert hear(it, b"<B>dark</B>\r\n<B>\r\n") == [Text("\x1b[1z<B>dark</B>"), Text("\x1b[0z<B>")]


ANSWER = "\x1b[1z<VERSION CLIENT=x>"


def test_a_clients_answer_to_elements_goes_to_a_server_with_mxp_only() -> None:
    it, _ = in_front_of_mxp()
    it.data_to_send()
    it.say(Text(ANSWER))
    it.say(Text("\x1b[1mlook\x1b[1z"))
    assert it.data_to_send() == ANSWER.encode() + b"\r\n[1mlook[1z\r\n"
    hear(it, b"\xff\xfc\x5b")
    it.data_to_send()
    it.say(Text(ANSWER))
    it.say(Text("look"))
    assert it.data_to_send() == b"look\r\n"
