"""`serve`: a Telnet server whose handler is one coroutine for each client.

```python
async def greet(telnet):
    await telnet.send("Welcome.\\n")
    async for line in telnet:
        await telnet.send(f"You said {line}.\\n")

async with serve(greet, "127.0.0.1", 4000) as server:
    await server.serve_forever()
```
"""

from __future__ import annotations

import asyncio
import math
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.metering import Bucket, Meter
from holdfast.net.log import RateLimitedLogger, log_handler_failure
from holdfast.net.runtime.loop import unwrapped
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import consists_of, spawn
from holdfast.net.server.server import ListenOptions
from holdfast.net.server.server import Server as NetServer
from holdfast.net.server.start_tls import StartTlsOptions
from holdfast.protocols.telnet.charsets import AUTO, UTF_8
from holdfast.protocols.telnet.events import Event, Settled
from holdfast.protocols.telnet.options.base import Options
from holdfast.protocols.telnet.server import Offers, TelnetServer, server_options
from holdfast.telnet.closed import TelnetClosed
from holdfast.telnet.connection import Telnet
from holdfast.telnet.settings import OnEvent, Settings, charsets

_log: Final = RateLimitedLogger("holdfast.telnet")
_NO_OFFERS: Final = Offers()
_UNSHARED: Final = Bucket(math.inf)

ServerHandler = Callable[["ServerTelnet"], Coroutine[Any, Any, None]]


class ServerTelnet(Telnet):
    """The server's side of a connection."""

    __slots__ = ("_server",)

    _core: TelnetServer

    def __init__(self, connection: Connection, server: Server) -> None:
        settings = server.settings
        core = TelnetServer(
            settings.limits.telnet, connection.now, settings.charsets, server.options
        )
        super().__init__(connection, core, settings, server.runtime)
        connection.meter = Meter(settings.limits.telnet.bytes_per_second_max, _UNSHARED)
        self._server = server

    async def send_prompt(self, text: str) -> None:
        """Send the text before the cursor, and the mark that ends a prompt, if there is one."""
        self._core.send_prompt(self._safe(text))
        await self._sent(len(text))

    async def ask(self, prompt: str, *, hidden: bool = False) -> str:
        """Send a prompt and return the next line; `hidden`: the client shows nothing of it.

        Raises what `readline` raises.
        """
        if hidden:
            self._core.hide_input(True)
        try:
            await self.send_prompt(prompt)
            return await self.readline()
        finally:
            if hidden:
                self._core.hide_input(False)
                self._flush_later()

    def hide_input(self, hidden: bool) -> None:
        """Make the client hide what is typed, as for a password, or show it again."""
        self._core.hide_input(hidden)
        self._flush_later()

    def set_linemode(self, *, edit: bool = True, trapsig: bool = True) -> None:
        """Have a client with LINEMODE edit lines and send signals for keys, or not."""
        self._core.set_linemode(edit=edit, trapsig=trapsig)
        self._flush_later()

    def connected(self) -> None:
        self._server.connections.add(self)
        super().connected()

    def _react(self, event: Event) -> None:
        if isinstance(event, Settled):
            self._server.settled(self)
        super()._react(event)

    def lost(self, cause: Exception | None) -> None:
        self._server.connections.discard(self)
        super().lost(cause)


class Server:
    """A running server. `async with serve(...)` makes it."""

    def __init__(
        self, handler: ServerHandler, settings: Settings, options: Options, tasks: asyncio.TaskGroup
    ) -> None:
        self.settings = settings
        self.options = options
        self.runtime = Runtime(asyncio.get_running_loop())
        self.connections: set[ServerTelnet] = set()
        """The open connections, for a broadcast say."""
        self.addresses: list[Address] = []
        """Where it listens, with the ports that were taken."""
        self._handler = handler
        self._net = NetServer(settings.limits.connection, self.runtime)
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self.addresses[0].port

    async def serve_forever(self) -> None:
        """Wait until `close` is called."""
        await self._stopped.wait()

    def close(self) -> None:
        """Let `serve_forever` end; clients are closed at the end of the `async with`."""
        self._stopped.set()

    async def start(
        self, address: Address, tls: ssl_module.SSLContext | None, options: ListenOptions
    ) -> None:
        """Listen. Raises what `net.Server.listen` raises."""
        self.runtime.timers.start()
        self._net.start()
        self.addresses.append(await self._net.listen(address, self._make, tls, options))

    async def stop(self) -> None:
        """Close every client, wait for their handlers up to the limit of time, end."""
        self._stopped.set()
        seconds = self.settings.limits.drain.drain_seconds_max
        try:
            await self._net.drain(seconds)
            if self._running:
                await asyncio.wait(self._running, timeout=seconds)
        finally:
            await self._net.close()
            for task in self._running:
                task.cancel()
            self.runtime.timers.stop()

    def settled(self, telnet: ServerTelnet) -> None:
        """Start the handler of a client whose opening negotiation is over."""
        task = spawn(self._tasks, self._handle(telnet), telnet._connection.fail)
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _make(self, connection: Connection) -> ServerTelnet:
        return ServerTelnet(connection, self)

    async def _handle(self, telnet: ServerTelnet) -> None:
        try:
            await self._handler(telnet)
        except Exception as error:
            if not consists_of(error, TelnetClosed):  # for which the handler need not care
                log_handler_failure(_log, "a handler failed", error, peer=telnet.peer)
        finally:
            telnet.end()


@asynccontextmanager
async def serve(
    handler: ServerHandler,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ssl: ssl_module.SSLContext | None = None,
    starttls: ssl_module.SSLContext | None = None,
    starttls_required: bool = False,
    charset: str = AUTO,
    charset_fallback: str = UTF_8,
    offers: Offers = _NO_OFFERS,
    on_event: OnEvent | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Server]:
    """Serve clients with `handler` for the duration of the block, and close them at its end.

    The handler begins when the opening negotiation is over, so it finds what the client has told
    of itself. When it returns, its client is closed; when it raises, that is logged as well.
    `ssl` is for TLS from the first byte; `starttls` for clients that agree to START_TLS, and with
    `starttls_required` for no others. `charset` is what is spoken to every client; `auto`: what
    it names or types in, and `charset_fallback` before. `offers`: MSDP, MSSP, MCCP, MXP.
    `on_event` is called with the connection and each event that is not a line.
    """
    if ssl is not None and starttls is not None:
        raise ConfigurationError("serve: expected ssl or starttls, found both")
    made = Settings(limits or Limits(), charsets(charset, charset_fallback), on_event)
    asks = None
    if starttls is not None:
        asks = StartTlsOptions(starttls, made.limits.telnet, required=starttls_required)
    address = Address("telnets" if ssl is not None else "telnet", host, port, "")
    with unwrapped():
        async with asyncio.TaskGroup() as tasks:
            server = Server(handler, made, server_options(offers), tasks)
            try:
                await server.start(address, ssl, ListenOptions(start_tls=asks))
                yield server
            finally:
                await server.stop()
