"""START_TLS: before the Telnet conversation there may come TLS.

A handler of its own, at a server or at a client, asks for it, and then hands the connection
over to the one that stays: as it was, with what the peer has sent meanwhile, or in TLS, with
nothing of that.
"""

from __future__ import annotations

import ssl
from typing import Final

from msgspec import Struct

from holdfast.core.errors import Reason
from holdfast.core.limits import TelnetLimits
from holdfast.net.connection.connection import Connection, Upgrade
from holdfast.net.connection.handover import hand_over
from holdfast.net.log import RateLimitedLogger
from holdfast.net.server.acceptor import HandlerFactory
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


def with_start_tls(factory: HandlerFactory, options: StartTlsOptions) -> HandlerFactory:
    """`factory`, for clients that have been asked for TLS before."""
    return lambda connection: StartTlsHandler(connection, factory, options)


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
        tls = self._options.tls
        context = tls.context if isinstance(tls, ServerTls) else tls
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
