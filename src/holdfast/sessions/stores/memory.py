"""A store in memory: for gateways that keep nothing, and for tests of what is kept."""

from __future__ import annotations

import msgspec

from holdfast.sessions.records import Batch, SetAside, Stored
from holdfast.sessions.stores.reading import Reader

_encode = msgspec.msgpack.encode


class MemoryStore:
    """Keeps sessions as long as the object lives. A second `open` finds what was committed."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._snapshots: dict[str, bytes] = {}
        self._journal: dict[int, tuple[bytes, bytes]] = {}
        self._accepted: dict[str, int] = {}
        self._settings: dict[str, bytes] = {}
        self._set_aside: list[SetAside] = []
        self._clean = True

    async def open(self) -> Stored:
        clean, self._clean = self._clean, False
        reader = Reader()
        for sid, row in self._rows.items():
            reader.row(sid, row)
        for sid, snapshot in self._snapshots.items():
            reader.snapshot(sid, snapshot)
        for number, (entry, shared) in self._journal.items():
            reader.entry(number, entry, shared)
        return Stored(
            clean=clean and reader.complete,
            number=max(self._journal, default=0),
            sessions=list(reader.sessions.values()),
            accepted=dict(self._accepted),
            settings=dict(self._settings),
            set_aside=reader.set_aside,
        )

    async def commit(self, batch: Batch) -> int:
        for row in batch.rows:
            self._rows[row.sid] = _encode(row)
        for sid, snapshot in batch.snapshots:
            self._snapshots[sid] = _encode(snapshot)
        entry, shared = _encode(batch.records), _encode(batch.shared)
        self._journal[batch.number] = entry, shared
        for number in [number for number in self._journal if number < batch.journal_from]:
            del self._journal[number]
        for sid in batch.deleted:
            self._rows.pop(sid, None)
            self._snapshots.pop(sid, None)
        self._accepted.update(batch.accepted)
        for instance in batch.forgotten:
            self._accepted.pop(instance, None)
        self._settings.update(batch.settings)
        for kept in batch.set_aside:
            self._set_aside.append(kept)
            self._journal.pop(kept.entry, None)
        return len(entry) + len(shared)

    async def check(self) -> None:
        pass

    async def close(self, *, clean: bool) -> None:
        self._clean = clean
