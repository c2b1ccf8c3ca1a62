"""The unhandled input of a client, and its rate limits. Hot path.

When a client sends faster than it may, or there is no space for its commands, reading stops
(back-pressure). Input that was read already is held in order, as events and then as undecoded
bytes, so nothing is dropped.
"""

from __future__ import annotations

from typing import Final

from holdfast.core.limits import SessionLimits
from holdfast.core.rate import DebtByKey, Rate
from holdfast.gateway.adapters.events import Event
from holdfast.net.addresses import network_of
from holdfast.net.runtime.room import Reservation
from holdfast.net.runtime.turns import Turns, Waiting

_NEVER: Final = float("inf")
OWED_BYTES_MAX: Final = 1024
"""Input that is accounted for at once, instead of with every read."""
_SHARED_BYTES_MAX: Final = 4096
"""The same, for the rate that the clients of a network share."""
_FREE: Final = -(1 << 60)
"""Owed by a client whose input is not accounted for any more."""
_ROOM_SECONDS: Final = 1.0
"""The time without room for commands, after which the user gets a notice."""


def network_input(limits: SessionLimits) -> DebtByKey:
    """Return the rate limit of the input that all clients of one network share."""
    return DebtByKey(
        Rate(
            limits.input_bytes_per_network_per_second_max,
            limits.input_burst_bytes_per_network_max,
        )
    )


class Held:
    """Input that waits. Made when the first of it has to wait. Times are the runtime's."""

    __slots__ = ("cost", "eof", "events", "full", "tell_at", "turn", "unread")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.cost = 0
        """The memory that the events take, in bytes, as rates of input count them."""
        self.unread = b""
        """Undecoded input after the events."""
        self.eof = False
        """Whether the end of the client's input follows."""
        self.full = False
        """Whether the first of the events waits for room in the session's queue."""
        self.turn = _NEVER
        """When the client may send again."""
        self.tell_at = _NEVER
        """When the user gets the notice that there is no room."""

    @property
    def due(self) -> float:
        """When something must be done about it, if ever."""
        return min(self.turn, self.tell_at)

    def wait_until(self, when: float) -> None:
        """The client's turn does not come before `when`."""
        self.turn = when if self.turn == _NEVER else max(when, self.turn)


class Intake:
    """The input of one connection: what is held of it, and its place in the rates."""

    __slots__ = (
        "bytes_due",
        "commands_due",
        "held",
        "network",
        "owed",
        "reservation",
        "shared",
        "told",
    )

    def __init__(self) -> None:
        self.held: Held | None = None
        """Input that waits. While it is set, even if empty, later input waits, too."""
        self.bytes_due = 0.0
        """Its place in the rate of bytes (`core.rate`)."""
        self.commands_due = 0.0
        """Its client's place in the rate of commands."""
        self.owed = 0
        """The cost of input that is not charged to the rate yet, in bytes."""
        self.network: str | None = None
        """Whose share of the input this is; `None` until it is asked for."""
        self.shared = 0
        """The same, of what all clients of its network may send."""
        self.reservation: Reservation | None = None
        """The room of its input in the memory of all, if it takes much."""
        self.told = False
        """Whether it is known to the security log that the client sends too much."""

    def block(self) -> Held:
        """Hold later input. Returns the held input."""
        held = self.held
        if held is None:
            held = self.held = Held()
        return held

    def keep(self, data: bytes, turns: Turns, driver: Waiting, peer: str) -> None:
        """This waits behind what waits already; if nothing does, for a turn in the event loop."""
        if self.held is None:
            self.wait_for_loop(turns, driver, peer)
        self.block().unread += data

    def hold(self, events: list[Event]) -> Held:
        """Hold these events, after those held already."""
        held = self.block()
        held.events += events
        return held

    def wait_for_turn(self, events: list[Event], rate: Rate, count: int) -> None:
        """The first of these events, which counts as so many commands, comes too soon."""
        self.hold(events).wait_until(rate.when(self.commands_due, count))

    def wait_for_room(self, events: list[Event], now: float) -> None:
        """There is no room for the first of these events."""
        held = self.hold(events)
        held.full = True
        held.tell_at = now + _ROOM_SECONDS

    def charge(self, rate: Rate, now: float, of_networks: DebtByKey, peer: str) -> None:
        """Charge the owed input to the rate. Later input may have to wait."""
        self.bytes_due = due = rate.spend(self.bytes_due, now, self.owed)
        self.shared += self.owed
        self.owed = 0
        if due > now + rate.tolerance:
            self.block().wait_until(rate.when(due))
        if self.shared >= _SHARED_BYTES_MAX:
            of_networks.spend(self.network_of(peer), now, self.shared)
            self.shared = 0
            self.wait_for_network(of_networks, peer, now)

    def wait_for_network(self, of_networks: DebtByKey, peer: str, now: float) -> bool:
        """Wait if the clients of this network have sent too much together; true if so."""
        when = of_networks.when(self.network_of(peer))
        if when <= now or self.owed < 0:
            return False
        self.block().wait_until(when)
        return True

    def wait_for_loop(self, turns: Turns, driver: Waiting, peer: str) -> None:
        """What is held is handled by `driver.take_turn`, when others had theirs."""
        self.block().turn = _NEVER
        turns.wait(driver, self.network_of(peer))

    def stop_charging(self) -> None:
        """Account for nothing any more: the client is leaving, and its goodbye is waited for."""
        self.owed = _FREE

    def network_of(self, peer: str) -> str:
        """The network of the client. It does not change."""
        if self.network is None:
            self.network = network_of(peer)
        return self.network

    def news(self) -> bool:
        """Return whether a rate limit holds this client's input for the first time."""
        first = not self.told and self.held is not None and self.held.turn != _NEVER
        self.told = self.told or first
        return first

    def take_held(self) -> Held | None:
        """Return the held input, and hold none."""
        held, self.held = self.held, None
        return held

    def release(self) -> Held | None:
        """As `take_held`, of a client whose input is not kept any more."""
        if self.reservation is not None:
            self.reservation.release()
            self.reservation = None
        return self.take_held()
