"""The end of a session behind its terminal, without either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.backends.terminal.ending import Ending
from holdfast.core.errors import Reason
from holdfast.core.items import Notice, Output

LAST = Notice("It has ended.")


class Client:
    """The session, and the port to it, with what the client was told and has not shown."""

    def __init__(self) -> None:
        self.attached = True
        self.delivered = True
        self.left = 0
        self.told: list[Output] = []
        self.awaited = 0
        self.closed: Reason | None = None
        self.now = 0.0
        self.ending = self._ending(self)

    def _ending(self, session: Any) -> Ending:
        at_once: Callable[[Callable[[], None]], None] = lambda call: call()  # noqa: E731
        return Ending(session, session, lambda: self.now, at_once, 30.0)

    def is_delivered(self, session: object) -> bool:
        return self.delivered

    def unacknowledged(self, session: object) -> int:
        return self.left

    def await_delivery(self, session: object) -> None:
        self.awaited += 1

    def show(self, session: object, item: Output, *, always: bool) -> None:
        assert always
        self.told.append(item)

    def close(self, session: object, reason: Reason) -> None:
        self.closed = reason

    def ends(self, last: Sequence[Output] = (LAST,)) -> None:
        self.ending.begin(Reason.UPSTREAM_CLOSED, last)

    def looks(self, now: float) -> bool:
        """Whether the session has ended at a look at the time."""
        self.now = now
        self.ending.check()
        return self.closed is not None


def test_a_client_that_has_shown_all_leaves_at_once() -> None:
    client = Client()
    client.ending.go_on()
    assert client.told == []
    client.ends()
    assert client.told == [LAST]
    assert client.closed is Reason.UPSTREAM_CLOSED


def test_the_last_comes_behind_all_output_and_once() -> None:
    client = Client()
    client.delivered, client.left = False, 500
    client.ends()
    assert (client.told, client.awaited) == ([], 1)
    client.delivered = True
    for left, awaited in ((300, 2), (1, 3)):
        client.left = left
        client.ending.go_on()
        assert (client.told, client.awaited, client.closed) == ([LAST], awaited, None)
    client.left = 0
    client.ending.go_on()
    assert (client.told, client.closed) == ([LAST], Reason.UPSTREAM_CLOSED)


def test_each_bit_that_a_client_shows_gives_it_time() -> None:
    client = Client()
    client.left = 3
    assert not client.looks(1_000.0), "it has not ended"
    client.ends()
    assert not client.looks(1_030.0)
    client.left = 2
    assert not client.looks(1_060.0)
    assert not client.looks(1_090.0)
    assert client.looks(1_090.1)


def test_a_client_that_is_away_is_told_when_it_is_back() -> None:
    client = Client()
    client.left = 9
    client.ends()
    client.attached = False
    assert not client.looks(99.0)
    client.ending.go_on()
    client.attached = True
    client.ending.attached()
    client.ending.go_on()
    assert client.told == [LAST, LAST]
    assert not client.looks(129.0)
    assert client.looks(129.1)
