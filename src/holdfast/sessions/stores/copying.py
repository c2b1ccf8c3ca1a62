"""Reads all of a store, and copies one into another: for operators, while no gateway runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from holdfast.sessions.records import Batch, Found, Stored
from holdfast.sessions.stores.base import Store, StoreError
from holdfast.sessions.stores.reading import snapshots_of

_SESSIONS_MAX: Final = 100
"""In one commit."""


class Content(Struct):
    """What was found in a store."""

    sessions: int = 0
    unreadable: int = 0
    """Parts that cannot be read, or were set aside while this was looked at."""
    clean: bool = True
    """Whether the gateway before stopped in order."""


async def examine(store: Store) -> Content:
    """Read all sessions of a store, which is as it was afterwards. Raises `StoreError`."""
    stored = await store.open()
    content = Content(clean=stored.clean, unreadable=len(stored.set_aside))
    try:
        async for found in _all(store, stored):
            content.sessions += len(found.sessions)
            content.unreadable += len(found.set_aside)
    finally:
        await store.close(clean=stored.clean)
    return content


async def copy(source: Store, target: Store) -> Content:
    """Copy all sessions and settings into an empty store. Raises `StoreError`.

    What cannot be read is set aside in the copy.
    """
    stored = await source.open()
    try:
        return await _copy(source, stored, target)
    finally:
        await source.close(clean=stored.clean)


async def _copy(source: Store, stored: Stored, target: Store) -> Content:
    before = await target.open()
    if before.heads or before.settings or before.number or before.set_aside:
        await target.close(clean=before.clean)
        raise StoreError(
            f"expected an empty store to copy into, found one with {len(before.heads)} sessions"
        )
    done = False
    try:
        content = await _fill(target, source, stored)
        done = True
    finally:
        await target.close(clean=done and stored.clean)
    return content


async def _fill(target: Store, source: Store, stored: Stored) -> Content:
    content = Content(clean=stored.clean, unreadable=len(stored.set_aside))
    # The next run goes on with these numbers: no entry of its journal gets one that was used.
    number = stored.number + 1
    batch = Batch(number, accepted=stored.accepted, settings=stored.settings)
    batch.set_aside = stored.set_aside
    await target.commit(batch)
    async for found in _all(source, stored):
        number += 1
        batch = Batch(number, rows=[session.row for session in found.sessions])
        batch.snapshots, batch.snapshots_shared = snapshots_of(found)
        batch.set_aside = found.set_aside
        await target.commit(batch)
        content.sessions += len(found.sessions)
        content.unreadable += len(found.set_aside)
    await target.commit(Batch(number + 1, journal_from=number + 1, sync=True))
    return content


async def _all(store: Store, stored: Stored) -> AsyncIterator[Found]:
    """All sessions of a store, some at a time."""
    sids = [head.sid for head in stored.heads]
    for start in range(0, len(sids), _SESSIONS_MAX):
        yield await store.find(sids[start : start + _SESSIONS_MAX])
