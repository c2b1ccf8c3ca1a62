"""One run of the gateway: the whole of it, over the simulated network and disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.core.limits import ConnectionLimits
from holdfast.gateway.config import Config
from holdfast.gateway.environment import Environment, make_store
from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import Server
from holdfast.sessions.stores.base import Store
from tests.simulation.disk import SimStore
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class GatewayNode:
    """A process that serves the world's configuration."""

    def __init__(self, world: World, config: Config) -> None:
        self.world = world
        self.config = config
        self.process = Process(world.time, world.faults)
        self.gateway: Gateway
        self._begin(self.process)
        self.task = self.process.start(self._run())
        self.process.loop.spin()

    def _begin(self, process: Process) -> None:
        """Prepare what its process uses."""
        self.store: SimStore | None = SimStore(self.world.disk) if self.world.setup.stored else None
        """`None` where nothing is kept."""

    async def _run(self) -> None:
        environment = Environment(
            wall=self.world.wall,
            monotonic=self._monotonic,
            make_server=self._make_server,
            make_store=self._make_store,
        )
        self.gateway = Gateway(self.config, environment=environment)
        await self.gateway.run()

    def _make_server(
        self, limits: ConnectionLimits, clockwork: Runtime, *, inherited: Inherited | None
    ) -> Server:
        return self.world.network.server(limits, clockwork, self.process)

    def _make_store(self, config: Config, environment: Environment) -> Store:
        return self.store or make_store(config, environment)

    def _monotonic(self) -> float:
        return self.world.time.now

    def finish_commit(self) -> bool:
        """The commit that is under way ends. False if there is none."""
        return self.store is not None and self.store.finish()

    @property
    def idle(self) -> bool:
        """Whether everything is stored."""
        return self.gateway.journal.idle and not (self.store is not None and self.store.busy)

    def die(self, *, stored: bool) -> None:
        """As by kill -9. `stored`: a commit under way has reached the disk, unknown to us."""
        if self.store is not None:
            self.store.die(stored=stored)
        self.process.kill()
        self.world.network.close(self.process)
