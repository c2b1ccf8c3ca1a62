"""Which lines stand under which heading."""

from __future__ import annotations

from holdfast.core.items import Data, Output, Prompt, Text
from holdfast.gateway.adapters.headings import Headings

SEEN, MISSED, ALL = "You may have seen this:", "You missed this:", "That was all."


def told(headings: Headings, *items: Output) -> list[str]:
    return [headings.above(number, item) for number, item in enumerate(items, 1)]


def test_each_heading_is_told_once_and_the_last_is_closed() -> None:
    headings = Headings(missed=4)
    headings.maybe_delivered = 2
    lines = [Text(str(number)) for number in range(1, 7)]
    assert told(headings, *lines) == [SEEN, "", MISSED, "", ALL, ""]


def test_only_lines_are_worth_a_heading_and_a_prompt_closes_it() -> None:
    headings = Headings(missed=2)
    assert told(headings, Data("p", "{}"), Text("a"), Data("p", "{}"), Prompt("> ")) == [
        "",
        MISSED,
        "",
        ALL,
    ]


def test_they_are_over_with_the_last_line_that_was_missed() -> None:
    headings = Headings(missed=2)
    assert not headings.over(1)
    assert headings.over(2)
    headings.above(2, Text("a"))
    assert not headings.over(2)  # it is still to be closed
    headings.above(3, Text("b"))
    assert headings.over(3)
