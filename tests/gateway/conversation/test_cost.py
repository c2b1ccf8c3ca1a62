"""What an event counts for in the rate of commands."""

from __future__ import annotations

import pytest

from holdfast.core.items import Binary, Data, Interrupt, Resized, Text
from holdfast.core.limits import SessionLimits
from holdfast.gateway.adapters.events import Event, Numbered
from holdfast.gateway.conversation.cost import cost_of

LIMITS = SessionLimits(bytes_per_command_max=100, command_lines_max=7, command_burst_max=20)


@pytest.mark.parametrize(
    ("event", "cost"),
    [
        (Text(""), 1),
        (Text("x" * 100), 1),
        (Text("x" * 101), 2),
        (Text("😀" * 25), 1),
        (Text("😀" * 26), 2),
        (Text("x" * 9_999), 20),  # else its turn would never come
        (Text("a\n"), 1),
        (Text("a\nb\rc\r\nd"), 4),
        (Text("\n" * 50), 7),
        (Text("\n".join("x" * 98 for _ in range(3))), 3),
        (Text("\n".join("x" * 198 for _ in range(3))), 6),
        (Numbered(1, Text("x" * 301)), 4),
        (Numbered(1, Text("look")), 1),
        (Binary(bytes(250)), 3),
        (Data("A", "1" * 250), 3),
        (Interrupt(), 1),
        (Resized(80, 24), 1),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, int) else None,
)
def test_a_command_counts_for_its_lines_and_its_bytes(event: Event, cost: int) -> None:
    assert cost_of(event, LIMITS) == cost
