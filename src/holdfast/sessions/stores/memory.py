"""A store in memory: for gateways that keep nothing, and for tests of what is kept."""

from __future__ import annotations

import msgspec

from holdfast.sessions.records import Batch, Record, Row, Stored


class MemoryStore:
    """Keeps sessions as long as the object lives. A second `open` finds what was committed."""

    def __init__(self) -> None:
        self._rows: dict[str, bytes] = {}
        self._records: dict[str, dict[int, bytes]] = {}
        self._accepted: dict[str, int] = {}
        self._settings: dict[str, bytes] = {}
        self._clean = True

    async def open(self) -> Stored:
        clean, self._clean = self._clean, False
        return Stored(
            clean=clean,
            sessions=[
                (
                    msgspec.msgpack.decode(row, type=Row),
                    [
                        msgspec.msgpack.decode(record, type=Record)
                        for record in self._records.get(sid, {}).values()
                    ],
                )
                for sid, row in self._rows.items()
            ],
            accepted=dict(self._accepted),
            settings=dict(self._settings),
        )

    async def commit(self, batch: Batch) -> None:
        for row in batch.rows:
            self._rows[row.sid] = msgspec.msgpack.encode(row)
        for sid, record in batch.records:
            self._records.setdefault(sid, {})[record.n] = msgspec.msgpack.encode(record)
        for trim in batch.trims:
            records = self._records.get(trim.sid, {})
            for n in [n for n in records if n <= trim.n]:
                del records[n]
        for sid in batch.deleted:
            self._rows.pop(sid, None)
            self._records.pop(sid, None)
        self._accepted.update(batch.accepted)
        for instance in batch.forgotten:
            self._accepted.pop(instance, None)
        self._settings.update(batch.settings)

    async def close(self, *, clean: bool) -> None:
        self._clean = clean
