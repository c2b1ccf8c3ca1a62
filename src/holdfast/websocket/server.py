"""`serve`: a WebSocket server whose handler is one coroutine for each connection.

```python
async def echo(ws):
    async for message in ws:
        await ws.send(message)

async with serve(echo, "127.0.0.1", 8765) as server:
    await server.serve_forever()
```
"""

from __future__ import annotations

import asyncio
import inspect
import ssl as ssl_module
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack

from msgspec import Struct

from holdfast.core.errors import ConfigurationError, Reason
from holdfast.core.text import presentable
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection
from holdfast.net.http.hosts import check_host, served_hosts
from holdfast.net.http.refusals import HTTP_REFUSALS
from holdfast.net.log import RateLimitedLogger, log_failure, log_handler_failure
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import consists_of, spawn
from holdfast.net.server.admission import AdmissionRefusal
from holdfast.net.server.server import ListenOptions
from holdfast.net.server.server import Server as NetServer
from holdfast.protocols import websocket as ws
from holdfast.protocols.websocket import CloseCode, Request, State
from holdfast.websocket.closed import ConnectionClosed
from holdfast.websocket.connection import WebSocket
from holdfast.websocket.lifecycle import WebSocketSettings
from holdfast.websocket.options import Compression, Options, settings

if TYPE_CHECKING:
    from aiohttp import web

    from holdfast.net.http.handover import HttpHost

_log: Final = RateLimitedLogger("holdfast.websocket")
_OPTIONS: Final = ListenOptions(refusals=HTTP_REFUSALS)


class Refusal(Struct, frozen=True):
    """An HTTP answer instead of a WebSocket."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


ServerHandler = Callable[["ServerWebSocket"], Coroutine[Any, Any, None]]
ProcessRequest = Callable[
    ["ServerWebSocket", Request], "Refusal | Awaitable[Refusal | None] | None"
]
SelectSubprotocol = Callable[["ServerWebSocket", Sequence[str]], "str | None"]


class ServerWebSocket(WebSocket):
    """The server's side of a WebSocket."""

    __slots__ = ("_server", "request", "response_headers")

    _core: ws.ServerConnection

    def __init__(self, connection: Connection, server: Server) -> None:
        core = ws.ServerConnection(server.settings.limits.websocket, server.deflate)
        super().__init__(connection, core, server.settings, server.loop)
        self._server = server
        self.request: Request | None = None
        """The client's request, once it has come."""
        self.response_headers: list[tuple[str, str]] = []
        """Further headers of the answer; `process_request` may add to them."""

    def respond(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> Refusal:
        """What `process_request` returns to refuse the request."""
        return Refusal(status, text, tuple(headers))

    def _react(self, event: ws.Event) -> None:
        match event:
            case Request():
                self.request = event
                self._judge(event)
            case ws.PlainRequest(_, data):
                self._server.serve_http(self, data)
            case ws.Violation() if self._sent is None and self.request is None:
                self._server.failed_handshakes += 1
                self._send_queued()
                self._connection.close_on()
            case _:
                super()._react(event)

    def _judge(self, request: Request) -> None:
        server = self._server
        origins, secure = server.origins, self._connection.tls is not None
        if not self._is_served(request.host):
            self._answer(Refusal(421, presentable(f"the host {request.host} is not served here")))
            return
        if origins is not None and not ws.origin_is_allowed(request, origins, secure=secure):
            text = f"pages of {request.headers.get('origin')} may not connect here"
            self._answer(Refusal(403, presentable(text)))
            return
        judgement = None
        if server.process_request is not None:
            try:
                judgement = server.process_request(self, request)
            except Exception as error:
                judgement = self._fault(error)
        if inspect.isawaitable(judgement):
            server.spawn(self._judge_later(judgement), self._connection)
        else:
            self._answer(judgement)

    def _is_served(self, host: str | None) -> bool:
        server, listener = self._server, self._connection.listener
        if listener is None or (server.origins is None and not server.hosts):
            return True
        return served_hosts(server.hosts, listener).allows(host)

    async def _judge_later(self, judgement: Awaitable[Refusal | None]) -> None:
        try:
            answer = await judgement
        except Exception as error:
            answer = self._fault(error)
        if self._core.state is State.CONNECTING and self.state is State.CONNECTING:
            self._answer(answer)

    def _answer(self, refusal: Refusal | None) -> None:
        """Send the program's answer; a wrong result is answered with 500."""
        try:
            self._write_answer(refusal)
        except Exception as error:
            refusal = self._fault(error)
            self._write_answer(refusal)
        self._send_queued()
        if refusal is not None:
            self._server.failed_handshakes += 1
            self._connection.close_on()
            return
        self._opened()
        self._server.opened(self)
        self.received(b"")  # input before the answer

    def _write_answer(self, refusal: Refusal | None) -> None:
        if isinstance(refusal, Refusal):
            self._core.refuse(refusal.status, refusal.text, refusal.headers)
            return
        if refusal is not None:
            raise TypeError(
                f"process_request: expected None or what ws.respond() returns, found {refusal!r}"
            )
        assert self.request is not None
        offered = self.request.headers.tokens("sec-websocket-protocol")
        chosen = self._server.choose(self, offered)
        if chosen is not None and chosen not in offered:  # RFC 6455 section 4.2.2
            raise ValueError(f"select_subprotocol: expected one of {offered}, found {chosen!r}")
        self._core.accept(chosen, self.response_headers)

    def _fault(self, error: Exception) -> Refusal:
        """Log the exception of the program, and answer with 500."""
        log_failure(_log, "a handshake failed", error, peer=self._connection.peer)
        return Refusal(500, "internal error")

    def overdue(self, reason: Reason) -> None:
        if self._core.state is State.CONNECTING:
            self._answer(Refusal(408, "the handshake took too long"))
        else:
            super().overdue(reason)

    def drain(self) -> None:
        if self._core.state is State.CONNECTING:
            self._answer(Refusal(503, "the server is stopping"))
        else:
            self._begin_close(*self._server.goodbye)

    def lost(self, cause: Exception | None) -> None:
        self._server.connections.discard(self)
        super().lost(cause)


class Server:
    """A running server. `async with serve(...)` makes it."""

    def __init__(
        self,
        handler: ServerHandler,
        made: WebSocketSettings,
        *,
        deflate: ws.Deflate | None,
        origins: Sequence[str] | None,
        hosts: Sequence[str],
        subprotocols: Sequence[str],
        select_subprotocol: SelectSubprotocol | None,
        process_request: ProcessRequest | None,
        http: HttpHost | None,
    ) -> None:
        self.settings = made
        self.deflate = deflate
        self.origins = origins
        self.hosts = hosts
        self.process_request = process_request
        self.loop = asyncio.get_running_loop()
        self.connections: set[ServerWebSocket] = set()
        """The open WebSockets, for `broadcast` say."""
        self.failed_handshakes = 0
        """Connections whose request was refused, or did not come in time."""
        self.goodbye: tuple[int, str] = (CloseCode.GOING_AWAY, "the server is stopping")
        self.addresses: list[Address] = []
        """Where it listens, with the ports that were taken."""
        self._handler = handler
        self._subprotocols = subprotocols
        self._select = select_subprotocol
        self._http = http
        self._runtime = Runtime(self.loop)
        self._net = NetServer(made.limits.connection, self._runtime)
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self.addresses[0].port

    @property
    def accepted(self) -> int:
        """Connections that were accepted since the start, whatever became of them."""
        return self._net.accepted

    @property
    def refusals(self) -> Counter[AdmissionRefusal]:
        """Connections that were refused, by why: they met a limit."""
        return self._net.refusals

    def kick(self, socket: ServerWebSocket) -> None:
        """Close one WebSocket, as the end of the server closes all."""
        socket._connection.drain()

    async def serve_forever(self) -> None:
        """Wait until `close` is called."""
        await self._stopped.wait()

    def close(
        self, code: int = CloseCode.GOING_AWAY, reason: str = "the server is stopping"
    ) -> None:
        """Let `serve_forever` end; clients get `code` at the end of the `async with`.

        1001 means that the server goes away, 1012 that it restarts. Raises `ValueError` for a
        code that a Close frame cannot have.
        """
        ws.close_payload(code, reason)
        self.goodbye = (code, reason)
        self._stopped.set()

    # --- life

    async def start(self, addresses: Sequence[Address], tls: ssl_module.SSLContext | None) -> None:
        """Listen. Raises what `net.Server.listen` raises."""
        await self._tasks.__aenter__()
        self._runtime.timers.start()
        self._net.start()
        try:
            if self._http is not None:
                await self._http.start()
            for address in addresses:
                self.addresses.append(await self._net.listen(address, self._make, tls, _OPTIONS))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Tell every client, wait for them and their handlers up to the limit of time, end."""
        self._stopped.set()
        seconds = self.settings.limits.drain.drain_seconds_max
        try:
            await self._net.drain(seconds)
            if self._running:
                await asyncio.wait(self._running, timeout=seconds)
        finally:
            for task in self._running:
                task.cancel()
            await self._tasks.__aexit__(None, None, None)
            self._runtime.timers.stop()
            if self._http is not None:
                await self._http.stop()

    # --- what its connections ask

    def spawn(self, work: Coroutine[Any, Any, None], connection: Connection) -> None:
        """Run a task of one connection: its exception ends that connection."""
        task = spawn(self._tasks, work, connection.fail)
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def opened(self, socket: ServerWebSocket) -> None:
        """Start the handler of a new WebSocket."""
        self.connections.add(socket)
        self.spawn(self._handle(socket), socket._connection)

    def choose(self, socket: ServerWebSocket, offered: Sequence[str]) -> str | None:
        """The sub-protocol for a client that offers these."""
        if self._select is not None:
            return self._select(socket, offered)
        assert socket.request is not None
        return ws.choose_subprotocol(socket.request, self._subprotocols)

    def serve_http(self, socket: ServerWebSocket, data: bytes) -> None:
        """Handle a request that is no upgrade. A later one may be."""
        if self._http is None:
            socket._core.refuse(426, "this is a WebSocket", [("Upgrade", "websocket")])
            socket._send_queued()
            socket._connection.close_on()
        else:
            self._http.take_over(socket._connection, data, socket, self._make)

    def _make(self, connection: Connection) -> ServerWebSocket:
        return ServerWebSocket(connection, self)

    async def _handle(self, socket: ServerWebSocket) -> None:
        try:
            await self._handler(socket)
        except Exception as error:
            if not consists_of(error, ConnectionClosed):  # for which the handler need not care
                log_handler_failure(_log, "a handler failed", error, peer=socket._connection.peer)
                socket._begin_close(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            socket._begin_close(CloseCode.NORMAL, "")


class serve:
    """Return a server that runs during an `async with` block; see `Options` for further
    options.

    `host` may be `None` with `unix`, a path (or `@name` for the abstract namespace). `origins`
    lists the origins of web pages that may connect: `self` for those of the host itself, `*`
    for any; `None` checks nothing. `hosts` lists the accepted host names, without ports;
    without it, if origins are checked, a request to a loopback address must be for a loopback
    name, because a page can let its own name point there (DNS rebinding). `process_request`
    gets each request, may add to `ws.response_headers`, and refuses by returning
    `ws.respond(status, text)`. `http` is an aiohttp application for all requests that are no
    upgrades.
    """

    def __init__(
        self,
        handler: ServerHandler,
        host: str | None = "127.0.0.1",
        port: int = 0,
        *,
        unix: str | None = None,
        ssl: ssl_module.SSLContext | None = None,
        origins: Sequence[str] | None = None,
        hosts: Sequence[str] = (),
        subprotocols: Sequence[str] = (),
        select_subprotocol: SelectSubprotocol | None = None,
        process_request: ProcessRequest | None = None,
        compression: Compression = "deflate",
        http: web.Application | None = None,
        **options: Unpack[Options],
    ) -> None:
        scheme = "wss" if ssl is not None else "ws"
        self._addresses = [Address(scheme, host, port, "/")] if host is not None else []
        if unix is not None:
            self._addresses.append(Address("unix", "", 0, unix))
        if not self._addresses:
            raise ConfigurationError("serve: expected a host or a Unix socket, found neither")
        for name in hosts:
            check_host(name)
        self._tls = ssl
        self._http = http
        self._settings = settings(options)
        self._compression = compression
        self._arguments: dict[str, Any] = {
            "origins": origins,
            "hosts": hosts,
            "subprotocols": subprotocols,
            "select_subprotocol": select_subprotocol,
            "process_request": process_request,
        }
        self._handler = handler
        self._server: Server | None = None

    async def __aenter__(self) -> Server:
        http: HttpHost | None = None
        if self._http is not None:
            from holdfast.net.http.handover import HttpHost  # with aiohttp

            http = HttpHost(self._http, limits=self._settings.limits.pages)
        self._server = Server(
            self._handler,
            self._settings,
            deflate=_deflate(self._compression),
            http=http,
            **self._arguments,
        )
        await self._server.start(self._addresses, self._tls)
        return self._server

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.stop()


def _deflate(compression: Compression) -> ws.Deflate | None:
    if compression is None:
        return None
    return ws.Deflate(None if compression == "deflate" else compression)
