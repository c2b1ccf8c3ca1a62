"""Our machines against each other: any interleaving ends in silence and agreement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import LIMITS, TERMINAL, client, converse, properties

from holdfast.protocols.telnet import (
    Capabilities,
    Gmcp,
    InputHidden,
    Prompt,
    Settled,
    TelnetClient,
    TelnetServer,
    WindowSize,
)
from holdfast.protocols.telnet.codes import BINARY, END_OF_RECORD, GMCP, LINEMODE, NAWS, SGA
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.negotiation import Q, Side


def disagreements(a: TelnetCore, b: TelnetCore) -> list[tuple[int, Side, Q, Q]]:
    """Each option and side on which the two differ, or that waits for something."""
    found = []
    for code in a._options.table.index.keys() & b._options.table.index.keys():
        for side, other in ((Side.US, Side.HIM), (Side.HIM, Side.US)):
            ours, theirs = a._options.state(code, side), b._options.state(code, other)
            if ours is not theirs or ours not in (Q.YES, Q.NO):
                found.append((code, side, ours, theirs))
    return found


def test_a_client_and_a_server_settle() -> None:
    server, peer = TelnetServer(LIMITS, 0.0), client()
    events, hints = converse(server, peer)
    assert events.count(Settled()) == 1
    assert Gmcp("Core.Hello", '{"client":"Hold","version":"1"}') in events
    assert server.handle_timer(1.0) == [WindowSize(80, 24)]
    assert server.capabilities == Capabilities(
        "Hold", "1", "xterm", 271, "UTF-8", 80, 24, 80, 24, gmcp=True, eor=True
    )
    assert peer.capabilities == Capabilities(charset="UTF-8", gmcp=True, eor=True)
    assert all(not isinstance(hint, str) for hint in hints)
    assert disagreements(server, peer) == []


def test_they_talk() -> None:
    server, peer = TelnetServer(LIMITS, 0.0), client()
    converse(server, peer)
    server.send_text("Grüße 😀\n")
    server.hide_input(True)
    server.send_prompt("Password: ")
    peer.send_text("hélas\n")
    peer.send_interrupt()
    events, hints = converse(server, peer)
    assert hints == ["Grüße 😀", InputHidden(True), Prompt("Password: ")]
    assert [event for event in events if isinstance(event, str)] == ["hélas"]


@pytest.mark.parametrize("pair", [0, 1], ids=["two-servers", "two-clients"])
def test_equals_fall_silent_and_agree(pair: int) -> None:
    a: TelnetCore
    b: TelnetCore
    a, b = [(TelnetServer(LIMITS, 0.0), TelnetServer(LIMITS, 0.0)), (client(), client())][pair]
    events_a, events_b = converse(a, b)
    assert disagreements(a, b) == []
    assert events_a.count(Settled()) == events_b.count(Settled()) == (1 - pair)


class Line:
    """One direction of a connection: bytes on their way, delivered in any portions."""

    def __init__(self, sender: TelnetCore, receiver: TelnetCore) -> None:
        self.sender, self.receiver = sender, receiver
        self.waiting = b""

    def deliver(self, count: int) -> None:
        self.waiting += self.sender.data_to_send()
        self.receiver.receive_data(self.waiting[:count], 0.0)
        self.waiting = self.waiting[count:]


ASKED = (SGA, BINARY, GMCP, LINEMODE, END_OF_RECORD, NAWS)
"""Options that either end may ask for, or ask away, at any time."""


def ask(server: TelnetServer, peer: TelnetClient, number: int) -> None:
    """One of them asks for one side of an option, or asks it away."""
    core = (server, peer)[number & 1]
    core.request(ASKED[number >> 3], Side(number >> 1 & 1), on=bool(number & 4))


actions = st.lists(
    st.tuples(st.just("to client"), st.integers(1, 40))
    | st.tuples(st.just("to server"), st.integers(1, 40))
    | st.tuples(st.just("hide"), st.integers(0, 1))
    | st.tuples(st.just("resize"), st.integers(20, 300))
    | st.tuples(st.just("probe"), st.just(0))
    | st.tuples(st.just("ask"), st.integers(0, 8 * len(ASKED) - 1)),
    max_size=60,
)


def play(server: TelnetServer, peer: TelnetClient, script: list[tuple[str, int]]) -> bool:
    """Do all that in this order and then deliver everything; return whether input is hidden."""
    down, up = Line(server, peer), Line(peer, server)
    hidden = False
    for action, value in script:
        match action:
            case "to client":
                down.deliver(value)
            case "to server":
                up.deliver(value)
            case "hide":
                hidden = bool(value)
                server.hide_input(hidden)
            case "resize":
                peer.resize(value, value)
            case "ask":
                ask(server, peer, value)
            case _:
                server.probe(0.0)
    for _ in range(60):
        down.deliver(10_000)
        up.deliver(10_000)
    assert server.data_to_send() == peer.data_to_send() == down.waiting == up.waiting == b""
    return hidden


@properties
@given(actions)
def test_any_interleaving_ends_in_agreement(script: list[tuple[str, int]]) -> None:
    server, peer = TelnetServer(LIMITS, 0.0), TelnetClient(LIMITS, TERMINAL, also=(LINEMODE,))
    hidden = play(server, peer, script)
    assert disagreements(server, peer) == []
    assert peer._options.is_on_at(1, Side.HIM) is hidden
    assert server.capabilities.utf8
    assert server.malformed == peer.malformed == 0
    if any(action == "ask" for action, _ in script):
        return  # it may have asked for the size no more
    sizes = [value for action, value in script if action == "resize"]
    assert server.capabilities.raw_width == (sizes[-1] if sizes else 80)


def test_what_crosses_the_end_of_an_option_is_no_fault() -> None:
    server, peer = TelnetServer(LIMITS, 0.0), client()
    converse(server, peer)
    peer.send_gmcp("Core.Ping", "")
    crossing = peer.data_to_send()
    server.request(GMCP, Side.US, on=False)
    server.receive_data(crossing, 0.0)
    assert server.malformed == 0
    converse(server, peer)
    server.receive_data(crossing, 0.0)  # the client has agreed since
    assert server.malformed == 1
