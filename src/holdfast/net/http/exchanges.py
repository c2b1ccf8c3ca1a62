"""Requests and answers on a connection, for small bodies and many requests. Hot path.

`ExchangeConnection` is the handler of a connection that speaks HTTP/1.1 and nothing else. It
reads one request at a time, within the limits, and gives it to a `Service` as an `Exchange`, which
is answered at once or later. What comes behind a request waits in the socket until that is
answered. A connection handles a turn's worth of requests in a pass of the event loop, and none
while its client does not read the answers. There is no task and no timer for a request.

Where the requests of a connection are for several, another handler gets those that are not for the
service, with all that comes behind them (`Others`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from holdfast.core.errors import Reason
from holdfast.core.limits import KIB
from holdfast.net.addresses import network_of
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handover import hand_over
from holdfast.net.http.body import IncompleteBody
from holdfast.net.http.pages import NewHandler
from holdfast.net.log import RateLimitedLogger
from holdfast.net.runtime.room import CROWDED, Room
from holdfast.net.runtime.turns import PASS_COST_MAX, TURN_COST_MAX
from holdfast.protocols.http_requests import HEADS_MAX, RequestReader
from holdfast.protocols.websocket.head import HeadError, Request, write_head

_log: Final = RateLimitedLogger("holdfast.http")

_FOREVER: Final = float("inf")
_COST: Final = 1 * KIB
"""What a request counts for in a pass of the event loop, beside its body and its answer."""
_RETRY: Final = (("Retry-After", "1"),)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON: Final = b"Content-Type: application/json\r\nContent-Length: "
_END: Final = b"\r\n\r\n"
_STATUS_OK: Final = 200
_OK: Final = b"HTTP/1.1 200 OK\r\n" + _JSON


class ExchangeLimits(Struct, frozen=True):
    """The limits of one connection."""

    head_bytes_max: int
    header_count_max: int
    body_bytes_max: int
    request_seconds_max: float
    answer_seconds_max: float
    idle_seconds_max: float


class Service(Protocol):
    """Answers requests."""

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""

    def refused(self, status: int, fault: str) -> bytes:
        """The body of an answer to a request that cannot be read, or has no answer in time."""


class Others(NamedTuple):
    """The requests on a connection that are not for the service."""

    are: Callable[[Request], bool]
    """Whether a request is one of them."""
    anew: NewHandler
    """Makes what takes the connection from there on, as a new one."""


class _Wait(Enum):
    """What is waited for."""

    REQUEST = auto()
    """The first byte of a request."""
    REST = auto()
    """The rest of its head and of its body."""
    ANSWER = auto()
    """The service's answer."""


_REQUEST: Final = _Wait.REQUEST
_REST: Final = _Wait.REST
_ANSWER: Final = _Wait.ANSWER
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""


class Exchange:
    """A request and its answer. `answer` is called once."""

    __slots__ = ("_answered", "_connection", "body", "memory", "request")

    def __init__(self, connection: ExchangeConnection, request: Request, body: bytes) -> None:
        self._connection = connection
        self._answered = False
        self.request = request
        self.body = body
        self.memory = connection.memory
        """What the service keeps of this connection between requests."""

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    @property
    def listener(self) -> str:
        """The address of the listener, as logs name it."""
        return self._connection.listener

    def answer(
        self, body: bytes, status: int = 200, fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer with JSON; nothing happens if the client has gone."""
        assert not self._answered, "a request is answered once"
        self._answered = True
        self._connection.answer(body, status, fields)

    def take_over(self) -> Connection:
        """Answer in another way: the connection is the caller's, and no other request comes."""
        assert not self._answered, "a request is answered once"
        self._answered = True
        return self._connection.leave()


class ExchangeConnection:
    """The handler of one connection."""

    def __init__(
        self,
        connection: Connection,
        service: Service,
        limits: ExchangeLimits,
        others: Others | None = None,
        room: Room | None = None,
    ) -> None:
        self.memory: dict[str, object] = {}
        self._connection = connection
        self._turns = connection.turns
        self._service = service
        self._limits = limits
        self._others = others
        self._reader = RequestReader(
            head_bytes_max=limits.head_bytes_max, header_count_max=limits.header_count_max
        )
        self._request: Request | None = None
        self._body = IncompleteBody(room, lambda: self._end_with(503, CROWDED, _RETRY))
        self._accepted: dict[int, Request] = {}
        """Requests whose heads were checked, by their `id`: of those the reader remembers."""
        self._wait: _Wait | None = None
        self._due = self._armed = _FOREVER
        """When the present wait is over, and when the timer looks: not later than that. A wait
        for this side alone has no limit."""
        self._last = False
        """Whether no request is served after the present one."""
        self._ended = False
        """Whether the client sends nothing more, and requests that have come are to be handled."""
        self._handling = False
        """Whether the service is handling a request."""
        self._held = False
        """Whether requests wait for their turn, or until the client reads answers."""
        self._began = 0
        """What this pass of the event loop had handled when the present turn began."""
        self._over = False

    @property
    def peer(self) -> str:
        return self._connection.peer

    @property
    def listener(self) -> str:
        return str(self._connection.listener or "")

    # --- Handler

    def connected(self) -> None:
        self._connection.established()
        self._set_wait(_REQUEST)

    def received(self, data: bytes) -> None:
        if self._wait is _REQUEST and self._serve_known(data):
            return
        self._reader.receive_data(data)
        if self._held or self._wait is _ANSWER:
            self._connection.pause_reading()
        else:
            self._go_on()

    def ended(self) -> None:
        if self._reader.waiting and (self._held or self._wait is _ANSWER):
            self._ended = True
        else:
            self._end_after_answer()

    def writable(self) -> None:
        if self._held:
            self._go_on()

    def expired(self, now: float) -> None:
        self._armed = _FOREVER
        if now < self._due:
            self._limit(self._due - self._connection.now)
        elif self._wait is _REST:
            self._refuse(408, "the request took too long")
        elif self._wait is _ANSWER:
            seconds = self._limits.answer_seconds_max
            _log.warning("request not answered", peer=self.peer, seconds=seconds)
            self._end_with(503, f"the request was not answered within {seconds:g} s", _RETRY)
        else:
            self._close()

    def overdue(self, reason: Reason) -> None:
        if reason is Reason.SLOW_CONSUMER:
            self._connection.abort()
        else:
            self._end_after_answer()

    def drain(self) -> None:
        self._end_after_answer()

    def lost(self, cause: Exception | None) -> None:
        self._over = True
        self._body.drop()

    # --- answers

    def answer(self, body: bytes, status: int, fields: Sequence[tuple[str, str]]) -> None:
        """Answer the present request."""
        if self._over:
            return
        self._connection.write(_encode(body, status, fields, last=self._last))
        self._turns.spent += len(body)
        self._wait, self._due = None, _FOREVER
        if self._last:
            self._close()
        elif self._handling:
            pass  # the loop around that goes on
        elif self._reader.waiting:
            self._go_on()
        else:
            self._need(_REQUEST)

    def leave(self) -> Connection:
        """Let another handler have the connection."""
        self._over = True
        self._wait = None
        self._connection.begin_again()
        return self._connection

    def take_turn(self) -> None:
        """The next requests may be handled now."""
        if not self._over:
            self._go_on()

    # --- inside

    def _go_on(self) -> None:
        """Handle the requests that have come, one after the other, as far as they may be now.

        A defect ends this connection and no other, whoever calls.
        """
        self._held = False
        self._began = self._turns.spent
        try:
            while not self._over and self._wait is not _ANSWER and self._step():
                pass
        except HeadError as error:
            self._refuse(error.status, str(error))
        except Exception as error:
            self._connection.fail(error)

    def _serve_known(self, data: bytes) -> bool:
        """Handle `data` at once, if it is one whole request whose head was checked before."""
        found = self._reader.find_whole(data)
        if found is None or self._over:
            return False
        request, body = found
        if self._accepted.get(id(request)) is not request:
            return False
        if self._connection.full or self._turns.spent >= PASS_COST_MAX:
            return False
        self._serve(request, body)
        if self._wait is None and not self._over:
            self._wait = _REQUEST  # as `_set_wait` does
            self._limit(self._limits.idle_seconds_max)
        return True

    def _step(self) -> bool:
        """One step; false when more must come first."""
        reader = self._reader
        if self._request is None and not self._take_head():
            return False
        request = self._request
        assert request is not None
        while reader.in_body:
            piece = reader.take_body()
            if not piece:
                self._body.wait(self.peer)
                return not self._over and self._need(_REST)
            self._body.add(piece)
        body = self._body.take()
        self._request = None
        self._serve(request, body)
        if self._wait is _ANSWER and reader.waiting:
            self._connection.pause_reading()
        return True

    def _serve(self, request: Request, body: bytes) -> None:
        """Have a request answered, now or later."""
        self._wait = _ANSWER
        self._turns.spent += _COST + len(body)
        self._handling = True
        try:
            self._service.handle(Exchange(self, request, body))
        finally:
            self._handling = False
        if self._wait is _ANSWER:
            self._limit(self._limits.answer_seconds_max)

    def _take_head(self) -> bool:
        """Read the head of the next request. Raises `HeadError`."""
        reader = self._reader
        if reader.waiting and self._hold():
            return False
        found = reader.take_head()
        if found is None:
            return self._need(_REST if reader.waiting else _REQUEST)
        request, head = found
        if self._others is not None and self._others.are(request):
            data = head + reader.rest()
            connection = self.leave()
            hand_over(connection, self._others.anew(connection), (data,), ended=self._ended)
            return False
        self._request = request
        if self._accepted.get(id(request)) is request:  # its head has come again
            return True
        headers = request.headers
        if headers.get("transfer-encoding") is not None:
            raise HeadError(411, "expected Content-Length, found Transfer-Encoding")
        length = int(headers.get("content-length") or 0)
        if length > self._limits.body_bytes_max:
            raise HeadError(
                413,
                f"expected a body of at most {self._limits.body_bytes_max} bytes, found {length}",
            )
        persistent = request.version >= (1, 1) and not headers.has_token("connection", "close")
        self._last = self._last or not persistent
        if headers.get("expect") is None:
            if len(self._accepted) == HEADS_MAX:
                self._accepted.clear()
            self._accepted[id(request)] = request
        elif reader.in_body and not reader.waiting and headers.has_token("expect", "100-continue"):
            self._connection.write(_CONTINUE)
        return True

    def _hold(self) -> bool:
        """Return whether the next request must wait, and see that it goes on.

        The time of a request of which a part has come goes on, too.
        """
        connection, turns = self._connection, self._turns
        if not connection.full:  # else `writable` follows
            spent = turns.spent
            if spent < PASS_COST_MAX and spent - self._began < TURN_COST_MAX:
                return False
            turns.wait(self, network_of(connection.peer))
        self._held = True
        connection.pause_reading()
        if self._wait is not _REST:
            self._wait, self._due = None, _FOREVER
        return True

    def _need(self, wait: _Wait) -> bool:
        """Wait for more input; without any to come, close. Returns false."""
        if self._ended:
            self._close()
        else:
            self._connection.resume_reading()
            self._set_wait(wait)
        return False

    def _set_wait(self, wait: _Wait) -> None:
        """Wait for the client. The time limit counts from the beginning of the wait."""
        if wait is not self._wait:
            self._wait = wait
            limits = self._limits
            idle = wait is _REQUEST
            self._limit(limits.idle_seconds_max if idle else limits.request_seconds_max)

    def _limit(self, seconds: float) -> None:
        """Limit the present wait to `seconds`."""
        self._due = self._connection.now + seconds
        if self._due < self._armed:
            self._armed = self._due
            self._connection.wake_at(self._due)

    def _refuse(self, status: int, fault: str) -> None:
        _log.info("protocol error of a client", peer=self.peer, protocol="http", fault=fault)
        self._end_with(status, fault)

    def _end_with(self, status: int, fault: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        self._last = True
        body = self._service.refused(status, fault)
        self._connection.write(_encode(body, status, fields, last=True))
        self._close()

    def _end_after_answer(self) -> None:
        self._last = True
        if self._wait is not _ANSWER:
            self._close()

    def _close(self) -> None:
        self._over = True
        self._connection.close_on()


def _encode(body: bytes, status: int, fields: Sequence[tuple[str, str]], *, last: bool) -> bytes:
    """An answer; `last` says that the connection is closed behind it."""
    if status == _STATUS_OK and not fields and not last:
        return b"%b%d%b%b" % (_OK, len(body), _END, body)
    closes = [("Connection", "close")] if last else []
    head = write_head(
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *closes,
            *fields,
        ],
    )
    return head + body
