"""The body of a request, as far as it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.net.addresses import network_of
from holdfast.net.runtime.room import UNCOUNTED_BYTES, Reservation, Room

_PIECE_BYTES: Final = 48
"""What a piece takes in memory beside its bytes."""


class IncompleteBody:
    """The pieces of one body. With a `room`, they count in it; `close` is called if there is none
    left for them."""

    __slots__ = ("_close", "_pieces", "_reservation", "_room", "_size")

    def __init__(self, room: Room | None, close: Callable[[], None]) -> None:
        self._room = room
        self._close = close
        self._pieces: list[bytes] = []
        self._size = 0
        self._reservation: Reservation | None = None

    def add(self, piece: bytes) -> None:
        """The next piece."""
        self._pieces.append(piece)
        self._size += _PIECE_BYTES + len(piece)

    def wait(self, peer: str) -> None:
        """The rest is waited for; `peer` is the client's address. `close` may be called."""
        if self._room is None or self._size <= UNCOUNTED_BYTES:
            return
        if self._reservation is None:
            self._reservation = Reservation(self._room, network_of(peer), self._crowded)
        self._reservation.resize(self._size)

    def take(self) -> bytes:
        """Return the body, and begin with the next."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.drop()
        return body

    def drop(self) -> None:
        """Keep nothing."""
        self._pieces, self._size = [], 0
        if self._reservation is not None:
            self._reservation.release()
            self._reservation = None

    def _crowded(self) -> None:
        self.drop()
        self._close()
