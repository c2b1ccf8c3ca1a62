"""The tables, and transactions on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

Values = dict[str, Any]
"""One row of a table. It is replaced, never changed."""
Place = tuple[str, Any]
"""A table and the primary key of a row."""


class Row(tuple[Any, ...]):
    """A row of an answer: as asyncpg gives it."""

    names: tuple[str, ...]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


def row(**values: Any) -> Row:
    made = Row(values.values())
    made.names = tuple(values)
    return made


class WaitsError(Exception):
    """A statement waits for the end of another transaction."""

    def __init__(self, holder: Transaction) -> None:
        super().__init__()
        self.holder = holder


class Tables:
    """What is committed, and which transactions hold which rows."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.wall = wall
        self.rows: defaultdict[str, dict[Any, Values]] = defaultdict(dict)
        self.locks: dict[Place, Transaction] = {}
        self.owners: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        """By session: each generation and the run that owns it, in order."""
        self.outcomes: dict[str, str] = {}
        """What became of the transactions that have asked for their number."""
        self.written = self.flushed = 1
        """How far the log is written, and how far it is on the disk."""
        self._unflushed: list[dict[Place, Values | None]] = []
        """What a crash would bring back: what was there before each commit."""
        self._numbers: defaultdict[str, count[int]] = defaultdict(lambda: count(1))

    def number(self, table: str) -> int:
        """The next number of an identity column; one that was given is never given again."""
        return next(self._numbers[table])

    def store(self, changes: dict[Place, Values | None], *, flush: bool) -> None:
        before = {(table, key): self.rows[table].get(key) for table, key in changes}
        for place, values in changes.items():
            self._set(place, values)
            if place[0] == "session" and values is not None:
                self._own(place[1], values)
        self.written += 1
        if flush:
            self.flushed = self.written
            self._unflushed.clear()
        else:
            self._unflushed.append(before)

    def crash(self) -> None:
        """What is not on the disk is lost."""
        self.locks.clear()
        under_way = [number for number, what in self.outcomes.items() if what == "in progress"]
        self.outcomes.update(dict.fromkeys(under_way, "aborted"))
        for before in reversed(self._unflushed):
            for place, values in before.items():
                self._set(place, values)
        self._unflushed.clear()

    def _set(self, place: Place, values: Values | None) -> None:
        table, key = place
        if values is None:
            self.rows[table].pop(key, None)
        else:
            self.rows[table][key] = values

    def _own(self, sid: str, values: Values) -> None:
        known, now = self.owners[sid], (values["gen"], values["owner"])
        if known[-1:] != [now]:
            known.append(now)


class Transaction:
    """Changes that nobody else sees before `commit`."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.changes: dict[Place, Values | None] = {}
        self._held: set[Place] = set()
        self._number = ""
        """Its number, if that was asked for."""

    def number(self) -> str:
        if not self._number:
            self._number = str(self.tables.number("transaction"))
            self.tables.outcomes[self._number] = "in progress"
        return self._number

    # --- reading

    def get(self, table: str, key: Any) -> Values | None:
        place = table, key
        if place in self.changes:
            return self.changes[place]
        return self.tables.rows[table].get(key)

    def all(self, table: str) -> list[tuple[Any, Values]]:
        """All rows, in the order of their keys."""
        found = dict(self.tables.rows[table])
        for (name, key), values in self.changes.items():
            if name == table:
                found[key] = values
        return [(key, found[key]) for key in sorted(found) if found[key] is not None]

    # --- locks

    def lock(self, table: str, key: Any) -> None:
        """The row is this transaction's until its end. Raises `WaitsError`."""
        holder = self.tables.locks.setdefault((table, key), self)
        if holder is not self:
            raise WaitsError(holder)
        self._held.add((table, key))

    def try_lock(self, table: str, key: Any) -> bool:
        """`SKIP LOCKED`."""
        try:
            self.lock(table, key)
        except WaitsError:
            return False
        return True

    def select(
        self,
        table: str,
        condition: Callable[[Any, Values], bool],
        *,
        keys: Iterable[Any] | None = None,
        skip_locked: bool = False,
    ) -> list[tuple[Any, Values]]:
        """Lock the rows for which the condition holds, then as well as before."""
        found = []
        wanted = self.all(table) if keys is None else self._some(table, keys)
        for key, values in wanted:
            if not condition(key, values):
                continue
            if skip_locked:
                if not self.try_lock(table, key):
                    continue
            else:
                self.lock(table, key)
            now = self.get(table, key)
            if now is not None and condition(key, now):
                found.append((key, now))
        return found

    def _some(self, table: str, keys: Iterable[Any]) -> list[tuple[Any, Values]]:
        found = ((key, self.get(table, key)) for key in dict.fromkeys(keys))
        return [(key, values) for key, values in found if values is not None]

    # --- writing

    def put(self, table: str, key: Any, values: Values) -> None:
        self.lock(table, key)
        self.changes[table, key] = values

    def change(self, table: str, key: Any, **values: Any) -> None:
        before = self.get(table, key)
        assert before is not None
        self.put(table, key, {**before, **values})

    def delete(self, table: str, key: Any) -> None:
        self.lock(table, key)
        self.changes[table, key] = None

    # --- the end

    def commit(self, *, flush: bool) -> None:
        if self.changes:
            self.tables.store(self.changes, flush=flush)
        self._end("committed")

    def release(self) -> None:
        """It has ended, and nothing of it has happened."""
        self._end("aborted")

    def _end(self, outcome: str) -> None:
        if self._number:
            self.tables.outcomes[self._number] = outcome
        for place in self._held:
            self.tables.locks.pop(place, None)
        self._held.clear()
