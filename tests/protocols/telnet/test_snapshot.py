"""A connection that another process takes over: it goes on as if nothing had happened."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.test_connection import TIGHT, hiding_server, tight_server, transcripts
from tests.protocols.telnet.wire import TERMINAL, client, feed, properties, silent_server, wire

from holdfast.core.errors import SnapshotError
from holdfast.protocols.telnet import OptionChanged, TelnetClient, TelnetServer
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import BINARY, DO, DONT, GMCP, IAC, MCCP2, SGA, WILL, WONT
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.negotiation import Q, Side
from holdfast.protocols.telnet.server import Offers, server_options
from holdfast.protocols.telnet.snapshot import CoreSnapshot

COMPRESSED = server_options(Offers(mccp2=True))


def compressing_server() -> TelnetServer:
    return TelnetServer(TIGHT, 0.0, AUTOMATIC, COMPRESSED)


def taken_over(core: TelnetCore, make: Callable[[], TelnetCore], now: float) -> TelnetCore:
    """The core that another process has, whose clock shows 1000 more."""
    taken = msgspec.msgpack.encode(core.snapshot(now))
    other = make()
    other.restore(msgspec.msgpack.decode(taken, type=CoreSnapshot), now + 1000.0)
    return other


CORES: list[Callable[[], TelnetCore]] = [
    tight_server,
    hiding_server,
    compressing_server,
    client,
    lambda: TelnetClient(TIGHT, TERMINAL, also=(MCCP2, 87)),
]


@pytest.mark.parametrize("make", CORES, ids=["server", "hiding", "compressing", "client", "mccp3"])
@properties
@given(transcripts, transcripts, st.booleans())
def test_taking_over_changes_no_later_event(
    make: Callable[[], TelnetCore], before: bytes, after: bytes, settled: bool
) -> None:
    stays, goes = make(), make()
    for core in (stays, goes):
        if settled:
            core.handle_timer(2.5)
        if isinstance(core, TelnetServer):
            core.probe(2.5)
        core.receive_data(before, 3.0)
    try:
        new = taken_over(goes, make, 3.5)
    except SnapshotError:
        return  # compressed input
    said = [Output(), Output()]
    for core, output, zero in ((stays, said[0], 0.0), (new, said[1], 1000.0)):
        output.hears(core.data_to_send())
        due = core.next_deadline()
        output.events.append(None if due is None else round(due - zero, 6))
        output.events += core.receive_data(after, zero + 4.0)
        output.hears(core.data_to_send())
        output.events += core.handle_timer(zero + 20.0)
        core.send_text("é bye\n")
        output.hears(core.data_to_send())
        output.events.append(core.capabilities)
        output.events.append((core.malformed, core.overflows, core.tokens, core.charset))
    assert said[0].events == said[1].events
    assert said[0].plain == said[1].plain


class Output:
    """What the peer of one core has received, inflated."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.plain = b""
        self._stream = zlib.decompressobj()
        self._compressed = False

    def hears(self, data: bytes) -> None:
        while data:
            if self._compressed:
                self.plain += self._stream.decompress(data)
                data = self._stream.unused_data
                self._compressed = not self._stream.eof
            else:
                at = [data.find(wire(IAC, 250, code, IAC, 240)) for code in (MCCP2, 87)]
                begins = min((place + 5 for place in at if place >= 0), default=len(data))
                self.plain += data[:begins]
                self._compressed = begins < len(data) or any(place >= 0 for place in at)
                self._stream = zlib.decompressobj()
                data = data[begins:]


def test_a_compressed_stream_goes_on_and_may_end() -> None:
    server = compressing_server()
    server.receive_data(wire(IAC, DO, MCCP2), 0.0)
    server.handle_timer(2.0)
    server.send_text("before\n")
    output = Output()
    output.hears(server.data_to_send())
    other = taken_over(server, compressing_server, 3.0)
    other.send_text("behind\n")
    output.hears(other.data_to_send())
    other.receive_data(wire(IAC, DONT, MCCP2), 1004.0)
    other.send_text("plain\n")
    output.hears(other.data_to_send())
    assert output.plain.endswith(b"before\r\nbehind\r\n" + wire(IAC, WONT, MCCP2) + b"plain\r\n")


def test_a_compressed_stream_that_is_empty_yet_begins_with_its_header() -> None:
    server = compressing_server()
    server.receive_data(wire(IAC, DO, MCCP2), 0.0)
    server.handle_timer(2.0)
    output = Output()
    output.hears(server.data_to_send())
    other = taken_over(server, compressing_server, 3.0)
    other.send_text("first\n")
    output.hears(other.data_to_send())
    other.receive_data(wire(IAC, DONT, MCCP2), 1004.0)
    other.send_text("plain\n")
    output.hears(other.data_to_send())
    assert output.plain.endswith(b"first\r\n" + wire(IAC, WONT, MCCP2) + b"plain\r\n")


def test_what_the_other_process_did_not_offer_is_off() -> None:
    server = silent_server()
    server.handle_timer(2.0)
    other = taken_over(server, compressing_server, 3.0)
    assert other.data_to_send() == b""
    assert other._options.state(MCCP2, Side.US) is Q.NO
    assert feed(other, [wire(IAC, DONT, MCCP2)], 1004.0) == ([], b"")
    output = Output()
    output.hears(feed(other, [wire(IAC, DO, MCCP2)], 1004.0)[1])
    other.send_text("packed\n")
    output.hears(other.data_to_send())
    assert output.plain.endswith(b"packed\r\n")


def test_what_is_offered_no_more_is_ended() -> None:
    server = compressing_server()
    server.receive_data(wire(IAC, DO, MCCP2, IAC, DO, GMCP), 0.0)
    server.handle_timer(2.0)
    output = Output()
    output.hears(server.data_to_send())
    other = taken_over(server, silent_server, 3.0)
    other.send_text("plain\n")
    output.hears(other.data_to_send())
    assert output.plain.endswith(wire(IAC, WONT, MCCP2) + b"plain\r\n")
    assert not output._compressed
    assert feed(other, [wire(IAC, DONT, MCCP2)], 1004.0) == ([], b"")
    assert other.is_on(GMCP, Side.US)


def test_an_option_that_is_asked_for() -> None:
    server = silent_server()
    assert not server.request(99, Side.HIM)
    assert server.request(SGA, Side.HIM)
    assert server.data_to_send() == wire(IAC, DO, SGA)
    assert feed(server, [wire(IAC, WILL, SGA)]) == ([OptionChanged(SGA, Side.HIM, True)], b"")
    assert server.is_on(SGA, Side.HIM)
    assert feed(server, [wire(IAC, DO, SGA)])[0] == [OptionChanged(SGA, Side.US, True)]
    assert server.request(SGA, Side.HIM, False)
    assert server.data_to_send() == wire(IAC, DONT, SGA)
    assert server.request(BINARY, Side.US)
    assert feed(server, [wire(IAC, DONT, BINARY)])[0] == [OptionChanged(BINARY, Side.US, False)]
    server.data_to_send()
    other = taken_over(server, silent_server, 0.0)
    assert other.receive_data(wire(IAC, WONT, SGA), 1000.0) == [OptionChanged(SGA, Side.HIM, False)]
