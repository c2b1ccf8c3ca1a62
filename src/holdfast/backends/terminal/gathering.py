"""Joins the output of a terminal: many small packets in a row become few outputs. Hot path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.core.limits import KIB

_SECONDS: Final = 0.002
"""So long, output waits for more after other output. The first never waits."""
_SMALL_BYTES: Final = 256
"""What is smaller, as the echo of a key, never waits."""
_MUCH_BYTES: Final = 32 * KIB
"""With so much, nothing waits."""


class Gathering:
    """The output of one terminal on its way to `give`. `later` is the event loop's `call_later`."""

    __slots__ = ("_give", "_later", "_parts", "_size", "_timed")

    def __init__(
        self,
        give: Callable[[bytes], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._give = give
        self._later = later
        self._parts: list[bytes] = []
        self._size = 0
        self._timed = False

    def add(self, data: bytes) -> None:
        """There is more output."""
        if not self._parts and len(data) < _SMALL_BYTES:  # as `flush`, with nothing that waits
            self._give(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if not self._timed or self._size >= _MUCH_BYTES or self._size < _SMALL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Give what waits."""
        parts, size = self._parts, self._size
        if not parts:
            return
        self._parts = []
        self._size = 0
        if not self._timed and _SMALL_BYTES <= size < _MUCH_BYTES:
            self._timed = True
            self._later(_SECONDS, self._due)
        self._give(parts[0] if len(parts) == 1 else b"".join(parts))

    def _due(self) -> None:
        self._timed = False
        self.flush()
