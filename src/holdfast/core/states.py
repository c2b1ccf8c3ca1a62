"""State machines as total tables.

A machine is a grid: a row for each state, a cell for each input. A cell is a `Step` (the next
state, and an action as a value) or `None` for a forbidden input. Each cell must be written:
building a grid with a missing cell fails, so a forgotten case cannot be confused with a
forbidden one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from holdfast.core.errors import HoldfastError, Source

S = TypeVar("S", bound=Enum)
I = TypeVar("I", bound=Enum)  # noqa: E741 - an input
O = TypeVar("O")  # noqa: E741 - an output


class Step(NamedTuple, Generic[S, O]):
    """One cell of a table: the next state, and the action of the transition."""

    state: S
    output: O


class UndefinedTransitionError(HoldfastError):
    """A machine was given an input that its state forbids."""

    source = Source.INTERNAL

    def __init__(self, table: str, state: Enum, given: Enum) -> None:
        super().__init__(f"{table}: {given.name} is not allowed in state {state.name}")
        self.state = state
        self.input = given


class Table(Generic[S, I, O]):
    """A total transition table.

    `cells` has a row for each member of `states`, each with a cell for each
    member of `inputs`. Raises `ValueError` naming the first hole.
    """

    __slots__ = ("_cells", "inputs", "name", "states")

    def __init__(
        self,
        name: str,
        states: type[S],
        inputs: type[I],
        cells: Mapping[S, Mapping[I, Step[S, O] | None]],
    ) -> None:
        self.name = name
        self.states = states
        self.inputs = inputs
        self._cells: dict[tuple[S, I], Step[S, O] | None] = {}
        for state in states:
            for given in inputs:
                if state not in cells or given not in cells[state]:
                    raise ValueError(f"{name}: no cell for {given.name} in state {state.name}")
                self._cells[state, given] = cells[state][given]

    def step(self, state: S, given: I) -> Step[S, O]:
        """The cell for `given` in `state`. Raises `UndefinedTransitionError` if forbidden."""
        step = self._cells[state, given]
        if step is None:
            raise UndefinedTransitionError(self.name, state, given)
        return step

    def allows(self, state: S, given: I) -> bool:
        """Whether `given` is allowed in `state`."""
        return self._cells[state, given] is not None


class Machine(Generic[S, I, O]):
    """A table and the state that one thing is in."""

    __slots__ = ("state", "table")

    def __init__(self, table: Table[S, I, O], state: S) -> None:
        self.table = table
        self.state = state

    def apply(self, given: I) -> O:
        """Take the step for `given` and return its output.

        Raises `UndefinedTransitionError`, and stays where it was, when the
        state forbids the input.
        """
        self.state, output = self.table.step(self.state, given)
        return output

    def allows(self, given: I) -> bool:
        """Whether `given` is allowed now."""
        return self.table.allows(self.state, given)


def to(state: S) -> Step[S, None]:
    """A cell that only changes the state."""
    return Step(state, None)
