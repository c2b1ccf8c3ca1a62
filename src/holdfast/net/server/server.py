"""The server: its listeners, its admission, and its orderly end."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final, NamedTuple

from msgspec import Struct

from holdfast.core.errors import ClosedError
from holdfast.core.limits import ConnectionLimits
from holdfast.core.states import Machine
from holdfast.net.addresses import Address, network_of
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.observer import GuardedObserver, ObservedConnection, Observer
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import done_within
from holdfast.net.runtime.room import Room
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.acceptor import (
    NO_REFUSALS,
    Acceptor,
    HandlerFactory,
    ListenerCounters,
)
from holdfast.net.server.admission import Admission, AdmissionRefusal
from holdfast.net.server.answered import AnsweredRefusals
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.forwarded import ForwardedOptions, ForwardingProxies
from holdfast.net.server.handshake import (
    HandshakeError,
    PendingConnection,
    ProxyOptions,
)
from holdfast.net.server.handshakes import Handshakes
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.lifecycle import TABLE, ServerInput, ServerState
from holdfast.net.server.listener import Listener, open_listener
from holdfast.net.server.networks import PROXIES, Networks
from holdfast.net.server.start_tls import StartTlsOptions, with_start_tls
from holdfast.net.tls.certificates import CertificateWatch, ServerTls

_log: Final = RateLimitedLogger("holdfast.net")

_LINES_PER_MINUTE: Final = 30.0
_LINES_BURST: Final = 30
"""Of one kind that clients can cause."""


class ServerClosedError(ClosedError):
    """The server has been drained or closed."""


class ListenOptions(Struct, frozen=True):
    """How a listener takes its clients in, beside its TLS."""

    bind: BindOptions = BindOptions()
    proxy: ProxyOptions | None = None
    forwarded: ForwardedOptions | None = None
    start_tls: StartTlsOptions | None = None
    """How Telnet clients of a listener without TLS are asked for it."""
    refusals: Mapping[AdmissionRefusal, bytes] = NO_REFUSALS
    """What refused clients are sent, by why; where the listener has TLS, nothing."""
    replaces: bool = False
    """Whether the listener that is open at the address goes on with all of this but `bind`."""


DEFAULT: Final = ListenOptions()


class _Listening(NamedTuple):
    """An open listener, and the certificates that are watched for it."""

    listener: Listener
    watched: tuple[ServerTls, ...]


class Server:
    """Listeners that share their limits, their registry and their end.

    Use it inside one event loop: `start()`, `listen(...)` once or more, then
    `drain(seconds)`; `close()` at once. `unlisten(address)` ends one listener, `reload()` reads
    certificates again.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        clockwork: Runtime,
        *,
        observer: Observer | None = None,
        inherited: Inherited | None = None,
    ) -> None:
        self.runtime = clockwork
        self._limits = limits
        self.connections: set[Connection] = set()
        self.output_room: Room | None = None
        """Where the unsent output of its connections is counted, if it is."""
        self.accepted = 0
        self.refusals: Counter[AdmissionRefusal] = Counter()
        self.tallies: dict[Address, ListenerCounters] = {}
        self._networks = Networks()
        self._other = ListenerCounters()
        """Of connections that came by no listener of ours."""
        self._observer = GuardedObserver(observer) if observer is not None else None
        self._inherited = inherited
        self._machine = Machine(TABLE, ServerState.CREATED)
        self._listeners: dict[Address, _Listening] = {}
        self._admission = Admission(limits)
        self.answered = AnsweredRefusals(clockwork.loop, limits)
        self.handshakes = Handshakes(limits)
        self._certificates = CertificateWatch(clockwork, limits.certificate_check_seconds_max)
        self._quiet = RateLimitedLogger("holdfast.net", _LINES_PER_MINUTE, _LINES_BURST)
        self._ids = count(1)
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def limits(self) -> ConnectionLimits:
        """The limits of new connections. The rates of accepting stay as they began."""
        return self._limits

    @limits.setter
    def limits(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        for part in (self._admission, self.answered, self.handshakes):
            part.replace(limits)

    @property
    def clockwork(self) -> Runtime:
        """The name of `runtime` in the public API."""
        return self.runtime

    @property
    def state(self) -> ServerState:
        """The phase of the server."""
        return self._machine.state

    @property
    def pending(self) -> set[PendingConnection]:
        """Accepted sockets whose PROXY header or TLS handshake is incomplete."""
        return self.handshakes.pending

    @property
    def addresses(self) -> list[Address]:
        """The addresses of the listeners, with their actual ports."""
        return list(self._listeners)

    @property
    def refused(self) -> int:
        """Connections that were refused."""
        return self.refusals.total()

    def start(self) -> None:
        """Admit connections. Raises `UndefinedTransitionError` for a server that has ended."""
        self._apply(ServerInput.START)

    async def listen(
        self,
        address: Address,
        factory: HandlerFactory,
        tls: ssl.SSLContext | ServerTls | None = None,
        options: ListenOptions = DEFAULT,
    ) -> Address:
        """Listen at `address`; returns it with the port that was taken.

        Raises `AddressInUseError`, `ConfigurationError` for an address or an
        option that this machine does not have, or `ServerClosedError`.
        """
        if self.state in (ServerState.DRAINING, ServerState.STOPPED):
            raise ServerClosedError(f"{address}: this server listens no more")
        start_tls = options.start_tls
        if start_tls is not None:
            factory = with_start_tls(factory, start_tls, self)
        forwarding = ForwardingProxies(options.forwarded) if options.forwarded else None
        acceptor = Acceptor(self, factory, tls, options.proxy, forwarding, options.refusals)

        def refused() -> None:
            self.refuse(acceptor.counters, AdmissionRefusal.OUT_OF_FILES)

        before = self._listeners.get(address) if options.replaces else None
        if before is None:
            listener = open_listener(
                self.runtime.loop,
                address,
                self.limits,
                acceptor.accepted,
                options=options.bind,
                inherited=self._inherited,
                refused=refused,
            )
        else:
            listener = before.listener
            listener.hand_to(acceptor.accepted, refused)
            for one in before.watched:
                self._certificates.remove(one)
        at = acceptor.address = listener.address
        acceptor.counters = self.tallies.setdefault(at, acceptor.counters)
        acceptor.counters.at = str(at)
        self._networks.trust(at, forwarding)
        used = (tls, start_tls.tls if start_tls is not None else None)
        watched = tuple(one for one in used if isinstance(one, ServerTls))
        self._listeners[at] = _Listening(listener, watched)
        for one in watched:
            self._certificates.add(one)
        return at

    def unlisten(self, address: Address) -> bool:
        """Listen no more at `address`; its connections stay. False if nothing listens there."""
        listening = self._listeners.pop(address, None)
        if listening is None:
            return False
        listening.listener.close()
        for tls in listening.watched:
            self._certificates.remove(tls)
        return True

    def reload(self) -> None:
        """Read the certificates again, for new connections. Errors are logged."""
        self._certificates.reload()

    def find(self, number: int) -> Connection | None:
        """The open connection of that id."""
        return next((each for each in self.connections if each.id == number), None)

    def kick(self, number: int) -> bool:
        """Close one connection as a drain does; false if there is none with that id."""
        connection = self.find(number)
        if connection is not None:
            connection.drain()
        return connection is not None

    async def drain(self, seconds: float) -> int:
        """Stop accepting, notify each client, wait until they have left or `seconds` have
        passed. Returns how many were dropped then."""
        self._apply(ServerInput.DRAIN)
        self._stop_listening()
        told = list(self.connections)
        for connection in told:
            connection.drain()
        dropped = 0
        if self.connections and not await done_within(self._empty.wait(), seconds):
            dropped = len(self.connections)
            _log.warning(
                "drain timed out",
                dropped=dropped,
                left=len(told) - dropped,
                seconds=seconds,
                at=", ".join(map(str, self.tallies)),
            )
        await self.close()
        return dropped

    async def close(self) -> None:
        """Stop accepting and drop every connection now."""
        self._apply(ServerInput.STOP)
        self._stop_listening()
        for connection in list(self.connections):
            connection.abort()
        if self.connections:
            await done_within(self._empty.wait(), self.limits.close_seconds_max)

    # --- ConnectionOwner of its connections

    def opened(self, connection: Connection) -> bool:
        """Count a connection; false refuses it."""
        network = self._networks.begin(connection)
        refusal = self._too_many(network)
        if refusal is not None:  # they came together, and are more than may come
            self._networks.end(connection)
            self.refuse(self._counters_of(connection), refusal, connection.peer)
            return False
        self.accepted += 1
        connection.id = next(self._ids)
        connection.meter = self._admission.opened(network)
        connection.output_room = self.output_room
        self.connections.add(connection)
        counters = self._counters_of(connection)
        counters.accepted += 1
        counters.open += 1
        self._empty.clear()
        if self._observer is not None:
            self._observer.opened(connection)
        return True

    def closed(self, connection: Connection) -> None:
        """Stop counting it."""
        self.connections.discard(connection)
        self._admission.closed(self._networks.end(connection))
        counters = self._counters_of(connection)
        counters.open -= 1
        counters.bytes_in += connection.bytes_in
        counters.bytes_out += connection.bytes_out
        if not self.connections:
            self._empty.set()
        if self._observer is not None:
            self._observer.closed(connection)

    def forward(self, connection: Connection, values: Sequence[str]) -> bool:
        """The request on a connection has these values of the listener's `forwarded` header.

        If its peer is a trusted proxy, the client that it speaks for takes the peer's place, in
        limits and logs. Returns false if that client may not connect.
        """
        before = self._networks.of(connection)
        peer = self._networks.client_of(connection, values)
        if peer == connection.peer:
            return True
        connection.peer = peer
        network = self._networks.begin(connection)
        refusal = None
        if network != PROXIES:
            refusal = self._admission.check(network, self.runtime.loop.time())
        connection.meter = self._admission.opened(network)
        self._admission.closed(before)
        if refusal is not None:
            self.refuse(self._counters_of(connection), refusal, peer)
        return refusal is None

    # --- handshakes

    def handshake_failed(self, connection: Connection) -> None:
        """Count a connection whose protocol has refused its handshake."""
        self._counters_of(connection).failed += 1

    def tls_began(self, connection: Connection) -> bool:
        """Count the handshake of an open connection; false refuses it."""
        network = self._networks.of(connection)
        if self.handshakes.full(network):
            refusal = AdmissionRefusal.TOO_MANY_FROM_ADDRESS
            self.refuse(self._counters_of(connection), refusal, connection.peer)
            return False
        self.handshakes.began(network)
        return True

    def tls_ended(self, connection: Connection) -> None:
        """Stop counting it."""
        self.handshakes.ended(self._networks.of(connection))

    def tls_failed(self, connection: Connection, error: HandshakeError) -> None:
        """Count an open connection that does not get as far as its conversation."""
        self.fail(self._counters_of(connection), connection.peer, error)

    # ---

    def refuse(self, counters: ListenerCounters, refusal: AdmissionRefusal, peer: str = "") -> None:
        """Count a refused connection of a listener."""
        self.refusals[refusal] += 1
        counters.refused += 1
        self._quiet.info("refused", why=refusal.value, peer=peer, at=counters.at)

    def fail(self, counters: ListenerCounters, peer: str, error: HandshakeError) -> None:
        """Count one whose handshake came to nothing."""
        counters.failed += 1
        self._quiet.info("handshake failed", why=str(error), peer=peer, at=counters.at)
        if self._observer is not None:
            self._observer.failed(peer, error)

    def may_accept(self) -> bool:
        """Account for one accepted socket; false when accepting should pause."""
        return self._admission.may_accept(self.runtime.loop.time())

    def refusal(
        self, peer: str, *, handshake: bool = False, counted: bool = False
    ) -> AdmissionRefusal | None:
        """Account for a client from `peer`, and return why it is refused, if it is.

        With `handshake`, one is before it; with `counted`, it is among the pending already.
        """
        network = network_of(peer)
        if handshake and self.handshakes.full(network):
            return AdmissionRefusal.TOO_MANY_FROM_ADDRESS
        refusal = self._too_many(network, int(counted))
        return refusal or self._admission.check(network, self.runtime.loop.time())

    def make(self, acceptor: Acceptor, pending: PendingConnection | None, peer: str) -> Connection:
        """A connection with its handler; without one, where that cannot be made."""
        made = Connection if self._observer is None else ObservedConnection
        connection = made(
            self.runtime,
            self.limits,
            self,
            opened_at=pending.since if pending is not None else None,
            peer=peer,
        )
        connection.listener = acceptor.address
        connection.proxy = pending.header if pending is not None else None
        if isinstance(connection, ObservedConnection):
            connection.observer = self._observer
        try:
            connection.attach(acceptor.factory(connection))
        except Exception as error:
            log_failure(_log, "a connection failed", error)  # without a handler, it is dropped
            if self._observer is not None:
                self._observer.failed(peer, error)
        return connection

    def _too_many(self, network: str, counted: int = 0) -> AdmissionRefusal | None:
        if self.state is not ServerState.RUNNING:
            return AdmissionRefusal.NOT_RUNNING
        others = len(self.connections) + len(self.pending) - counted
        if others >= self.limits.connections_max:
            return AdmissionRefusal.TOO_MANY
        full = network != PROXIES and self._admission.full(network)
        return AdmissionRefusal.TOO_MANY_FROM_ADDRESS if full else None

    def _counters_of(self, connection: Connection) -> ListenerCounters:
        at = connection.listener
        return self._other if at is None else self.tallies[at]

    def _apply(self, given: ServerInput) -> None:
        before = self.state
        self._machine.apply(given)
        if self._observer is not None and self.state is not before:
            self._observer.state_changed(self.state)

    def _stop_listening(self) -> None:
        for listening in self._listeners.values():
            listening.listener.close()
        self._listeners.clear()
        self.answered.close()
        self._certificates.stop()
        for pending in list(self.pending):
            pending.abort()
