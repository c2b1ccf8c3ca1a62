"""HTTP on a connection that turned out to be no WebSocket: aiohttp takes it from there.

What aiohttp would log and tell of itself goes another way: a client's fault is
one line at `info`, a defect one with its traceback, and no answer names a
version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from holdfast.core.limits import PageLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.http.pages import NewHandler, PageConnection, PageTransport
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.protocols.websocket.handshake import is_upgrade
from holdfast.protocols.websocket.head import Request

_log: Final = RateLimitedLogger("holdfast.http")
_SERVER: Final = {"Server": "holdfast"}
_DEFAULT: Final = PageLimits()


class HttpHost:
    """An aiohttp application that takes over accepted connections. `headers` are those that every
    answer has, unless it has another of that name. `others` says which requests are not its own."""

    def __init__(
        self,
        app: web.Application,
        headers: Mapping[str, str] | None = None,
        limits: PageLimits = _DEFAULT,
        others: Callable[[Request], bool] = is_upgrade,
    ) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        self._headers = _SERVER | dict(headers or {})
        self._page_limits = limits
        self._others = others

    async def start(self) -> None:
        """Make ready to serve."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Close what is open."""
        await self._runner.cleanup()

    def take_over(
        self,
        connection: Connection,
        data: bytes,
        before: Handler,
        anew: NewHandler | None = None,
    ) -> None:
        """Serve `connection`, on which `before` stands, from here on; `data` has come already.

        A later request that is not its own is given to what `anew` makes.
        """
        server = self._runner.server
        assert server is not None, "the application is not started"
        requests = _Requests(server, connection, self._headers, self._page_limits)
        headers = tuple(self._headers.items())
        page = PageConnection(
            connection, requests, self._page_limits, before, anew, headers, self._others
        )
        page.begin(data)


class _Log(logging.Logger):
    """What aiohttp takes for its logger: a defect with its traceback, or a warning."""

    def handle(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            log_failure(_log, "an HTTP request failed", error)
        else:
            _log.warning("aiohttp warning", text=record.getMessage())


_aiohttp: Final = _Log("holdfast.http", logging.WARNING)


class _Requests(web.RequestHandler):
    """The requests of one connection.

    An error's traceback holds what handled the request, which holds the error. Such cycles are
    broken here: where clients can cause many, the garbage collector would stop the event loop
    for long.
    """

    __slots__ = ("_headers", "_peer")

    def __init__(
        self,
        server: web.Server,
        connection: Connection,
        headers: Mapping[str, str],
        limits: PageLimits,
    ) -> None:
        self._headers = headers
        self._peer = connection.peer
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # none is kept
            logger=_aiohttp,
            # The time between two requests is `PageConnection`'s: this is never the first to end.
            keepalive_timeout=2 * limits.idle_seconds_max,
        )

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if not getattr(resp, "prepared", True):  # a defective handler may return anything
            for name, value in self._headers.items():
                resp.headers.setdefault(name, value)
        finished = await super().finish_response(request, resp, start_time)
        if isinstance(finished[0], web.Response):
            finished[0].body = None  # aiohttp holds the last answer until the next request
        matched = getattr(request, "_match_info", None)
        if matched is not None and matched.http_exception is not None:
            matched.http_exception.__traceback__ = None  # of frames that hold the request
        transport = self.transport
        if isinstance(transport, PageTransport) and transport.page is not None:
            transport.page.answered(bool(finished[0].keep_alive))
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and exc is not None:
            log_failure(_log, "an HTTP request failed", exc, peer=self._peer)
        else:
            _log.info(
                "protocol error of a client", peer=self._peer, protocol="http", fault=str(exc)
            )
        if exc is not None:
            exc.__traceback__ = None  # of aiohttp's parser, which holds the error
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer is sent already")
        answer = error_page(status)
        answer.force_close()
        return answer


def error_page(status: int) -> web.Response:
    """The answer of a request that got no further."""
    return web.Response(status=status, text=f"{status} {HTTPStatus(status).phrase}\n")
