"""The connections that have a session."""

from __future__ import annotations

from tests.net.fakes import Bench, FakeOwner

from holdfast.core.items import Output
from holdfast.core.limits import ConnectionLimits
from holdfast.gateway.pool import ConnectionPool
from holdfast.net.connection.connection import Connection


class Member:
    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.connection = Connection(Bench().runtime, ConnectionLimits(), FakeOwner())

    def show(self, item: Output, *, always: bool = False) -> None:
        raise AssertionError("nothing is shown here")


def test_connections_are_found_and_counted_by_their_protocol() -> None:
    pool = ConnectionPool()
    for sid, protocol in (("a", "telnet"), ("b", "websocket"), ("c", "telnet")):
        pool.register(sid, Member(protocol))
    assert pool.by_protocol() == {"telnet": 2, "websocket": 1}
    assert [sid for sid, _ in pool.members()] == ["a", "b", "c"]
    assert pool.find("d") is None
    assert (len(pool), pool.total) == (3, 3)


def test_a_session_has_one_connection() -> None:
    pool = ConnectionPool()
    old, new = Member("telnet"), Member("websocket")
    pool.register("a", old)
    pool.register("a", new)
    pool.unregister("a", old)  # it was told late that it is gone
    assert pool.find("a") is new
    pool.unregister("a", new)
    assert (len(pool), pool.total) == (0, 2)
    pool.unregister("a", new)
