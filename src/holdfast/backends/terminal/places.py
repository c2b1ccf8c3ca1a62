"""How many terminals there may be: reserved in one step, before anything waits. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from holdfast.core.errors import LimitExceededError
from holdfast.core.limits import TerminalLimits

_LOGINS: Final = "logins under way"


class Place(Struct, frozen=True):
    """Where a terminal counts."""

    network: str
    target: str
    user: str


class Places:
    """The terminals of a node, by what limits them."""

    def __init__(self, limits: TerminalLimits) -> None:
        self._limits = limits
        self.taken: Counter[tuple[str, str]] = Counter()

    def reserve(self, place: Place) -> Reservation:
        """Take a place in every count, and one among the logins under way, or none in any.

        Raises `LimitExceededError` naming the limit.
        """
        for key, most in self._wanted(place).items():
            if self.taken[key] >= most:
                raise LimitExceededError(f"there is no room: {key[0]} at most {most}")
        reservation = Reservation(self, list(self._wanted(place)))
        self.taken.update(reservation.keys)
        return reservation

    def _wanted(self, place: Place) -> dict[tuple[str, str], int]:
        limits = self._limits
        return {
            ("terminals", ""): limits.terminals_max,
            ("terminals of your network", place.network): limits.terminals_per_network_max,
            ("terminals of this target", place.target): limits.terminals_per_target_max,
            ("terminals of this user", f"{place.user}@{place.target}"): (
                limits.terminals_per_user_max
            ),
            (_LOGINS, ""): limits.logins_max,
        }


class Reservation:
    """The places of one terminal, until they are given back."""

    __slots__ = ("_places", "keys")

    def __init__(self, places: Places, keys: list[tuple[str, str]]) -> None:
        self._places = places
        self.keys = keys

    def logged_in(self) -> None:
        """The login is over."""
        self._release([key for key in self.keys if key[0] == _LOGINS])

    def release(self) -> None:
        """Give all places back. May be called again."""
        self._release(list(self.keys))

    def _release(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            self.keys.remove(key)
            self._places.taken[key] -= 1
            if not self._places.taken[key]:
                del self._places.taken[key]
