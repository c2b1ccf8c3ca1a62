"""The other nodes on a gateway's store, for its operators."""

from __future__ import annotations

import asyncio

from holdfast.core.errors import BusyError
from holdfast.core.limits import StoreLimits
from holdfast.sessions.stores.base import Neighbours, Node, OwnedRow, Owner


class SilentNodeError(BusyError):
    """Another node has not done in time what it was asked for."""


class OtherNodes:
    """What operators see and end at other nodes; nothing without `neighbours`. Every method
    raises `StoreError`."""

    def __init__(self, neighbours: Neighbours | None, limits: StoreLimits) -> None:
        self._neighbours = neighbours
        self._limits = limits

    async def nodes(self, count: int) -> list[Node]:
        """Up to `count` gateways on the store: this one and the others. None if it is alone by
        its kind of store."""
        return await self._neighbours.nodes(count) if self._neighbours is not None else []

    async def sessions(self, after: str, count: int) -> list[OwnedRow]:
        """Up to `count` of their sessions behind the id `after`, as they are stored."""
        return await self._neighbours.of_others(after, count) if self._neighbours else []

    async def owner(self, sid: str) -> str | None:
        """The name of the node that has a session; `None` if none has it."""
        found = await self._neighbours.owner(sid) if self._neighbours is not None else None
        return found.node if found is not None else None

    async def end(self, sid: str) -> bool:
        """Have a session ended by the node that has it; false if no node has such a session.

        Raises `SilentNodeError`.
        """
        if self._neighbours is None or await self._neighbours.owner(sid) is None:
            return False
        try:
            await self._until_ended(self._neighbours, sid)
        finally:
            await self._neighbours.forget_end(sid)
        return True

    async def _until_ended(self, neighbours: Neighbours, sid: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.claim_seconds_max
        while (owner := await neighbours.request_end(sid)) is not None:
            if loop.time() >= deadline:
                raise SilentNodeError(_silence(owner, self._limits.claim_seconds_max))
            await asyncio.sleep(self._limits.move_seconds_max)


def _silence(owner: Owner, seconds: float) -> str:
    if not owner.node:
        return f"no node has taken the session over in {seconds:g} seconds"
    return (
        f"node {owner.node!r} has the session, and has not ended it in {seconds:g} seconds; its"
        f" last sign of life was seen {owner.silent_seconds:.1f} seconds ago"
    )
