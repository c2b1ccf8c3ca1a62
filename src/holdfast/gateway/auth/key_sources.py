"""Where the keys of an issuer are kept, and when they are read again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from holdfast.core.clock import Clock
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import AuthLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.gateway.auth.errors import KeysUnavailableError
from holdfast.gateway.auth.keys import Key, KeysError, choose_keys, read_jwks, read_keys
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.auth")

_LOOK_SECONDS: Final = 1.0
"""Between two looks at whether a file has changed."""

Fetch = Callable[[str, AuthLimits], Awaitable[bytes]]
"""Gives the body at an address. Raises `KeysUnavailableError`."""


class KeySource(Protocol):
    """The keys of one issuer."""

    async def find(self, kid: str, algorithm: str) -> Sequence[Key]:
        """The keys that may have signed a token of this header; none if they are not known.

        Raises `KeysUnavailableError`.
        """


class FileKeys:
    """Keys in a file, which is read again when it has changed. `now` is monotonic.

    Raises `ConfigurationError` if the file has no keys for all `algorithms`. Of a file that becomes
    unreadable later, the keys that were read before stay in use.
    """

    def __init__(
        self, path: Path, algorithms: Sequence[str], limits: AuthLimits, now: Clock
    ) -> None:
        self._path = path
        self._symmetric = algorithms[0].startswith("HS")
        self._bytes_max = limits.keys_bytes_max
        self._now = now
        self._looked = now()
        try:
            self._state = self._stat()
            self._keys = self._read()
        except (OSError, KeysError) as error:
            raise ConfigurationError(f"keys_file: {path}: {error}") from error
        for algorithm in algorithms:
            if not choose_keys(self._keys, "", algorithm):
                raise ConfigurationError(
                    f"keys_file: {path}: expected a key for {algorithm}, found none"
                )

    async def find(self, kid: str, algorithm: str) -> Sequence[Key]:
        now = self._now()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._look()
        return choose_keys(self._keys, kid, algorithm)

    def _look(self) -> None:
        try:
            state = self._stat()
            if state != self._state:
                self._keys = self._read()
                self._state = state
                _log.info("keys read again", file=str(self._path), keys=len(self._keys))
        except (OSError, KeysError) as error:
            _log.error("keys not read again", file=str(self._path), error=str(error))

    def _stat(self) -> tuple[int, int, int]:
        found = os.stat(self._path)
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> list[Key]:
        size = self._path.stat().st_size
        if size > self._bytes_max:
            raise KeysError(f"expected at most {self._bytes_max} bytes, found {size}")
        return read_keys(self._path.read_bytes(), symmetric=self._symmetric)


class JwksKeys:
    """The keys at an address. `now` is monotonic.

    They are fetched when the first token comes, again when they are old, and, at a limited rate,
    when a token names a key that is not among them: an issuer that has a new key need not be
    waited for. One fetch is under way at a time.
    """

    def __init__(self, url: str, limits: AuthLimits, fetch: Fetch, now: Clock) -> None:
        self._url = url
        self._limits = limits
        self._fetch = fetch
        self._now = now
        self._keys: Sequence[Key] = ()
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()
        self._fetches = 0
        """How many fetches have ended."""
        self._lookups = RateByKey(
            Rate(limits.key_lookups_per_minute_max / 60, limits.key_lookup_burst_max)
        )

    async def find(self, kid: str, algorithm: str) -> Sequence[Key]:
        fetches = self._fetches
        old = self._fetched is None or self._age() >= self._limits.keys_age_seconds_max
        if old and not (self._keys and self._fetching.locked()):  # one client waits, not all
            await self._refresh(fetches)
        keys = choose_keys(self._keys, kid, algorithm)
        if not keys and self._fetches == fetches:
            await self._refresh(fetches)
            keys = choose_keys(self._keys, kid, algorithm)
        if not keys and self._fetched is None:
            raise KeysUnavailableError("the keys of the issuer cannot be fetched now")
        return keys

    def _age(self) -> float:
        return self._now() - self._fetched if self._fetched is not None else 0.0

    async def _refresh(self, fetches: int) -> None:
        """Fetch the keys, unless another call has since `fetches`, or it was tried too often."""
        async with self._fetching:
            if self._fetches != fetches or not self._lookups.spend(_ANY, self._now()):
                return
            try:
                self._keys = read_jwks(await self._fetch(self._url, self._limits), symmetric=False)
                self._fetched = self._now()
            except (KeysUnavailableError, KeysError) as error:
                _log.error("keys not fetched", url=self._url, error=str(error))
                if self._age() >= self._limits.keys_stale_seconds_max:
                    self._keys, self._fetched = (), None
            finally:
                self._fetches += 1


_ANY: Final = "any"
