"""What waits for a handler that hangs: all commands, and of all else what still holds."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.app.mailbox import put
from holdfast.core.items import Resized, Text
from holdfast.link import messages as m
from holdfast.sessions.records import Capabilities

GONE, BACK, MISSED = m.Detached("network_error"), m.Resumed("telnet", "x"), m.Resync("trimmed")
SMALL, LARGE = Resized(80, 24), Resized(200, 50)


def waiting(events: list[m.Event | str]) -> list[m.Event | str]:
    """What waits once these have come; a `str` is a command."""
    mailbox: deque[m.SessionEvent] = deque()
    for number, event in enumerate(events, 1):
        if isinstance(event, str):
            mailbox.append(m.SessionEvent("s", number, Text(event)))
        else:
            put(mailbox, m.SessionEvent("s", 0, event))
    return [e.event.text if isinstance(e.event, Text) else e.event for e in mailbox]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([SMALL, "a", LARGE, "b", SMALL], ["a", "b", SMALL]),
        (
            [
                m.CapabilitiesChanged(Capabilities()),
                LARGE,
                m.CapabilitiesChanged(Capabilities("x")),
            ],
            [LARGE, m.CapabilitiesChanged(Capabilities("x"))],
        ),
        ([GONE, BACK], [GONE, BACK]),
        ([GONE, "a", BACK, "b", GONE], ["a", "b", GONE]),
        ([BACK, GONE, BACK], [BACK]),
        ([GONE, BACK, GONE, BACK, GONE], [GONE]),
        ([GONE, MISSED, GONE, BACK], [GONE, MISSED, GONE, BACK]),
        ([GONE, MISSED, GONE, MISSED], [GONE, MISSED]),
        ([GONE, BACK, GONE, MISSED], [GONE, MISSED]),
        ([MISSED, BACK, MISSED, BACK, MISSED], [MISSED]),
        ([MISSED, BACK, GONE, MISSED, GONE], [MISSED, GONE]),
        ([GONE, m.Closed("timeout")], [GONE, m.Closed("timeout")]),
    ],
    ids=str,
)
def test_what_a_newer_event_makes_needless_is_not_told(
    events: list[m.Event | str], left: list[m.Event | str]
) -> None:
    assert waiting(events) == left


@given(st.lists(st.sampled_from([SMALL, LARGE, GONE, BACK, MISSED, "a"]), max_size=60))
def test_it_is_bounded_and_tells_where_things_stand(events: list[Any]) -> None:
    left = waiting(events)
    assert [event for event in left if event == "a"] == ["a"] * events.count("a")
    others = [event for event in left if event != "a"]
    assert len(others) <= 8
    for kinds in ((Resized,), (m.Detached, m.Resumed, m.Resync)):
        last = [event for event in events if isinstance(event, kinds)][-1:]
        assert [event for event in others if isinstance(event, kinds)][-1:] == last
    assert (MISSED in others) is (MISSED in events), "what was missed is told"
