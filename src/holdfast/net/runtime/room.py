"""The memory for what all clients together keep in buffers: a `Room` for input, one for output.

A client's input waits (for a rate, a turn or room in a queue), or it is a part of a message that is
incomplete. Output waits for a client that reads slowly. Each connection is limited by itself;
here is the limit of all. Where it is exceeded, connections are closed: of the network whose
buffers take most, the one whose buffers take most.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from holdfast.core.limits import KIB, MIB
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.net")

UNCOUNTED_BYTES: Final = 4 * KIB
"""Of one connection, that do not count. Few connections ever have more."""
_SPARE_BYTES: Final = 4 * MIB
"""So much is free once there was too little, so that not each input makes room."""
_CLOSED_MAX: Final = 64
"""Connections that are closed in one go, if that is enough; each takes time."""
_HEAP_MIN: Final = 1_024
_HEAP_RATIO_MAX: Final = 4
"""Entries of the heap of networks for each network, beyond which it is made anew."""

CROWDED: Final = "too much input is waiting here; connect again"


class Reservation:
    """The room of one connection. `close` ends the connection, for lack of room."""

    __slots__ = ("_room", "close", "network", "size")

    def __init__(self, room: Room, network: str, close: Callable[[], None]) -> None:
        self._room = room
        self.network = network
        self.close = close
        self.size = 0
        """The reserved bytes."""

    def resize(self, size: int) -> None:
        """The connection keeps `size` bytes. It may be closed in this call."""
        if size != self.size:
            self._room.resize(self, size)

    def release(self) -> None:
        """The connection keeps none."""
        self.resize(0)


class _Network:
    """The reservations of one network."""

    __slots__ = ("reservations", "size")

    def __init__(self) -> None:
        self.reservations: dict[Reservation, None] = {}
        self.size = 0
        """Of all of them together, in bytes."""


class Room:
    """The limit of all connections of a node. Larger buffers reserve room in it.

    `what` says in the log what there is too much of.
    """

    __slots__ = ("_largest", "_networks", "_what", "bytes_max", "closed", "used")

    def __init__(self, bytes_max: int, what: str = "input waits") -> None:
        self.bytes_max = bytes_max
        self._what = what
        self.used = 0
        """The reserved bytes."""
        self.closed = 0
        """Connections that were closed for lack of room."""
        self._networks: dict[str, _Network] = {}
        self._largest: list[tuple[int, str]] = []
        """A heap of networks by their negative size, with each size that they have grown to."""

    def resize(self, reservation: Reservation, size: int) -> None:
        """Change a reservation, and make room if there is too little."""
        name, growth = reservation.network, size - reservation.size
        network = self._networks.get(name)
        if network is None:
            network = self._networks[name] = _Network()
        self.used += growth
        network.size += growth
        reservation.size = size
        if size:
            network.reservations[reservation] = None
        else:
            network.reservations.pop(reservation, None)
            if not network.reservations:
                del self._networks[name]
        if growth > 0:
            self._note(name, network)
            if self.used > self.bytes_max:
                self._make_room()

    def _note(self, name: str, network: _Network) -> None:
        largest = self._largest
        heapq.heappush(largest, (-network.size, name))
        if len(largest) > _HEAP_MIN and len(largest) > _HEAP_RATIO_MAX * len(self._networks):
            largest[:] = [(-each.size, name) for name, each in self._networks.items()]
            heapq.heapify(largest)

    def _pop_largest(self) -> tuple[str, _Network]:
        """The network with most; it is no longer in the heap."""
        while True:
            size, name = heapq.heappop(self._largest)
            network = self._networks.get(name)
            if network is not None and network.size == -size:
                return name, network
            if network is not None and network.size < -size:  # it has become smaller since
                heapq.heappush(self._largest, (-network.size, name))

    def _make_room(self) -> None:
        """Close connections, those first that take most of the network that takes most."""
        left = max(self.bytes_max - _SPARE_BYTES, self.bytes_max // 2)
        by_size: dict[str, list[Reservation]] = {}
        closed: list[Reservation] = []
        while self.used > (left if len(closed) < _CLOSED_MAX else self.bytes_max):
            name, network = self._pop_largest()
            if name not in by_size:
                by_size[name] = sorted(network.reservations, key=lambda each: each.size)
            reservation = by_size[name].pop()
            reservation.release()
            closed.append(reservation)
            if network.reservations:
                heapq.heappush(self._largest, (-network.size, name))
        self.closed += len(closed)
        for reservation in closed:
            reservation.close()
        _log.warning(
            f"connections closed: too much {self._what}", count=len(closed), kept_bytes=self.used
        )
