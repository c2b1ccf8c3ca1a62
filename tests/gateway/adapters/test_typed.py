"""What the lines that a person types mean."""

from __future__ import annotations

import pytest

from holdfast.core.errors import Reason
from holdfast.core.items import Text
from holdfast.gateway.adapters.events import (
    Broken,
    Enter,
    Event,
    LoginGiven,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.gateway.adapters.typed import Asking, Typed

CODE = "ABCD-EFGH-JKMN"
RESUME = f"resume {CODE}"


def ready(asking: Asking = Asking.NOTHING, *, first: bool = False, offered: bool = False) -> Typed:
    """A client that has its session."""
    typed = Typed()
    typed.ready(Enter())
    typed.asking, typed.first, typed.offered = asking, first, offered
    return typed


@pytest.mark.parametrize(
    ("typed", "line", "secret", "meant"),
    [
        (ready(), "look", False, Text("look")),
        (ready(), RESUME, False, Text(RESUME)),
        (ready(first=True), RESUME, False, Enter(code=CODE)),
        (ready(first=True), RESUME, True, Enter(code=CODE)),
        (ready(first=True), "resume", False, Text("resume")),
        (ready(offered=True), "resume", False, ResumeOwn()),
        (ready(offered=True), "Resume ", False, ResumeOwn()),
        (ready(offered=True), "resume", True, Text("resume")),
        (ready(offered=True), "resume the quest", False, Text("resume the quest")),
        (ready(Asking.USERNAME), RESUME, False, Enter(code=CODE)),
        (ready(Asking.PASSWORD), RESUME, True, LoginGiven(password=RESUME)),
        (ready(Asking.PROFILE), " Knight ", False, ProfileWanted(name="Knight")),
    ],
)
def test_a_line_means(typed: Typed, line: str, secret: bool, meant: Event) -> None:
    assert typed.read(line, secret=secret) == meant
    assert not typed.first


def test_only_the_first_line_may_name_a_session_unasked() -> None:
    typed = ready(first=True)
    assert typed.read("look", secret=False) == Text("look")
    assert typed.read(RESUME, secret=False) == Text(RESUME)


def test_a_name_asks_for_the_password() -> None:
    typed = ready(Asking.USERNAME)
    assert typed.read(" ann ", secret=False) is None
    assert typed.asking.name == "PASSWORD"
    assert typed.read(" right ", secret=True) == LoginGiven("ann", " right ")
    assert typed.asking.name == "UNKNOWN"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("1", ProfileWanted(id="p1")),
        ("2", ProfileWanted(id="p2")),
        ("0", ProfileWanted(name="0")),
        ("3", ProfileWanted(name="3")),
        ("1" * 5_000, ProfileWanted(name="1" * 5_000)),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_profile_is_chosen_by_its_number(answer: str, wanted: ProfileWanted) -> None:
    typed = ready(Asking.PROFILE)
    typed.profiles = ("p1", "p2")
    assert typed.read(answer, secret=False) == wanted


def test_what_comes_before_the_client_is_ready_is_read_behind() -> None:
    typed = Typed()
    assert [typed.read(line, secret=False) for line in (RESUME, "look")] == [None, None]
    assert typed.ready(Enter()) == (Enter(code=CODE, or_new=True), ["look"])
    assert not typed.first


def test_what_is_typed_ahead_waits_for_its_question_and_is_bounded() -> None:
    typed = ready(Asking.UNKNOWN)
    assert typed.read("look", secret=False) is None
    assert typed.take_ahead() == ()
    typed.asking = Asking.NOTHING
    assert typed.take_ahead() == ["look"]
    assert typed.take_ahead() == ()
    typed.asking = Asking.UNKNOWN
    line = "x" * (1024 - 32)
    assert [typed.read(line, secret=False) for _ in range(128)] == [None] * 128
    assert typed.read("x", secret=False) == Broken(Reason.FLOOD, "too much was typed ahead")
