"""START_TLS: before the Telnet conversation there may come TLS.

A handler of its own, at a server or at a client, asks for it, and then hands the connection
over to the one that stays: as it was, with what the peer has sent meanwhile, or in TLS, with
nothing of that.
"""

from __future__ import annotations

import ssl
from typing import Final, Protocol

from msgspec import Struct

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits, TelnetLimits
from holdfast.net.connection.connection import Connection, Upgrade
from holdfast.net.connection.handler import Handler
from holdfast.net.connection.handover import hand_over
from holdfast.net.log import RateLimitedLogger
from holdfast.net.server.acceptor import HandlerFactory
from holdfast.net.server.handshake import HandshakeError
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.describe import explain
from holdfast.protocols.telnet import start_tls
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.start_tls import StartTls

_log: Final = RateLimitedLogger("holdfast.net")

_NEEDED: Final = (
    b"This port speaks Telnet with START_TLS, and your client has not agreed to it.\r\n"
)


class StartTlsOptions(Struct, frozen=True):
    """How the other end is asked for TLS."""

    tls: ssl.SSLContext | ServerTls
    limits: TelnetLimits
    required: bool = False
    """Whether there is no conversation with an end that does not agree."""

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; `None` while TLS is off."""
        return self.tls.context if isinstance(self.tls, ServerTls) else self.tls


class CountsHandshakes(Protocol):
    """The server, which counts these handshakes among its others."""

    limits: ConnectionLimits

    def tls_began(self, connection: Connection) -> bool:
        """A handshake begins on an open connection; false refuses it."""

    def tls_ended(self, connection: Connection) -> None:
        """The handshake has ended, whatever became of it."""

    def tls_failed(self, connection: Connection, error: HandshakeError) -> None:
        """The connection does not get as far as its conversation."""


def with_start_tls(
    factory: HandlerFactory, options: StartTlsOptions, server: CountsHandshakes
) -> HandlerFactory:
    """`factory`, for clients of `server` that have been asked for TLS before."""

    def make(connection: Connection) -> Handler:
        if options.context is None and not options.required:
            return factory(connection)  # TLS is off for now
        return _ServerStartTls(connection, factory, options, server)

    return make


class StartTlsHandler:
    """The handler of a connection until it is known whether it goes on in TLS."""

    __slots__ = ("_connection", "_core", "_factory", "_options", "_server_hostname")

    def __init__(
        self,
        connection: Connection,
        factory: HandlerFactory,
        options: StartTlsOptions,
        side: Side = Side.HIM,
        server_hostname: str | None = None,
    ) -> None:
        self._connection = connection
        self._factory = factory
        self._options = options
        self._core = StartTls(options.limits, side)
        self._server_hostname = server_hostname
        """At a client: the name that the certificate must be for."""

    def connected(self) -> None:
        self._connection.wake_at(
            self._connection.time() + self._options.limits.negotiation_seconds_max
        )
        self._send()

    def received(self, data: bytes) -> None:
        if not self._core.decided:
            self._core.receive_data(data)
            self._go_on()

    def expired(self, now: float) -> None:
        if not self._core.decided:
            self._core.give_up()
            self._go_on()

    def ended(self) -> None:
        self._connection.close()

    def overdue(self, reason: Reason) -> None:
        self._connection.abort()

    def drain(self) -> None:
        self._connection.close()

    def writable(self) -> None: ...

    def lost(self, cause: Exception | None) -> None:
        if self._core.state is start_tls.Upgrade.TLS and cause is not None:
            self._fail(f"TLS: {explain(cause)}")

    def _go_on(self) -> None:
        self._send()
        match self._core.state:
            case start_tls.Upgrade.ASKED | start_tls.Upgrade.AGREED:
                pass
            case start_tls.Upgrade.TLS:
                self._start_tls()
            case start_tls.Upgrade.PLAIN if not self._options.required:
                hand_over(self._connection, self._factory(self._connection), self._came())
            case start_tls.Upgrade.PLAIN:
                self._refused("START_TLS: refused, and required")
            case start_tls.Upgrade.BROKEN:
                self._broken("START_TLS: agreed to, and not begun")

    def _refused(self, reason: str) -> None:
        """There will be no conversation."""
        self._fail(reason)
        self._connection.write(_NEEDED)
        self._connection.close_on()

    def _broken(self, reason: str) -> None:
        """The peer waits for nothing that could be said."""
        self._fail(reason)
        self._connection.abort()

    def _start_tls(self) -> None:
        context = self._options.context
        if context is None:
            self._broken("START_TLS: TLS is off")
            return
        upgrade = Upgrade(
            server_side=self._server_hostname is None,
            came=self._core.rest,
            done=self._secured,
            server_hostname=self._server_hostname,
        )
        self._connection.start_tls(context, upgrade)

    def _secured(self) -> None:
        hand_over(self._connection, self._factory(self._connection), ())

    def _came(self) -> tuple[bytes, ...]:
        return (self._core.rest,) if self._core.rest else ()

    def _send(self) -> None:
        data = self._core.data_to_send()
        if data:
            self._connection.write(data)

    def _fail(self, reason: str) -> None:
        _log.info("handshake failed", why=reason, peer=self._connection.peer)


class _ServerStartTls(StartTlsHandler):
    """At a server: the handshake is one of the server's."""

    __slots__ = ("_counted", "_failed", "_server")

    def __init__(
        self,
        connection: Connection,
        factory: HandlerFactory,
        options: StartTlsOptions,
        server: CountsHandshakes,
    ) -> None:
        super().__init__(connection, factory, options)
        self._server = server
        self._counted = False
        """Whether the server counts its handshake."""
        self._failed = False

    def overdue(self, reason: Reason) -> None:
        self._fail(f"not over within {self._server.limits.handshake_seconds_max:g} s")
        super().overdue(reason)

    def lost(self, cause: Exception | None) -> None:
        self._count_out()
        super().lost(cause)

    def _start_tls(self) -> None:
        self._counted = self._server.tls_began(self._connection)
        if self._counted:
            super()._start_tls()
        else:
            self._failed = True
            self._connection.abort()

    def _secured(self) -> None:
        self._count_out()
        super()._secured()

    def _count_out(self) -> None:
        if self._counted:
            self._counted = False
            self._server.tls_ended(self._connection)

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self._server.tls_failed(self._connection, HandshakeError(reason))
