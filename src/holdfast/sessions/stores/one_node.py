"""The part of `Store` that is trivial on a single node."""

from __future__ import annotations

from pathlib import Path

from holdfast.sessions.stores.base import Neighbours, StoreError


class OneNode:
    """There is no other node: all sessions belong to this one."""

    neighbours: Neighbours | None = None

    async def backup(self, path: Path) -> int:
        raise StoreError("nothing is stored, so there is nothing to back up")

    async def beat(self) -> None:
        pass
