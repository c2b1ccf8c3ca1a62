"""The memory for the input of all clients together that cannot be handled yet.

A client's input waits (for a rate, a turn or room in a queue), or it is a part of a message that is
incomplete. Each connection is limited by itself; here is the limit of all. Where it is exceeded,
connections are closed: of the network whose input takes most, the one whose input takes most.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from holdfast.core.limits import KIB, MIB
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.net")

UNCOUNTED_BYTES: Final = 4 * KIB
"""Input of one connection that does not count. Few connections ever have more."""
_SPARE_BYTES: Final = 4 * MIB
"""So much is free once there was too little, so that not each input makes room."""
_CLOSED_MAX: Final = 64
"""Connections that are closed in one go, if that is enough; each takes time."""

CROWDED: Final = "too much input is waiting here; connect again"


class InputReservation:
    """The room of one connection. `close` ends the connection, for lack of room."""

    __slots__ = ("_room", "close", "network", "size")

    def __init__(self, room: InputRoom, network: str, close: Callable[[], None]) -> None:
        self._room = room
        self.network = network
        self.close = close
        self.size = 0
        """The reserved bytes."""

    def resize(self, size: int) -> None:
        """The connection keeps `size` bytes of input. It may be closed in this call."""
        if size != self.size:
            self._room.resize(self, size)

    def release(self) -> None:
        """The connection keeps none."""
        self.resize(0)


class InputRoom:
    """The limit of all connections of a node. Larger inputs reserve room in it."""

    __slots__ = ("_networks", "bytes_max", "closed", "used")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used = 0
        """The reserved bytes."""
        self.closed = 0
        """Connections that were closed for lack of room."""
        self._networks: dict[str, dict[InputReservation, None]] = {}

    def resize(self, reservation: InputReservation, size: int) -> None:
        """Change a reservation, and make room if there is too little."""
        growth = size - reservation.size
        self.used += growth
        network = self._networks.setdefault(reservation.network, {})
        reservation.size = size
        if size:
            network[reservation] = None
        else:
            network.pop(reservation, None)
            if not network:
                del self._networks[reservation.network]
        if growth > 0 and self.used > self.bytes_max:
            self._make_room()

    def _make_room(self) -> None:
        """Close connections, those first that take most of the network that takes most."""
        largest: dict[str, list[InputReservation]] = {}
        networks = [
            (-sum(each.size for each in reservations), network)
            for network, reservations in self._networks.items()
        ]
        heapq.heapify(networks)
        left = max(self.bytes_max - _SPARE_BYTES, self.bytes_max // 2)
        closed: list[InputReservation] = []
        while networks and self.used > (left if len(closed) < _CLOSED_MAX else self.bytes_max):
            taken, network = networks[0]
            if network not in largest:
                largest[network] = sorted(self._networks[network], key=lambda each: each.size)
            reservation = largest[network].pop()
            taken += reservation.size
            if largest[network]:
                heapq.heapreplace(networks, (taken, network))
            else:
                heapq.heappop(networks)
            reservation.release()
            closed.append(reservation)
        self.closed += len(closed)
        for reservation in closed:
            reservation.close()
        _log.warning(
            "connections closed: too much input waits", count=len(closed), kept_bytes=self.used
        )
