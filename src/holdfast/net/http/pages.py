"""Pages on a connection: aiohttp answers, one request after the other, until an upgrade comes.

`PageConnection` is the handler of such a connection. It looks at each request's
head before aiohttp gets it: any of them may ask for an upgrade (RFC 9110 section
7.8), and is then another handler's, with all that comes behind it. aiohttp's end
is a transport that writes through the connection, whose limits of time hold for
pages as for all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from typing import Any, Final

from holdfast.core.errors import Reason
from holdfast.core.limits import PageLimits
from holdfast.net.addresses import network_of
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.connection.handover import hand_over
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.turns import PASS_COST_MAX, REQUEST_COST
from holdfast.protocols.http_requests import RequestReader
from holdfast.protocols.websocket.handshake import is_upgrade, write_refusal
from holdfast.protocols.websocket.head import HeadError, Request

_log: Final = RateLimitedLogger("holdfast.http")

_FOREVER: Final = float("inf")

NewHandler = Callable[[Connection], Handler]
"""Makes what takes a connection from its first byte on."""


class _Wait(Enum):
    """What is waited for."""

    REQUEST = auto()
    HEAD = auto()
    """The rest of a head."""
    BODY = auto()
    ANSWER = auto()


class PageConnection:
    """The handler of a connection that is served pages; `protocol` is aiohttp's.

    A request that is one of the `others` (one for an upgrade), or for another host than the first,
    is given to what `anew` makes. Without it, all requests are aiohttp's. `before` is the handler
    that was here; its `lost` is called when the pages are over. `headers` are those of
    a refusal.
    """

    def __init__(
        self,
        connection: Connection,
        protocol: asyncio.Protocol,
        limits: PageLimits,
        before: Handler,
        anew: NewHandler | None,
        headers: Sequence[tuple[str, str]] = (),
        others: Callable[[Request], bool] = is_upgrade,
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        self._before = before
        self._anew = anew
        self._headers = headers
        self._others = others
        self._reader = RequestReader(
            head_bytes_max=limits.head_bytes_max, header_count_max=limits.header_count_max
        )
        self._seconds: Final = {
            _Wait.REQUEST: limits.idle_seconds_max,
            _Wait.HEAD: limits.head_seconds_max,
            _Wait.BODY: limits.body_seconds_max,
            _Wait.ANSWER: _FOREVER,
        }
        self._transport = PageTransport(self, connection)
        self._wait: _Wait | None = None
        self._host: str | None = None
        self._answering = False
        self._last = False
        """Whether no request is served after the present one."""
        self._ended = False
        """Whether the client sends nothing more: the requests that have come are answered."""
        self._over = False
        self._blocked = False
        """Whether aiohttp takes no more for now."""
        self._waits = False
        """Whether a request waits for its turn in the event loop."""

    def begin(self, data: bytes) -> None:
        """Serve the connection from here on; `data` has come already."""
        self._connection.attach(self)
        self._connection.established()
        self._protocol.connection_made(self._transport)
        self.received(data)

    # --- Handler

    def connected(self) -> None:
        pass

    def received(self, data: bytes) -> None:
        self._reader.receive_data(data)
        self._go_on()

    def ended(self) -> None:
        self._ended = True
        self._go_on()

    def writable(self) -> None:
        if not self._over:
            self._protocol.resume_writing()

    def expired(self, now: float) -> None:
        if self._wait is _Wait.HEAD:
            self._refuse(HeadError(408, "the request took too long"))
        elif self._wait is not _Wait.ANSWER:
            self._connection.close_on()

    def overdue(self, reason: Reason) -> None:
        if reason is Reason.SLOW_CONSUMER:
            self._connection.abort()
        elif self._wait is not _Wait.ANSWER:
            self._connection.close_on()

    def drain(self) -> None:
        self._end_after_answer()

    def lost(self, cause: Exception | None) -> None:
        self._leave(cause)

    # --- callbacks of aiohttp

    def answered(self, keep_alive: bool) -> None:
        """The answer to the present request is written."""
        self._answering = False
        if not keep_alive:
            self._last = True  # aiohttp closes
        elif self._last:
            self._connection.close_on()
        else:
            asyncio.get_running_loop().call_soon(self._go_on)

    def take_turn(self) -> None:
        """The next request may be answered now."""
        self._waits = False
        if not self._over:
            self._go_on()

    def block(self, blocked: bool) -> None:
        """aiohttp takes no more of a body for now, or takes it again."""
        self._blocked = blocked
        self._set_reading()

    def filled(self) -> None:
        """More is written than the client takes."""
        if not self._over:
            self._protocol.pause_writing()

    # --- inside

    def _go_on(self) -> None:
        """Pass on what has come, up to the end of one request."""
        try:
            while not self._over and self._pass_on():
                pass
        except HeadError as error:
            self._refuse(error)
            return
        if self._over:
            return
        if self._ended and (self._reader.in_body or not (self._answering or self._waits)):
            self._connection.close_on()  # nothing is left, or half a request
            return
        self._set_reading()
        self._set_time()

    def _pass_on(self) -> bool:
        """One step; false when there is nothing more to pass on now."""
        reader = self._reader
        if reader.in_body:
            body = reader.take_body()
            if body:
                self._protocol.data_received(body)
            return bool(body) and not reader.in_body
        if self._answering or self._last or self._waits:
            return False
        turns = self._connection.turns
        if turns.spent >= PASS_COST_MAX and reader.waiting:
            self._waits = True
            turns.wait(self, network_of(self._connection.peer))
            return False
        found = reader.take_head()
        if found is None:
            return False
        request, head = found
        if self._is_for_another(request):
            self._hand_on(head + reader.rest())
            return False
        self._answering = True
        turns.spent += REQUEST_COST
        self._protocol.data_received(head)
        return True

    def _is_for_another(self, request: Request) -> bool:
        host = request.headers.get("host") or ""
        if self._host is None:
            self._host = host  # the handler before has judged this one
            return False
        return self._anew is not None and (self._others(request) or host != self._host)

    def _hand_on(self, data: bytes) -> None:
        """Another protocol begins, as on a new connection."""
        assert self._anew is not None
        connection = self._connection
        self._leave(None)
        connection.begin_again()
        hand_over(connection, self._anew(connection), (data,), ended=self._ended)

    def _leave(self, cause: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        self._transport.detach()
        try:
            self._protocol.connection_lost(cause)
        except Exception as error:
            log_failure(_log, "a connection's end failed", error, peer=self._connection.peer)
        self._before.lost(cause)

    def _refuse(self, error: HeadError) -> None:
        peer, fault = self._connection.peer, str(error)
        _log.info("protocol error of a client", peer=peer, protocol="http", fault=fault)
        if not self._answering:  # else it would stand in the middle of another answer
            self._connection.write(write_refusal(error.status, fault, self._headers))
        self._connection.close_on()

    def _end_after_answer(self) -> None:
        self._last = True
        if not self._answering:
            self._connection.close_on()

    def _set_reading(self) -> None:
        """What comes behind a request waits in the socket until that is answered."""
        behind = self._answering and not self._reader.in_body and self._reader.waiting
        if behind or self._blocked or self._waits:
            self._connection.pause_reading()
        else:
            self._connection.resume_reading()

    def _set_time(self) -> None:
        if self._reader.in_body:
            wait = _Wait.BODY
        elif self._answering:
            wait = _Wait.ANSWER
        elif self._reader.waiting:
            wait = _Wait.HEAD
        else:
            wait = _Wait.REQUEST
        if wait is not self._wait or wait is _Wait.ANSWER:
            self._wait = wait
            self._connection.wake_at(self._connection.time() + self._seconds[wait])


class PageTransport(asyncio.Transport):
    """What aiohttp writes to. Detached, it is closed."""

    def __init__(self, page: PageConnection, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self.page: PageConnection | None = page

    def detach(self) -> None:
        """Hand the connection over."""
        self.page = None

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self.page is not None:
            self._connection.send(bytes(data))
            self._look_if_full()

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        if self.page is not None:
            for piece in pieces:
                self._connection.write(bytes(piece))
            self._connection.flush()
            self._look_if_full()

    def _look_if_full(self) -> None:
        if self._connection.full and self.page is not None:
            self.page.filled()

    def close(self) -> None:
        if self.page is not None:
            self._connection.close_on()

    def abort(self) -> None:
        if self.page is not None:
            self._connection.abort()

    def is_closing(self) -> bool:
        return self.page is None or self._connection.broken

    def pause_reading(self) -> None:
        if self.page is not None:
            self.page.block(True)

    def resume_reading(self) -> None:
        if self.page is not None:
            self.page.block(False)

    def get_write_buffer_size(self) -> int:
        return self._connection.unsent

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = self._connection.extra(name)
        return default if found is None else found

    @property
    def _sendfile_compatible(self) -> Any:
        # asyncio's sendfile() reads this. The error is uvloop's: the caller then reads the file.
        raise NotImplementedError("sendfile")
