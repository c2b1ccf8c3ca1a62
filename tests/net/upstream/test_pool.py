from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.net.fakes import Bench

from holdfast.core.errors import Source
from holdfast.core.limits import UpstreamLimits
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.upstream.balance import Balance
from holdfast.net.upstream.circuit_breaker import BreakerState
from holdfast.net.upstream.pool import NoUpstreamError, Target, UpstreamPool, UpstreamServer

LIMITS = UpstreamLimits(failures_max=2, connections_max=3)


def make(
    *ports: int, balance: Balance = Balance.ROUND_ROBIN, limits: UpstreamLimits = LIMITS
) -> UpstreamPool:
    servers = [UpstreamServer(parse_address(f"tcp://192.0.2.1:{port}")) for port in ports]
    random = Random(1)
    return UpstreamPool("mud", servers, balance, limits, draw=random.randrange, entropy=lambda: 1.0)


def ended(received: bytes = b"", sent: bytes = b"") -> Connection:
    """A connection over which this has gone."""
    connection = Bench().connect()
    connection.data_received(received)
    connection.write(sent)
    connection.flush()
    return connection


def port(pool: UpstreamPool, now: float = 0.0, key: str = "") -> int:
    """Choose, connect, and say which."""
    target = pool.choose(key, now)
    pool.connected(target, ended())
    return target.address.port


def fail(pool: UpstreamPool, number: int, now: float) -> None:
    """Let attempts at one server fail until it is left alone."""
    target = next(one for one in pool.targets if one.address.port == number)
    while target.breaker.state is not BreakerState.OPEN:
        probe = target.breaker.tried()
        target.active += 1
        pool.failed(target, now, probe)


def test_servers_take_turns() -> None:
    pool = make(1, 2)
    assert [port(pool) for _ in range(4)] == [1, 2, 1, 2]
    assert [target.active for target in pool.targets] == [2, 2]


def test_a_place_is_reserved_before_there_is_a_connection() -> None:
    """Many who dial at once exceed no limit."""
    pool = make(1, 2)
    for _ in range(6):
        pool.choose("", 0.0)
    with pytest.raises(NoUpstreamError) as caught:
        pool.choose("", 0.0)
    assert str(caught.value) == (
        "upstream mud: no server can be used: "
        "tcp://192.0.2.1:1 has 3 connections, as many as it may; "
        "tcp://192.0.2.1:2 has 3 connections, as many as it may"
    )
    assert caught.value.source is Source.REMOTE
    assert caught.value.retryable
    assert pool.refused == 1


def test_a_server_that_fails_is_left_alone_and_then_tried_once() -> None:
    pool = make(1, 2)
    fail(pool, 1, 10.0)
    assert [port(pool, 10.5) for _ in range(2)] == [2, 2]
    trial = pool.choose("", 11.0, [pool.targets[1]])
    assert trial is pool.targets[0]
    assert port(pool, 12.0) == 2  # one trial at a time
    pool.connected(trial, ended())
    assert pool.usable(trial, 12.0)


def test_why_none_can_be_used_is_said_of_each() -> None:
    pool = make(1, 2, 3)
    fail(pool, 1, 10.0)
    pool.targets[1].health.up = False
    fail(pool, 3, 8.0)
    pool.choose("", 10.0)  # the trial of the third
    message = (
        "upstream mud: no server can be used: "
        "tcp://192.0.2.1:1 has failed and is tried again in 0.5 s; "
        "tcp://192.0.2.1:2 is down, by its checks; "
        "tcp://192.0.2.1:3 has failed and is being tried again"
    )
    with pytest.raises(NoUpstreamError, match=f"^{re.escape(message)}$"):
        pool.choose("", 10.5)


def test_those_that_were_tried_come_last() -> None:
    pool = make(1, 2)
    first = pool.choose("", 0.0)
    second = pool.choose("", 0.0, [first])
    assert second is not first
    assert pool.choose("", 0.0, [first, second]) in (first, second)


def test_what_became_of_attempts_is_counted() -> None:
    pool = make(1, limits=UpstreamLimits())
    (target,) = pool.targets
    connection = ended(b"x" * 10, b"y" * 20)
    pool.connected(pool.choose("", 0.0), connection)
    pool.failed(pool.choose("", 0.0), 0.0)
    pool.abandoned(pool.choose("", 0.0))
    assert (target.active, target.connected, target.failed) == (1, 1, 1)
    assert (target.received, target.sent) == (10, 20)
    pool.released(target, connection)
    assert (target.active, target.received, target.sent) == (0, 10, 20)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(Balance),
    st.lists(
        st.tuples(
            st.sampled_from(["fail", "abandon", "connect", "release", "wait"]), st.text("ab")
        ),
        max_size=80,
    ),
)
def test_places_are_never_lost_nor_exceeded(balance: Balance, steps: list[tuple[str, str]]) -> None:
    pool = make(1, 2, balance=balance)
    held: list[tuple[Target, Connection]] = []
    now = 0.0
    for what, key in steps:
        if what == "wait":
            now += 0.7
        elif what == "release" and held:
            pool.released(*held.pop())
        else:
            try:
                target = pool.choose(key, now)
            except NoUpstreamError:
                continue
            probe = target.breaker.probe
            if what == "fail":
                pool.failed(target, now, probe)
            elif what == "abandon":
                pool.abandoned(target, probe)
            else:
                connection = ended()
                pool.connected(target, connection)
                held.append((target, connection))
        assert sum(target.active for target in pool.targets) == len(held)
        assert all(target.active <= LIMITS.connections_max for target in pool.targets)
    for target, connection in held:
        pool.released(target, connection)
    later = now + LIMITS.broken_seconds_max
    assert all(pool.usable(target, later) for target in pool.targets)


def test_a_server_that_ends_connections_without_a_byte_has_failed() -> None:
    pool = make(1, limits=UpstreamLimits(failures_max=3))
    (target,) = pool.targets
    for count in (1, 2):
        pool.ended(target, ended(), OSError("reset"))
        assert (target.failed, target.hung_up) == (count, count)
    pool.ended(target, ended(b"x"), OSError("reset"))
    assert (target.failed, target.hung_up) == (2, 0), "it has said something"
    pool.ended(target, ended(b"", b"y"), None)
    assert (target.failed, target.hung_up) == (2, 0), "it has listened, and said goodbye"
    assert target.breaker.state is BreakerState.CLOSED
    pool.ended(target, ended(), None)
    assert (target.failed, target.breaker.state) == (3, BreakerState.OPEN)
