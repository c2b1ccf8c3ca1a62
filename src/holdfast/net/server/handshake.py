"""A pending connection: an accepted socket before its PROXY header, TLS, or both are complete.

Pending connections are under the server's limit for handshakes and count among its connections.
When the handshake is complete, a `Connection` replaces the pending one; a failure is reported
to the server with the peer's name and the reason.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from holdfast.core.errors import ConfigurationError, HoldfastError, Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import network_of, peer_name, split_peer
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.timers import UNSCHEDULED
from holdfast.net.tls.describe import explain
from holdfast.net.transport.tls import TlsTransport
from holdfast.protocols.proxy import Family, ProxyDecoder, ProxyError, ProxyHeader


class HandshakeError(HoldfastError):
    """A peer did not get as far as a connection. Says why."""

    source = Source.REMOTE


class ProxyOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The proxies whose PROXY headers a listener trusts."""

    trust: tuple[str, ...]
    """The networks of the proxies, as in "10.0.0.0/8"; "unix" for the peers of a Unix socket."""
    required: bool = True
    """Whether a trusted peer must send a header. If not, it may be a client that sends first."""
    others: Literal["refuse", "direct"] = "refuse"
    """Whether other peers are refused, or are direct clients, whose bytes are data."""


class TrustedProxies:
    """`ProxyOptions`, ready for use. Raises `ConfigurationError`."""

    def __init__(self, options: ProxyOptions) -> None:
        self.options = options
        self._unix = "unix" in options.trust
        self._networks = [_network(text) for text in options.trust if text != "unix"]

    def trusts(self, peer: str) -> bool:
        """Whether a peer, named as connections name theirs, may speak for others."""
        host, _ = split_peer(peer)
        if not host:
            return self._unix
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._networks)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
        if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
            # Peers are named without the prefix (`plain_host`).
            inner = network.network_address.ipv4_mapped, network.prefixlen - 96
            return ipaddress.IPv4Network(inner)
        return network
    except ValueError as error:
        raise ConfigurationError(
            f"trust: expected networks as in '10.0.0.0/8', or 'unix', found {text!r}: {error}"
        ) from None


class HandshakeOwner(Protocol):
    """The acceptor of the socket."""

    runtime: Runtime

    @property
    def limits(self) -> ConnectionLimits: ...

    def handshake_began(self, pending: PendingConnection) -> None:
        """Count it."""

    def handshake_ended(self, pending: PendingConnection) -> None:
        """The handshake has ended, with or without a connection."""

    def refusal(self, peer: str) -> bytes | None:
        """Count the client that a PROXY header names. `None` if it is admitted; else what it is
        sent, which may be nothing."""

    def failed(self, peer: str, error: HandshakeError) -> None:
        """The handshake has failed: there is no connection."""


class PendingConnection(asyncio.Protocol):
    """One accepted socket on its way to a connection."""

    __slots__ = (
        "_connect",
        "_context",
        "_decoder",
        "_over",
        "_owner",
        "_raw",
        "header",
        "network",
        "peer",
        "since",
        "timer_slot",
    )

    def __init__(
        self,
        owner: HandshakeOwner,
        peer: str,
        connect: Callable[[PendingConnection], Connection],
        *,
        proxies: TrustedProxies | None,
        context: ssl.SSLContext | None,
    ) -> None:
        self.timer_slot = UNSCHEDULED
        self.peer = peer
        self.network = ""
        """Return the key of its address; empty for a trusted proxy, which has many clients."""
        self.header: ProxyHeader | None = None
        self._owner = owner
        self._connect = connect
        self._context = context
        self._raw: asyncio.Transport | None = None
        self._over = False
        self.since = owner.runtime.timers.time()
        self._decoder: ProxyDecoder | None = None
        if proxies is not None and proxies.trusts(peer):
            self._decoder = ProxyDecoder(
                owner.limits.proxy_header_bytes_max, required=proxies.options.required
            )
        else:
            self.network = network_of(peer)

    # --- callbacks of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._raw = transport
        self._owner.handshake_began(self)
        timers = self._owner.runtime.timers
        timers.schedule(self, self.since + self._owner.limits.handshake_seconds_max)
        if self._decoder is None:
            self._begin(b"")

    def data_received(self, data: bytes) -> None:
        assert self._decoder is not None, "bytes for a handshake that TLS has taken over"
        try:
            found = self._decoder.receive_data(data)
        except ProxyError as error:
            self._fail(f"PROXY: {error}")
            return
        if not found:
            return
        refusal = self._take(found[0])
        if refusal is not None:
            self._refuse(refusal)
            return
        self._begin(self._decoder.rest)

    def eof_received(self) -> None:
        self._fail("the peer hung up before its first byte")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over:
            self._fail(explain(exc) if exc is not None else "the peer hung up")

    def expire(self, now: float) -> None:
        self._fail(f"not over within {self._owner.limits.handshake_seconds_max:g} s")

    def abort(self) -> None:
        """Drop it at once."""
        self._finish()
        if self._raw is not None:
            self._raw.abort()

    # --- its two steps

    def _take(self, header: ProxyHeader) -> bytes | None:
        """Take the peer from the PROXY header. `None` if it is admitted, else what it is sent."""
        self.header = header
        if header.source is None:
            return None
        self.peer = "unix" if header.family is Family.UNIX else peer_name(header.source)
        return self._owner.refusal(self.peer)

    def _refuse(self, answer: bytes) -> None:
        if not answer or self._context is not None or self._raw is None:
            self.abort()
            return
        self._finish()
        self._raw.write(answer)
        self._raw.close()

    def _begin(self, data: bytes) -> None:
        raw = self._raw
        assert raw is not None
        if self._context is None:
            self._become_connection(raw, data)
            return
        tls = TlsTransport(raw, self._context, self._secured, server_side=True)
        tls.start()
        if data:
            tls.data_received(data)

    def _secured(self, tls: TlsTransport, error: Exception | None) -> None:
        if self._over:
            return
        if error is None:
            self._become_connection(tls, b"")
        else:
            self._finish()
            self._owner.failed(self.peer, HandshakeError(f"TLS: {explain(error)}"))

    def _become_connection(self, transport: asyncio.Transport, data: bytes) -> None:
        self._finish()
        connection = self._connect(self)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if data and not transport.is_closing():  # else it was refused, or has failed
            connection.data_received(data)

    def _fail(self, reason: str) -> None:
        if self._over:
            return
        self.abort()
        self._owner.failed(self.peer, HandshakeError(reason))

    def _finish(self) -> None:
        if not self._over:
            self._over = True
            self._owner.runtime.timers.cancel(self)
            self._owner.handshake_ended(self)
