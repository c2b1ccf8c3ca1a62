"""What one connection does, on a fake transport and a fake clock: nothing here waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.net.fakes import Bench, Recorder

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection import output
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase

LIMITS = ConnectionLimits(
    handshake_seconds_max=10,
    idle_seconds_max=60,
    stalled_seconds_max=30,
    close_seconds_max=5,
    write_buffer_bytes_max=1_000,
)
A_SLOT = 0.3
"""By so much at most, the timers are late."""


def bench(handler: Recorder | None = None, **options: object) -> Bench:
    return Bench(LIMITS, handler, **options)  # type: ignore[arg-type]


def connected(handler: Recorder | None = None, **options: object) -> Bench:
    it = bench(handler, **options)
    it.connect()
    return it


def established(handler: Recorder | None = None) -> Bench:
    it = connected(handler)
    it.connection.established()
    return it


# --- writing


@given(ticks=st.lists(st.lists(st.binary(max_size=5), max_size=5), max_size=5))
def test_what_is_written_in_one_tick_leaves_in_one_piece(ticks: list[list[bytes]]) -> None:
    it = connected()
    for writes in ticks:
        for data in writes:
            it.connection.write(data)
        it.loop.tick()
    assert it.transport.written == [b"".join(writes) for writes in ticks if writes]
    assert it.connection.bytes_out == sum(map(len, it.transport.written))


def test_nothing_is_written_before_the_end_of_the_tick() -> None:
    it = connected()
    it.connection.write(b"a")
    assert it.transport.written == []
    assert it.connection.unsent == 1
    it.connection.flush()
    assert it.transport.written == [b"a"]
    assert it.connection.unsent == 0
    it.connection.flush()
    it.loop.tick()
    assert it.transport.written == [b"a"]


def test_what_is_large_is_not_joined_and_what_is_empty_left_out() -> None:
    it, large = connected(), bytes(64 * 1024)
    for data in (b"head", large, b""):
        it.connection.write(data)
    it.loop.tick()
    assert it.transport.written == [b"head", large]
    assert it.connection.bytes_out == 4 + len(large)


def test_what_is_large_is_not_given_to_a_transport_that_closes() -> None:
    it = connected()
    it.connection.write(b"head")
    it.connection.write(bytes(64 * 1024))
    it.transport.closed = True  # of itself: the peer was lost
    it.connection.flush()
    assert it.transport.written == []


def test_what_was_flushed_and_what_came_after_leave_in_order() -> None:
    it = connected()
    it.connection.write(b"a")
    it.connection.flush()
    it.connection.write(b"b")
    it.loop.tick()
    assert it.transport.written == [b"a", b"b"]


def test_the_buffer_of_the_transport_has_the_limit_of_the_configuration() -> None:
    it = connected()
    assert it.transport.high == LIMITS.write_buffer_bytes_max
    it.transport.buffered = 700
    it.connection.write(b"abc")
    assert it.connection.unsent == 703


def test_what_is_written_after_the_transport_closed_is_dropped() -> None:
    it = connected()
    it.connection.write(b"a")
    it.transport.close()
    it.loop.tick()
    assert it.transport.written == []
    assert it.connection.unsent == 0


def test_a_slow_reader_makes_it_full_and_then_writable() -> None:
    it = established()
    it.transport.buffered = 1_001
    it.connection.pause_writing()
    assert it.connection.full
    assert it.calls == []
    it.connection.resume_writing()
    assert not it.connection.full
    assert it.calls == ["writable"]


def test_a_closing_connection_is_not_told_that_it_is_writable() -> None:
    it = established()
    it.transport.buffered = 1_001
    it.connection.pause_writing()
    it.connection.close()
    it.connection.resume_writing()
    assert it.calls == []


# --- reading


def test_what_comes_goes_to_the_handler_and_is_counted() -> None:
    it = established()
    it.connection.data_received(b"abc")
    it.connection.data_received(b"de")
    assert it.calls == [("received", b"abc"), ("received", b"de")]
    assert it.connection.bytes_in == 5


def test_reading_can_be_paused_and_resumed() -> None:
    it = bench()
    it.connection.pause_reading()  # without a transport, there is nothing to pause
    it.connection.resume_reading()
    it.connect()
    it.connection.pause_reading()
    assert not it.transport.reading
    it.connection.resume_reading()
    assert it.transport.reading
    assert it.connection._gate is None  # it takes memory, and few are stopped for long


def test_reading_that_stops_while_it_resumes_stays_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = connected()
    resume, transport = it.transport.resume_reading, it.transport

    def resume_and_stop() -> None:
        resume()
        monkeypatch.setattr(transport, "resume_reading", resume)
        it.connection.pause_reading()  # what a handler may do with what comes at once

    monkeypatch.setattr(transport, "resume_reading", resume_and_stop)
    it.connection.pause_reading()
    it.connection.resume_reading()
    assert not transport.reading
    it.connection.resume_reading()
    assert transport.reading


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_peer_s_end_is_told_and_leaves_our_side_open(secure: bool) -> None:
    it = connected(ssl_object=object() if secure else None)
    assert it.connection.secure is secure
    assert it.connection.eof_received()
    assert it.calls == ["ended"]
    it.connection.write(b"still")
    it.loop.tick()
    assert it.transport.written == [b"still"]


def test_another_handler_may_take_the_place_of_the_first() -> None:
    it = established()
    second = Recorder()
    it.connection.attach(second)
    it.connection.data_received(b"x")
    it.lose()
    assert it.calls == []
    assert second.calls == [("received", b"x"), ("lost", None)]


# --- the end


def test_close_sends_what_is_written_first() -> None:
    it = established()
    it.connection.write(b"goodbye")
    it.connection.close()
    assert it.transport.written == [b"goodbye"]
    assert it.transport.closed
    assert not it.transport.aborted
    assert it.connection.phase is Phase.CLOSING
    it.lose()
    assert it.connection.phase.name == "LOST"
    assert it.calls == [("lost", None)]


def test_abort_sends_nothing_more() -> None:
    it = established()
    it.connection.write(b"goodbye")
    it.connection.abort()
    assert it.transport.aborted
    it.loop.tick()
    assert it.transport.written == []


def test_a_connection_without_a_transport_can_be_ended_too() -> None:
    it = bench()
    it.connection.abort()
    it.connection.close()
    assert it.connection.extra("peername") is None
    assert it.connection.unsent == 0
    assert not it.connection.secure


ENDINGS: dict[str, Callable[[Connection], object]] = {
    "close": Connection.close,
    "abort": Connection.abort,
    "drain": Connection.drain,
    "write": lambda connection: connection.write(b"x"),
    "flush": Connection.flush,
    "pause_reading": Connection.pause_reading,
    "resume_reading": Connection.resume_reading,
    "established": Connection.established,
    "connection_lost": lambda connection: connection.connection_lost(None),
    "delivery": Connection.delivery,
}


@pytest.mark.parametrize("name", ENDINGS)
def test_after_the_end_nothing_does_harm(name: str) -> None:
    it = established()
    it.lose()
    assert it.calls == [("lost", None)]
    ENDINGS[name](it.connection)
    it.loop.advance(1_000)
    assert it.calls == []
    assert it.transport.written == []
    assert it.connection.phase is Phase.LOST
    assert it.owner.closes == 1


def test_lost_is_told_once_with_its_cause() -> None:
    it = established()
    cause = ConnectionResetError()
    it.lose(cause)
    it.lose()
    assert it.calls == [("lost", cause)]
    assert it.owner.open == []


def test_a_connection_that_is_not_admitted_ends_unheard() -> None:
    it = bench(admits=False)
    it.connect()
    assert it.transport.aborted
    assert it.connection.phase is Phase.LOST
    it.lose()
    it.loop.advance(1_000)
    assert it.calls == []
    assert it.owner.closes == 0


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(lambda it: None, True, id="handshake"),
        pytest.param(lambda it: it.connection.established(), True, id="established"),
        pytest.param(lambda it: it.connection.close(), False, id="closing"),
        pytest.param(lambda it: it.lose(), False, id="lost"),
    ],
)
def test_drain_is_told_to_whoever_can_still_say_goodbye(
    prepare: Callable[[Bench], object], told: bool
) -> None:
    it = connected()
    prepare(it)
    it.calls.clear()
    it.connection.drain()
    assert it.calls == (["drain"] if told else [])


# --- defects


def failing(call: str) -> Recorder:
    def fail(name: str) -> None:
        if name == call:
            raise ValueError(f"a defect in {name}")

    return Recorder(fail)


def expire(it: Bench) -> None:
    it.connection.wake_at(it.loop.time())
    it.loop.advance(1)


def fill_and_drain(it: Bench) -> None:
    it.transport.buffered = 1_001
    it.connection.pause_writing()
    it.connection.resume_writing()


DEFECTS: dict[str, Callable[[Bench], object]] = {
    "received": lambda it: it.connection.data_received(b"x"),
    "ended": lambda it: it.connection.eof_received(),
    "writable": fill_and_drain,
    "expired": expire,
    "overdue": lambda it: it.loop.advance(100),
    "drain": lambda it: it.connection.drain(),
}


@pytest.mark.parametrize("call", DEFECTS)
def test_a_handler_that_raises_ends_its_own_connection(call: str) -> None:
    it = established(failing(call))
    with structlog.testing.capture_logs() as logs:
        DEFECTS[call](it)
    assert it.transport.aborted
    assert f"a defect in {call}" in logs[0]["traceback"]
    assert logs[0]["peer"] == "192.0.2.1:4000"
    it.lose()
    assert it.calls[-1] == ("lost", None)
    assert it.owner.closes == 1


def test_a_handler_that_raises_when_it_is_connected_still_hears_the_end() -> None:
    it = bench(failing("connected"))
    with structlog.testing.capture_logs():
        it.connection.connection_made(it.transport)
    assert it.transport.aborted
    it.lose()
    assert it.calls == ["connected", ("lost", None)]


def test_a_handler_that_raises_at_the_end_is_logged_and_counted_out() -> None:
    it = established(failing("lost"))
    with structlog.testing.capture_logs() as logs:
        it.lose()
    assert "a defect in lost" in logs[0]["traceback"]
    assert it.owner.closes == 1


# --- limits of time


def test_a_handshake_that_takes_too_long_is_told_once() -> None:
    it = connected()
    it.loop.advance(10 - A_SLOT)
    it.connection.data_received(b"x")  # talking does not help
    assert it.calls == [("received", b"x")]
    it.loop.advance(2 * A_SLOT)
    assert it.calls == [("overdue", Reason.TIMEOUT)]
    it.loop.advance(20)
    assert it.calls == []


def test_the_handshake_s_time_runs_from_the_accepted_socket() -> None:
    """So what TLS takes of it before `connection_made` counts."""
    it = bench()
    it.loop.advance(7)
    it.connect()
    it.loop.advance(3 + A_SLOT)
    assert it.calls == [("overdue", Reason.TIMEOUT)]


def test_an_established_connection_may_be_silent_for_so_long() -> None:
    it = established()
    for _ in range(3):
        it.loop.advance(59)
        assert it.calls == []
        it.connection.data_received(b"x")
        assert it.calls == [("received", b"x")]
    it.loop.advance(60 + A_SLOT)
    assert ("overdue", Reason.TIMEOUT) in it.calls


def test_being_established_twice_changes_nothing() -> None:
    it = established()
    it.connection.close()
    it.connection.established()
    assert it.connection.phase is Phase.CLOSING


def test_what_we_write_is_no_sign_of_life() -> None:
    it = established()
    for _ in range(61):
        it.connection.write(b"x")
        it.loop.advance(1)
    assert it.calls[0] == ("overdue", Reason.TIMEOUT)


def leaving() -> Bench:
    """A connection that has said its last words to a peer that may be sending."""
    it = established()
    it.connection.write(b"goodbye")
    it.connection.close_on()
    assert it.transport.written == [b"goodbye"]
    assert it.transport.ended
    return it


def test_who_leaves_after_our_last_words_is_waited_for() -> None:
    it = leaving()
    it.connection.data_received(b"still sending")
    assert not it.transport.closed
    it.connection.eof_received()
    assert it.transport.closed
    it.lose()
    assert it.calls == [("lost", None)]


def test_who_stays_and_is_silent_is_not_waited_for() -> None:
    it = leaving()
    it.loop.advance(1 - A_SLOT)
    assert not it.transport.closed
    it.loop.advance(2 * A_SLOT)
    assert it.transport.closed
    assert not it.transport.aborted


def test_who_goes_on_sending_is_read_until_the_limit_of_time() -> None:
    it = leaving()
    for _ in range(8):
        it.loop.advance(0.6)
        it.connection.data_received(b"x")
    assert not it.transport.closed
    it.loop.advance(0.6)
    assert it.transport.aborted
    assert it.calls == []


def test_who_has_not_got_our_last_words_is_waited_for() -> None:
    it = leaving()
    it.transport.buffered = 1
    it.loop.advance(4)
    assert not it.transport.closed
    it.transport.buffered = 0
    it.loop.advance(1)
    assert it.transport.closed
    assert not it.transport.aborted


def test_a_connection_that_does_not_close_in_time_is_dropped() -> None:
    it = established()
    it.connection.close()
    it.loop.advance(5 - A_SLOT)
    assert not it.transport.aborted
    it.loop.advance(2 * A_SLOT)
    assert it.transport.aborted
    assert it.calls == []


class Peer:
    """What the kernel says of how much the peer has taken."""

    acked = 1_000

    def info(self, sock: object) -> Peer:
        return self


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Peer:
    peer = Peer()
    monkeypatch.setattr(output, "tcp_info", peer.info)
    return peer


@pytest.mark.parametrize("close", [Connection.close, Connection.close_on])
def test_who_takes_the_last_output_slowly_gets_time(
    peer: Peer, close: Callable[[Connection], None]
) -> None:
    it = established()
    it.transport.buffered = 100_000
    close(it.connection)
    for _ in range(8):
        peer.acked += 1
        it.loop.advance(5)
        assert not it.transport.aborted
    it.loop.advance(5 + A_SLOT)
    assert it.transport.aborted, "it takes no more"
    assert it.calls == []


def test_who_takes_the_last_output_too_slowly_is_dropped(peer: Peer) -> None:
    it = established()
    it.transport.buffered = 100_000
    it.connection.close()
    for _ in range(11):
        peer.acked += 1
        it.loop.advance(5)
        assert not it.transport.aborted
    peer.acked += 1
    it.loop.advance(5 + A_SLOT)
    assert it.transport.aborted, "not in sixty seconds"


def test_a_peer_that_has_all_gets_no_time_for_what_it_took_before(peer: Peer) -> None:
    it = established()
    it.connection.close()
    peer.acked += 1
    it.loop.advance(5 + A_SLOT)
    assert it.transport.aborted


def test_what_was_taken_before_the_close_counts_for_nothing(peer: Peer) -> None:
    it = established()
    it.transport.buffered = 100_000
    peer.acked += 1_000
    it.connection.close()
    it.loop.advance(5 + A_SLOT)
    assert it.transport.aborted


def test_a_closing_connection_is_not_held_to_other_limits() -> None:
    it = established()
    it.connection.wake_at(it.loop.time() + 1)
    it.transport.buffered = 1_001
    it.connection.pause_writing()
    it.connection.close()
    it.loop.advance(100)
    assert it.calls == []


def test_a_peer_that_takes_nothing_is_a_slow_consumer() -> None:
    it = established()
    it.transport.buffered = 1_500
    it.connection.pause_writing()
    it.loop.advance(30 - A_SLOT)
    assert it.calls == []
    it.loop.advance(2 * A_SLOT)
    assert it.calls == [("overdue", Reason.SLOW_CONSUMER)]


def test_a_peer_that_takes_a_little_is_given_more_time() -> None:
    it = established()
    it.transport.buffered = 1_500
    it.connection.pause_writing()
    for _ in range(5):
        it.loop.advance(25)
        it.transport.buffered -= 1
        it.connection.data_received(b"x")
    assert ("overdue", Reason.SLOW_CONSUMER) not in it.calls
    it.loop.advance(59)
    assert it.calls == [("overdue", Reason.SLOW_CONSUMER)]


def test_a_peer_that_has_caught_up_is_no_slow_consumer() -> None:
    it = established()
    it.transport.buffered = 1_500
    it.connection.pause_writing()
    it.loop.advance(29)
    it.connection.resume_writing()
    it.loop.advance(20)
    assert it.calls == ["writable"]


def test_a_handler_is_woken_once_after_the_time_it_asked_for() -> None:
    it = established()
    it.connection.wake_at(it.loop.time() + 3)
    it.connection.wake_at(it.loop.time() + 2)
    it.loop.advance(2 - A_SLOT)
    assert it.calls == []
    it.loop.advance(2 * A_SLOT)
    assert it.calls == ["expired"]
    it.loop.advance(10)
    assert it.calls == []


def test_a_handler_may_be_woken_during_its_handshake() -> None:
    it = connected()
    it.connection.wake_at(it.loop.time() + 1)
    it.loop.advance(2)
    assert it.calls == ["expired"]
    it.loop.advance(9)
    assert it.calls == [("overdue", Reason.TIMEOUT)]


def test_an_overdue_handler_that_waits_for_the_peer_s_goodbye_is_woken_all_the_same() -> None:
    it = bench()

    def react(call: str) -> None:
        if call == "overdue":
            it.connection.wake_at(it.loop.time() + 3)
        elif call == "expired":
            it.connection.close()

    it.handler._react = react
    it.connect().established()
    it.loop.advance(60 + 3 + 2 * A_SLOT)
    assert it.connection.phase is Phase.CLOSING
    assert it.calls.count("expired") == 1


def test_an_idle_connection_is_told_so_once() -> None:
    it = established()
    it.loop.advance(61)
    assert it.calls == [("overdue", Reason.TIMEOUT)]
    it.loop.advance(30)
    assert it.calls == []


# --- a foreign protocol


def test_another_protocol_may_begin_with_a_handshake_s_time_of_its_own() -> None:
    it = established()
    it.loop.advance(60)
    it.connection.begin_again()
    assert it.connection.phase is Phase.HANDSHAKE
    it.loop.advance(9)
    assert it.calls == []
    it.loop.advance(1 + A_SLOT)
    assert it.calls == [("overdue", Reason.TIMEOUT)]


def test_a_handshake_that_the_server_puts_off_gets_its_time_once_more() -> None:
    it = Bench()
    it.connect()
    it.loop.advance(9)
    it.connection.begin_again()
    it.loop.advance(9)
    assert it.calls == []
    it.loop.advance(1 + A_SLOT)
    assert it.calls == [("overdue", Reason.TIMEOUT)]


def test_nothing_begins_again_on_a_connection_that_closes() -> None:
    it = established()
    it.connection.close()
    it.connection.begin_again()
    assert it.connection.phase is Phase.CLOSING


# --- names


@pytest.mark.parametrize(
    ("peername", "name"),
    [
        (("192.0.2.1", 4000), "192.0.2.1:4000"),
        (("2001:db8::1", 4000, 0, 0), "[2001:db8::1]:4000"),
        (("fe80::1%eth0", 1, 0, 2), "[fe80::1%eth0]:1"),
        ("", "unix"),
        (None, "unix"),
    ],
)
def test_a_peer_is_named_as_an_address(peername: object, name: str) -> None:
    it = bench(peername=peername)
    assert it.connection.peer == ""
    assert it.connect().peer == name
