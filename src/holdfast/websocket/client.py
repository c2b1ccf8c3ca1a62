"""`connect`: a WebSocket to a server; once, or again and again.

```python
async with connect("ws://127.0.0.1:8765/") as ws:
    await ws.send("hello")
    print(await ws.recv())

async for ws in connect("wss://example.org/"):  # reconnects
    with suppress(ConnectionClosed):
        async for message in ws:
            print(message)
```
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl as ssl_module
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Any, Final, Unpack

from holdfast.core.backoff import Backoff
from holdfast.core.errors import Reason
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.runtime.runtime import ClientRuntime, client_runtime
from holdfast.protocols import websocket as ws
from holdfast.protocols.websocket import HandshakeError, Response
from holdfast.websocket.connection import WebSocket
from holdfast.websocket.lifecycle import WebSocketSettings
from holdfast.websocket.options import Compression, Options, settings

_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 10.0
"""Between two connections of an `async for`."""
_TEMPORARY: Final = frozenset({0, 408, 429, 500, 502, 503, 504})
"""Answers after which another attempt may succeed."""


class ClientWebSocket(WebSocket):
    """The client's side of a WebSocket."""

    __slots__ = ("_answered", "_held", "_runtime", "response")

    def __init__(
        self,
        connection: Connection,
        offer: ws.Offer,
        made: WebSocketSettings,
        runtime: ClientRuntime,
    ) -> None:
        core = ws.ClientConnection(made.limits.websocket, offer, os.urandom)
        super().__init__(connection, core, made, runtime.loop)
        self._runtime: ClientRuntime | None = runtime
        self._answered: asyncio.Future[None] = runtime.loop.create_future()
        self._held: Sequence[ws.Event] = ()
        self.response: Response | None = None
        """The server's answer."""

    async def answered(self) -> None:
        """Wait for the handshake. Raises `HandshakeError` or `TimeoutError`."""
        await self._answered

    def received(self, data: bytes) -> None:
        try:
            self._release()
            super().received(data)
        except HandshakeError as error:
            self._fail(error)

    def _take(self, events: Sequence[ws.Event]) -> None:
        if events and isinstance(events[0], Response):
            # The program continues in the next pass; input after the answer waits for it.
            self._react(events[0])
            self._held = events[1:]
            self._loop.call_soon(self._release)
        else:
            super()._take(events)

    def _release(self) -> None:
        held, self._held = self._held, ()
        super()._take(held)

    def overdue(self, reason: Reason) -> None:
        if self.response is None:
            self._fail(TimeoutError("the server did not answer the handshake in time"))
        else:
            super().overdue(reason)

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        self._let_go()
        if not self._answered.done():
            why = "closed the connection" if cause is None else f"broke the connection: {cause}"
            error = HandshakeError(0, f"the server {why} before it answered the handshake")
            error.__cause__ = cause
            self._answered.set_exception(error)

    def drop(self) -> None:
        """Close without a Close frame; no task waits for the handshake any more."""
        self._connection.abort()
        self._answered.cancel()
        self._let_go()

    def _let_go(self) -> None:
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.release()

    def _fail(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)
        self._connection.abort()

    def _react(self, event: ws.Event) -> None:
        if isinstance(event, Response):
            self.response = event
            self._opened()
            self._answered.set_result(None)
        else:
            super()._react(event)

    def _end_transport(self) -> None:
        """The server closes the connection; we wait for it (section 7.1.1)."""
        self._hang_up_later()


class connect:
    """Return a WebSocket to `url` (`ws://` or `wss://`): use it with `async with`, `await`, or
    `async for`.

    `async for` reconnects when the body of the loop ends. The delay grows until a connection
    has lasted (`core.backoff`). Permanent errors are raised. See `Options` for further options.
    Raises `DialError`, `HandshakeError` or `TimeoutError`.
    """

    def __init__(
        self,
        url: str,
        *,
        ssl: ssl_module.SSLContext | None = None,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        additional_headers: Sequence[tuple[str, str]] = (),
        compression: Compression = "deflate",
        **options: Unpack[Options],
    ) -> None:
        self._address = parse_address(url)
        self._tls = ssl
        self._settings = settings(options)
        deflate = None
        if compression is not None:
            deflate = ws.Deflate(ws.CLIENT_DEFAULTS if compression == "deflate" else compression)
        self._offer = ws.Offer(
            self._address.authority,
            self._address.path,
            tuple(subprotocols),
            origin,
            tuple(additional_headers),
            deflate,
        )
        self._socket: ClientWebSocket | None = None

    def __await__(self) -> Generator[Any, None, ClientWebSocket]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientWebSocket:
        self._socket = await self._open()
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        assert self._socket is not None
        await self._socket.close()

    async def __aiter__(self) -> AsyncIterator[ClientWebSocket]:
        loop = asyncio.get_running_loop()
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX)
        while True:
            lasted = 0.0
            try:
                socket = await self._open()
            except (DialError, TimeoutError, OSError, HandshakeError) as error:
                if isinstance(error, HandshakeError) and error.status not in _TEMPORARY:
                    raise
            else:
                since = loop.time()
                try:
                    yield socket
                finally:
                    await socket.close()
                lasted = loop.time() - since
            await asyncio.sleep(backoff.pause(random.random(), lasted))

    async def _open(self) -> ClientWebSocket:
        runtime = client_runtime(asyncio.get_running_loop())
        runtime.hold()
        made: list[ClientWebSocket] = []

        def make(connection: Connection) -> ClientWebSocket:
            made.append(ClientWebSocket(connection, self._offer, self._settings, runtime))
            return made[0]

        try:
            await dial(
                self._address,
                make,
                clockwork=runtime,
                limits=self._settings.limits.connection,
                tls=self._tls,
            )
            await made[0].answered()
        except BaseException:
            for socket in made:
                socket.drop()
            if not made:
                runtime.release()
            raise
        return made[0]
