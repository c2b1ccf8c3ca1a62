"""`connect`: a Telnet connection to a server.

```python
async with connect("telnet://127.0.0.1:4000") as telnet:
    await telnet.read_until("Name: ")
    await telnet.send("ada\\n")
    async for line in telnet:
        print(line)
```
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Collection, Generator
from typing import Final, Literal

from holdfast.core.errors import LimitExceededError
from holdfast.core.limits import Limits
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.runtime.runtime import ClientRuntime, client_runtime
from holdfast.net.server.start_tls import StartTlsHandler, StartTlsOptions
from holdfast.net.tls.contexts import client_context
from holdfast.protocols.telnet.charsets import AUTO, UTF_8
from holdfast.protocols.telnet.client import TelnetClient
from holdfast.protocols.telnet.events import Event, Prompt
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.terminal import Terminal
from holdfast.telnet.closed import TelnetClosed
from holdfast.telnet.connection import Telnet
from holdfast.telnet.settings import OnEvent, Settings, charsets

DEFAULT_TERMINAL: Final = Terminal("Holdfast", "1", "XTERM", 80, 24)

StartTls = Literal["", "offered", "required"]


class StartTlsRefusedError(DialError):
    """The server does not agree to START_TLS, or what follows is no TLS that is accepted."""


class ClientTelnet(Telnet):
    """The client's side of a connection."""

    __slots__ = ("_client_runtime",)

    _core: TelnetClient

    def __init__(
        self,
        connection: Connection,
        core: TelnetClient,
        settings: Settings,
        runtime: ClientRuntime,
    ) -> None:
        super().__init__(connection, core, settings, runtime)
        self._client_runtime: ClientRuntime | None = runtime
        runtime.hold()

    @property
    def unfinished_line(self) -> str:
        """The text after the last line: a prompt, if the server does not mark its prompts."""
        return self._core.unfinished_line

    async def read_until(self, text: str) -> str:
        """Return everything up to the line or the prompt that has `text`, with line ends.

        Raises `TelnetClosed` at the end, `LimitExceededError` if there is too much before it.
        """
        read = ""
        while True:
            while self._lines:
                item = await self._next()
                read += item.text if isinstance(item, Prompt) else item + "\n"
                if text in read:
                    return read
            if text in (seen := read + self._core.unfinished_line):
                return seen
            if len(read) > self._settings.limits.telnet.gmcp_bytes_max:
                raise LimitExceededError(f"expected {text!r} within {len(read)} characters")
            if self._ended:
                raise TelnetClosed(self._reason, self._connection.cause)
            await self._wait()

    def resize(self, width: int, height: int) -> None:
        """The window has a new size."""
        self._core.resize(width, height)
        self._flush_later()

    def interrupt(self) -> None:
        """Ask the server to stop the running command."""
        self._core.send_interrupt()
        self._flush_later()

    def received(self, data: bytes) -> None:
        super().received(data)
        self._waiter.wake()  # for a prompt that is no line

    def _react(self, event: Event) -> None:
        if isinstance(event, Prompt):
            self._lines.append(event)
        super()._react(event)

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        runtime, self._client_runtime = self._client_runtime, None
        if runtime is not None:
            runtime.release()


class _StartTls(StartTlsHandler):
    """Asks the server for TLS before the conversation begins."""

    def __init__(self, connection: Connection, opening: connect, made: _Opening) -> None:
        options = StartTlsOptions(
            opening.tls or client_context(),
            opening.settings.limits.telnet,
            required=opening.starttls == "required",
        )
        super().__init__(connection, made.make, options, Side.US, opening.address.tls_name)
        self._made = made

    def _refused(self, reason: str) -> None:
        self._made.fail(StartTlsRefusedError(f"{self._connection.peer}: {reason}"))
        self._connection.abort()

    _broken = _refused

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        self._made.fail(cause or TelnetClosed("the peer has left"))


class _Opening:
    """One attempt to connect."""

    def __init__(self, opening: connect, runtime: ClientRuntime) -> None:
        self.opened: asyncio.Future[ClientTelnet] = runtime.loop.create_future()
        self._opening = opening
        self._runtime = runtime

    def begin(self, connection: Connection) -> Handler:
        """The first handler of the connection."""
        if self._opening.starttls:
            return _StartTls(connection, self._opening, self)
        return self.make(connection)

    def make(self, connection: Connection) -> ClientTelnet:
        """The handler that stays."""
        opening = self._opening
        core = TelnetClient(
            opening.settings.limits.telnet,
            opening.terminal,
            opening.refused,
            opening.settings.charsets,
            also=opening.also,
        )
        telnet = ClientTelnet(connection, core, opening.settings, self._runtime)
        if self.opened.done():
            connection.abort()
        else:
            self.opened.set_result(telnet)
        return telnet

    def fail(self, error: Exception) -> None:
        """Nothing has come of it."""
        if not self.opened.done():
            self.opened.set_exception(error)


class connect:
    """A connection to a server: `async with connect(url) as telnet`, or `await connect(url)`.

    `url` is `telnet://host:port`, or `telnets://` for TLS from the first byte; `starttls` asks a
    `telnet` server for TLS; `required` does not continue without it. `tls` is for both;
    without it, the server's name is checked against the system's authorities. `terminal` is
    reported to the server. `also` are options (`codes`) to accept beside the usual ones:
    LINEMODE, MCCP2, MCCP3, MSDP, MSSP, MXP; `refused` are some to refuse.

    Raises `DialError`, and `StartTlsRefusedError`, which is one.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl_module.SSLContext | None = None,
        starttls: StartTls = "",
        terminal: Terminal = DEFAULT_TERMINAL,
        charset: str = AUTO,
        charset_fallback: str = UTF_8,
        also: Collection[int] = (),
        refused: Collection[int] = (),
        on_event: OnEvent | None = None,
        limits: Limits | None = None,
    ) -> None:
        schemes = ("telnet",) if starttls else ("telnet", "telnets")
        self.address = parse_address(url, schemes)
        self.tls = tls
        self.starttls = starttls
        self.terminal = terminal
        self.also = also
        self.refused = refused
        self.settings = Settings(limits or Limits(), charsets(charset, charset_fallback), on_event)
        self._telnet: ClientTelnet | None = None

    def __await__(self) -> Generator[None, None, ClientTelnet]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientTelnet:
        self._telnet = await self._open()
        return self._telnet

    async def __aexit__(self, *_: object) -> None:
        assert self._telnet is not None
        await self._telnet.close()

    async def _open(self) -> ClientTelnet:
        runtime = client_runtime(asyncio.get_running_loop())
        runtime.hold()
        made = _Opening(self, runtime)
        try:
            connection = await dial(
                self.address,
                made.begin,
                clockwork=runtime,
                limits=self.settings.limits.connection,
                tls=self.tls,
            )
            try:
                return await made.opened
            except BaseException:
                connection.abort()
                raise
        finally:
            made.opened.cancel()
            runtime.release()
