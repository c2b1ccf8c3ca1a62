"""Stores with sessions in them, as an earlier run of a gateway has left them."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.core.ids import new_sid
from holdfast.core.items import Text, size_of
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Record, Row, Stored
from holdfast.sessions.session import SessionBackend
from holdfast.sessions.stores.memory import MemoryStore


def row(state: str = "detached_active", **fields: object) -> Row:
    """The row of a session."""
    made = Row(sid=new_sid(), epoch="e", durability="fast", created=0.0, state=state)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def record(*texts: str, n: int = 1, top: int = 0) -> Record:
    """What a commit had of a session's output, up to number `top`."""
    outs = [OutputEntry(Text(text), 0.0, "", size_of(Text(text))) for text in texts]
    return Record(n, outs, [], 0, 0, 0, top or len(texts), 0, 0, 0)


async def keep(rows: Sequence[Row], *texts: str, clean: bool = True) -> MemoryStore:
    """A store with these sessions, to each of which `texts` was said."""
    store = MemoryStore()
    await store.open()
    records = [(each.sid, record(*texts)) for each in rows]
    await store.commit(Batch(1, rows=list(rows), records=records))
    await store.close(clean=clean)
    return store


def restore(manager: SessionManager, stored: Stored, backend: SessionBackend, now: float) -> None:
    """Register the sessions of a store in one go."""
    for _ in manager.restoring(stored, lambda head: backend, now):
        pass


async def take_up(
    manager: SessionManager, store: MemoryStore, backend: SessionBackend, now: float = 0.0
) -> None:
    """Let a run of a gateway begin with this store."""
    manager.loader.store = store
    restore(manager, await store.open(), backend, now)
