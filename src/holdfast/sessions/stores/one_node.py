"""The part of `Store` that is trivial on a single node."""

from __future__ import annotations

from collections.abc import Sequence


class OneNode:
    """There is no other node: all sessions belong to this one."""

    beats = False

    async def move(self, sids: Sequence[str], node: str) -> list[str]:
        return []

    async def beat(self) -> None:
        pass
