"""The connections that have a session."""

from __future__ import annotations

from holdfast.core.items import Notice, Output
from holdfast.gateway.pool import ConnectionPool


class Member:
    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.shown: list[Output] = []

    def show(self, item: Output) -> None:
        self.shown.append(item)


def test_an_item_is_shown_to_one_or_to_all() -> None:
    pool = ConnectionPool()
    ann, bo = Member("telnet"), Member("websocket")
    pool.register("a", ann)
    pool.register("b", bo)
    assert pool.send("a", Notice("to Ann"))
    assert pool.broadcast(Notice("to all")) == 2
    assert not pool.send("c", Notice("to nobody"))
    assert ann.shown == [Notice("to Ann"), Notice("to all")]
    assert bo.shown == [Notice("to all")]


def test_connections_are_counted_by_their_protocol() -> None:
    pool = ConnectionPool()
    for sid, protocol in (("a", "telnet"), ("b", "websocket"), ("c", "telnet")):
        pool.register(sid, Member(protocol))
    assert pool.by_protocol() == {"telnet": 2, "websocket": 1}
    assert (len(pool), pool.total) == (3, 3)


def test_a_session_has_one_connection() -> None:
    pool = ConnectionPool()
    old, new = Member("telnet"), Member("websocket")
    pool.register("a", old)
    pool.register("a", new)
    pool.unregister("a", old)  # it was told late that it is gone
    assert pool.send("a", Notice("x"))
    assert (old.shown, new.shown) == ([], [Notice("x")])
    pool.unregister("a", new)
    assert (len(pool), pool.total) == (0, 2)
    pool.unregister("a", new)
