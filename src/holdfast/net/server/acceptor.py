"""From an accepted socket to its connection: admission and handshake at one listener."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, peer_name
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.admission import AdmissionRefusal
from holdfast.net.server.answered import AnsweredRefusals
from holdfast.net.server.forwarded import ForwardingProxies
from holdfast.net.server.handshake import (
    HandshakeError,
    PendingConnection,
    ProxyOptions,
    TrustedProxies,
)
from holdfast.net.server.handshakes import Handshakes
from holdfast.net.server.listener import refuse
from holdfast.net.tls.certificates import ServerTls

HandlerFactory = Callable[[Connection], Handler]
"""Makes what stands on a new connection. Called before its bytes are read."""


NO_REFUSALS: Final[Mapping[AdmissionRefusal, bytes]] = {}


class ListenerCounters(Struct):
    """The counters of one listener, over its whole life."""

    at: str = ""
    """The listener's address, ready to be logged: a flood writes many lines that nobody reads."""
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    """Handshakes that came to nothing: TLS, PROXY headers, and requests for a WebSocket."""
    open: int = 0
    bytes_in: int = 0
    """Of connections that have ended. So is `bytes_out`."""
    bytes_out: int = 0


class Admitting(Protocol):
    """The server, as far as an acceptor needs it."""

    runtime: Runtime
    limits: ConnectionLimits

    @property
    def answered(self) -> AnsweredRefusals: ...

    @property
    def handshakes(self) -> Handshakes: ...

    def may_accept(self) -> bool: ...

    def refusal(
        self, peer: str, *, handshake: bool = False, counted: bool = False
    ) -> AdmissionRefusal | None: ...

    def refuse(
        self, counters: ListenerCounters, refusal: AdmissionRefusal, peer: str = ""
    ) -> None: ...

    def make(
        self, acceptor: Acceptor, pending: PendingConnection | None, peer: str
    ) -> Connection: ...

    def fail(self, counters: ListenerCounters, peer: str, error: HandshakeError) -> None: ...


class Acceptor:
    """The acceptor of one listener: it takes each accepted socket to its connection."""

    def __init__(
        self,
        server: Admitting,
        factory: HandlerFactory,
        tls: ssl.SSLContext | ServerTls | None,
        proxy: ProxyOptions | None,
        forwarding: ForwardingProxies | None = None,
        refusals: Mapping[AdmissionRefusal, bytes] = NO_REFUSALS,
    ) -> None:
        self.address: Address | None = None
        self.factory = factory
        self.counters = ListenerCounters()
        self._server = server
        self._tls = tls
        self._proxies = TrustedProxies(proxy) if proxy is not None else None
        self._forwarding = forwarding
        self._refusals = refusals
        self.runtime = server.runtime

    @property
    def limits(self) -> ConnectionLimits:
        """The limits of new connections."""
        return self._server.limits

    def accepted(self, sock: socket.socket, where: Any) -> bool:
        """Take an accepted socket, or refuse it. False when accepting should pause."""
        server, proxies = self._server, self._proxies
        peer = peer_name(where)
        trusted = proxies is not None and proxies.trusts(peer)
        # A trusted proxy has many clients: each is counted when it is known.
        forwards = self._forwarding is not None and self._forwarding.trusts(peer)
        refusal = None if trusted or forwards else self._refusal(peer)
        context = self._tls.context if isinstance(self._tls, ServerTls) else self._tls
        if refusal is not None:
            answer = self._refusals.get(refusal) if context is None else None
            if answer is not None:
                server.answered.answer(sock, answer)
            else:
                refuse(sock, reset=refusal is AdmissionRefusal.TOO_FAST_FROM_ADDRESS)
            server.refuse(self.counters, refusal, peer)
            return True
        protocol: asyncio.Protocol
        if context is None and not trusted:
            protocol = server.make(self, None, peer)
        else:
            protocol = PendingConnection(
                self, peer, self._connect, proxies=proxies, context=context
            )
        try:
            self.runtime.sockets.adopt(protocol, sock)
        except OSError as error:
            self.failed(peer, HandshakeError(f"the socket cannot be used: {error.strerror}"))
        return server.may_accept()

    def _refusal(self, peer: str) -> AdmissionRefusal | None:
        if self._proxies is not None and self._proxies.options.others == "refuse":
            return AdmissionRefusal.UNTRUSTED
        return self._server.refusal(peer, handshake=self._tls is not None)

    def _connect(self, pending: PendingConnection) -> Connection:
        return self._server.make(self, pending, pending.peer)

    # --- handshakes

    def handshake_began(self, pending: PendingConnection) -> None:
        self._server.handshakes.admit(pending)

    def handshake_ended(self, pending: PendingConnection) -> None:
        self._server.handshakes.dismiss(pending)

    def refusal(self, peer: str) -> bytes | None:
        refusal = self._server.refusal(peer, counted=True)
        if refusal is None:
            return None
        self._server.refuse(self.counters, refusal, peer)
        return self._refusals.get(refusal, b"")

    def failed(self, peer: str, error: HandshakeError) -> None:
        self._server.fail(self.counters, peer, error)
