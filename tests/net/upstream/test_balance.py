from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from holdfast.net.upstream.balance import Balance, Balancer, make_balancer


class One(Struct):
    name: str
    weight: int = 1
    active: int = 0


def choices(balancer: Balancer, usable: Sequence[One], count: int) -> str:
    return "".join(balancer.choose(usable, f"client {number}").name for number in range(count))


def make(balance: Balance, all_: Sequence[One], seed: int = 1) -> Balancer:
    return make_balancer(balance, all_, Random(seed).randrange)


TURNS = {
    "one": ([One("a")], "aaaa"),
    "two": ([One("a"), One("b")], "abab"),
    "three": ([One("a"), One("b"), One("c")], "abcabc"),
    "by-weight-and-mixed": ([One("a", 3), One("b")], "aabaaaba"),
    "heavier": ([One("a", 5), One("b"), One("c")], "aabacaa"),
}


@pytest.mark.parametrize(("all_", "expected"), TURNS.values(), ids=TURNS)
def test_round_robin(all_: list[One], expected: str) -> None:
    assert choices(make(Balance.ROUND_ROBIN, all_), all_, len(expected)) == expected


def test_round_robin_goes_on_with_those_that_are_left() -> None:
    a, b, c = all_ = [One("a"), One("b"), One("c")]
    balancer = make(Balance.ROUND_ROBIN, all_)
    assert choices(balancer, [a, b, c], 2) == "ab"
    assert choices(balancer, [a, c], 7) == "ccacaca"  # it was the turn of c: it is not forgotten


LOADS = {
    "the-least": ([One("a", active=2), One("b", active=1)], "bbb"),
    "equal-in-turn": ([One("a", active=1), One("b", active=1)], "aba"),
    "by-weight": ([One("a", 4, active=3), One("b", 1, active=1)], "aaa"),
    "the-busy-one-is-left-out": (
        [One("a", active=1), One("b", active=9), One("c", active=1)],
        "acac",
    ),
}


@pytest.mark.parametrize(("all_", "expected"), LOADS.values(), ids=LOADS)
def test_least_connections(all_: list[One], expected: str) -> None:
    assert choices(make(Balance.LEAST_CONNECTIONS, all_), all_, len(expected)) == expected


def test_least_connections_fills_evenly() -> None:
    all_ = [One("a", 2), One("b"), One("c")]
    balancer = make(Balance.LEAST_CONNECTIONS, all_)
    for _ in range(40):
        balancer.choose(all_, "").active += 1
    assert [one.active for one in all_] == [20, 10, 10]


def test_random_of_two_never_takes_the_busiest() -> None:
    all_ = [One("a", active=5), One("b", active=4), One("c", active=3)]
    chosen = Counter(choices(make(Balance.RANDOM_OF_TWO, all_), all_, 300))
    assert set(chosen) == {"b", "c"}
    assert chosen["c"] > chosen["b"]  # it wins two pairs of three


def test_random_of_two_keeps_the_load_close() -> None:
    all_ = [One(name) for name in "abcdefgh"]
    balancer = make(Balance.RANDOM_OF_TWO, all_)
    for _ in range(800):
        balancer.choose(all_, "").active += 1
    loads = [one.active for one in all_]
    assert max(loads) - min(loads) <= 6


@given(st.integers(2, 8), st.randoms(use_true_random=False))
def test_random_of_two_draws_two_different_ones(count: int, random: Random) -> None:
    all_ = [One(str(number), active=number) for number in range(count)]
    balancer = make_balancer(Balance.RANDOM_OF_TWO, all_, random.randrange)
    assert balancer.choose(all_, "").active < count - 1


def test_a_client_stays_with_its_server() -> None:
    all_ = [One(name) for name in "abcde"]
    first = choices(make(Balance.HASH, all_), all_, 200)
    assert choices(make(Balance.HASH, all_), list(reversed(all_)), 200) == first
    assert set(first) == set("abcde")


def test_only_the_clients_of_a_server_that_goes_move_and_to_all_others() -> None:
    all_ = [One(name) for name in "abcde"]
    balancer = make(Balance.HASH, all_)
    before = choices(balancer, all_, 1000)
    after = choices(balancer, [one for one in all_ if one.name != "c"], 1000)
    moved = {new for old, new in zip(before, after, strict=True) if old != new}
    assert all(old == new for old, new in zip(before, after, strict=True) if old != "c")
    assert moved == set("abde")


def test_a_heavier_server_has_more_of_the_ring() -> None:
    all_ = [One("a", 3), One("b", 1)]
    chosen = Counter(choices(make(Balance.HASH, all_), all_, 4000))
    assert 0.65 < chosen["a"] / 4000 < 0.85


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(Balance),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), min_size=1, max_size=6),
    st.data(),
)
def test_what_is_chosen_is_usable(
    balance: Balance, servers: list[tuple[int, int]], data: st.DataObject
) -> None:
    all_ = [One(str(i), weight, active) for i, (weight, active) in enumerate(servers)]
    balancer = make(balance, all_)
    for number in range(10):
        usable = data.draw(st.lists(st.sampled_from(all_), min_size=1, unique_by=id))
        assert balancer.choose(usable, str(number)) in usable
