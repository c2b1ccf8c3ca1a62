"""Copying a store into another, and reading all of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.postgresql import Cluster
from tests.sessions.stores.test_conformance import record, row, texts

from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Batch
from holdfast.sessions.stores.base import Store, StoreBusyError, StoreError
from holdfast.sessions.stores.copying import Content, copy, examine
from holdfast.sessions.stores.postgres.runs import COPYING_NODE
from holdfast.sessions.stores.postgres.store import PostgresStore
from holdfast.sessions.stores.sqlite import SQLiteStore


class Places:
    """Two files and a database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def file(self, name: str) -> SQLiteStore:
        return SQLiteStore(self.folder / name, StoreLimits())

    def database(self, node: str = "a") -> PostgresStore:
        return PostgresStore(self.url, StoreLimits(), node=node)

    def copied(self) -> PostgresStore:
        """The database as `holdfast store copy` opens it."""
        return PostgresStore(self.url, StoreLimits(), node=COPYING_NODE, alone=True)


@pytest_asyncio.fixture
async def places(tmp_path: Path, postgresql: Cluster) -> AsyncIterator[Places]:
    database = await postgresql.empty_database()
    yield Places(tmp_path, postgresql.url(database))
    await postgresql.give_back(database)


async def fill(store: Store, *, clean: bool) -> None:
    """What a run leaves behind."""
    await store.open()
    sids = [f"s{number:03}" for number in range(150)]
    for n, text in enumerate("abc", 1):
        batch = Batch(n, records=[(sid, record(n, f"{text} {sid}", top=n)) for sid in sids])
        if n == 1:
            batch.rows = [row(sid, user=f"user of {sid}") for sid in sids]
            batch.accepted, batch.settings = {"i1": 5}, {"eras": b"x"}
        await store.commit(batch)
    await store.close(clean=clean)


async def content(store: Store) -> tuple[object, ...]:
    """All that a store has."""
    stored = await store.open()
    found = await store.take([head.sid for head in stored.heads])
    sessions = {session.row.sid: (session.row, texts(session)) for session in found.sessions}
    await store.close(clean=stored.clean)
    merged = {
        sid: (row, [each for some in said for each in some])
        for sid, (row, said) in sessions.items()
    }
    return stored.clean, stored.accepted, stored.settings, merged


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "unclean"])
async def test_a_copy_in_postgresql_and_one_of_it_are_as_the_file(
    places: Places, clean: bool
) -> None:
    await fill(places.file("first"), clean=clean)
    assert await copy(places.file("first"), places.copied()) == Content(150, 0, clean)
    there = await content(places.database("b"))
    assert await copy(places.copied(), places.file("second")) == Content(150, 0, clean)
    assert await content(places.file("first")) == there == await content(places.file("second"))
    assert there[0] is clean
    assert await examine(places.file("second")) == Content(150, 0, clean)


async def test_a_run_goes_on_with_a_copy(places: Places) -> None:
    await fill(places.file("first"), clean=True)
    await copy(places.file("first"), places.copied())
    store = places.database()
    stored = await store.open()
    more = Batch(stored.number + 1, records=[("s001", record(4, "d", top=4))])
    assert await store.commit(more) > 0
    await store.close(clean=False)
    store = places.database()
    await store.open()
    found = await store.find(["s001"])
    assert texts(found.sessions[0]) == [["a s001", "b s001", "c s001"], ["d"]]
    await store.close(clean=True)


async def test_a_store_with_sessions_is_not_copied_into(places: Places) -> None:
    await fill(places.file("first"), clean=True)
    await fill(places.file("second"), clean=True)
    with pytest.raises(
        StoreError, match="expected an empty store to copy into, found one with 150"
    ):
        await copy(places.file("first"), places.file("second"))
    assert (await content(places.file("second")))[0]


async def test_a_database_that_a_gateway_uses_is_not_copied(places: Places) -> None:
    running = places.database("gateway")
    await running.open()
    with pytest.raises(StoreBusyError, match="the gateway 'gateway' uses it"):
        await copy(places.copied(), places.file("first"))
    await running.close(clean=True)


async def test_what_cannot_be_read_is_counted_and_left_as_it_is(places: Places) -> None:
    store = places.file("first")
    await store.open()
    await store.commit(Batch(1, rows=[row("s1"), row("s2")]))
    broken = record(1, "a", top=1)
    broken.outs = [7]  # of what its batch shares: nothing
    await store.commit(Batch(2, records=[("s1", broken)]))
    await store.close(clean=True)
    for _ in range(2):
        found = await examine(places.file("first"))
        assert (found.sessions, found.unreadable > 0) == (1, True)
    found = await copy(places.file("first"), places.copied())
    assert (found.sessions, found.unreadable > 0) == (1, True)
    assert (await examine(places.database())).sessions == 1
