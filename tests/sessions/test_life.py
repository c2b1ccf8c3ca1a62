from __future__ import annotations

import sys
from collections.abc import Iterator

from structlog.testing import capture_logs

from holdfast.core.limits import SessionLimits
from holdfast.sessions.life import Life, LifeEvent, LifeLog


class Living:
    def __init__(self, sid: str, connection: int) -> None:
        self.sid = sid
        self.connection = connection
        self.user = self.address = self.protocol = ""


def ticking() -> Iterator[float]:
    """1, 2, 3 …"""
    now = 0.0
    while True:
        now += 1.0
        yield now


def log(events_max: int) -> LifeLog:
    clock = ticking()
    return LifeLog(SessionLimits(life_events_max=events_max), lambda: next(clock))


def test_the_events_of_a_session_are_known_oldest_first_with_what_was_told() -> None:
    it = log(10)
    one, other = Living("one", 1), Living("other", 2)
    it.tell(Life.OPENED, one, app="chat", listener="ws://127.0.0.1:80/")
    it.tell(Life.OPENED, other)
    it.tell(Life.RESUMED, one, away_s=0.5, missed=3)
    assert it.of("one") == [
        LifeEvent(1.0, Life.OPENED, "one", 1, {"app": "chat", "listener": "ws://127.0.0.1:80/"}),
        LifeEvent(3.0, Life.RESUMED, "one", 1, {"away_s": 0.5, "missed": 3}),
    ]
    assert it.of("nobody") == []


def test_the_oldest_events_give_way_to_the_newest() -> None:
    it = log(2)
    session = Living("one", 1)
    for event in (Life.OPENED, Life.DETACHED, Life.RESUMED):
        it.tell(event, session)
    assert [event.event for event in it.of("one")] == [Life.DETACHED, Life.RESUMED]


def test_an_event_takes_little_memory() -> None:
    it = log(10)
    it.tell(Life.OPENED, Living("x" * 36, 1), app="chat", listener="ws://127.0.0.1:4000/")
    assert sum(map(sys.getsizeof, it._events)) < 200


def test_a_line_says_who_it_is_about_and_what_was_told() -> None:
    session = Living("one", 7)
    session.user = "ann"
    with capture_logs() as lines:
        log(10).tell(Life.RESUMED, session, missed=3)
    about = {"sid": "one", "connection": 7, "user": "ann", "missed": 3}
    assert lines == [{"event": "session resumed", "log_level": "info", **about}]


def test_a_kind_has_300_lines_at_once_and_loses_no_event() -> None:
    it, session = log(1_000), Living("one", 1)
    with capture_logs() as lines:
        for _ in range(320):
            it.tell(Life.RESUMED, session)
        it.tell(Life.CLOSED, session)
    assert 300 <= sum(line["event"] == Life.RESUMED.value for line in lines) < 320
    assert lines[-1]["event"] == Life.CLOSED.value
    assert len(it.of("one")) == 321
