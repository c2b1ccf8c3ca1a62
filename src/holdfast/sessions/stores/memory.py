"""A store in memory: for gateways without a file, and for tests."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Batch, Found, Record, Recovered, SetAside, Stored
from holdfast.sessions.stores.commons import Commons
from holdfast.sessions.stores.one_node import OneNode
from holdfast.sessions.stores.reading import Heads, Reader, Snapshot, snapshots_of
from holdfast.sessions.stores.tail import Excerpts, Tail

_encode = msgspec.msgpack.encode


class MemoryStore(OneNode):
    """Keeps sessions as long as the object exists. A second `open` finds what was committed."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._snapshots: dict[str, tuple[bytes, int]] = {}
        """Each with the number of what it shares, or 0."""
        self._shared: dict[int, bytes] = {}
        self._commons = Commons(lambda number: self._shared.get(number, b""))
        self._journal: dict[int, tuple[bytes, bytes]] = {}
        self._accepted: dict[str, int] = {}
        self._settings: dict[str, bytes] = {}
        self._set_aside: list[SetAside] = []
        self._clean = True
        self._tail = Tail()

    async def open(self) -> Stored:
        clean, self._clean = self._clean, False
        heads, tail = Heads(), Tail()
        for sid, row in self._rows.items():
            heads.row(sid, row)
        for sid, (snapshot, _) in self._snapshots.items():
            if sid not in heads.heads:
                heads.orphan(sid, snapshot)
        for number, (entry, shared) in self._journal.items():
            tail.entry(number, entry, shared, heads.heads)
        self._tail = tail
        return Stored(
            clean=clean and tail.complete,
            number=max(self._journal, default=0),
            journal_bytes=tail.size,
            newest=heads.newest,
            heads=list(heads.heads.values()),
            accepted=dict(self._accepted),
            settings=dict(self._settings),
            set_aside=heads.set_aside + tail.set_aside,
        )

    async def commit(self, batch: Batch) -> int:
        if batch.number in self._journal:
            return 0
        for row in batch.rows:
            self._rows[row.sid] = _encode(row)
        self._write_snapshots(batch.snapshots, batch.snapshots_shared)
        entry, shared = _encode(batch.news), _encode(batch.shared)
        self._journal[batch.number] = entry, shared
        for number in [number for number in self._journal if number < batch.journal_from]:
            del self._journal[number]
        if batch.journal_from:
            self._forget_shared()
        for sid in batch.deleted:
            self._rows.pop(sid, None)
            self._snapshots.pop(sid, None)
        self._tail.forget(batch.deleted)
        self._accepted.update(batch.accepted)
        for instance in batch.forgotten:
            self._accepted.pop(instance, None)
        self._settings.update(batch.settings)
        for key in [key for key, value in batch.settings.items() if not value]:
            del self._settings[key]
        for kept in batch.set_aside:
            self._set_aside.append(kept)
            self._journal.pop(kept.entry, None)
        return len(entry) + len(shared)

    async def check(self) -> None:
        pass

    async def claim(self, sids: Sequence[str]) -> list[str]:
        return [sid for sid in sids if sid in self._rows]

    async def find(self, sids: Sequence[str]) -> Found:
        rows = [(sid, self._rows[sid]) for sid in sids if sid in self._rows]
        snapshots = {
            sid: Snapshot(body, self._commons.of(number))
            for sid, (body, number) in ((sid, self._snapshots.get(sid, (b"", 0))) for sid in sids)
            if body
        }
        excerpts = Excerpts({}, {})
        for number, pieces in self._tail.pieces(sids).items():
            excerpts.take(pieces, *self._journal.get(number, (b"", b"")))
        return Reader(self._tail).read(rows, snapshots, excerpts)

    async def take(self, sids: Sequence[str]) -> Found:
        return await self.find(sids)

    async def recover(self, count: int) -> Recovered:
        tail = self._tail
        sids = tail.sids(count)
        found = await self.find(sids)
        self._write_snapshots(*snapshots_of(found))
        for kept in found.set_aside:
            self._set_aside.append(kept)
            self._rows.pop(kept.sid, None)
            self._snapshots.pop(kept.sid, None)
        tail.forget(sids)
        if not sids:
            for number in [number for number in self._journal if number < tail.slice]:
                del self._journal[number]
            tail.dropped()
            self._forget_shared()
        return Recovered(tail.left, found.set_aside)

    def _write_snapshots(
        self, snapshots: Sequence[tuple[str, Record]], shared: Sequence[OutputEntry]
    ) -> None:
        number = 0
        if shared:
            number = max(self._shared, default=0) + 1
            self._shared[number] = _encode(shared)
        for sid, snapshot in snapshots:
            self._snapshots[sid] = _encode(snapshot), number

    def _forget_shared(self) -> None:
        used = {number for _, number in self._snapshots.values()}
        self._shared = {number: it for number, it in self._shared.items() if number in used}
        self._commons.forget()

    async def close(self, *, clean: bool) -> None:
        self._clean = clean
