"""A store in memory: for gateways that keep nothing, and for tests of what is kept."""

from __future__ import annotations

import msgspec

from holdfast.sessions.records import Batch, Record, Row, Stored, StoredSession

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode


class MemoryStore:
    """Keeps sessions as long as the object lives. A second `open` finds what was committed."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._snapshots: dict[str, bytes] = {}
        self._journal: dict[int, bytes] = {}
        self._accepted: dict[str, int] = {}
        self._settings: dict[str, bytes] = {}
        self._clean = True

    async def open(self) -> Stored:
        clean, self._clean = self._clean, False
        sessions = {
            sid: StoredSession(_decode(row, type=Row), [], journaled=False)
            for sid, row in self._rows.items()
        }
        for sid, snapshot in self._snapshots.items():
            sessions[sid].records.append(_decode(snapshot, type=Record))
        for entry in self._journal.values():
            replay(sessions, _decode(entry, type=list[tuple[str, Record]]))
        return Stored(
            clean=clean,
            number=max(self._journal, default=0),
            sessions=list(sessions.values()),
            accepted=dict(self._accepted),
            settings=dict(self._settings),
        )

    async def commit(self, batch: Batch) -> int:
        for row in batch.rows:
            self._rows[row.sid] = _encode(row)
        for sid, snapshot in batch.snapshots:
            self._snapshots[sid] = _encode(snapshot)
        entry = self._journal[batch.number] = _encode(batch.records)
        for number in [number for number in self._journal if number < batch.journal_from]:
            del self._journal[number]
        for sid in batch.deleted:
            self._rows.pop(sid, None)
            self._snapshots.pop(sid, None)
        self._accepted.update(batch.accepted)
        for instance in batch.forgotten:
            self._accepted.pop(instance, None)
        self._settings.update(batch.settings)
        return len(entry)

    async def close(self, *, clean: bool) -> None:
        self._clean = clean


def replay(sessions: dict[str, StoredSession], entry: list[tuple[str, Record]]) -> None:
    """Add the records of one journal entry to the sessions that are still there."""
    for sid, record in entry:
        session = sessions.get(sid)
        if session is None:
            continue
        records = session.records
        if not records or record.n > records[-1].n:  # else the snapshot holds it
            records.append(record)
            session.journaled = True
