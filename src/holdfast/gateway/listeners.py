"""The listeners of one gateway: of its clients, of its applications and of its operator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import structs

from holdfast.backends.base import Backend, Services
from holdfast.backends.link.server import LinkServer
from holdfast.backends.registry import Backends
from holdfast.core.limits import TelnetLimits
from holdfast.gateway.api.listener import ApiListener, api_limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.config_changes import by_url
from holdfast.gateway.context import Context, ListenerContext, ServeHttp
from holdfast.gateway.conversation.driver import Driver
from holdfast.gateway.environment import Environment
from holdfast.gateway.event_streams import OpenStreams
from holdfast.gateway.listener_parts import (
    adapter_factory,
    admin_listener,
    credential_judge,
    durability_of,
    event_streams,
    http_pages,
    new_session,
)
from holdfast.gateway.view import GatewayView
from holdfast.link.peer import connection_limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.http.on_demand import HostOnDemand
from holdfast.net.http.refusals import HTTP_REFUSALS
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.acceptor import NO_REFUSALS, HandlerFactory
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import ListenOptions, Server
from holdfast.net.server.start_tls import StartTlsOptions
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.options import TlsOptions

if TYPE_CHECKING:
    from holdfast.gateway.admin.listener import AdminListener

_HTTP: Final = ("ws", "wss")


class Listeners:
    """The listeners of a gateway, from `open` to `close`."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        environment: Environment,
        inherited: Inherited | None,
    ) -> None:
        limits, make_server = config.limits, environment.make_server
        self.clients: Server = make_server(limits.connection, runtime, inherited=inherited)
        self.links: Server = make_server(
            connection_limits(limits.link), runtime, inherited=inherited
        )
        self.addresses: list[Address] = []
        """Of the clients' listeners, in the configuration's order, with the ports taken."""
        self.link_address: Address | None = None
        self.admin_address: Address | None = None
        self.api_address: Address | None = None
        self._config = config
        self._runtime = runtime
        self._inherited = inherited
        self._wall = environment.wall
        self._admin: AdminListener | None = None
        self._api: ApiListener | None = None
        self._make_server = make_server
        self._pages: list[HostOnDemand] = []
        self._streams = OpenStreams()

    def add_admin(self, view: GatewayView) -> None:
        """Open the admin listener, which offers the view to operators, if it is configured.

        Raises `ConfigurationError` if a package that it needs is not installed.
        """
        if self._config.admin.listen:
            self._admin = admin_listener(self._config, self._runtime, view, self._inherited)

    def add_api(self, services: Services, backends: Mapping[str, Backend]) -> ApiListener | None:
        """Let other programs publish, where the configuration says so."""
        if self._config.api.listen:
            limits = self._config.limits
            server = self._make_server(api_limits(limits), self._runtime, inherited=self._inherited)
            self._api = ApiListener(self._config.api, services, backends, server)
        return self._api

    async def open(self, context: Context, backends: Backends, applications: LinkServer) -> None:
        """Accept connections, of applications first. Raises the error of an address."""
        self.clients.start()
        self.links.start()
        link = self._config.link
        if link.listen:
            self.link_address = await self.links.listen(
                parse_address(link.listen),
                applications.handler,
                _server_tls(link.tls_options),
                ListenOptions(link.bind),
            )
        for listener in self._config.listener:
            way = self._way_in(listener, context, backends)
            self.addresses.append(await self.clients.listen(listener.address, *way))
        if self._api is not None:
            self.api_address = await self._api.open()
        if self._admin is not None:
            self.admin_address = await self._admin.open()
        if self._inherited is not None:
            self._inherited.finish()

    async def change(self, config: Config, context: Context, backends: Backends) -> None:
        """Take clients in as `config` says; those that are connected stay.

        Raises the error of an address or of a certificate, and changes nothing then.
        """
        before = dict(zip(by_url(self._config.listener), self.addresses, strict=True))
        ways = {
            key: (listener.address, *self._way_in(listener, context, backends))
            for key, listener in by_url(config.listener).items()
        }
        opened: dict[tuple[str, int], Address] = {}
        try:
            for key, way in ways.items():
                if key not in before:
                    opened[key] = await self.clients.listen(*way)
        except BaseException:
            for address in opened.values():
                self.clients.unlisten(address)
            raise
        for key, address in before.items():
            if key in ways:
                _, factory, tls, options = ways[key]
                options = structs.replace(options, replaces=True)
                await self.clients.listen(address, factory, tls, options)
            else:
                self.clients.unlisten(address)
        self.clients.limits = config.limits.connection
        self._config = config
        self.addresses = [opened.get(key) or before[key] for key in ways]

    def reload(self) -> None:
        """Read the certificates again, for the connections to come."""
        self.clients.reload()
        if self._api is not None:
            self._api.reload()

    def stop_accepting(self) -> None:
        """Take no more clients in; those that are connected stay."""
        for address in self.clients.addresses:
            self.clients.unlisten(address)

    async def drain(self, aborted: asyncio.Event) -> None:
        """Tell the clients, then the applications; `aborted` cuts it short."""
        seconds = self._config.limits.drain.drain_seconds_max
        async with asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(self._close_when(aborted))
            if self._api is not None:
                await self._api.drain(seconds)
            await self.clients.drain(seconds)
            await self.links.drain(seconds)
            closing.cancel()

    async def close(self) -> None:
        """Close every connection and every listener."""
        await self.clients.close()
        await self.links.close()
        if self._api is not None:
            await self._api.close()
        if self._admin is not None:
            await self._admin.close()
        for pages in self._pages:
            await pages.stop()

    def _factory(
        self, listener: ListenerConfig, context: Context, backends: Backends
    ) -> HandlerFactory:
        """Return the factory of the handlers of a listener's connections."""
        backend = backends.open(listener.backend)
        if backend.handler is not None:
            return backend.handler
        shared = ListenerContext(
            backend=backend,
            durability=durability_of(listener),
            new_adapter=adapter_factory(
                listener, context.limits, lambda: len(context.pool), backend.status
            ),
            new_session=new_session(listener, context.limits.terminal),
            resumes=listener.resume,
            forward=self.clients.forward if listener.forwarded is not None else None,
            auth=credential_judge(listener, context.limits, self._wall),
            handshake_failed=self.clients.handshake_failed,
        )
        pages = self._serve_pages(listener, context)
        serve_http = event_streams(listener, context, shared, pages, self._streams)
        shared = structs.replace(shared, serve_http=serve_http)
        return lambda connection: Driver(connection, context, shared)

    def _way_in(
        self, listener: ListenerConfig, context: Context, backends: Backends
    ) -> tuple[HandlerFactory, ServerTls | None, ListenOptions]:
        """Return how the clients of a listener are taken in."""
        options = ListenOptions(
            listener.bind,
            listener.proxy,
            listener.forwarded,
            self._start_tls(listener, context.limits.telnet),
            HTTP_REFUSALS if listener.address.scheme in _HTTP else NO_REFUSALS,
        )
        tls = None if listener.starttls else _server_tls(listener.tls_options)
        return self._factory(listener, context, backends), tls, options

    def _start_tls(self, listener: ListenerConfig, limits: TelnetLimits) -> StartTlsOptions | None:
        """How the clients of a listener are asked for TLS, if they are."""
        tls = _server_tls(listener.tls_options) if listener.starttls else None
        if tls is None:
            return None
        required = listener.starttls == "required"
        return StartTlsOptions(tls, limits, required=required)

    def _serve_pages(self, listener: ListenerConfig, context: Context) -> ServeHttp | None:
        """Return the handler of a listener's requests for pages, if it has any."""

        def healthy() -> bool:
            return context.journal.broken is None

        pages = http_pages(listener, healthy, context.limits.pages, context.spawn)
        if pages is None:
            return None
        self._pages.append(pages)
        return pages.take_over

    async def _close_when(self, aborted: asyncio.Event) -> None:
        await aborted.wait()
        async with asyncio.TaskGroup() as tasks:  # no application may dial in meanwhile
            tasks.create_task(self.clients.close())
            tasks.create_task(self.links.close())


def _server_tls(options: TlsOptions | None) -> ServerTls | None:
    return ServerTls(options) if options is not None else None
