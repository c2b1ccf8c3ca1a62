"""Limits on login attempts: by network, by user, and as the application requests.

Only attempts that the application has rejected count, so that many users behind one address can
log in after a restart. Attempts in progress are bounded separately.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from holdfast.core.limits import SessionLimits
from holdfast.core.rate import Rate, RateByKey

_HELD_MAX: Final = 10_000


class LoginAttempts:
    """The attempts at one gateway. `now` is in seconds, and never set."""

    def __init__(self, limits: SessionLimits) -> None:
        self._by_network = RateByKey(
            Rate(limits.login_failures_per_minute_max / 60, limits.login_failure_burst_max)
        )
        self._by_user = RateByKey(
            Rate(
                limits.login_failures_per_user_per_minute_max / 60,
                limits.login_failure_burst_per_user_max,
            )
        )
        self._under_way_max = limits.login_failure_burst_max
        self._under_way: Counter[str] = Counter()
        self._held: dict[tuple[str, str], float] = {}
        """Until when a user's login from a network is to wait, as the application said."""

    def wait(self, network: str, user: str, now: float) -> float:
        """Seconds until the next attempt may be made; 0 if it may be made now."""
        waits = [
            self._by_network.wait(network, now),
            self._held.get((network, user), now) - now,
        ]
        if user:
            waits.append(self._by_user.wait(user, now))
        if self._under_way[network] >= self._under_way_max:
            waits.append(1.0)
        return max(waits)

    def begin(self, network: str) -> None:
        """An attempt is made."""
        self._under_way[network] += 1

    def end(self, network: str) -> None:
        """The attempt was checked, or could not be."""
        self._under_way[network] -= 1
        if not self._under_way[network]:
            del self._under_way[network]

    def failed(self, network: str, user: str, retry_s: float, now: float) -> None:
        """It was wrong, and the next one is to wait so many seconds at least."""
        self._by_network.spend(network, now)
        if user:
            self._by_user.spend(user, now)
        if retry_s > 0:
            if len(self._held) >= _HELD_MAX:
                self._held = {key: due for key, due in self._held.items() if due > now}
            if len(self._held) < _HELD_MAX:
                self._held[network, user] = now + retry_s
