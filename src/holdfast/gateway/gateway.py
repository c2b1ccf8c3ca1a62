"""One gateway node: everything wired together, from its start to its orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from msgspec import structs

from holdfast.backends.base import Backend, Services
from holdfast.backends.link.server import LinkServer
from holdfast.backends.link.server_config import advertised
from holdfast.backends.registry import Backends
from holdfast.backends.upstreams import Upstream
from holdfast.core.clock import SteadyClock
from holdfast.core.errors import ClosedError, ConfigurationError, HoldfastError
from holdfast.core.limits import Limits
from holdfast.core.rate import Rate
from holdfast.gateway.attempts import LoginAttempts
from holdfast.gateway.cluster import ALONE, Cluster
from holdfast.gateway.config import Config
from holdfast.gateway.config_changes import Change, changes, effective
from holdfast.gateway.context import Context
from holdfast.gateway.conversation.intake import network_input
from holdfast.gateway.environment import DEFAULT, Environment
from holdfast.gateway.listeners import Listeners
from holdfast.gateway.notifier import ConnectionNotifier
from holdfast.gateway.other_nodes import OtherNodes
from holdfast.gateway.pool import ConnectionPool
from holdfast.gateway.timekeeping import Timekeeper
from holdfast.gateway.view import GatewayView
from holdfast.link.tracing import CommandTraces
from holdfast.net.addresses import Address
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import quiet_collector, unwrapped
from holdfast.net.runtime.room import Room
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import spawn
from holdfast.net.security_log import SecurityLog
from holdfast.net.server.inherited import Inherited
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.port import SessionPort
from holdfast.sessions.records import Stored
from holdfast.sessions.session import SessionBackend

_log: Final = RateLimitedLogger("holdfast.gateway")

_SWEEP_SECONDS: Final = 5.0
_SLICE_SECONDS: Final = 0.02
"""Between two parts of a sweep that finds much to do."""


class Gateway:
    """Holds the clients of one configuration.

    Made inside an event loop. `run` serves until `stop`; it raises what is
    wrong with the configuration, an address or the store before any client is
    accepted. `source` reads the configuration again, for a reload.
    """

    def __init__(
        self,
        config: Config,
        inherited: Inherited | None = None,
        environment: Environment = DEFAULT,
        source: Callable[[], Config] | None = None,
    ) -> None:
        self.config = config
        self._tasks = asyncio.TaskGroup()
        self._stop = asyncio.Event()
        self._abort = asyncio.Event()
        self._source = source
        self._running: set[asyncio.Task[None]] = set()
        """What is cancelled when the drain is over."""
        self._serving = False
        self._reloading = asyncio.Lock()
        self._clean = False
        """Whether the store has everything: if not, the next run begins new epochs."""
        runtime, limits = Runtime(asyncio.get_running_loop()), config.limits
        self.clock = SteadyClock(environment.wall, runtime.timers.time)
        self._by_name: dict[str, Backend] = {}
        security = SecurityLog()
        self._applications = LinkServer(
            config.node, config.link.all_secrets, self._by_name, limits.link, self._spawn, security
        )
        journal = Journal(
            limits.store, self._applications.accepted, promises=config.store.on_failure == "refuse"
        )
        manager = SessionManager(
            limits.session, journal, runtime.coalescer.add, security, self.clock
        )
        self.context = self._make_context(runtime, journal, manager, security)
        self._store = manager.loader.store = environment.make_store(config, environment)
        self._time = Timekeeper(self.clock, journal)
        self.upstreams = {
            upstream.name: Upstream(upstream, limits, runtime) for upstream in config.upstream
        }
        services = self._make_services()
        configured = (listener.backend for listener in config.listener)
        self.backends = Backends(services, self._by_name, configured)
        self._cluster = self._make_cluster(environment)
        self.listeners = Listeners(config, runtime, environment, inherited)
        self.listeners.clients.output_room = self.context.output_room
        self._api = self.listeners.add_api(services, self._by_name)
        self.listeners.add_admin(self._view())

    def _make_context(
        self, runtime: Runtime, journal: Journal, manager: SessionManager, security: SecurityLog
    ) -> Context:
        limits = self.config.limits
        return Context(
            attempts=LoginAttempts(limits.session),
            limits=limits,
            command_rate=_command_rate(limits),
            network_input=network_input(limits.session),
            input_room=Room(limits.session.node_input_bytes_max),
            output_room=Room(limits.session.node_output_bytes_max, "output is unsent"),
            runtime=runtime,
            wall=self.clock,
            journal=journal,
            manager=manager,
            pool=ConnectionPool(),
            spawn=self._spawn,
            memory_on_failure=self.config.store.on_failure == "memory",
            security=security,
        )

    def _make_services(self) -> Services:
        """Return the services for backends."""
        context, host = self.context, ConnectionNotifier(self.manager)

        def open_port(backend: SessionBackend) -> SessionPort:
            return SessionPort(backend, context.manager, context.journal, host, context.wall)

        return Services(
            open_port=open_port,
            runtime=context.runtime,
            clock=context.wall,
            limits=context.limits,
            journal=context.journal,
            spawn=self._spawn,
            upstreams=self.upstreams,
            security=context.security,
            policy_known=host.policy_known,
            several=self._store.neighbours is not None,
            traces=CommandTraces() if self.config.traces else None,
        )

    def _make_cluster(self, environment: Environment) -> Cluster | None:
        """What is done with other gateways, if the store can have any."""
        neighbours, context = self._store.neighbours, self.context
        if neighbours is None:
            return None
        cluster = Cluster(
            self._store,
            neighbours,
            context,
            self.backends,
            self._applications,
            self.config.node,
            environment.monotonic,
        )
        self.context = structs.replace(context, fetching=cluster.fetching)
        return cluster

    def _view(self) -> GatewayView:
        return GatewayView(
            node=self.config.node,
            server=self.listeners.clients,
            link_server=self.listeners.links,
            link_seconds=self._applications.round_trip_seconds,
            manager=self.manager,
            journal=self.journal,
            clock=self.clock,
            pool=self.pool,
            counts=self.context.counts,
            input_room=self.context.input_room,
            output_room=self.context.output_room,
            security=self.context.security,
            backends=self.backends,
            upstreams_by_name=self.upstreams,
            api=self._api,
            stop=self.stop,
            draining=self._stop.is_set,
            lasts=self._cluster.membership.lasts if self._cluster is not None else lambda: True,
            cluster=self._cluster.status if self._cluster is not None else lambda: ALONE,
            backup=self._store.backup,
            reload=self.read_again,
            others=OtherNodes(self._store.neighbours, self.config.limits.store),
            spawn=self._spawn_until_drained,
        )

    @property
    def manager(self) -> SessionManager:
        return self.context.manager

    @property
    def journal(self) -> Journal:
        return self.context.journal

    @property
    def pool(self) -> ConnectionPool:
        return self.context.pool

    @property
    def addresses(self) -> list[Address]:
        """The addresses of the listeners, in the order of the configuration, with actual ports."""
        return self.listeners.addresses

    @property
    def link_address(self) -> Address | None:
        """The address of the link."""
        return self.listeners.link_address

    @property
    def admin_address(self) -> Address | None:
        return self.listeners.admin_address

    @property
    def api_address(self) -> Address | None:
        return self.listeners.api_address

    # --- from its start to its end

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `started` is called when clients are accepted."""
        with quiet_collector():
            stored = await self._store.open()
        self._clean = stored.clean
        try:
            with unwrapped():
                async with self._tasks:
                    if self._cluster is not None:
                        await self._join(self._cluster)
                    with quiet_collector():
                        await self._restore(stored)
                    del stored
                    await self._serve(started)
                self._clean = self.journal.idle
        finally:
            await self._close()
        _log.info("stopped", clean=self._clean)

    async def _restore(self, stored: Stored) -> None:
        """Take up what the store has, and open every backend."""
        self._time.resume(stored)
        backend_of = self.backends.named
        for _ in self.manager.restoring(stored, lambda row: backend_of(row.app), self.clock()):
            await asyncio.sleep(0)
        for listener in self.config.listener:
            self.backends.open(listener.backend)
        for backend in self.backends.all:
            backend.restore(stored)
        for ended in stored.ended:
            self._applications.inherited(ended)
        if self._api is not None:
            self._api.restore(stored.settings)
        if self.manager.total:
            _log.info("sessions loaded", sessions=self.manager.total, clean=stored.clean)

    async def _serve(self, started: Callable[[], None]) -> None:
        await self._start_backends()
        await self.listeners.open(self.context, self.backends, self._applications)
        self._clean = False
        self.context.runtime.timers.start()
        committing = self._tasks.create_task(self.journal.run(self._store))
        sweeping = self._tasks.create_task(self._sweep())
        if self._cluster is not None:
            await self._cluster.announce(advertised(self.config.link, self.link_address))
            self._keep_running(self._tasks.create_task(self._cluster.serve()))
        self._serving = True
        started()
        await self._stop.wait()
        _log.info("stopping", connections=len(self.pool))
        self.pool.leave()
        if self._cluster is not None:
            self.listeners.stop_accepting()
            await self._cluster.leave(self._abort)
        await self.listeners.drain(self._abort)
        async with self._reloading:  # what a reload starts is cancelled with the rest
            for task in (sweeping, *self._running):
                task.cancel()
        self._time.keep()
        self.journal.stop()
        await committing

    async def _join(self, cluster: Cluster) -> None:
        """Give signs of life from now on: other gateways use the store, too."""
        await cluster.membership.begin()
        self.context.runtime.coalescer.hold_unless(cluster.membership.lasts)
        self._keep_running(self._tasks.create_task(cluster.membership.run()))

    async def _start_backends(self) -> None:
        """Start every upstream and every backend, before the listeners open."""
        for upstream in self.upstreams.values():
            await self._start(upstream.run)
        for backend in self.backends.all:
            await self._start(backend.run)

    async def _start(self, run: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]) -> None:
        """Run this until the drain is over; returns when it can be used."""
        ready = asyncio.Event()
        self._keep_running(self._tasks.create_task(run(ready.set)))
        await ready.wait()

    async def _sweep(self) -> None:
        more = False
        while True:
            await asyncio.sleep(_SLICE_SECONDS if more else _SWEEP_SECONDS)
            try:
                self._time.look()
                more = self.manager.expire(self.clock())
            except Exception as error:
                log_failure(_log, "a sweep failed", error)

    async def _close(self) -> None:
        """Release everything, also after a start that failed halfway."""
        await self.listeners.close()
        self.context.runtime.timers.stop()
        await self._store.close(clean=self._clean)

    def stop(self, returns_per_second: float = 0.0) -> None:
        """Tell every client, and end. Called again: end at once.

        The clients are told to come back at no more than this rate; 0 is that of the limits.
        """
        if self._stop.is_set():
            self._abort.set()
        else:
            self.pool.returns_per_second = returns_per_second
        self._stop.set()

    # --- another configuration

    def reload(self) -> None:
        """Read the certificates again, and the configuration. What is wrong is logged."""
        self.listeners.reload()
        if self._source is not None and self._serving:
            self._spawn(self._reload())

    async def _reload(self) -> None:
        with contextlib.suppress(HoldfastError):  # it was logged
            await self.read_again()

    async def read_again(self) -> list[Change]:
        """Read the configuration again, and serve as it says. Returns what is different.

        Raises what is wrong with it, and changes nothing then.
        """
        if self._source is None:
            raise ConfigurationError("this gateway was started without a configuration file")
        try:
            found = await self.take_up(await asyncio.to_thread(self._source))
        except HoldfastError as error:
            _log.error("configuration not reloaded", error=str(error))
            raise
        for change in found:
            _log.info("configuration changed", **structs.asdict(change))
        return found

    async def take_up(self, config: Config) -> list[Change]:
        """Serve as `config` says, but for what needs a restart. Returns what is different.

        Clients that are connected stay, as they are. Raises what is wrong, and changes nothing
        then; `ClosedError` for a gateway that stops.
        """
        async with self._reloading:
            if self._stop.is_set():
                raise ClosedError("the gateway stops: it takes up no other configuration")
            found = changes(self.config, config)
            if any(change.effect == "now" for change in found):
                await self._take_up(effective(self.config, config))
        return found

    async def _take_up(self, config: Config) -> None:
        limits, running = config.limits, set(self.backends.all)
        before = {one.name: self.upstreams.get(one.name) for one in config.upstream}
        fresh = [
            Upstream(one, limits, self.context.runtime)
            for one in config.upstream
            if (was := before[one.name]) is None or was.config != one
        ]
        context = structs.replace(self.context, limits=limits, command_rate=_command_rate(limits))
        try:
            for upstream in fresh:
                await self._start(upstream.run)
                self._use(upstream)
            for listener in config.listener:
                backend = self.backends.open(listener.backend)
                if backend not in running:
                    running.add(backend)
                    await self._start(backend.run)
            await self.listeners.change(config, context, self.backends)
        except BaseException:
            for upstream in fresh:
                self._use(before[upstream.config.name], instead_of=upstream)
            raise
        for upstream in fresh:
            replaced = before[upstream.config.name]
            if replaced is not None:
                replaced.retire()
        self.config, self.context = config, context
        self.manager.limits = self.manager.population.limits = limits.session

    def _use(self, upstream: Upstream | None, instead_of: Upstream | None = None) -> None:
        """Let new clients use an upstream; `None` is that there is none of that name."""
        if instead_of is not None:
            instead_of.retire()
            self.upstreams.pop(instead_of.config.name, None)
        if upstream is not None:
            self.upstreams[upstream.config.name] = upstream
            self.backends.change_upstream(upstream)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(self._tasks, work, _failed)

    def _spawn_until_drained(self, work: Coroutine[Any, Any, None]) -> None:
        task = spawn(self._tasks, work, _failed)
        if task is not None:
            self._keep_running(task)

    def _keep_running(self, task: asyncio.Task[None]) -> None:
        """Let a task run until the drain is over."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _failed(error: Exception) -> None:
    log_failure(_log, "a task failed", error)


def _command_rate(limits: Limits) -> Rate:
    return Rate(limits.session.commands_per_second_max, limits.session.command_burst_max)
