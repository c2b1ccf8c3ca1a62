"""Every split of a whole conversation says the same, at both ends."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from tests.protocols.telnet.recorded import RECORDED
from tests.protocols.telnet.test_mudlet import MUDLET
from tests.protocols.telnet.wire import LIMITS, TERMINAL, cut, feed, sb, wire

from holdfast.protocols.telnet import Event, TelnetClient, TelnetServer
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import DO, ECHO, GMCP, IAC, LINEMODE, MCCP2, MCCP3, MSDP, MXP
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.server import Offers, server_options

OPTIONS = server_options(
    Offers(msdp=True, mssp=lambda: {"NAME": "x"}, mxp=True, mccp2=True, mccp3=True)
)
TYPED = "say é\r\npass\x08\x08\x7fs\r\0look\n".encode() + wire(IAC, 244) + sb(GMCP, 'A.B ["é"]')


def server() -> TelnetServer:
    return TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)


def client() -> TelnetClient:
    return TelnetClient(LIMITS, TERMINAL, also=(LINEMODE, MSDP, MXP, MCCP2, MCCP3))


def told_by_a_server() -> bytes:
    """All that a server says to our client: its offers, text, prompts, a password, data, packed."""
    core, peer, said = server(), client(), b""
    for number in range(12):
        match number:
            case 4:
                core.send_text("Welcome, é.\n")
                core.send_prompt("Name? ")
            case 6:
                core.hide_input(True)
                core.send_prompt("Password: ")
            case 8:
                core.hide_input(False)
                core.send_gmcp("Char.Vitals", '{"hp":1}')
                core.send_msdp("HP", '["1","2"]')
                core.request(LINEMODE, 1)  # type: ignore[arg-type]
            case _:
                pass
        data = core.data_to_send()
        said += data
        peer.receive_data(data, 0.0)
        core.receive_data(peer.data_to_send(), 0.0)
    assert sb(MCCP2) in said
    return said


def told_by_our_client() -> bytes:
    """All that our client says to a server, packed behind its agreement to MCCP 3."""
    core, peer, said = server(), client(), b""
    for number in range(8):
        if number == 5:
            peer.send_text("look\nsay é\n")
            peer.send_interrupt()
            peer.resize(100, 40)
        peer.receive_data(core.data_to_send(), 0.0)
        data = peer.data_to_send()
        said += data
        core.receive_data(data, 0.0)
    assert sb(MCCP3) in said
    return said


TRANSCRIPTS: dict[str, tuple[Callable[[], TelnetCore], bytes]] = {
    **{name: (server, b"".join(chunks) + TYPED) for name, chunks in RECORDED.items()},
    "mudlet": (server, b"".join(MUDLET) + TYPED),
    "a-password": (server, wire(IAC, DO, ECHO) + TYPED),
    "our-client": (server, told_by_our_client()),
    "our-server": (client, told_by_a_server()),
}


def plain(sent: bytes) -> bytes:
    """What was sent, inflated: it is flushed once for each piece that was answered."""
    for mark in (sb(MCCP2), sb(MCCP3)):
        before, found, packed = sent.partition(mark)
        if found:
            return before + found + zlib.decompressobj().decompress(packed)
    return sent


def outcome(core: TelnetCore, pieces: list[bytes]) -> tuple[list[Event], bytes, object]:
    core.data_to_send()
    events, sent = feed(core, pieces)
    events += core.handle_timer(5.0)
    return events, plain(sent), (core.capabilities, core.malformed, core.tokens, core.inflated)


@pytest.mark.parametrize(("make", "data"), TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_every_split_in_two(make: Callable[[], TelnetCore], data: bytes) -> None:
    whole = outcome(make(), [data])
    assert len(whole[0]) > 3
    for place in range(1, len(data)):
        assert outcome(make(), cut(data, [place])) == whole


@pytest.mark.parametrize(("make", "data"), TRANSCRIPTS.values(), ids=TRANSCRIPTS)
@pytest.mark.parametrize("size", range(1, 8))
def test_every_size_of_pieces(make: Callable[[], TelnetCore], data: bytes, size: int) -> None:
    pieces = cut(data, range(0, len(data), size))
    assert outcome(make(), pieces) == outcome(make(), [data])
