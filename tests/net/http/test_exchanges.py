"""Requests and answers on a connection, on a fake transport and a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from tests.net.fakes import Bench, Recorder

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.handler import Phase
from holdfast.net.http.exchanges import Exchange, ExchangeConnection, ExchangeLimits, Others
from holdfast.net.runtime.room import CROWDED, Room
from holdfast.net.runtime.turns import PASS_COST_MAX, TURN_COST_MAX

LIMITS: Final = ExchangeLimits(
    head_bytes_max=1_000,
    header_count_max=10,
    body_bytes_max=100_000,
    request_seconds_max=15.0,
    answer_seconds_max=60.0,
    idle_seconds_max=75.0,
)
GET: Final = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
A_SLOT: Final = 0.5
"""By so much at most, the timers are late."""


class Answers:
    """A service that answers at once, or when the test says so."""

    def __init__(self, body: bytes = b"{}", *, at_once: bool = True) -> None:
        self.body = body
        self.at_once = at_once
        self.asked: list[Exchange] = []

    def handle(self, exchange: Exchange) -> None:
        self.asked.append(exchange)
        if self.at_once:
            exchange.answer(self.body)

    def refused(self, status: int, fault: str) -> bytes:
        return f"{status} {fault}".encode()

    @property
    def bodies(self) -> list[bytes]:
        return [exchange.body for exchange in self.asked]

    @property
    def targets(self) -> list[str]:
        return [exchange.request.target for exchange in self.asked]


POST: Final = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d"


class Stand(Bench):
    """One such connection, established."""

    def __init__(
        self, service: Answers, others: Others | None = None, room: Room | None = None
    ) -> None:
        super().__init__(ConnectionLimits(write_buffer_bytes_max=1_000, idle_seconds_max=900))
        self.exchanges = ExchangeConnection(self.connection, service, LIMITS, others, room)
        self.connection.attach(self.exchanges)
        self.connection.connection_made(self.transport)

    def send(self, *numbers: int) -> None:
        self.connection.data_received(b"".join(GET % number for number in numbers))

    def fill(self) -> None:
        """The client does not read: more is unsent than the limit."""
        self.transport.buffered = 1_001
        self.connection.pause_writing()

    def post(self, *bodies: int) -> None:
        """Requests with the same head, each on its own."""
        for body in bodies:
            self.connection.data_received(POST % body)

    @property
    def answers(self) -> int:
        return b"".join(self.transport.written).count(b"HTTP/1.1 200 OK")

    def run(self, enough: Callable[[], bool]) -> int:
        """Let the loop turn until it is enough; return how many passes that took."""
        for passes in range(10_000):
            if enough():
                return passes
            self.loop.tick()
        raise AssertionError("it does not come to an end")


def paths(*numbers: int) -> list[str]:
    return [f"/{number}" for number in numbers]


@pytest.mark.parametrize("late", [False, True])
def test_many_requests_that_are_answered_at_once_do_not_nest(late: bool) -> None:
    service = Answers(at_once=not late)
    it = Stand(service)
    it.send(*range(2_000))
    if late:  # the first of them later, the others at once
        service.at_once = True
        service.asked[0].answer(b"{}")
    it.run(lambda: it.answers == 2_000)
    assert service.targets == paths(*range(2_000))
    assert it.transport.reading
    assert not it.transport.closed


def test_a_connection_handles_a_turn_of_requests_in_a_pass() -> None:
    service = Answers()
    it = Stand(service)
    it.send(*range(1_000))
    first = len(service.asked)
    assert 0 < first <= TURN_COST_MAX // 1024
    assert not it.transport.reading
    it.loop.tick()
    assert first < len(service.asked) <= 4 * first
    it.run(lambda: len(service.asked) == 1_000)


def test_large_answers_count_too() -> None:
    service = Answers(bytes(TURN_COST_MAX))
    it = Stand(service)
    it.send(1, 2, 3)
    assert service.targets == paths(1)
    it.run(lambda: len(service.asked) == 3)


def test_a_request_waits_for_its_turn_when_a_pass_of_the_loop_is_full() -> None:
    service = Answers()
    it = Stand(service)
    it.runtime.turns.spent = PASS_COST_MAX
    it.send(1)
    it.send(2)
    assert service.asked == []
    it.run(lambda: it.answers == 2)


def test_nothing_more_is_handled_while_the_client_does_not_read_the_answers() -> None:
    service = Answers()
    it = Stand(service)
    it.send(1)
    it.loop.tick()
    it.fill()
    it.send(2, 3)
    assert not it.transport.reading
    it.loop.tick()
    assert service.targets == paths(1)
    it.connection.resume_writing()
    assert service.targets == paths(1, 2, 3)
    assert it.transport.reading


def test_what_comes_while_an_answer_is_awaited_is_held_back() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    it.send(1)
    assert it.transport.reading, "nothing has come to be held back"
    it.send(2)
    assert not it.transport.reading
    service.asked[0].answer(b"{}")
    assert service.targets == paths(1, 2)
    service.asked[1].answer(b"{}")
    assert it.transport.reading
    it.loop.tick()
    assert it.answers == 2


@pytest.mark.parametrize("at_once", [False, True])
def test_requests_that_came_before_the_client_s_end_are_answered(at_once: bool) -> None:
    service = Answers(at_once=at_once)
    it = Stand(service)
    it.send(*range(100))
    it.connection.eof_received()
    done = 0
    while not it.transport.closed:
        if not at_once and done < len(service.asked):
            service.asked[done].answer(b"{}")
            done += 1
        it.loop.tick()
    assert service.targets == paths(*range(100))
    assert it.answers == 100


def test_another_handler_hears_of_the_client_s_end_too() -> None:
    service, other = Answers(at_once=False), Recorder()
    it = Stand(service, Others(lambda request: request.target == "/2", lambda _: other))
    it.send(1, 2)
    it.connection.eof_received()
    assert other.calls == []
    service.asked[0].answer(b"{}")
    assert other.calls == ["connected", ("received", GET % 2), "ended"]


def test_an_answer_that_does_not_come_in_time_is_given_up() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    it.send(1)
    it.loop.advance(59)
    assert it.transport.written == []
    it.loop.advance(1 + A_SLOT)
    (told,) = it.transport.written
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"Connection: close\r\nRetry-After: 1\r\n" in told
    assert told.endswith(b"503 the request was not answered within 60 s")
    assert it.connection.phase is Phase.CLOSING
    service.asked[0].answer(b"{}")  # too late: nothing happens
    it.loop.tick()
    assert len(it.transport.written) == 1


def test_each_wait_has_its_own_time() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    for number in range(4):
        it.loop.advance(70)  # of 75 s
        it.send(number)
        it.loop.advance(50)  # of 60 s
        service.asked[number].answer(b"{}")
        it.loop.tick()
        assert it.answers == number + 1
    it.connection.data_received((GET % 9)[:10])
    it.loop.advance(14)
    assert it.connection.phase is Phase.ESTABLISHED
    it.loop.advance(1 + A_SLOT)
    assert it.transport.written[-1].startswith(b"HTTP/1.1 408")


def test_a_client_that_sends_without_a_break_is_never_idle() -> None:
    service = Answers()
    it = Stand(service)
    it.loop.advance(70)
    it.send(*range(1_000))  # they take more than a pass
    it.loop.sleep(10)
    it.exchanges.expired(it.loop.time())
    it.run(lambda: it.answers == 1_000)
    assert it.connection.phase is Phase.ESTABLISHED


def test_at_the_end_of_its_life_the_present_request_is_answered() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    it.send(1)
    it.exchanges.overdue(Reason.TIMEOUT)
    assert not it.transport.ended
    service.asked[0].answer(b"{}")
    assert b"Connection: close" in b"".join(it.transport.written)
    assert it.connection.phase is Phase.CLOSING


def test_a_request_is_answered_once() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    it.send(1, 2)
    first = service.asked[0]
    first.answer(b"{}")
    with pytest.raises(AssertionError):  # and not in place of the second
        first.answer(b"{}", 500)
    service.asked[1].answer(b"{}")
    it.loop.tick()
    assert it.answers == 2


def test_a_defect_in_a_later_request_is_not_raised_to_who_answers_the_one_before() -> None:
    class Broken(Answers):
        def handle(self, exchange: Exchange) -> None:
            super().handle(exchange)
            if len(self.asked) == 2:
                raise RuntimeError

    service = Broken(at_once=False)
    it = Stand(service)
    it.send(1, 2)
    service.asked[0].answer(b"{}")
    assert it.transport.aborted


def bodies(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


@pytest.mark.parametrize("at_once", [False, True])
def test_requests_with_the_same_head_are_answered_one_by_one(at_once: bool) -> None:
    service = Answers(at_once=at_once)
    it = Stand(service)
    for number in range(5):
        it.loop.advance(70)  # of 75 s
        it.post(number)
        if not at_once:
            it.loop.advance(50)  # of 60 s
            service.asked[number].answer(b"{}")
        it.loop.tick()
        assert it.answers == number + 1
    assert service.bodies == bodies(*range(5))
    it.loop.advance(75 + A_SLOT)
    assert it.connection.phase is Phase.CLOSING


def test_the_same_head_comes_while_an_answer_is_awaited() -> None:
    service = Answers(at_once=False)
    it = Stand(service)
    it.post(1)
    service.asked[0].answer(b"{}")
    it.post(2)
    assert it.transport.reading, "nothing has come to be held back"
    it.post(3)
    assert not it.transport.reading
    service.asked[1].answer(b"{}")
    assert service.bodies == bodies(1, 2, 3)
    service.asked[2].answer(b"{}")
    assert it.transport.reading


def test_the_same_head_waits_for_a_turn_and_for_a_client_that_reads() -> None:
    service = Answers()
    it = Stand(service)
    it.post(1)
    it.loop.tick()
    it.fill()
    it.post(2)
    assert service.bodies == bodies(1)
    it.connection.resume_writing()
    assert service.bodies == bodies(1, 2)
    it.runtime.turns.spent = PASS_COST_MAX
    it.post(3)
    assert service.bodies == bodies(1, 2)
    it.run(lambda: it.answers == 3)


def test_after_the_end_the_same_head_is_not_handled() -> None:
    service = Answers()
    it = Stand(service)
    it.post(1)
    it.exchanges.drain()
    it.post(2)
    assert service.bodies == bodies(1)


def test_a_head_is_checked_before_it_is_known() -> None:
    service = Answers()
    it = Stand(service)
    head = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1"
    it.connection.data_received(head)
    it.connection.data_received(head)
    it.loop.tick()
    assert service.bodies == bodies(1)
    assert b"Connection: close" in b"".join(it.transport.written)


def test_a_defect_with_a_known_head_ends_the_connection() -> None:
    class Broken(Answers):
        def handle(self, exchange: Exchange) -> None:
            super().handle(exchange)
            if len(self.asked) == 2:
                raise RuntimeError

    it = Stand(Broken())
    it.post(1, 2)
    assert it.transport.aborted


LONG_POST: Final = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n"


def test_a_body_counts_until_it_is_whole() -> None:
    service, room = Answers(), Room(100_000)
    it = Stand(service, room=room)
    it.connection.data_received(LONG_POST)
    for _ in range(19):
        it.connection.data_received(b"x" * 1_000)
    assert 19_000 <= room.used <= 25_000
    it.connection.data_received(b"x" * 1_000)
    assert room.used == 0
    assert [exchange.body for exchange in service.asked] == [b"x" * 20_000]
    it.connection.data_received(LONG_POST + b"x" * 10_000)
    assert room.used
    it.connection.connection_lost(None)
    assert room.used == 0


def test_without_room_for_its_body_a_request_is_refused() -> None:
    service, room = Answers(), Room(10_000)
    it = Stand(service, room=room)
    it.connection.data_received(LONG_POST)
    for _ in range(20):
        it.connection.data_received(b"x" * 1_000)
    assert (room.used, room.closed) == (0, 1)
    answer = b"".join(it.transport.written)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in answer
    assert answer.endswith(CROWDED.encode())
    assert service.asked == []
