"""The connection of a session's client, as the session sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from holdfast.core.errors import Reason
from holdfast.core.items import Output


class Consumer(Protocol):
    """The connection that a session writes to, as the session sees it."""

    def deliver(self) -> None:
        """There are outputs to take from the session's outbox."""

    def show(self, item: Output, *, always: bool = False) -> None:
        """Write a volatile item now, or drop it if the client lags; with `always`, write it."""

    def acknowledge(self, cin: int) -> None:
        """Every command up to `cin` is durable."""

    def make_room(self) -> None:
        """The queue of commands has space again."""

    def change_input_mode(self) -> None:
        """The row's `input_mode` is another one."""

    def change_viewers(self) -> None:
        """Other viewers watch the session, or other invitations are valid."""

    def close(self, reason: Reason) -> None:
        """Send a goodbye and close. The session is detached already."""

    def fail(self, error: Exception) -> None:
        """A method above has raised: log it, drop the connection and detach."""


class FailureDomain(Protocol):
    """What ends by itself where a call of it raises."""

    def fail(self, error: Exception) -> None:
        """Log the error, and end."""


def guarded(consumer: FailureDomain, call: Callable[..., None], *args: object) -> None:
    """Call a connection of a session, or a function for it: an exception ends that connection only.

    Calls for every message do the same in place, to save a call.
    """
    try:
        call(*args)
    except Exception as error:
        consumer.fail(error)
