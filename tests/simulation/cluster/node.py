"""One run of one of several gateways, and its way to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.gateway.config import Config
from holdfast.gateway.environment import Environment, make_store
from holdfast.sessions.stores.base import Store
from tests.simulation.gateway import GatewayNode
from tests.simulation.network import End
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.cluster.world import ClusterWorld


class ClusterNode(GatewayNode):
    """The gateway of the name and the addresses with this index."""

    world: ClusterWorld

    def __init__(self, world: ClusterWorld, index: int) -> None:
        self.index = index
        self.path = world.server.path()
        self.commits = 0
        super().__init__(world, world.configs[index])
        self.process.watch = self._wrote

    def _begin(self, process: Process) -> None:
        self.world.paths[process] = self.path

    def _make_store(self, config: Config, environment: Environment) -> Store:
        return make_store(config, environment)

    def _monotonic(self) -> float:
        return self.process.loop.time()

    @property
    def run(self) -> int:
        """The number of its run; 0 before its store is open."""
        neighbours = self.gateway._store.neighbours
        return neighbours.run if neighbours is not None else 0

    def _wrote(self, end: End) -> None:
        if self.run and not self.world.setup.suspends:
            self.world.owners.writes(end.pipe, end, self.run)

    @property
    def idle(self) -> bool:
        flushing = any(backend.path is self.path for backend in self.world.server.flushing)
        return self.gateway._serving and self.gateway.journal.idle and not flushing

    def die(self, *, stored: bool) -> None:
        """As by kill -9. `stored`: what it has asked the database for is done nevertheless."""
        server, path = self.world.server, self.path
        self.process.kill()
        path.process_ended = True
        if stored and not path.to_cut:
            path.held = False
            server.move()
            for backend in [each for each in server.flushing if each.path is path]:
                server.flush(backend)
        if not path.to_cut:
            server.drop(path)
        self.world.network.close(self.process)
        self.world.paths.pop(self.process, None)
