"""What is checked before a database is used, and how its tables are made."""

from __future__ import annotations

from typing import Final

from holdfast.core.clock import Clock
from holdfast.core.limits import StoreLimits
from holdfast.sessions.stores.base import (
    StoreAccessError,
    StoreBrokenError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from holdfast.sessions.stores.postgres.connection import Connection, Transaction
from holdfast.sessions.stores.postgres.schema import (
    LOCK,
    MIGRATIONS,
    MISSING_RIGHTS,
    OTHERS,
    PRODUCT,
    SCHEMA_VERSION,
    VERSION_TABLE,
)

_SERVER_MIN: Final = 150_000
_ENCODING: Final = "UTF8"

_SERVER: Final = """
    SELECT current_setting('server_version_num')::int AS version,
        current_setting('server_version') AS words,
        current_setting('server_encoding') AS encoding,
        current_setting('transaction_read_only')::bool AS read_only,
        pg_is_in_recovery() AS replica,
        extract(epoch FROM clock_timestamp())::float8 AS now
"""
_WHOSE: Final = f"""
    SELECT to_regclass('holdfast.version') IS NOT NULL AS ours, ARRAY({OTHERS}) AS others
"""
"""In one statement: another gateway may make the tables meanwhile."""
_VERSION: Final = "SELECT product, number FROM holdfast.version"
_MAY_USE: Final = "SELECT has_schema_privilege('holdfast', 'USAGE')"
_HAS_SCHEMA: Final = "SELECT count(*) FROM pg_namespace WHERE nspname = 'holdfast'"


async def check_server(db: Connection, limits: StoreLimits, wall: Clock) -> None:
    """Check what the tables need of the server. Raises `StoreError`."""
    began = wall()
    (server,) = await db.fetch(_SERVER)
    ended = wall()
    if server["version"] < _SERVER_MIN:
        raise StoreVersionError(
            f"{db.name}: expected PostgreSQL {_SERVER_MIN // 10_000} or newer, found"
            f" {server['words']}"
        )
    if server["encoding"] != _ENCODING:
        raise StoreError(
            f"{db.name}: expected the encoding {_ENCODING} of the database, found"
            f" {server['encoding']}"
        )
    if server["replica"]:
        raise StoreReadOnlyError(f"{db.name}: expected the primary server, found a replica")
    if server["read_only"]:
        raise StoreReadOnlyError(
            f"{db.name}: read-only (default_transaction_read_only is on); expected a database"
            " that can be written"
        )
    ahead = _outside(server["now"], began, ended)
    if abs(ahead) > limits.clock_seconds_max:
        raise StoreError(
            f"{db.name}: this machine's clock is {abs(ahead):.0f} s"
            f" {'ahead of' if ahead > 0 else 'behind'} the server's; expected at most"
            f" {limits.clock_seconds_max:.0f} s: set the clocks, as with NTP"
        )


def _outside(moment: float, began: float, ended: float) -> float:
    """By how much a span is behind a moment: below 0, it is before; 0, around it."""
    return began - moment if began > moment else min(0.0, ended - moment)


async def version_of(db: Connection) -> int:
    """The version of the schema; 0 in an empty database. Raises `StoreError`."""
    if await db.value(_HAS_SCHEMA) and not await db.value(_MAY_USE):
        raise StoreAccessError(
            f"{db.name}: the user lacks a right: expected USAGE on the schema holdfast"
        )
    (whose,) = await db.fetch(_WHOSE)
    if not whose["ours"]:
        if whose["others"]:
            raise StoreBrokenError(
                f"{db.name}: expected an empty database or one of Holdfast, found other tables:"
                f" {_listed(whose['others'])}"
            )
        return 0
    rows = await db.fetch(_VERSION)
    if not rows:
        return 0
    product, number = rows[0]
    if product != PRODUCT:
        raise StoreBrokenError(f"{db.name}: expected a database of Holdfast, found {product!r}")
    if number > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{db.name}: written by a newer Holdfast (schema {number}; this one reads up to"
            f" {SCHEMA_VERSION})"
        )
    return int(number)


async def migrate(db: Connection) -> None:
    """Bring the tables to this version. One process does it, and others wait."""
    if await version_of(db) == SCHEMA_VERSION:
        return
    async with db.transaction() as work:
        await work.fetch("SELECT pg_advisory_xact_lock($1)", LOCK)
        await work.run(VERSION_TABLE)
        await _migrate(work)


async def _migrate(work: Transaction) -> None:
    found = await work.fetch(_VERSION)
    version = found[0]["number"] if found else 0
    for script in MIGRATIONS[version:]:
        await work.run(script)
    if found:
        await work.fetch("UPDATE holdfast.version SET number = $1", SCHEMA_VERSION)
    else:
        await work.fetch("INSERT INTO holdfast.version VALUES ($1, $2)", PRODUCT, SCHEMA_VERSION)


async def check_rights(db: Connection) -> None:
    """Check that the user may do all that a gateway does. Raises `StoreAccessError`."""
    missing = await db.fetch(MISSING_RIGHTS)
    if missing:
        raise StoreAccessError(
            f"{db.name}: the user lacks rights: expected {_listed([row[0] for row in missing])}"
        )


def _listed(words: list[str]) -> str:
    """The first three of what was found."""
    return ", ".join(words[:3]) + (" and more" if len(words) > 3 else "")
