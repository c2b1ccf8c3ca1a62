"""The position of a client in its session's output: what it has, and what it has acknowledged."""

from __future__ import annotations

from typing import Final

from holdfast.client.state import ServerFaultError, State

ACK_EACH: Final = 32
"""Outputs after which an acknowledgement is sent without waiting."""


class OutputPosition:
    """The newest output that was seen (`State.last`) and the newest that was acknowledged."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._acked = 0

    def begin(self, last: int) -> None:
        """The output after number `last` follows. The server knows of those before."""
        self._state.last = self._acked = last

    def receive(self, n: int) -> bool:
        """Output `n` came. Returns whether an acknowledgement is due at once.

        Raises `ServerFaultError` if another one is next.
        """
        if n != self._state.last + 1:
            raise ServerFaultError(f"output {n} came after {self._state.last}")
        self._state.last = n
        return n - self._acked >= ACK_EACH

    def skip(self, n: int) -> bool:
        """The outputs up to `n` do not come. Returns and raises as `receive` does."""
        if n <= self._state.last:
            raise ServerFaultError(f"a skip to {n} came after output {self._state.last}")
        self._state.last = n
        return n - self._acked >= ACK_EACH

    @property
    def unacknowledged(self) -> bool:
        """Whether there is an output to acknowledge."""
        return self._state.last > self._acked

    def acknowledge(self) -> int:
        """Return the number to acknowledge, which counts as acknowledged."""
        self._acked = self._state.last
        return self._acked
