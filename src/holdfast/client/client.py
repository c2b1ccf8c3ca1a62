"""A client that resumes by itself: one session over any number of WebSocket connections.

```python
async with connect("ws://127.0.0.1:8080/") as session:
    session.command("look")
    async for event in session:
        match event:
            case Text(d=text):
                print(text)
```
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Final

from holdfast.client.core import ACK_SECONDS, ClientCore, Event, Online, may_return
from holdfast.client.gateway_addresses import GatewayAddresses, better_elsewhere, gateway_addresses
from holdfast.client.queue import PENDING_MAX
from holdfast.client.reconnector import ClientHandler, Ended, Offline, Reconnector
from holdfast.client.state import ServerFaultError, State
from holdfast.core.beats import first_beat
from holdfast.core.limits import Limits
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.loop import unwrapped
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import websocket as ws

_NEVER: Final = float("inf")

ClientEvent = Event | Offline | Ended
GiveToken = Callable[[], str | Awaitable[str]]
"""Gives a JSON Web Token."""


@contextlib.asynccontextmanager
async def connect(
    url: str | Sequence[str],
    *,
    state: State | None = None,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    client: str = "holdfast-python",
    token: GiveToken | None = None,
    deflate: ws.DeflateSettings | None = None,
) -> AsyncIterator[Client]:
    """Open a session at the gateway at `url` (`ws://` or `wss://`) for the duration of the
    block. Several addresses are those of gateways with the same sessions: they are tried in a
    random order, which is kept, and the next one follows a try that made no session.

    `state` is the kept state of an earlier client (`Client.state`). A gateway that cannot be
    reached raises nothing: the client retries and reports `Offline`. `token` gives the JSON Web
    Token that proves who the user is, where the gateway asks for one: it is called before each
    connection, and when a newer token is needed. While it raises, the client retries. `deflate`
    offers compression. Raises `ConfigurationError` for addresses that cannot be used.
    """
    compression = ws.Deflate(deflate) if deflate is not None else None
    core = ClientCore(state, client)
    self = Client(gateway_addresses(url), core, limits or Limits(), tls, compression, token)
    with unwrapped():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.run())
            try:
                yield self
            finally:
                running.cancel()


class Client:
    """One session. Use it through `connect`; iterate over it for its events."""

    def __init__(
        self,
        gateways: GatewayAddresses,
        core: ClientCore,
        limits: Limits,
        tls: ssl.SSLContext | None,
        deflate: ws.Deflate | None = None,
        token: GiveToken | None = None,
    ) -> None:
        self._give_token = token
        self._spawn: Callable[[Coroutine[Any, Any, None]], object] | None = None
        self._gateways = gateways
        self._deflate = deflate
        self._core = core
        self._limits = limits
        self._reconnector: Reconnector[Event, _SessionHandler] = Reconnector(
            gateways, self._make, limits, tls, self._authenticate if token is not None else None
        )

    @property
    def state(self) -> State:
        """The state to keep for resuming the session later."""
        return self._core.state

    @property
    def keep_seconds(self) -> float:
        """How long the gateway keeps the session without this client, as far as it said; or 0."""
        return self._core.keep_seconds

    @property
    def online(self) -> bool:
        """Whether the session is connected now."""
        return self._core.online

    @property
    def unsaid(self) -> int:
        """How many commands the gateway has not acknowledged."""
        return len(self._core.state.pending)

    # --- sending

    def command(self, text: str) -> None:
        """Send a line: it is sent until the gateway has it, and runs once.

        Raises `TypeError` or `ValueError` for a value that the gateway can never accept (no
        text, a lone surrogate, a message that is too large), and `BusyError` when too many
        commands wait, as `data` and `interrupt` do. Nothing is kept then. If the session ends
        before the gateway has the command, `Dropped` reports it.
        """
        self._core.command(text)
        self._send()

    def data(self, package: str, value: Any) -> None:
        """Send a structured message, as `command` does a line."""
        self._core.data(package, value)
        self._send()

    def interrupt(self) -> None:
        """Ask to stop the running command."""
        self._core.interrupt()
        self._send()

    def resize(self, width: int, height: int) -> None:
        """Tell the size of the screen, in characters. Raises `TypeError` or `ValueError`."""
        self._core.resize(width, height)
        self._send()

    def login(self, username: str, password: str) -> None:
        """Answer `Login`. Raises `TypeError` or `ValueError`, as `choose` does."""
        self._core.login(username, password)
        self._send()

    def authenticate(self, token: str) -> None:
        """Answer `Auth`, as `token` of `connect` does. Raises `TypeError` or `ValueError`."""
        self._core.authenticate(token)
        self._send()

    def choose(
        self, *, profile: str = "", name: str = "", properties: Mapping[str, str] | None = None
    ) -> None:
        """Answer `Profiles`: one by its id, or a new one by name, with properties that its
        application asks for."""
        self._core.choose(profile=profile, name=name, properties=properties)
        self._send()

    def take_offer(self) -> None:
        """Answer `Offer`."""
        self._core.take_offer()
        self._send()

    def ask_code(self) -> None:
        """Ask for a resume code, to go on at another client; it comes as `Code`."""
        self._core.ask_code()
        self._send()

    def resume(self, code: str) -> None:
        """Leave this session for the session of this resume code.

        Raises `TypeError` or `ValueError`. `Dropped` reports commands that the gateway is not
        known to have.
        """
        self._core.resume(code)
        self._reconnector.reconnect()

    @property
    def quitting(self) -> bool:
        """Whether `quit` was called and the session is not known to have ended: if the program
        ends now, the session stays detached until it expires."""
        return self._core.quitting

    def quit(self) -> None:
        """End the session after the commands before it; `Ended` follows.

        Without a connection, the session ends at the next one. `state` does not include it.
        """
        self._core.quit()
        self._send()

    def reconnect(self) -> None:
        """Try now, instead of after the pause; a connection that is open is dropped."""
        self._reconnector.reconnect()

    # --- events

    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        return self._reconnector.events()

    async def receive(self) -> ClientEvent:
        """The next event. Raises `ClosedError` after `Ended`."""
        return await self._reconnector.receive()

    async def room(self) -> None:
        """Wait until another command can be sent. Raises `ClosedError` if the session ends."""
        await self._reconnector.wait_while(lambda: len(self._core.state.pending) >= PENDING_MAX)

    async def drain(self) -> None:
        """Wait until the gateway has every command. Raises `ClosedError` if the session ends."""
        await self._reconnector.wait_while(lambda: bool(self._core.state.pending))

    async def run(self) -> None:
        """Keep the session connected until it ends."""
        async with asyncio.TaskGroup() as tasks:
            self._spawn = tasks.create_task
            await self._reconnector.run()

    async def _authenticate(self) -> str:
        """Get a token. Returns why there is none, or nothing."""
        assert self._give_token is not None
        try:
            found = self._give_token()
            self.authenticate(await found if isawaitable(found) else found)
        except Exception as error:
            return f"no token: {error}"
        return ""

    async def _renew(self) -> None:
        """Give the gateway a newer token. A connection for which there is none is dropped."""
        if fault := await self._authenticate():
            handler = self._reconnector.handler
            if handler is not None:
                handler.reason = fault
                handler.connection.abort()

    def _token_wanted(self) -> None:
        if self._give_token is not None and self._spawn is not None:
            self._spawn(self._renew())

    def _send(self) -> None:
        if self._reconnector.handler is not None:
            self._reconnector.handler.send()

    def _make(self, connection: Connection) -> _SessionHandler:
        address = self._gateways.current
        offer = ws.Offer(
            address.authority,
            address.path,
            (wire.SUBPROTOCOL,),
            deflate=self._deflate,
        )
        socket = ws.ClientConnection(self._limits.websocket, offer, os.urandom)
        return _SessionHandler(
            connection, self._reconnector, self._core, socket, self._token_wanted
        )


class _SessionHandler(ClientHandler):
    """One WebSocket connection of a client."""

    def __init__(
        self,
        connection: Connection,
        reconnector: Reconnector[Event, _SessionHandler],
        core: ClientCore,
        socket: ws.ClientConnection,
        token_wanted: Callable[[], None],
    ) -> None:
        super().__init__(connection)
        self._token_wanted = token_wanted
        self._reconnector = reconnector
        self._core = core
        self._ws = socket
        self._connected = False
        self._leaving = False
        """Whether this end has closed the connection, and knows why."""
        self._ack_due = self._beat_due = _NEVER

    def send(self) -> None:
        """Send the core's output, once the WebSocket is open."""
        if not self._connected:
            return
        if self._ws.state is ws.State.OPEN:
            for message in self._core.take():
                self._ws.queue(self._ws.encode_text(message))
        data = self._ws.data_to_send()
        if data:
            self.connection.write(data)

    # --- Handler

    def connected(self) -> None:
        self._connected = True
        self.send()

    def received(self, data: bytes) -> None:
        try:
            for event in self._ws.receive_data(data):
                self._handle(event)
        except (ws.HandshakeError, ServerFaultError) as error:
            self.reason = str(error)
            self.online_at = (
                None  # a gateway that violates the protocol may do so each time: the delays grow
            )
            self.connection.abort()
            return
        self.send()
        self._reconnector.moved()
        if self._core.unacknowledged and self._ack_due == _NEVER:
            self._ack_due = self.connection.time() + ACK_SECONDS
            self._schedule()
        if self._ws.state is ws.State.CLOSED:
            self.connection.close()

    def expired(self, now: float) -> None:
        if now >= self._ack_due:
            self._ack_due = _NEVER
            if self._core.unacknowledged:
                self._core.acknowledge()
        if now >= self._beat_due:
            heartbeat = self._core.heartbeat_seconds
            # Without reading, no byte can arrive.
            if not self._reconnector.full and now - self.connection.heard >= 2 * heartbeat:
                self.reason = "nothing was heard from the gateway for too long"
                self.connection.abort()
                return
            self._beat_due = now + heartbeat
            if self._core.online:
                self._core.ping()
        self.send()
        self._schedule()

    def lost(self, cause: Exception | None) -> None:
        self._core.online = False
        self._reconnector.lost()

    # --- events

    def _handle(self, event: ws.Event) -> None:
        match event:
            case ws.Response(headers=headers):
                chosen = headers.get("sec-websocket-protocol")
                if chosen != wire.SUBPROTOCOL:
                    raise ServerFaultError(
                        f"the server does not speak {wire.SUBPROTOCOL}; it chose {chosen or 'none'}"
                    )
                self.connection.established()
                self._core.connected()
                self._await_beat()
            case str() | bytes():
                self._hear(event)
            case ws.Violation(_, reason):
                raise ServerFaultError(reason)
            case ws.Close(code, reason) if not self._leaving:
                self.reason = reason or self.reason
                returns = may_return(code)
                if code == ws.CloseCode.MESSAGE_TOO_BIG:
                    returns = self._put(self._core.too_large())
                if not returns:
                    self.reason, self.retry_seconds = reason or f"closed with {code}", None
            case _:
                pass

    def _hear(self, message: str | bytes) -> None:
        for found in self._core.receive(message):
            match found:
                case wire.Bye(reason=reason, text=text, retry_ms=retry_ms):
                    self.reason = text
                    self.elsewhere = better_elsewhere(reason)
                    self.retry_seconds = retry_ms / 1000 if retry_ms >= 0 else None
                case wire.Refused(reason=reason, retry_ms=retry_ms) if retry_ms >= 0:
                    self._leave(reason, retry_ms / 1000)
                case wire.Auth():
                    self._token_wanted()
                case Online():
                    self.came_online()
                    self._await_beat()
                case _:
                    pass
            self._reconnector.put(found)
        if self._core.over:
            self._leave("your session had ended already", None)

    def _leave(self, reason: str, retry_seconds: float | None) -> None:
        """Close the connection, and reconnect after the delay, or never."""
        self.reason, self.retry_seconds = reason, retry_seconds
        self._leaving = True
        self._ws.close()

    def _put(self, events: list[Event]) -> bool:
        """Queue these events. Returns whether there are any."""
        for event in events:
            self._reconnector.put(event)
        return bool(events)

    def _await_beat(self) -> None:
        first = first_beat(self._core.heartbeat_seconds, random.random())
        self._beat_due = self.connection.time() + first
        self._schedule()

    def _schedule(self) -> None:
        self.connection.wake_at(min(self._ack_due, self._beat_due))
