"""What the function `commit_1` of the schema does."""

from __future__ import annotations

from typing import Any

from holdfast.sessions.stores.postgres.schema import PLACE_BITS
from tests.simulation.postgresql.rows import Row, Transaction, Values, row

_ROW = ("app", "username", "state", "detached", "code", "code_before", "body")


def lock_run(tx: Transaction, inc: int) -> bool:
    """Whether the run is not fenced. Nobody fences it before the end of the transaction."""
    return bool(tx.select("node", lambda _, node: not node["fenced"], keys=[inc]))


def commit(tx: Transaction, inc: int, number: int | None, sync: bool, *values: Any) -> list[Row]:
    """One group commit. 1; 0 if it was written before; -1 if the run is fenced."""
    entry, shared, journal_from, instances, heard, *rest = values
    if not lock_run(tx, inc):
        return [row(written=-1)]
    if number is not None:
        if any(key[0] == inc and key[1] >= number for key, _ in tx.all("journal")):
            return [row(written=0)]
        tx.put("journal", (inc, number), {"body": entry, "shared": shared})
    for instance, newest in zip(instances or (), heard or (), strict=True):
        tx.put("heard", (inc, instance), {"number": newest})
    _write_sessions(tx, inc, rest[:8])
    _write_snapshots(tx, *rest[8:11])
    if journal_from > 0:
        for key, _ in tx.select("journal", lambda key, _: key[0] == inc and key[1] < journal_from):
            tx.delete("journal", key)
        used = {snapshot["common"] for _, snapshot in tx.all("snapshot")}
        for key, _ in tx.select("common", lambda key, _: key not in used):
            tx.delete("common", key)
    _delete(tx, inc, rest[11])
    for instance in rest[12] or ():
        tx.delete("heard", (inc, instance))
    _keep(tx, *rest[13:15])
    _set_aside(tx, *rest[15:])
    return [row(written=1)]


def _write_sessions(tx: Transaction, inc: int, columns: Any) -> None:
    for sid, *values in zip(*columns, strict=True) if columns[0] is not None else ():
        tx.lock("session", sid)
        before = tx.get("session", sid)
        if before is None:
            before = {"owner": inc, "gen": 1}
        if before["owner"] == inc:
            tx.put("session", sid, {**before, **dict(zip(_ROW, values, strict=True))})


def _write_snapshots(tx: Transaction, sids: Any, bodies: Any, shared: bytes | None) -> None:
    if sids is None:
        return
    number = 0
    if shared is not None:
        number = tx.tables.number("common")
        tx.put("common", number, {"body": shared})
    for sid, body in zip(sids, bodies, strict=True):
        tx.put("snapshot", sid, {"body": body, "common": number})


def _delete(tx: Transaction, inc: int, deleted: Any) -> None:
    def ours(_: Any, session: Values) -> bool:
        return bool(session["owner"] == inc)

    for sid in deleted or ():
        session = tx.get("session", sid)
        if session is None or ours(sid, session):
            tx.delete("snapshot", sid)
    for sid, _ in tx.select("session", ours, keys=deleted or ()):
        tx.delete("session", sid)


def _keep(tx: Transaction, keys: Any, values: Any) -> None:
    for key, value in zip(keys or (), values or (), strict=True):
        if value:
            tx.put("setting", key, {"value": value})
        else:
            tx.delete("setting", key)


def _set_aside(tx: Transaction, sids: Any, faults: Any, bodies: Any, places: Any) -> None:
    for sid, fault, body in zip(sids or (), faults or (), bodies or (), strict=True):
        kept = {"sid": sid, "fault": fault, "body": body}
        tx.put("set_aside", tx.tables.number("set_aside"), kept)
    for place in places or ():
        tx.delete("journal", (place >> PLACE_BITS, place & (1 << PLACE_BITS) - 1))
