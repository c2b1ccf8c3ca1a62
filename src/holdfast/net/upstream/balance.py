"""Load balancing: the choice of the next server. Decisions only: no clock, and randomness as an
argument."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Protocol, TypeVar


class Candidate(Protocol):
    """A server, as the balancer sees it."""

    @property
    def name(self) -> str:
        """Unique among the servers of one upstream."""

    @property
    def weight(self) -> int:
        """Its share, in relation to the others': 1 or more."""

    @property
    def active(self) -> int:
        """Its open connections."""


C = TypeVar("C", bound=Candidate)


class Balance(Enum):
    """The ways to choose. The value is its name in a configuration."""

    ROUND_ROBIN = "round_robin"
    """One after the other."""
    LEAST_CONNECTIONS = "least_connections"
    """The server with the fewest open connections for its weight."""
    RANDOM_OF_TWO = "random_of_two"
    """The less busy of two drawn at random: as good, where several gateways choose."""
    HASH = "hash"
    """The same for the same client, as long as it can be used."""


class Balancer(Protocol):
    """One way to choose."""

    def choose(self, usable: Sequence[C], key: str) -> C:
        """One of `usable`, which is not empty. `key` names the client."""


class RoundRobin:
    """In turn, by weight, and evenly mixed: weights 3 and 1 give A A B A, never A A A B twice.

    Each gains its weight; who has most is chosen, and pays what all have gained.
    """

    def __init__(self) -> None:
        self._gained: dict[str, int] = {}

    def choose(self, usable: Sequence[C], key: str) -> C:
        gained = {one.name: self._gained.get(one.name, 0) + one.weight for one in usable}
        chosen = max(usable, key=lambda one: gained[one.name])
        gained[chosen.name] -= sum(one.weight for one in usable)
        self._gained = gained
        return chosen


class LeastConnections:
    """The least busy; those that are equally busy, in turn."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def choose(self, usable: Sequence[C], key: str) -> C:
        least = min(_load(one) for one in usable)
        return self._turns.choose([one for one in usable if _load(one) == least], key)


class RandomOfTwo:
    """The less busy of two. `draw(n)` gives a random number from 0 to n - 1."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def choose(self, usable: Sequence[C], key: str) -> C:
        if len(usable) == 1:
            return usable[0]
        first = self._draw(len(usable))
        second = self._draw(len(usable) - 1)
        second += second >= first  # never the same twice
        return min(usable[first], usable[second], key=_load)


_POINTS: Final = 100
"""Of one server on the ring, for each unit of its weight."""


class ConsistentHash:
    """Choose the server after the client's position on a ring."""

    def __init__(self, all_: Sequence[Candidate]) -> None:
        ring = sorted(
            (_place(f"{one.name}#{point}"), one.name)
            for one in all_
            for point in range(_POINTS * one.weight)
        )
        self._places = [place for place, _ in ring]
        self._names = [name for _, name in ring]

    def choose(self, usable: Sequence[C], key: str) -> C:
        by_name = {one.name: one for one in usable}
        start = bisect_right(self._places, _place(key))
        for step in range(len(self._names)):
            found = by_name.get(self._names[(start + step) % len(self._names)])
            if found is not None:
                return found
        raise AssertionError("none of the usable servers is on the ring")


def make_balancer(
    balance: Balance, all_: Sequence[Candidate], draw: Callable[[int], int]
) -> Balancer:
    """What chooses among `all_` in this way."""
    match balance:
        case Balance.ROUND_ROBIN:
            return RoundRobin()
        case Balance.LEAST_CONNECTIONS:
            return LeastConnections()
        case Balance.RANDOM_OF_TWO:
            return RandomOfTwo(draw)
        case Balance.HASH:
            return ConsistentHash(all_)


def _load(one: Candidate) -> float:
    return one.active / one.weight


def _place(text: str) -> int:
    """A place on the ring, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
