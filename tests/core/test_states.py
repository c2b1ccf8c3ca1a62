from enum import Enum, auto

import pytest

from holdfast.core.states import Machine, Step, Table, UndefinedTransitionError, to


class Light(Enum):
    RED = auto()
    GREEN = auto()


class Press(Enum):
    GO = auto()
    STOP = auto()


LIGHT: Table[Light, Press, str] = Table(
    "light",
    Light,
    Press,
    {
        Light.RED: {Press.GO: Step(Light.GREEN, "drive"), Press.STOP: None},
        Light.GREEN: {Press.GO: None, Press.STOP: Step(Light.RED, "halt")},
    },
)


def test_a_step_gives_the_next_state_and_the_output() -> None:
    light = Machine(LIGHT, Light.RED)
    assert light.apply(Press.GO) == "drive"
    assert light.state is Light.GREEN


def test_a_forbidden_input_names_both_and_changes_nothing() -> None:
    light = Machine(LIGHT, Light.RED)
    assert not light.allows(Press.STOP)
    with pytest.raises(UndefinedTransitionError, match="light: STOP is not allowed in state RED"):
        light.apply(Press.STOP)
    assert light.state is Light.RED


def test_a_table_with_a_hole_is_refused_when_it_is_built() -> None:
    with pytest.raises(ValueError, match="half: no cell for STOP in state RED"):
        Table("half", Light, Press, {Light.RED: {Press.GO: to(Light.GREEN)}})


def test_an_error_has_the_state_and_the_input() -> None:
    with pytest.raises(UndefinedTransitionError) as caught:
        LIGHT.step(Light.GREEN, Press.GO)
    assert (caught.value.state, caught.value.input) == (Light.GREEN, Press.GO)


def test_a_table_can_be_walked() -> None:
    assert (LIGHT.name, LIGHT.states, LIGHT.inputs) == ("light", Light, Press)
    allowed = {(s, i) for s in LIGHT.states for i in LIGHT.inputs if LIGHT.allows(s, i)}
    assert allowed == {(Light.RED, Press.GO), (Light.GREEN, Press.STOP)}


def test_a_cell_may_only_change_the_state() -> None:
    assert to(Light.GREEN) == (Light.GREEN, None)
    with pytest.raises(ValueError, match="half: no cell for GO in state GREEN"):
        Table("half", Light, Press, {Light.RED: dict.fromkeys(Press, to(Light.RED))})
