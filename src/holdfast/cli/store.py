"""`holdfast store`: an operator's work on a store, while no gateway uses it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import reported
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import StoreLimits
from holdfast.gateway.config import load
from holdfast.gateway.store_config import StoreConfig, check_store, store_password
from holdfast.net.runtime.loop import run
from holdfast.sessions.stores.base import Store, StoreVersionError
from holdfast.sessions.stores.copying import copy, examine
from holdfast.sessions.stores.sqlite import SCHEMA_VERSION as SQLITE_VERSION
from holdfast.sessions.stores.sqlite import SQLiteStore, read_version


class Action(StrEnum):
    migrate = "migrate"
    check = "check"
    copy = "copy"


def store(
    action: Annotated[
        Action,
        typer.Argument(
            help="What to do: bring the tables to this version, read everything, or copy it."
        ),
    ],
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="STORE [TARGET]",
            help="A SQLite file, a postgresql:// URL or a configuration (*.toml) whose store is"
            " meant. `copy` takes two, the second one empty.",
        ),
    ],
) -> None:
    """Migrate, check or copy a store. Exits with 1 if something cannot be read.

    No gateway may use the store.

    Examples:

        holdfast store check holdfast.toml

        holdfast store copy data/sessions.db postgresql://holdfast@db.example.org/holdfast
    """
    wanted = 2 if action is Action.copy else 1
    with reported():
        if len(places) != wanted:
            raise ConfigurationError(
                f"{action.value}: expected {wanted} store{'s' if wanted > 1 else ''}, found"
                f" {len(places)}"
            )
        stores = [_read(place) for place in places]
        match action:
            case Action.migrate:
                run(_migrate(stores[0]))
            case Action.check:
                run(_check(stores[0]))
            case Action.copy:
                run(_copy(*stores))


async def _migrate(config: StoreConfig) -> None:
    if config.path:
        before, now = read_version(Path(config.path)), SQLITE_VERSION
        opened = _make(config)
        await opened.close(clean=(await opened.open()).clean)
    else:
        from holdfast.sessions.stores.postgres.maintenance import migrate_database

        before, now = await migrate_database(config.url, store_password(config), StoreLimits())
    done = f"schema {now}, as before" if before == now else f"schema {before} is now {now}"
    typer.echo(f"{_name(config)}: {done}")


async def _check(config: StoreConfig) -> None:
    await _require_version(config)
    content = await examine(_make(config))
    stopped = "" if content.clean else ", and the last gateway did not stop in order"
    typer.echo(f"{_name(config)}: {content.sessions} sessions can be read{stopped}")
    _fail_if_unreadable(content.unreadable)


async def _copy(source: StoreConfig, target: StoreConfig) -> None:
    await _require_version(source)
    content = await copy(_make(source), _make(target))
    typer.echo(f"{content.sessions} sessions copied from {_name(source)} to {_name(target)}")
    _fail_if_unreadable(content.unreadable)


def _fail_if_unreadable(count: int) -> None:
    if count:
        typer.echo(f"holdfast: parts that cannot be read: {count}", err=True)
        raise typer.Exit(1)


async def _require_version(config: StoreConfig) -> None:
    """Reading alone changes nothing: an older store is not migrated by the way."""
    if config.path:
        found, now = read_version(Path(config.path)), SQLITE_VERSION
    else:
        from holdfast.sessions.stores.postgres.maintenance import version_of_database

        found, now = await version_of_database(config.url, store_password(config), StoreLimits())
    if found < now:
        raise StoreVersionError(
            f"{_name(config)}: expected schema {now}, found {found or 'none'}: use `holdfast store"
            " migrate`"
        )


def _make(config: StoreConfig) -> Store:
    if config.path:
        return SQLiteStore(Path(config.path), StoreLimits())
    from holdfast.sessions.stores.postgres.runs import COPYING_NODE
    from holdfast.sessions.stores.postgres.store import PostgresStore

    return PostgresStore(
        config.url,
        StoreLimits(),
        node=COPYING_NODE,
        password=store_password(config),
        alone=True,
    )


def _read(place: str) -> StoreConfig:
    """The store that an argument means. Raises `ConfigurationError`."""
    if "://" in place:
        found = StoreConfig(url=place)
    elif place.endswith(".toml"):
        found = load(Path(place)).store
        if not found.kept:
            raise ConfigurationError(f"{place}: store.path: expected a path or a url, found none")
    else:
        found = StoreConfig(path=place)
    check_store(found)
    return found


def _name(config: StoreConfig) -> str:
    if config.path:
        return config.path
    from holdfast.sessions.stores.postgres.connection import name_of

    return name_of(config.url)
