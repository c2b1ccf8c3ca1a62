"""The environment of a gateway: the clock, its servers and its store.

A program replaces them to run the whole gateway, as it is wired, without
sockets, disks or a clock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from holdfast.core.clock import Clock, monotonic, wall
from holdfast.core.limits import ConnectionLimits
from holdfast.gateway.config import Config
from holdfast.gateway.store_config import store_password
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import Server
from holdfast.sessions.stores.base import Store
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.sqlite import SQLiteStore


class MakeServer(Protocol):
    """Makes what accepts connections within the given limits."""

    def __call__(
        self, limits: ConnectionLimits, clockwork: Runtime, *, inherited: Inherited | None
    ) -> Server: ...


class MakeStore(Protocol):
    """Makes the store that a configuration asks for; `open` follows."""

    def __call__(self, config: Config, environment: Environment) -> Store: ...


def make_store(config: Config, environment: Environment) -> Store:
    """A database or a SQLite file where the configuration names one, memory otherwise.

    Raises `ConfigurationError` if a password cannot be read.
    """
    store = config.store
    if store.url:
        # Only who uses it pays for its import.
        from holdfast.sessions.stores.postgres.store import PostgresStore

        password = store_password(store)
        return PostgresStore(
            store.url,
            config.limits.store,
            node=config.node,
            password=password,
            wall=environment.wall,
            clock=environment.monotonic,
        )
    if store.path:
        return SQLiteStore(Path(store.path), config.limits.store)
    return MemoryStore()


class Environment(Struct, frozen=True):
    """The parts of a gateway that reach outside of its process."""

    wall: Clock = wall
    monotonic: Clock = monotonic
    """It goes on while the process is stopped."""
    make_server: MakeServer = Server
    make_store: MakeStore = make_store


DEFAULT: Final = Environment()
