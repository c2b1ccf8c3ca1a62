"""START_TLS: the agreement, in any split, and both roles against each other."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import LIMITS, cut, cuts, properties, sb, wire

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet.codes import DO, DONT, IAC, NAWS, NOP, SB, START_TLS, WILL, WONT
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.start_tls import UPGRADE, Heard, StartTls, Upgrade

ASK = wire(IAC, DO, START_TLS)
AGREE = wire(IAC, WILL, START_TLS)
REFUSE = wire(IAC, WONT, START_TLS)
FOLLOWS = sb(START_TLS, 1)
HELLO = b"\x16\x03\x01\x00\xf0 a ClientHello \xff\xff"
NAWS_WILL = wire(IAC, WILL, NAWS)
LINE = b"look\r\n"

# What a client sends; how that ends; what is left; whether we say FOLLOWS.
TRANSCRIPTS = {
    "agrees": (AGREE + FOLLOWS, Upgrade.TLS, b"", True),
    "agrees-and-begins": (AGREE + FOLLOWS + HELLO, Upgrade.TLS, HELLO, True),
    "clear-text-behind-follows-goes-to-tls": (
        AGREE + FOLLOWS + LINE, Upgrade.TLS, LINE, True,
    ),
    "clear-text-before-is-discarded": (
        NAWS_WILL + b"look" + AGREE + LINE + FOLLOWS + HELLO, Upgrade.TLS, HELLO, True,
    ),
    "agrees-twice": (AGREE + AGREE + FOLLOWS + HELLO, Upgrade.TLS, HELLO, True),
    "follows-first": (FOLLOWS + AGREE + FOLLOWS, Upgrade.TLS, b"", True),
    "follows-in-other-words": (
        AGREE + sb(START_TLS, 2) + sb(START_TLS) + sb(NAWS, 1) + FOLLOWS, Upgrade.TLS, b"", True,
    ),
    "refuses": (REFUSE, Upgrade.PLAIN, b"", False),
    "refuses-among-others": (
        NAWS_WILL + REFUSE + LINE, Upgrade.PLAIN, NAWS_WILL + LINE, False,
    ),
    "types-a-line": (b"lo" + LINE + LINE, Upgrade.PLAIN, b"lo" + LINE + LINE, False),
    "agrees-and-takes-it-back": (AGREE + REFUSE, Upgrade.BROKEN, b"", True),
    "half-a-token": (wire(IAC, WILL), Upgrade.ASKED, b"", False),
    "half-a-line": (b"loo", Upgrade.ASKED, b"", False),
}  # fmt: skip


def heard(pieces: list[bytes], side: Side = Side.HIM, limits: TelnetLimits = LIMITS) -> StartTls:
    core = StartTls(limits, side)
    for number, piece in enumerate(pieces):
        core.receive_data(piece)
        if core.decided:
            core.rest += b"".join(pieces[number + 1 :])
            break
    return core


@pytest.mark.parametrize(
    ("data", "state", "rest", "follows"), TRANSCRIPTS.values(), ids=TRANSCRIPTS
)
@properties
@given(cuts)
def test_transcripts_in_any_split(
    data: bytes, state: Upgrade, rest: bytes, follows: bool, places: list[int]
) -> None:
    core = heard(cut(data, places))
    assert core.state is state
    assert core.data_to_send() == ASK + FOLLOWS * follows
    if core.decided:
        assert core.rest == rest


def test_silence() -> None:
    core = heard([b"loo" + wire(IAC)])
    core.give_up()
    assert (core.state, core.rest) == (Upgrade.PLAIN, b"loo" + wire(IAC))
    agreed = heard([AGREE])
    agreed.give_up()
    assert agreed.state is Upgrade.BROKEN


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"x" * 5_000, id="text"),
        pytest.param(wire(IAC, NOP) * 2_500, id="commands"),
        pytest.param(wire(IAC, SB, NAWS) + b"x" * 5_000, id="a-subnegotiation-without-end"),
    ],
)
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_peer_that_goes_on_is_served_in_the_clear(data: bytes, size: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    core = heard(pieces)
    assert (core.state, core.rest) == (Upgrade.PLAIN, data)


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"x" * 100, id="text"),
        pytest.param(wire(IAC, NOP) * 50, id="commands"),
        pytest.param(AGREE * 30, id="agreements"),
        pytest.param(sb(NAWS, b"x" * 90), id="subnegotiations"),
    ],
)
@pytest.mark.parametrize("side", Side)
def test_a_peer_that_agrees_and_goes_on_is_left(flood: bytes, side: Side) -> None:
    agrees = AGREE if side is Side.HIM else ASK
    core = StartTls(LIMITS, side)
    core.receive_data(agrees)
    sent = 0
    while not core.decided:
        core.receive_data(flood)
        sent += len(flood)
        assert sent <= LIMITS.start_tls_bytes_max + len(flood)
    assert (core.state, core.rest) == (Upgrade.BROKEN, b"")


def test_a_peer_that_goes_on_with_half_an_agreement_is_served_in_the_clear() -> None:
    core = heard([FOLLOWS * 100] * 10)
    assert core.state is Upgrade.PLAIN


def test_a_server_may_still_greet_after_it_has_agreed() -> None:
    greeting = b"x" * (LIMITS.start_tls_bytes_max - 10)
    core = heard([ASK, greeting, FOLLOWS + HELLO], Side.US)
    assert (core.state, core.rest) == (Upgrade.TLS, HELLO)


@pytest.mark.parametrize("before", [b"", AGREE])
def test_what_is_kept_is_bounded(before: bytes) -> None:
    core = StartTls(LIMITS, Side.HIM)
    core.receive_data(before + wire(IAC, SB, NAWS))
    for _ in range(10_000):
        if core.decided:
            break
        core.receive_data(b"x" * 100)
    assert len(core._kept) + len(core._partial) <= LIMITS.start_tls_bytes_max + 100


def test_a_server_may_greet_a_client_before_it_answers() -> None:
    core = heard(
        [b"Welcome\r\n" + wire(IAC, DO, NAWS), wire(IAC, DONT, START_TLS) + b"Name: "], Side.US
    )
    assert core.data_to_send() == AGREE
    assert (core.state, core.rest) == (
        Upgrade.PLAIN, b"Welcome\r\n" + wire(IAC, DO, NAWS) + b"Name: ",
    )  # fmt: skip


@properties
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=30), st.binary(max_size=20))
def test_both_roles_agree_in_any_interleaving(steps: list[tuple[bool, int]], typed: bytes) -> None:
    server, client = StartTls(LIMITS, Side.HIM), StartTls(LIMITS, Side.US)
    ways = {True: (client, server), False: (server, client)}
    waiting = {True: b"", False: b""}
    for to_server, count in [*steps, *[(True, 99), (False, 99)] * 4]:
        sender, receiver = ways[to_server]
        waiting[to_server] += sender.data_to_send()
        if not receiver.decided:
            receiver.receive_data(waiting[to_server][:count])
            waiting[to_server] = waiting[to_server][count:]
    assert server.state is client.state is Upgrade.TLS
    assert server.rest == client.rest == b""
    assert not any(waiting.values())


@pytest.mark.parametrize(("state", "given_"), list(product(Upgrade, Heard)))
def test_decisions_are_final(state: Upgrade, given_: Heard) -> None:
    assert UPGRADE.allows(state, given_) is (state in (Upgrade.ASKED, Upgrade.AGREED))
