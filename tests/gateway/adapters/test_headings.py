"""Which lines stand under which heading, and when the last is closed."""

from __future__ import annotations

import pytest

from holdfast.core.items import Binary, Data, Formatted, Notice, Output, Prompt, Text
from holdfast.gateway.adapters.headings import ALL, Headings

SEEN, MISSED = "You may have seen this:", "You missed this:"
TEXT = Text("x")


def headings(maybe_delivered: int, missed: int) -> Headings:
    made = Headings(missed)
    made.maybe_delivered = maybe_delivered
    return made


@pytest.mark.parametrize(
    ("maybe_delivered", "missed", "above"),
    [
        (0, 0, ["", "", "", ""]),
        (1, 3, [SEEN, MISSED, "", ALL]),
        (2, 2, [SEEN, "", ALL, ""]),
        (0, 2, [MISSED, "", ALL, ""]),
        (3, 1, [SEEN, "", "", ALL]),
        (9, 9, [SEEN, "", "", ""]),
    ],
)
def test_a_heading_stands_before_the_first_of_its_lines(
    maybe_delivered: int, missed: int, above: list[str]
) -> None:
    made = headings(maybe_delivered, missed)
    assert [made.above(number, TEXT) for number in range(1, 5)] == above


@pytest.mark.parametrize(
    ("item", "line", "closes"),
    [
        (Text("x"), True, True),
        (Formatted("x", ()), True, True),
        (Notice("x"), True, True),
        (Prompt("> "), False, True),
        (Data("a", "1"), False, False),
        (Binary(b"x"), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_lines_have_a_heading_and_a_prompt_closes_it(
    item: Output, line: bool, closes: bool
) -> None:
    assert headings(0, 1).above(1, item) == (MISSED if line else "")
    made = headings(0, 1)
    made.above(1, TEXT)
    assert made.above(2, item) == (ALL if closes else "")


def test_it_is_over_once_all_is_shown_and_closed() -> None:
    made = headings(1, 2)
    assert not made.over(1)
    assert made.over(2), "nothing was shown that stands under a heading"
    made.above(2, TEXT)
    assert made.now == MISSED
    assert not made.over(2)
    made.above(3, TEXT)
    assert made.now == ""
    assert made.over(3)
    assert headings(2, 1).over(2)
    assert not headings(2, 1).over(1)
    assert Headings().over(0)


def test_a_snapshot_is_all_of_it() -> None:
    made = headings(1, 2)
    made.above(1, TEXT)
    restored = Headings.restore(made.snapshot())
    assert (restored.maybe_delivered, restored.missed, restored.now) == (1, 2, SEEN)
