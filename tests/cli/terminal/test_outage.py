"""What the line about a lost connection says, and when it changes."""

from __future__ import annotations

from holdfast.cli.terminal.outage import Outage


def test_it_counts_down() -> None:
    outage = Outage("the connection was lost", 10.0)
    outage.retry("the connection was lost", 12.5)
    lines = []
    now = 10.0
    for _ in range(4):
        lines.append(outage.line(now).rpartition("; ")[2])
        now += outage.pause(now)
    assert lines == [f"trying again{rest}" for rest in (" in 3 s", " in 2 s", " in 1 s", "")]
    assert 0 < outage.pause(12.499) <= 1
    outage.retry("refused", 20.0)
    assert (
        outage.line(19.5) == "--- cut off: the connection was lost (refused); trying again in 1 s"
    )
    assert outage.over(21.2) == "--- connected again after 11 s (the connection was lost)"
