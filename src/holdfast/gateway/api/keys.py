"""Authorises requests to the API. Pure: no I/O, and the time is an argument."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.limits import ApiLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.gateway.api.config import ANY, Action, ApiKey, key_hash
from holdfast.net.addresses import network_of


class ApiRefusedError(HoldfastError):
    """A request is refused. `status` and `code` are those of the answer."""

    source = Source.REMOTE

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Key:
    """A publisher: its rights."""

    __slots__ = ("_actions", "_any", "apps", "hash", "name")

    def __init__(self, config: ApiKey, hash_: bytes) -> None:
        self.name = config.name
        self.hash = hash_
        self.apps = tuple(app for app in config.apps if app != ANY)
        """The applications that it names."""
        self._any = ANY in config.apps
        self._actions = frozenset(config.actions)

    def check(self, action: Action) -> None:
        """Raise `ApiRefusedError` if the key may not do this."""
        if action not in self._actions:
            raise ApiRefusedError(
                403,
                "forbidden",
                f"the key {self.name!r} may not {action}; it may"
                f" {', '.join(sorted(self._actions))}",
            )

    def covers(self, app: str) -> bool:
        """Whether the key is for the sessions of this application."""
        return self._any or app in self.apps


class Keyring:
    """All keys of an API."""

    def __init__(self, keys: Sequence[ApiKey], limits: ApiLimits) -> None:
        self.wrong = 0
        """The number of wrong keys since the start."""
        self.keys = [
            Key(key, key_hash(f"api.key[{number}]", key)) for number, key in enumerate(keys)
        ]
        self._rate = RateByKey(
            Rate(limits.wrong_keys_per_minute_max / 60, limits.wrong_key_burst_max)
        )

    def find(self, authorization: str, peer: str, now: float) -> Key:
        """The key that a request shows. Raises `ApiRefusedError`.

        The right key is always taken, however many wrong ones come from its network.
        """
        scheme, _, shown = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise ApiRefusedError(401, "unauthorized", "expected a key: Authorization: Bearer KEY")
        given = hashlib.sha256(shown.strip().encode(errors="surrogateescape")).digest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(given, key.hash):
                found = key
        if found is not None:
            return found
        self.wrong += 1
        if self._rate.spend(network_of(peer), now):
            raise ApiRefusedError(401, "unauthorized", "the key is wrong")
        raise ApiRefusedError(429, "too_many", "too many wrong keys; try again later")
