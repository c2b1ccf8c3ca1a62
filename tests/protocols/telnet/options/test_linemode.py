"""LINEMODE (RFC 1184), at both ends: the mode, the special characters, the forward mask."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import (
    LIMITS,
    TERMINAL,
    client,
    converse,
    feed,
    properties,
    sb,
    silent_server,
    telnet_server,
    wire,
)

from holdfast.protocols.telnet import LinemodeChanged, OptionChanged, TelnetClient, TelnetServer
from holdfast.protocols.telnet.codes import DO, DONT, IAC, LINEMODE, WILL, WONT
from holdfast.protocols.telnet.events import Event
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.linemode import (
    AGREEMENT,
    Agreement,
    Heard,
    LinemodeAsked,
    LinemodePerformed,
    Mode,
    is_in,
    mask_of,
)
from holdfast.protocols.telnet.options.special_characters import SLC, Level

WILL_LINEMODE = wire(IAC, WILL, LINEMODE)
WONT_LINEMODE = wire(IAC, WONT, LINEMODE)
ACK = sb(LINEMODE, 1, 7)
KEYS = sb(LINEMODE, 3, 3, 2, 3, 8, 2, 4, 10, 2, 127, 11, 2, 21)
"""What our client says of its keys."""


def line_client() -> TelnetClient:
    return TelnetClient(LIMITS, TERMINAL, also=[LINEMODE])


def performing(*received: bytes) -> TelnetClient:
    """A client with LINEMODE in effect that has received this."""
    peer = line_client()
    peer.receive_data(wire(IAC, DO, LINEMODE) + b"".join(received), 0.0)
    peer.data_to_send()
    return peer


def pair() -> tuple[TelnetServer, TelnetClient, list[Event], list[Event]]:
    """A server that has asked a client for it, and what each has heard."""
    server, peer = TelnetServer(LIMITS, 0.0), line_client()
    converse(server, peer)
    assert server.request(LINEMODE, Side.HIM)
    return server, peer, *converse(server, peer)


# --- the server's mode


def test_a_volunteer_is_told_to_edit_lines() -> None:
    sent = wire(IAC, DO, LINEMODE) + sb(LINEMODE, 1, 3)
    assert feed(silent_server(), [WILL_LINEMODE]) == ([], sent)


@pytest.mark.parametrize(
    ("payload", "events", "answer"),
    [
        pytest.param(b"\x01\x07", [LinemodeChanged(True, True)], b"", id="acknowledged"),
        pytest.param(
            b"\x01\x17", [LinemodeChanged(True, True)], b"", id="acknowledged-with-advice"
        ),
        pytest.param(b"\x01\x05", [], b"", id="another-mode-acknowledged"),
        pytest.param(b"\x01\x03", [], b"", id="the-same-mode-suggested"),
        pytest.param(b"\x01\x00", [], b"", id="another-mode-suggested"),
        pytest.param(b"\x01", [], b"", id="no-mode"),
        pytest.param(wire(DO, 2, b"\0" * 32), [], b"", id="do-forwardmask-is-the-servers"),
        pytest.param(wire(WONT, 2), [], b"", id="wont-forwardmask"),
        pytest.param(wire(WILL, 2), [], sb(LINEMODE, DONT, 2), id="will-forwardmask-unasked"),
        pytest.param(b"", [], b"", id="nothing"),
        pytest.param(b"\x09\x09", [], b"", id="unknown"),
        pytest.param(wire(WILL), [], b"", id="half-a-negotiation"),
    ],
)
def test_subnegotiations(payload: bytes, events: list[Event], answer: bytes) -> None:
    server = telnet_server(WILL_LINEMODE)
    assert feed(server, [sb(LINEMODE, payload)]) == (events, answer)


def test_an_acknowledgement_is_told_once() -> None:
    server = telnet_server(WILL_LINEMODE)
    assert feed(server, [ACK, ACK]) == ([LinemodeChanged(True, True)], b"")


def test_a_client_that_would_rather_have_another_mode_is_told_the_servers() -> None:
    server = telnet_server(WILL_LINEMODE, ACK)
    assert feed(server, [sb(LINEMODE, 1, 0)]) == ([], sb(LINEMODE, 1, 3))
    assert feed(server, [ACK, sb(LINEMODE, 1, 3), sb(LINEMODE, 1, 4)]) == ([], b"")


def test_another_mode_is_asked_for_and_the_answer_to_the_first_does_not_count() -> None:
    server = telnet_server(WILL_LINEMODE)
    server.set_linemode(edit=True, trapsig=False)
    assert server.data_to_send() == sb(LINEMODE, 1, 1)
    assert feed(server, [ACK, sb(LINEMODE, 1, 5)]) == ([LinemodeChanged(True, False)], b"")
    server.set_linemode(edit=True, trapsig=False)
    assert server.data_to_send() == b""


def test_a_mode_that_is_wanted_before_the_client_has_the_option() -> None:
    server = silent_server()
    server.set_linemode(edit=False, trapsig=True)
    assert feed(server, [WILL_LINEMODE])[1] == wire(IAC, DO, LINEMODE) + sb(LINEMODE, 1, 2)


def test_it_ends_and_begins_again() -> None:
    server = telnet_server(WILL_LINEMODE, ACK)
    assert feed(server, [WONT_LINEMODE])[1] == wire(IAC, DONT, LINEMODE)
    assert feed(server, [sb(LINEMODE, 1, 7)]) == ([], b"")
    assert server.malformed == 1
    assert feed(server, [WILL_LINEMODE])[1] == wire(IAC, DO, LINEMODE) + sb(LINEMODE, 1, 3)


@pytest.mark.parametrize(("state", "given_"), list(product(Agreement, Heard)))
def test_nothing_is_heard_of_what_is_off(state: Agreement, given_: Heard) -> None:
    allowed = state is not Agreement.OFF or given_ is Heard.WANT
    assert AGREEMENT.allows(state, given_) is allowed


# --- the client's mode


def test_the_client_performs_it_on_request_only() -> None:
    assert feed(silent_server(), [wire(IAC, DO, LINEMODE)])[1] == wire(IAC, WONT, LINEMODE)
    assert feed(client(), [wire(IAC, DO, LINEMODE)])[1] == wire(IAC, WONT, LINEMODE)
    assert feed(client(), [WILL_LINEMODE])[1] == wire(IAC, DONT, LINEMODE)
    assert feed(line_client(), [wire(IAC, DO, LINEMODE)]) == ([], WILL_LINEMODE + KEYS)


@pytest.mark.parametrize(
    ("payload", "events", "answer"),
    [
        pytest.param(b"\x01\x03", [LinemodeChanged(True, True)], sb(LINEMODE, 1, 7), id="mode"),
        pytest.param(
            b"\x01\x09", [LinemodeChanged(True, False)], sb(LINEMODE, 1, 13), id="with-advice"
        ),
        pytest.param(
            b"\x01\xe1", [LinemodeChanged(True, False)], sb(LINEMODE, 1, 5), id="unknown-bits"
        ),
        pytest.param(b"\x01\x00", [], b"", id="the-mode-that-it-has"),
        pytest.param(b"\x01\x07", [], b"", id="an-acknowledgement-is-never-answered"),
        pytest.param(wire(DO, 2, 0, 16), [], sb(LINEMODE, WILL, 2), id="do-forwardmask"),
        pytest.param(wire(DO, 2, b"x" * 33), [], b"", id="a-mask-that-is-too-long"),
        pytest.param(wire(DONT, 2), [], b"", id="dont-forwardmask"),
        pytest.param(wire(WILL, 2), [], b"", id="will-forwardmask-is-the-clients"),
    ],
)
def test_what_a_client_is_told(payload: bytes, events: list[Event], answer: bytes) -> None:
    assert feed(performing(), [sb(LINEMODE, payload)]) == (events, answer)


def test_both_ends() -> None:
    server, peer, heard, hints = pair()
    assert heard == [OptionChanged(LINEMODE, Side.HIM, True), LinemodeChanged(True, True)]
    assert hints == [LinemodeChanged(True, True)]
    told = server._options.find(LinemodeAsked)
    assert told._special is not None
    assert told._special.setting(SLC.IP)[:2] == (Level.VALUE, 3)
    assert server.malformed == peer.malformed == 0

    server.forward_on(b"\t\x1b")
    converse(server, peer)
    mask = peer._options.find(LinemodePerformed).mask
    assert [code for code in range(256) if is_in(mask, code)] == [9, 27]
    server.forward_on(b"")
    assert converse(server, peer) == ([], [])
    assert peer._options.find(LinemodePerformed).mask == b""

    assert server.request(LINEMODE, Side.HIM, on=False)
    heard, hints = converse(server, peer)
    assert heard == [OptionChanged(LINEMODE, Side.HIM, False)]
    assert hints == [LinemodeChanged(False, False)]


def test_both_ends_go_on_in_another_process() -> None:
    server, peer, *_ = pair()
    server.forward_on(b"x")
    converse(server, peer)
    server.set_linemode(edit=False, trapsig=False)
    heir, twin = TelnetServer(LIMITS, 0.0), line_client()
    heir.data_to_send()
    heir.restore(server.snapshot(0.0), 0.0)
    twin.restore(peer.snapshot(0.0), 0.0)
    assert converse(heir, twin) == (
        [LinemodeChanged(False, False)], [LinemodeChanged(False, False)],
    )  # fmt: skip
    assert is_in(twin._options.find(LinemodePerformed).mask, ord("x"))
    heir.forward_on(b"")
    assert heir.data_to_send() == sb(LINEMODE, DONT, 2)
    assert heir.snapshot(0.0).options[LINEMODE] != server.snapshot(0.0).options[LINEMODE]


steps = st.lists(
    st.tuples(st.just("mode"), st.integers(0, 3))
    | st.tuples(st.just("forward"), st.integers(0, 2))
    | st.tuples(st.just("option"), st.integers(0, 1))
    | st.tuples(st.just("deliver"), st.integers(1, 30))
    | st.tuples(st.just("return"), st.integers(1, 30)),
    max_size=40,
)


@properties
@given(steps)
def test_any_interleaving_ends_in_agreement(script: list[tuple[str, int]]) -> None:
    server, peer, *_ = pair()
    down = up = b""
    for action, value in script:
        down += server.data_to_send()
        up += peer.data_to_send()
        match action:
            case "mode":
                server.set_linemode(edit=bool(value & 1), trapsig=bool(value & 2))
            case "forward":
                server.forward_on(b"xyz"[:value])
            case "option":
                server.request(LINEMODE, Side.HIM, on=bool(value))
            case "deliver":
                peer.receive_data(down[:value], 0.0)
                down = down[value:]
            case _:
                server.receive_data(up[:value], 0.0)
                up = up[value:]
    peer.receive_data(down, 0.0)
    server.receive_data(up, 0.0)
    converse(server, peer)
    asked, performed = server._options.find(LinemodeAsked), peer._options.find(LinemodePerformed)
    assert server.is_on(LINEMODE, Side.HIM) is peer.is_on(LINEMODE, Side.US)
    if server.is_on(LINEMODE, Side.HIM):
        assert asked.mode == performed.mode
        assert asked._forwarding is performed._forwarding
    else:
        assert performed.mode == Mode(0)


@pytest.mark.parametrize("end", ["server", "client"])
@properties
@given(st.lists(st.binary(max_size=80), max_size=20))
def test_whatever_comes_is_answered_at_most_once_and_no_larger(
    end: str, payloads: list[bytes]
) -> None:
    core = telnet_server(WILL_LINEMODE) if end == "server" else performing()
    for payload in payloads:
        core.receive_data(sb(LINEMODE, payload), 0.0)
        sent = core.data_to_send()
        assert len(sent) <= len(sb(LINEMODE, payload)) + 3 * 30 + 3


def test_masks() -> None:
    assert mask_of(b"\0\x08") == b"\x80\x80"
    assert mask_of(b"") == b"\0"
    assert [code for code in range(300) if is_in(mask_of(b"\xff\x0a"), code)] == [10, 255]
