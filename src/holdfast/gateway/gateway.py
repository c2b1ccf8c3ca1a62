"""One gateway node: everything wired together, from its start to its orderly stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from holdfast.backends.base import Backend, Services
from holdfast.backends.echo.backend import EchoBackend
from holdfast.backends.link.backend import LinkBackend
from holdfast.backends.link.server import LinkServer
from holdfast.backends.tcp.backend import PREFIX
from holdfast.backends.upstreams import Upstream
from holdfast.core.clock import SteadyClock
from holdfast.core.rate import Rate
from holdfast.gateway.attempts import LoginAttempts
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.context import Context, ListenerContext
from holdfast.gateway.conversation.driver import Driver
from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.environment import DEFAULT, Environment
from holdfast.gateway.listeners import adapter_factory, admin_listener, http_pages
from holdfast.gateway.pool import ConnectionPool
from holdfast.gateway.timekeeping import Timekeeper
from holdfast.gateway.view import GatewayView
from holdfast.link.peer import connection_limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.http.on_demand import HostOnDemand
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import quiet_collector, unwrapped
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import spawn
from holdfast.net.security_log import SecurityLog
from holdfast.net.server.acceptor import HandlerFactory
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import ListenOptions
from holdfast.net.tls.certificates import ServerTls
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.port import SessionPort
from holdfast.sessions.records import Head, Stored
from holdfast.sessions.session import Backend as SessionBackend
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability

if TYPE_CHECKING:
    from holdfast.gateway.admin.listener import AdminListener

_log: Final = RateLimitedLogger("holdfast.gateway")

_SWEEP_SECONDS: Final = 5.0
_SLICE_SECONDS: Final = 0.02
"""Between two parts of a sweep that finds much to do."""


class Gateway:
    """Holds the clients of one configuration.

    Made inside an event loop. `run` serves until `stop`; it raises what is
    wrong with the configuration, an address or the store before any client is
    accepted.
    """

    def __init__(
        self,
        config: Config,
        inherited: Inherited | None = None,
        environment: Environment = DEFAULT,
    ) -> None:
        limits = config.limits
        self.config = config
        self.addresses: list[Address] = []
        """Where clients are accepted, in the configuration's order, with the ports taken."""
        self.link_address: Address | None = None
        self.runtime = Runtime(asyncio.get_running_loop())
        self.clock = wall = SteadyClock(environment.wall, self.runtime.timers.time)
        at_end_of_tick = self.runtime.coalescer.add
        self._links: dict[str, LinkBackend] = {}
        security = SecurityLog()
        self._hub = LinkServer(
            config.node, config.link.all_secrets, self._links, limits.link, self._spawn, security
        )
        self.journal = Journal(
            limits.store, self._hub.accepted, promises=config.store.on_failure == "refuse"
        )
        self.manager = SessionManager(limits.session, self.journal, at_end_of_tick, security)
        self.pool = ConnectionPool()
        self.context = Context(
            attempts=LoginAttempts(limits.session),
            limits=limits,
            command_rate=Rate(
                limits.session.commands_per_second_max, limits.session.command_burst_max
            ),
            runtime=self.runtime,
            wall=wall,
            journal=self.journal,
            manager=self.manager,
            pool=self.pool,
            spawn=self._spawn,
            memory_on_failure=config.store.on_failure == "memory",
            security=security,
        )
        self._inherited = inherited
        self._time = Timekeeper(wall, self.journal)
        self._server = environment.make_server(limits.connection, self.runtime, inherited=inherited)
        self._link_server = environment.make_server(
            connection_limits(limits.link), self.runtime, inherited=inherited
        )
        self._services = Services(
            open_port=self._open_port,
            runtime=self.runtime,
            clock=wall,
            limits=limits,
            journal=self.journal,
            spawn=self._spawn,
            policy_known=self.policy_known,
        )
        self._echo = EchoBackend(self._services)
        self.upstreams = {
            upstream.name: Upstream(upstream, self._services) for upstream in config.upstream
        }
        self._store = self.manager.loader.store = environment.make_store(config)
        self._pages: list[HostOnDemand] = []
        self.admin_address: Address | None = None
        self._admin: AdminListener | None = None
        self._tasks = asyncio.TaskGroup()
        self._stop = asyncio.Event()
        self._abort = asyncio.Event()
        self._clean = False
        """Whether the store has everything: if not, the next run begins new epochs."""
        if config.admin.listen:
            self._admin = admin_listener(config, self.runtime, self._view(), inherited)

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `started` is called when clients are accepted."""
        with quiet_collector():
            stored = await self._store.open()
        self._clean = stored.clean
        try:
            with unwrapped():
                with quiet_collector():
                    await self._restore(stored)
                del stored
                await self._serve(started)
        finally:
            await self._close()

    async def _serve(self, started: Callable[[], None]) -> None:
        async with self._tasks:
            upstreams = await self._start_upstreams()
            await self._listen()
            self._clean = False
            self.runtime.timers.start()
            committing = self._tasks.create_task(self.journal.run(self._store))
            sweeping = self._tasks.create_task(self._sweep())
            started()
            await self._stop.wait()
            await self._drain()
            for task in (sweeping, *upstreams):
                task.cancel()
            self._time.keep()
            self.journal.stop()
            await committing
        self._clean = self.journal.idle

    async def _close(self) -> None:
        """Let go of everything, however far it got."""
        await self._server.close()
        await self._link_server.close()
        if self._admin is not None:
            await self._admin.close()
        for pages in self._pages:
            await pages.stop()
        self.runtime.timers.stop()
        await self._store.close(clean=self._clean)

    def stop(self) -> None:
        """Tell every client, and end. Called again: end at once."""
        if self._stop.is_set():
            self._abort.set()
        self._stop.set()

    def _view(self) -> GatewayView:
        return GatewayView(
            server=self._server,
            link_server=self._link_server,
            manager=self.manager,
            journal=self.journal,
            clock=self.clock,
            pool=self.pool,
            counts=self.context.counts,
            security=self.context.security,
            links=self._links,
            upstreams=tuple(upstream.pool for upstream in self.upstreams.values()),
            stop=self.stop,
            draining=self._stop.is_set,
        )

    def reload(self) -> None:
        """Read the certificates again, for the connections to come."""
        self._server.reload()

    # --- start

    async def _restore(self, stored: Stored) -> None:
        self._time.resume(stored)
        for _ in self.manager.restoring(stored, self._backend_of, self.clock()):
            await asyncio.sleep(0)
        for listener in self.config.listener:
            self._backend(listener)
        for link in self._links.values():
            link.restore(stored)
        if self.manager.total:
            _log.info("sessions taken up", sessions=self.manager.total, clean=stored.clean)

    async def _listen(self) -> None:
        self._server.start()
        self._link_server.start()
        if self.config.link.listen:
            address = parse_address(self.config.link.listen)
            options = ListenOptions(self.config.link.bind)
            link_tls = self.config.link.tls_options
            self.link_address = await self._link_server.listen(
                address,
                self._hub.handler,
                ServerTls(link_tls) if link_tls is not None else None,
                options,
            )
        for listener in self.config.listener:
            door = self._door(listener)
            tls = listener.tls_options
            self.addresses.append(
                await self._server.listen(
                    listener.address,
                    self._factory(listener, door),
                    ServerTls(tls) if tls is not None else None,
                    ListenOptions(listener.bind, listener.proxy),
                )
            )
        if self._admin is not None:
            self.admin_address = await self._admin.open()
        if self._inherited is not None:
            self._inherited.finish()

    async def _start_upstreams(self) -> list[asyncio.Task[None]]:
        """Let every upstream be ready for clients, before any comes."""
        tasks = []
        for upstream in self.upstreams.values():
            ready = asyncio.Event()
            tasks.append(self._tasks.create_task(upstream.run(ready.set)))
            await ready.wait()
        return tasks

    def _factory(self, listener: ListenerConfig, door: ListenerContext) -> HandlerFactory:
        """What makes the handlers of a listener's connections."""
        if listener.backend == "stream":
            return self.upstreams[listener.upstream].proxy.handler
        return lambda connection: Driver(connection, self.context, door)

    def _door(self, listener: ListenerConfig) -> ListenerContext:
        limits = self.config.limits.pages
        pages = http_pages(listener, lambda: self.journal.broken is None, limits, self._spawn)
        if pages is not None:
            self._pages.append(pages)
        return ListenerContext(
            backend=self._backend(listener),
            durability=Durability(listener.durability),
            new_adapter=adapter_factory(listener, self.config.limits),
            serve_http=pages.take_over if pages is not None else None,
        )

    def _backend(self, listener: ListenerConfig) -> Backend:
        match listener.backend:
            case "echo":
                return self._echo
            case "tcp" | "stream":
                return self.upstreams[listener.upstream].backend
            case "link":
                return self._link(listener.app)

    def _backend_of(self, row: Head) -> Backend:
        """The backend of a session from the store, also if no listener names it any more."""
        upstream = self.upstreams.get(row.app.removeprefix(PREFIX))
        if upstream is not None and row.app.startswith(PREFIX):
            return upstream.backend
        return self._echo if row.app == self._echo.name else self._link(row.app)

    def _link(self, name: str) -> LinkBackend:
        if name not in self._links:
            self._links[name] = LinkBackend(name, self._services)
        return self._links[name]

    def _open_port(self, backend: SessionBackend) -> SessionPort:
        return SessionPort(backend, self.manager, self.journal, self, self.clock)

    # --- what backends tell

    def policy_known(self) -> None:
        for session in list(self.manager.sessions.values()):
            self._tell_connection(session, News.POLICY_KNOWN)

    def user_changed(self, session: Session) -> None:
        self._tell_connection(session, News.USER_CHANGED)

    def deselected(self, session: Session) -> None:
        self._tell_connection(session, News.PROFILE_NEEDED)

    def _tell_connection(self, session: Session, news: News) -> None:
        consumer = session.consumer
        if isinstance(consumer, Attachment):
            session.guard(consumer, consumer.host.hear, news)

    # --- run and stop

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(self._tasks, work, partial(log_failure, _log, "a task failed"))

    async def _sweep(self) -> None:
        more = False
        while True:
            await asyncio.sleep(_SLICE_SECONDS if more else _SWEEP_SECONDS)
            try:
                self._time.look()
                more = self.manager.expire(self.clock())
            except Exception as error:
                log_failure(_log, "a sweep failed", error)

    async def _drain(self) -> None:
        """Tell the clients, then the applications; a second `stop` cuts it short."""
        async with asyncio.TaskGroup() as tasks:
            impatient = tasks.create_task(self._close_when_aborted())
            await self._server.drain(self.config.limits.drain.drain_seconds_max)
            await self._link_server.drain(self.config.limits.drain.drain_seconds_max)
            impatient.cancel()

    async def _close_when_aborted(self) -> None:
        await self._abort.wait()
        async with asyncio.TaskGroup() as tasks:  # no application may dial in meanwhile
            tasks.create_task(self._server.close())
            tasks.create_task(self._link_server.close())
