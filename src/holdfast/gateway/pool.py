"""The connections that have a session now."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from holdfast.core.items import Output


class Member(Protocol):
    """A connection in the pool."""

    @property
    def protocol(self) -> str:
        """Its adapter's name."""

    def show(self, item: Output) -> None:
        """Write a volatile item now, or drop it."""


class ConnectionPool:
    """All connections with a session, by session: to notify and to count them."""

    __slots__ = ("_members", "total")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self.total = 0
        """The number of connections since the start."""

    def register(self, sid: str, member: Member) -> None:
        """The session has this connection now, and no other."""
        self._members[sid] = member
        self.total += 1

    def unregister(self, sid: str, member: Member) -> None:
        """This connection is gone; nothing happens if another has taken its place."""
        if self._members.get(sid) is member:
            del self._members[sid]

    def send(self, sid: str, item: Output) -> bool:
        """Show `item` to the client of one session; false if it has none now."""
        member = self._members.get(sid)
        if member is None:
            return False
        member.show(item)
        return True

    def broadcast(self, item: Output) -> int:
        """Show `item` to every client. Returns to how many."""
        for member in self._members.values():
            member.show(item)
        return len(self._members)

    def by_protocol(self) -> Counter[str]:
        """The number of connections of each protocol."""
        return Counter(member.protocol for member in self._members.values())

    def __len__(self) -> int:
        return len(self._members)
