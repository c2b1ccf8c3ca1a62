"""A byte stream that is forwarded to an upstream, in both directions. Hot path.

Input of one side is written to the other at once; while that side's buffer is full, the first
is not read (back-pressure). A half-close is forwarded, and the other direction continues (RFC
9293 section 3.6). A connection that breaks resets the other one, so that no side takes what has
come for everything. Nothing is kept except data in transit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final

from holdfast.core.errors import HoldfastError, Reason
from holdfast.core.states import Machine, Step, Table
from holdfast.net.addresses import peer_name
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.stream import Stream
from holdfast.net.log import RateLimitedLogger
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.idle_pool import IdlePool
from holdfast.net.upstream.pool import Target
from holdfast.net.upstream.proxy_header import ProxiedClient

_log: Final = RateLimitedLogger("holdfast.upstream")


class StreamState(Enum):
    """The state of a stream."""

    CONNECTING = auto()
    CONNECTING_ENDED = auto()
    """The client has ended its direction already."""
    OPEN = auto()
    CLIENT_ENDED = auto()
    UPSTREAM_ENDED = auto()
    CLOSED = auto()


class StreamInput(Enum):
    """The inputs of a stream's state machine."""

    CONNECTED = auto()
    CLIENT_ENDED = auto()
    UPSTREAM_ENDED = auto()
    LOST = auto()
    """One of both is closed, or the upstream cannot be reached."""
    BROKEN = auto()
    """One of both was reset, or has ended in the middle of something."""


class TunnelEffect(Enum):
    """The actions of a step."""

    NOTHING = auto()
    PASS_ON = auto()
    """Forward the input of the client so far."""
    PASS_ON_AND_END = auto()
    END_UPSTREAM = auto()
    END_CLIENT = auto()
    CLOSE = auto()
    """Close both connections, after the data in transit."""
    RESET = auto()
    """Reset both connections at once."""


_S = StreamState
_I = StreamInput
_E = TunnelEffect

TABLE: Final[Table[StreamState, StreamInput, TunnelEffect]] = Table(
    "stream",
    StreamState,
    StreamInput,
    {
        _S.CONNECTING: {
            _I.CONNECTED: Step(_S.OPEN, _E.PASS_ON),
            _I.CLIENT_ENDED: Step(_S.CONNECTING_ENDED, _E.NOTHING),
            _I.UPSTREAM_ENDED: None,
            _I.LOST: Step(_S.CLOSED, _E.CLOSE),
            _I.BROKEN: Step(_S.CLOSED, _E.RESET),
        },
        _S.CONNECTING_ENDED: {
            _I.CONNECTED: Step(_S.CLIENT_ENDED, _E.PASS_ON_AND_END),
            _I.CLIENT_ENDED: None,
            _I.UPSTREAM_ENDED: None,
            _I.LOST: Step(_S.CLOSED, _E.CLOSE),
            _I.BROKEN: Step(_S.CLOSED, _E.RESET),
        },
        _S.OPEN: {
            _I.CONNECTED: None,
            _I.CLIENT_ENDED: Step(_S.CLIENT_ENDED, _E.END_UPSTREAM),
            _I.UPSTREAM_ENDED: Step(_S.UPSTREAM_ENDED, _E.END_CLIENT),
            _I.LOST: Step(_S.CLOSED, _E.CLOSE),
            _I.BROKEN: Step(_S.CLOSED, _E.RESET),
        },
        _S.CLIENT_ENDED: {
            _I.CONNECTED: None,
            _I.CLIENT_ENDED: None,
            _I.UPSTREAM_ENDED: Step(_S.CLOSED, _E.CLOSE),
            _I.LOST: Step(_S.CLOSED, _E.CLOSE),
            _I.BROKEN: Step(_S.CLOSED, _E.RESET),
        },
        _S.UPSTREAM_ENDED: {
            _I.CONNECTED: None,
            _I.CLIENT_ENDED: Step(_S.CLOSED, _E.CLOSE),
            _I.UPSTREAM_ENDED: None,
            _I.LOST: Step(_S.CLOSED, _E.CLOSE),
            _I.BROKEN: Step(_S.CLOSED, _E.RESET),
        },
        _S.CLOSED: {
            _I.CONNECTED: Step(_S.CLOSED, _E.CLOSE),  # too late: the client has left
            _I.CLIENT_ENDED: Step(_S.CLOSED, _E.NOTHING),
            _I.UPSTREAM_ENDED: Step(_S.CLOSED, _E.NOTHING),
            _I.LOST: Step(_S.CLOSED, _E.NOTHING),
            _I.BROKEN: Step(_S.CLOSED, _E.NOTHING),
        },
    },
)


def client_of(connection: Connection) -> ProxiedClient:
    """Return the client's address, as the PROXY header tells it to a server."""
    local = connection.extra("sockname")
    where = peer_name(local) if isinstance(local, tuple) else ""
    return ProxiedClient(connection.peer, where, connection.tls)


class StreamProxy:
    """Passes the connections of a listener on to an upstream.

    With an `idle_pool`, its connections are used first.
    """

    def __init__(
        self,
        dialler: Dialler,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        idle_pool: IdlePool | None = None,
    ) -> None:
        self.dialler = dialler
        self.connect = idle_pool.connect if idle_pool is not None else dialler.connect
        self.spawn = spawn

    def handler(self, connection: Connection) -> _Side:
        """Return the handler of a new client's connection."""
        return _Stream(self, connection).client

    async def forward(self, stream: Stream) -> None:
        """Forward the connection of a program's stream, to its end.

        Raises `DialError` or `NoUpstreamError` without a server: then the stream is the program's
        still.
        """
        connection = stream.connection
        tunnel = _Stream(self, connection)
        client = tunnel.client = _Awaited(tunnel, connection)
        await self.connect(
            lambda made, target: _Side(tunnel, made, target),
            client_of(connection),
        )
        stream.hand_over(client)
        try:
            await client.over.wait()
        finally:
            tunnel.apply(StreamInput.BROKEN)  # unless it is over


class _Side:
    """The handler of one of the two connections."""

    __slots__ = ("connection", "stream", "target", "to")

    def __init__(self, stream: _Stream, connection: Connection, target: Target | None) -> None:
        self.stream = stream
        self.connection = connection
        self.target = target
        """The server, if this is the upstream's side."""
        self.to: Connection | None = None
        """The other side's connection, once there is one."""

    def connected(self) -> None:
        self.stream.connected(self)

    def received(self, data: bytes) -> None:
        to = self.to
        if to is None:
            self.stream.hold(data)
            return
        to.send(data)
        if to.full:
            self.connection.pause_reading()

    def ended(self) -> None:
        self.stream.ended(self)

    def writable(self) -> None:
        if self.to is not None:
            self.to.resume_reading()

    def expired(self, now: float) -> None:
        self.overdue(Reason.TIMEOUT)

    def overdue(self, reason: Reason) -> None:
        self.stream.overdue(self, reason)

    def drain(self) -> None:
        """Nothing is done: open streams may finish within the drain."""

    def lost(self, cause: Exception | None) -> None:
        self.stream.lost(self, cause)


class _Awaited(_Side):
    """The handler of a client whose program waits for the end."""

    __slots__ = ("over",)

    def __init__(self, stream: _Stream, connection: Connection) -> None:
        super().__init__(stream, connection, None)
        self.over = asyncio.Event()

    def lost(self, cause: Exception | None) -> None:
        super().lost(cause)
        self.over.set()


class _Stream:
    """One client and its upstream."""

    __slots__ = ("_held", "_machine", "_proxy", "client", "upstream")

    def __init__(self, proxy: StreamProxy, connection: Connection) -> None:
        self._proxy = proxy
        self._machine = Machine(TABLE, StreamState.CONNECTING)
        self._held: list[bytes] = []
        """Input of the client before there is an upstream: one read, or little more."""
        self.client = _Side(self, connection, None)
        self.upstream: _Side | None = None

    def connected(self, side: _Side) -> None:
        side.connection.established()
        if side is self.client:
            self._proxy.spawn(self._connect())
        else:
            self.upstream = side
            self.apply(StreamInput.CONNECTED)

    def hold(self, data: bytes) -> None:
        self._held.append(data)
        self.client.connection.pause_reading()

    def overdue(self, side: _Side, reason: Reason) -> None:
        """A stream is idle when nothing came from either side."""
        idle = self._proxy.dialler.pool.limits.idle_seconds_max
        connections = [self.client.connection]
        if self.upstream is not None:
            connections.append(self.upstream.connection)
        due = max(connection.heard for connection in connections) + idle
        if reason is Reason.TIMEOUT and side.connection.now < due:
            side.connection.wake_at(due)
            return
        _log.info("stream closed", peer=self.client.connection.peer, reason=reason.value)
        if reason is not Reason.TIMEOUT:
            self.apply(StreamInput.BROKEN)  # what is unsent is lost
            return
        self.apply(StreamInput.LOST)
        for connection in connections:
            connection.abort()

    def ended(self, side: _Side) -> None:
        self._blame(side, None)
        self.apply(StreamInput.CLIENT_ENDED if side is self.client else StreamInput.UPSTREAM_ENDED)

    def lost(self, side: _Side, cause: Exception | None) -> None:
        self._blame(side, cause)
        self.apply(StreamInput.LOST if cause is None else StreamInput.BROKEN)

    def _blame(self, side: _Side, cause: Exception | None) -> None:
        """A server that is the first to end may be at fault."""
        if side.target is not None and self._machine.state is StreamState.OPEN:
            self._proxy.dialler.pool.ended(side.target, side.connection, cause)

    def apply(self, given: StreamInput) -> None:
        """Apply an input, and carry out its effect on both connections."""
        client, upstream = self.client, self.upstream
        match self._machine.apply(given):
            case TunnelEffect.NOTHING:
                pass
            case TunnelEffect.PASS_ON:
                self._pass_on()
            case TunnelEffect.PASS_ON_AND_END:
                self._pass_on().end()
            case TunnelEffect.END_UPSTREAM:
                assert upstream is not None
                upstream.connection.end()
            case TunnelEffect.END_CLIENT:
                client.connection.end()
            case TunnelEffect.CLOSE:
                client.connection.close()
                if upstream is not None:
                    upstream.connection.close()
            case TunnelEffect.RESET:
                client.connection.reset()
                if upstream is not None:
                    upstream.connection.reset()

    def _pass_on(self) -> Connection:
        client, upstream = self.client, self.upstream
        assert upstream is not None
        client.to, upstream.to = upstream.connection, client.connection
        held, self._held = self._held, []
        for data in held:
            client.received(data)
        if not upstream.connection.full:
            client.connection.resume_reading()
        return upstream.connection

    async def _connect(self) -> None:
        client = self.client.connection
        try:
            await self._proxy.connect(
                lambda connection, target: _Side(self, connection, target),
                client_of(client),
            )
        except HoldfastError as error:
            _log.warning("no server for a client", peer=client.peer, error=str(error))
            self.apply(StreamInput.LOST)
        except Exception as error:  # the other clients are others'
            client.fail(error)
