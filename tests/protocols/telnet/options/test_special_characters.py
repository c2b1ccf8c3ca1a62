"""The special characters of LINEMODE (RFC 1184, section 2.4)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import properties

from holdfast.protocols.telnet.options.special_characters import (
    DECISIONS,
    SLC,
    Do,
    Level,
    Setting,
    Special,
    Support,
    Told,
)

NOSUPPORT, CANTCHANGE, VALUE, DEFAULT, ACK = 0, 1, 2, 3, 128
DEFAULTS: dict[int, Setting] = {
    SLC.IP: Setting(Level.VALUE, 3, 64),
    SLC.EC: Setting(Level.CANTCHANGE, 127),
}


def special() -> Special:
    return Special(DEFAULTS)


ANSWERS = {
    "a-value-is-taken": ((3, VALUE, 9), (3, VALUE | ACK, 9)),
    "what-flushes-comes-with-it": ((3, VALUE | 96, 9), (3, VALUE | 96 | ACK, 9)),
    "of-a-function-without-one": ((8, VALUE, 4), (8, VALUE | ACK, 4)),
    "that-cannot-be-changed": ((3, CANTCHANGE, 9), (3, CANTCHANGE | ACK, 9)),
    "the-same": ((3, VALUE, 3), ()),
    "no-support": ((3, NOSUPPORT, 0), (3, NOSUPPORT | ACK, 0)),
    "no-support-on-both-sides": ((8, NOSUPPORT, 0), ()),
    "our-default": ((3, DEFAULT, 0), (3, VALUE | 64, 3)),
    "a-default-that-we-have-not": ((8, DEFAULT, 0), (8, NOSUPPORT, 0)),
    "ours-is-fixed": ((10, VALUE, 8), (10, CANTCHANGE, 127)),
    "both-are-fixed": ((10, CANTCHANGE, 8), (10, NOSUPPORT, 0)),
    "both-are-fixed-to-the-same": ((10, CANTCHANGE, 127), ()),
    "acknowledged": ((3, VALUE | ACK, 3), ()),
    "acknowledged-otherwise": ((3, VALUE | ACK, 9), ()),
    "unknown-function": ((31, VALUE, 9), (31, NOSUPPORT, 0)),
    "unknown-function-without-support": ((200, NOSUPPORT, 0), ()),
    "half-a-triple": ((3, VALUE), ()),
    "nothing": ((), ()),
    "all-values": ((0, VALUE, 0), (3, VALUE | 64, 3, 10, CANTCHANGE, 127)),
    "all-defaults": ((3, VALUE, 9, 0, DEFAULT, 0), (3, VALUE | 64, 3, 10, CANTCHANGE, 127)),
    "one-answer-for-a-function": ((3, VALUE, 8, 3, VALUE, 9), (3, VALUE | ACK, 9)),
}


@pytest.mark.parametrize(("told", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_answers(told: tuple[int, ...], answer: tuple[int, ...]) -> None:
    assert special().receive(bytes(told)) == bytes(answer)


def test_the_clients_wish_holds_where_both_asked() -> None:
    """RFC 1184 section 5.5: both have asked for another value of the same function."""
    client, server = Special({SLC.EL: Setting(Level.VALUE, 21)}, is_client=True), Special({})
    wish = client.export()
    assert client.receive(bytes((11, VALUE, 8))) == bytes((11, VALUE | ACK, 8))
    assert client.receive(server.receive(wish)) == b""
    assert server.receive(bytes((11, VALUE | ACK, 8))) == b""
    assert client.setting(SLC.EL) == server.setting(SLC.EL) == (Level.VALUE, 21, 0)


def test_only_a_client_asks_for_all() -> None:
    assert Special(DEFAULTS, is_client=True).receive(bytes((0, VALUE, 0))) == b""


def test_it_goes_on_in_another_process() -> None:
    one, other = special(), Special({})
    one.receive(bytes((3, VALUE, 9, 8, VALUE, 4)))
    other.restore(one.export())
    assert other.export() == one.export()


settings = st.builds(
    Setting,
    st.sampled_from([Level.NOSUPPORT, Level.CANTCHANGE, Level.VALUE]),
    st.integers(0, 3),
    st.just(0),
)
tables = st.dictionaries(st.integers(1, 5), settings)


@properties
@given(tables, tables, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 3))))
def test_two_ends_fall_silent_and_agree(
    ours: dict[int, Setting], theirs: dict[int, Setting], asked: list[tuple[int, int, int]]
) -> None:
    a, b = Special(ours), Special(theirs)
    said = a.export() + b"".join(map(bytes, asked))
    for _ in range(6):
        said = a.receive(b.receive(said))
    assert said == b""
    if not asked:
        for function in ours:
            assert a.setting(function)[:2] == b.setting(function)[:2]


ACTIONS = {
    (Support.UNKNOWN, Told.CANTCHANGE): Do.REFUSE,
    (Support.UNKNOWN, Told.VALUE): Do.REFUSE,
    (Support.UNKNOWN, Told.DEFAULT): Do.REFUSE,
    (Support.CHANGEABLE, Told.CONFIRMED): Do.ADOPT,
    (Support.CHANGEABLE, Told.NOSUPPORT): Do.TAKE,
    (Support.CHANGEABLE, Told.CANTCHANGE): Do.TAKE,
    (Support.CHANGEABLE, Told.VALUE): Do.TAKE,
    (Support.CHANGEABLE, Told.DEFAULT): Do.RESET,
    (Support.FIXED, Told.NOSUPPORT): Do.TAKE,
    (Support.FIXED, Told.CANTCHANGE): Do.REFUSE,
    (Support.FIXED, Told.VALUE): Do.KEEP,
    (Support.FIXED, Told.DEFAULT): Do.RESET,
}


@pytest.mark.parametrize(("state", "given_"), list(product(Support, Told)))
def test_each_answer(state: Support, given_: Told) -> None:
    assert DECISIONS.step(state, given_) == (state, ACTIONS.get((state, given_), Do.NOTHING))
