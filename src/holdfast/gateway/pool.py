"""The connections that have a session now."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from holdfast.core.items import Output
from holdfast.net.connection.connection import Connection


class Member(Protocol):
    """A connection in the pool."""

    @property
    def protocol(self) -> str:
        """Its adapter's name."""

    @property
    def connection(self) -> Connection:
        """The connection itself."""

    def show(self, item: Output, *, always: bool = False) -> None:
        """Write a volatile item now; without `always` it is dropped for a client that lags."""


class ConnectionPool:
    """All connections with a session, by session: to notify and to count them."""

    __slots__ = ("_members", "leaving", "returns_per_second", "total")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self.total = 0
        """The number of connections since the start."""
        self.leaving = 0
        """The number of connections when they were all told to leave; 0 before."""
        self.returns_per_second = 0.0
        """The rate at which they are told to return, if it is not that of the limits."""

    def register(self, sid: str, member: Member) -> None:
        """The session has this connection now, and no other."""
        self._members[sid] = member
        self.total += 1

    def unregister(self, sid: str, member: Member) -> None:
        """This connection is gone; nothing happens if another has taken its place."""
        if self._members.get(sid) is member:
            del self._members[sid]

    def leave(self) -> None:
        """The gateway stops: all connections are about to be told to leave."""
        self.leaving = len(self._members)

    def find(self, sid: str) -> Member | None:
        """The connection of a session, if it has one now."""
        return self._members.get(sid)

    def members(self) -> list[tuple[str, Member]]:
        """The connections there are now, each with the id of its session."""
        return list(self._members.items())

    def by_protocol(self) -> Counter[str]:
        """The number of connections of each protocol."""
        return Counter(member.protocol for member in self._members.values())

    def __len__(self) -> int:
        return len(self._members)
