"""What survives the gateway: a store whose commits end when the world says so, and how."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from holdfast.core.limits import Limits
from holdfast.sessions.records import Batch, Found, Recovered, Stored
from holdfast.sessions.stores.base import StoreFullError
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.one_node import OneNode
from holdfast.sessions.stores.sqlite import SQLiteFile


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class Disk:
    """What the store's file holds. Without a path, it is an object in memory."""

    def __init__(self, path: Path | None) -> None:
        self.full = False
        """Whether every commit is refused."""
        self._path = path
        self._memory = MemoryStore()
        self._copy: MemoryStore | None = None
        self._file: SQLiteFile | None = None

    def open(self) -> Stored:
        if self._path is None:
            stored: Stored = finish(self._memory.open())
            return stored
        self._file = SQLiteFile(self._path, Limits().store)
        return self._file.open()

    def commit(self, batch: Batch) -> int:
        """Write a batch. Raises `StoreFullError` while there is no room."""
        if self.full:
            raise StoreFullError("the disk is full")
        if self._file is not None:
            return self._file.commit(batch)
        size: int = finish(self._memory.commit(batch))
        return size

    def find(self, sids: Sequence[str]) -> Found:
        if self._file is not None:
            return self._file.find(sids)
        found: Found = finish(self._memory.find(sids))
        return found

    def recover(self, count: int) -> Recovered:
        """Fold a part of the journal. Raises `StoreFullError` while there is no room."""
        if self.full:
            raise StoreFullError("the disk is full")
        if self._file is not None:
            return self._file.recover(count)
        recovered: Recovered = finish(self._memory.recover(count))
        return recovered

    def close(self, *, clean: bool) -> None:
        if self._file is None:
            finish(self._memory.close(clean=clean))
        else:
            self._file.close(clean=clean)

    def copy(self) -> None:
        """Make a copy of what is there, to go back to."""
        self._copy = copy.deepcopy(self._memory)

    def go_back(self) -> None:
        """Restore the copy, as from a backup, if there is one."""
        if self._copy is not None:
            self._memory, self._copy = self._copy, None


class SimStore(OneNode):
    """A gateway's store, without its thread. It is written to when `finish` is called.

    What is to be read meanwhile waits for that.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._batch: Batch | None = None
        self._done: asyncio.Future[int]
        self._dead = False

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._batch is not None

    async def open(self) -> Stored:
        return self._disk.open()

    async def commit(self, batch: Batch) -> int:
        self._batch = batch
        self._done = asyncio.get_running_loop().create_future()
        return await self._done

    async def claim(self, sids: Sequence[str]) -> list[str]:
        return list(sids)

    async def find(self, sids: Sequence[str]) -> Found:
        await self._turn()
        return self._disk.find(sids)

    async def take(self, sids: Sequence[str]) -> Found:
        return await self.find(sids)

    async def recover(self, count: int) -> Recovered:
        await self._turn()
        return self._disk.recover(count)

    async def _turn(self) -> None:
        """What was asked for before is done."""
        await asyncio.sleep(0)
        if self._batch is not None:
            await asyncio.wait([self._done])

    async def check(self) -> None:
        """The disk keeps what it has."""

    async def close(self, *, clean: bool) -> None:
        if not self._dead:
            self._disk.close(clean=clean)

    def finish(self) -> bool:
        """The commit that is under way ends. False if there is none."""
        batch, self._batch = self._batch, None
        if batch is None:
            return False
        try:
            size = self._disk.commit(batch)
        except StoreFullError as error:
            self._done.set_exception(error)
        else:
            self._done.set_result(size)
        return True

    def die(self, *, stored: bool) -> None:
        """The gateway is killed. `stored`: a commit under way reaches the disk all the same."""
        if self._batch is not None and stored and not self._disk.full:
            self._disk.commit(self._batch)
        self._disk.close(clean=False)
        self._dead = True
