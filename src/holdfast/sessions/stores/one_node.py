"""What a store does of `Store` where only one node uses it."""

from __future__ import annotations

from collections.abc import Sequence


class OneNode:
    """There is no other node: all sessions are this one's, and nobody fences it."""

    async def move(self, sids: Sequence[str], node: str) -> list[str]:
        return []

    async def beat(self) -> bool:
        return True
