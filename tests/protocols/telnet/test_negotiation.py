"""RFC 1143: the Q method, by its own text and by what it promises."""

from __future__ import annotations

from collections import deque
from itertools import product

import pytest

from holdfast.protocols.telnet.codes import DO, DONT, WILL, WONT
from holdfast.protocols.telnet.negotiation import (
    HEARD,
    Q_METHOD,
    VERBS,
    Given,
    Heard,
    OptionStates,
    Q,
    Say,
    Side,
)

# RFC 1143 section 7, "Upon receipt of WILL", "... WONT", "If we decide to ask him to enable",
# "... disable", and the same with us for him.
RFC = """
given        state            next             say
AGREED_ON    NO               YES              ON
AGREED_ON    YES              YES              NOTHING
AGREED_ON    WANTNO_EMPTY     NO               ERROR
AGREED_ON    WANTNO_OPPOSITE  YES              ERROR
AGREED_ON    WANTYES_EMPTY    YES              NOTHING
AGREED_ON    WANTYES_OPPOSITE WANTNO_EMPTY     OFF
UNWANTED_ON  NO               NO               OFF
UNWANTED_ON  YES              YES              NOTHING
UNWANTED_ON  WANTNO_EMPTY     NO               ERROR
UNWANTED_ON  WANTNO_OPPOSITE  YES              ERROR
UNWANTED_ON  WANTYES_EMPTY    YES              NOTHING
UNWANTED_ON  WANTYES_OPPOSITE WANTNO_EMPTY     OFF
OFF          NO               NO               NOTHING
OFF          YES              NO               OFF
OFF          WANTNO_EMPTY     NO               NOTHING
OFF          WANTNO_OPPOSITE  WANTYES_EMPTY    ON
OFF          WANTYES_EMPTY    NO               NOTHING
OFF          WANTYES_OPPOSITE NO               NOTHING
ASK_ON       NO               WANTYES_EMPTY    ON
ASK_ON       YES              YES              NOTHING
ASK_ON       WANTNO_EMPTY     WANTNO_OPPOSITE  NOTHING
ASK_ON       WANTNO_OPPOSITE  WANTNO_OPPOSITE  NOTHING
ASK_ON       WANTYES_EMPTY    WANTYES_EMPTY    NOTHING
ASK_ON       WANTYES_OPPOSITE WANTYES_EMPTY    NOTHING
ASK_OFF      NO               NO               NOTHING
ASK_OFF      YES              WANTNO_EMPTY     OFF
ASK_OFF      WANTNO_EMPTY     WANTNO_EMPTY     NOTHING
ASK_OFF      WANTNO_OPPOSITE  WANTNO_EMPTY     NOTHING
ASK_OFF      WANTYES_EMPTY    WANTYES_OPPOSITE NOTHING
ASK_OFF      WANTYES_OPPOSITE WANTYES_OPPOSITE NOTHING
"""

ROWS = {
    (Q[state], Given[given]): (Q[after], Say[say])
    for given, state, after, say in map(str.split, RFC.strip().splitlines()[1:])
}


@pytest.mark.parametrize(("state", "given"), list(product(Q, Given)))
def test_each_cell_is_the_rfcs(state: Q, given: Given) -> None:
    assert tuple(Q_METHOD.step(state, given)) == ROWS[state, given]


WAITING = (Q.WANTNO_EMPTY, Q.WANTNO_OPPOSITE, Q.WANTYES_EMPTY, Q.WANTYES_OPPOSITE)


@pytest.mark.parametrize(("state", "given"), list(product(WAITING, (Given.ASK_ON, Given.ASK_OFF))))
def test_no_second_request_while_one_is_outstanding(state: Q, given: Given) -> None:
    after, say = Q_METHOD.step(state, given)
    assert say is Say.NOTHING
    assert after in WAITING


@pytest.mark.parametrize(
    ("state", "given"), list(product(Q, (Given.AGREED_ON, Given.UNWANTED_ON, Given.OFF)))
)
def test_what_changes_nothing_is_not_answered(state: Q, given: Given) -> None:
    after, say = Q_METHOD.step(state, given)
    if after is state and not (state is Q.NO and given is Given.UNWANTED_ON):
        assert say is Say.NOTHING


def test_verbs_mean_what_the_rfc_says() -> None:
    assert {
        WILL: Heard(Side.HIM, True),
        WONT: Heard(Side.HIM, False),
        DO: Heard(Side.US, True),
        DONT: Heard(Side.US, False),
    } == HEARD
    assert VERBS == {
        (Side.US, Say.ON): WILL,
        (Side.US, Say.OFF): WONT,
        (Side.HIM, Say.ON): DO,
        (Side.HIM, Say.OFF): DONT,
    }


World = tuple[tuple[Q, Q], tuple[tuple[Say, ...], tuple[Say, ...]], int]
"""Both machines; what is on its way to each; how often somebody may still ask."""

ASKS = 5


def ask(world: World, who: int, given: Given) -> World:
    return step((world[0], world[1], world[2] - 1), who, given)


def deliver(world: World, who: int, agrees: tuple[bool, bool]) -> World:
    states, (to_0, to_1), asks = world
    heard = (to_0, to_1)[who][0]
    rest = (to_0[1:], to_1) if who == 0 else (to_0, to_1[1:])
    on = Given.AGREED_ON if agrees[who] else Given.UNWANTED_ON
    return step((states, rest, asks), who, on if heard is Say.ON else Given.OFF)


def step(world: World, who: int, given: Given) -> World:
    (a, b), (to_0, to_1), asks = world
    after, say = Q_METHOD.step((a, b)[who], given)
    assert say is not Say.ERROR, world
    states = (after, b) if who == 0 else (a, after)
    if say is not Say.NOTHING:
        to_0, to_1 = (to_0, (*to_1, say)) if who == 0 else ((*to_0, say), to_1)
    # One request and one answer each way at most: it is finite, and it cannot loop.
    assert len(to_0) <= 2, world
    assert len(to_1) <= 2, world
    return states, (to_0, to_1), asks


def successors(world: World, agrees: tuple[bool, bool]) -> list[World]:
    _, waiting, asks = world
    worlds = [deliver(world, who, agrees) for who in (0, 1) if waiting[who]]
    for who in (0, 1):
        if asks and agrees[who]:
            worlds += [ask(world, who, given) for given in (Given.ASK_ON, Given.ASK_OFF)]
    return worlds


def assert_it_ends(world: World, agrees: tuple[bool, bool]) -> None:
    for _ in range(8):
        if not any(world[1]):
            return
        world = deliver(world, 0 if world[1][0] else 1, agrees)
    raise AssertionError(f"they talk for ever: {world}")


@pytest.mark.parametrize("agrees", [(True, True), (True, False), (False, True)], ids=str)
def test_two_machines_agree_in_every_interleaving(agrees: tuple[bool, bool]) -> None:
    """In every world that five asks can lead to, talk ends, and in silence both agree."""
    start: World = ((Q.NO, Q.NO), ((), ()), ASKS)
    seen = {start}
    waiting = deque([start])
    quiet = 0
    while waiting:
        world = waiting.popleft()
        (a, b), on_the_way, _ = world
        if not any(on_the_way):
            quiet += 1
            assert {a, b} in ({Q.YES}, {Q.NO}), world
        for following in successors(world, agrees):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
        assert_it_ends(world, agrees)
    assert quiet > ASKS


@pytest.mark.parametrize("state", [Q.NO, Q.YES])
@pytest.mark.parametrize("agrees", [(True, True), (True, False)], ids=str)
@pytest.mark.parametrize("answered", range(ASKS), ids=lambda count: f"{count}-answered-between")
def test_what_is_asked_last_is_what_holds(
    agrees: tuple[bool, bool], state: Q, answered: int
) -> None:
    for wishes in product((Given.ASK_ON, Given.ASK_OFF), repeat=ASKS):
        world: World = ((state, state), ((), ()), ASKS)
        for number, wish in enumerate(wishes):
            world = ask(world, 0, wish)
            if number < answered and any(world[1]):
                world = deliver(world, 0 if world[1][0] else 1, agrees)
        while any(world[1]):
            world = deliver(world, 0 if world[1][0] else 1, agrees)
        kept = state is Q.YES and Given.ASK_OFF not in wishes  # nobody was asked anything
        wanted = wishes[-1] is Given.ASK_ON and (all(agrees) or kept)
        assert world[0] == ((Q.YES, Q.YES) if wanted else (Q.NO, Q.NO))


def test_the_states_of_options_and_sides_are_apart() -> None:
    states = OptionStates(3)
    states.apply(1, Side.HIM, Given.AGREED_ON)
    states.apply(2, Side.US, Given.ASK_ON)
    assert {(option, side): states.state(option, side) for option in range(3) for side in Side} == {
        (0, Side.US): Q.NO,
        (0, Side.HIM): Q.NO,
        (1, Side.US): Q.NO,
        (1, Side.HIM): Q.YES,
        (2, Side.US): Q.WANTYES_EMPTY,
        (2, Side.HIM): Q.NO,
    }
    assert states.is_on(1, Side.HIM)
    assert not states.is_on(2, Side.US)
