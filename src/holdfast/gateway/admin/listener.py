"""The admin listener of a gateway: from its configuration to an open socket."""

from __future__ import annotations

import os

from msgspec import structs

from holdfast.core.limits import Limits
from holdfast.gateway.admin.entry import Entry
from holdfast.gateway.admin.guard import AdminConfig, Guard, token_hash
from holdfast.gateway.admin.pages import AdminPages
from holdfast.gateway.view import GatewayView
from holdfast.net.addresses import Address, parse_address
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import ListenOptions, Server
from holdfast.net.tls.contexts import server_context


class AdminListener:
    """Opened with the gateway, and closed after all else: a drain can be watched to its end."""

    def __init__(
        self,
        config: AdminConfig,
        limits: Limits,
        runtime: Runtime,
        view: GatewayView,
        inherited: Inherited | None,
    ) -> None:
        self._config = config
        self._limits = limits.admin
        self._runtime = runtime
        guard = Guard(token_hash(config, os.environ), limits.admin)
        self.pages = AdminPages(view, guard, limits.admin, runtime.loop.time, watch=config.watch)
        seconds = limits.admin.request_seconds_max
        self._server = Server(
            structs.replace(
                limits.connection,
                connections_max=limits.admin.connections_max,
                connections_per_address_max=limits.admin.connections_max,
                handshake_seconds_max=min(limits.connection.handshake_seconds_max, seconds),
            ),
            runtime,
            inherited=inherited,
        )

    async def open(self) -> Address:
        """Serve; returns the address with the port that was taken. Raises as `Server.listen`."""
        certificate = self._config.certificate
        await self.pages.start()
        self._server.start()
        return await self._server.listen(
            parse_address(self._config.listen),
            lambda connection: Entry(connection, self._runtime, self._limits, self.pages.take_over),
            server_context(certificate) if certificate is not None else None,
            ListenOptions(self._config.bind),
        )

    async def close(self) -> None:
        """End."""
        self.pages.end_watches()
        await self._server.close()
        await self.pages.stop()
