"""The API of a gateway: from its configuration to an open socket."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from holdfast.backends.base import Backend, Services
from holdfast.core.limits import ConnectionLimits, Limits
from holdfast.gateway.api.applications import Applications
from holdfast.gateway.api.config import ApiConfig
from holdfast.gateway.api.keys import Keyring
from holdfast.gateway.api.publications import Publications
from holdfast.gateway.api.service import ApiService
from holdfast.net.addresses import Address, parse_address
from holdfast.net.http.exchanges import ExchangeConnection, ExchangeLimits
from holdfast.net.server.server import ListenOptions, Server
from holdfast.net.tls.certificates import ServerTls


def api_limits(limits: Limits) -> ConnectionLimits:
    """The limits of the connections of an API."""
    most = limits.api.connections_max
    return structs.replace(
        limits.connection, connections_max=most, connections_per_address_max=most
    )


class ApiListener:
    """Opened with the gateway's other listeners, and closed before its clients are told."""

    def __init__(
        self,
        config: ApiConfig,
        services: Services,
        backends: Mapping[str, Backend],
        server: Server,
    ) -> None:
        limits, runtime = services.limits.api, services.runtime
        self._config = config
        self._server = server
        self.keyring = Keyring(config.key, limits)
        applications = Applications(
            backends, services.open_port, services.journal, limits, services.clock
        )
        self.publications = Publications(
            applications, limits, services.spawn, services.journal.keep, self.keyring.keys
        )
        self._service = ApiService(
            self.keyring,
            applications,
            self.publications,
            limits,
            services.spawn,
            services.security,
            runtime.timers.time,
        )
        self._limits = ExchangeLimits(
            head_bytes_max=limits.head_bytes_max,
            header_count_max=limits.header_count_max,
            body_bytes_max=limits.body_bytes_max,
            request_seconds_max=limits.request_seconds_max,
            answer_seconds_max=limits.answer_seconds_max,
            idle_seconds_max=limits.idle_seconds_max,
        )

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take what an earlier gateway remembered of publications."""
        self.publications.restore(settings)

    async def open(self) -> Address:
        """Serve; returns the address with the port that was taken. Raises as `Server.listen`."""
        tls = self._config.tls_options
        self._server.start()
        return await self._server.listen(
            parse_address(self._config.listen),
            lambda connection: ExchangeConnection(connection, self._service, self._limits),
            ServerTls(tls) if tls is not None else None,
            ListenOptions(self._config.bind),
        )

    def reload(self) -> None:
        """Read the certificates again."""
        self._server.reload()

    async def drain(self, seconds: float) -> None:
        """Accept no more; answer the requests under way."""
        await self._server.drain(seconds)

    async def close(self) -> None:
        """End."""
        await self._server.close()
