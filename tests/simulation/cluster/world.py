"""The world with several gateways, which share a database."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

from msgspec import structs

from holdfast.gateway.config import Config, parse
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.stores.postgres.process import Process as StoredProcess
from tests.simulation.clients.base import ClientNode
from tests.simulation.cluster.node import ClusterNode
from tests.simulation.cluster.owners import Owners
from tests.simulation.limits import LIMITS
from tests.simulation.postgresql.client import SIMULATED, connect
from tests.simulation.postgresql.server import Path, Server
from tests.simulation.process import Process
from tests.simulation.world import Setup, World

LIVE_STEP_SECONDS = 0.25
CALM_SECONDS = 6.0
"""For so long nobody waits for anybody: longer than a lease."""
REMEMBER_SECONDS = 1.0
"""So soon a node gives a session away although its application does not answer."""
SETTLE_ROUNDS_MAX = 600
LINKS = ("unix:@sim-a", "unix:@sim-b", "unix:@sim-c")


class ClusterSetup(Setup, frozen=True):
    """Which world it is."""

    gateways: int = 2
    suspends: bool = False
    """Whether a whole machine may be stopped, and its clocks with it. Then an owner may write for
    a while after it has lost its sessions; what it says must be true nevertheless."""

    def __str__(self) -> str:
        words = "-suspends" if self.suspends else ""
        return f"{self.gateways}-gateways-{super().__str__()}{words}"


class ClusterWorld(World):
    """Everything, with `setup.gateways` gateways instead of one."""

    setup: ClusterSetup

    def __init__(self, setup: ClusterSetup) -> None:
        self.configs = [_configure(setup, index) for index in range(setup.gateways)]
        self.nodes: list[ClusterNode | None] = [None] * setup.gateways
        self.paths: dict[Process, Path] = {}
        super().__init__(setup)

    def _open(self) -> None:
        self.server = Server(self.wall)
        self.server.prompt = False
        self.owners = Owners(self.server.tables.owners)
        enter = self._cleanup.enter_context
        enter(mock.patch("asyncpg.connect", self._connect))
        # Each is on a machine of its own: that it has ended is seen only by its lease.
        enter(mock.patch.object(StoredProcess, "own", return_value=StoredProcess("", "")))
        for index in range(self.setup.gateways):
            self.start_gateway(index)
        self.live(2.0)

    @property
    def links(self) -> list[str]:
        return list(LINKS[: self.setup.gateways])

    @property
    def gateways(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node is not None]

    async def _connect(self, url: str, **options: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await connect(next(path for one, path in self.paths.items() if one.loop is loop))

    # --- time

    def spin(self) -> None:
        while True:
            super().spin()
            self.server.expire(self.wall())
            if not self.server.move():
                break
        if not self.setup.suspends:
            self._check_deadlines()

    def _check_deadlines(self) -> None:
        """A run whose sessions others may take knows that, and is silent."""
        for node in self.gateways:
            cluster = node.gateway._cluster
            row = self.server.tables.rows["node"].get(node.run)
            if cluster is not None and row is not None and row["fenced"]:
                assert not cluster.membership.lasts(), "a run that is fenced goes on"

    def _reap(self) -> None:
        super()._reap()
        for node in [node for node in self.gateways if node.task.done()]:
            error = None if node.task.cancelled() else node.task.exception()
            if not isinstance(error, StoreError | None):  # it was fenced, or has no store
                self.faults.append({"event": "a gateway has failed", "error": error})
            self.nodes[node.index] = None
            node.die(stored=True)

    def live(self, seconds: float) -> None:
        """Let time pass in which everything arrives that can."""
        end = self.time.now + seconds
        while self.time.now < end:
            self.deliver_all()
            self.finish_commits()
            self.advance(LIVE_STEP_SECONDS)

    # --- what can happen to the gateways

    def node(self, index: int) -> ClusterNode | None:
        return self.nodes[index % len(self.nodes)]

    def start_gateway(self, index: int = 0) -> None:
        index %= len(self.nodes)
        if self.nodes[index] is None:
            self.nodes[index] = ClusterNode(self, index)
            self.spin()

    def kill_gateway(self, index: int = 0, *, stored: bool) -> None:
        node = self.node(index)
        if node is not None:
            self.nodes[node.index] = None
            node.die(stored=stored)
            self.spin()

    def stop_gateway(self, index: int) -> None:
        """An orderly stop."""
        node = self.node(index)
        if node is not None and node.gateway._serving:
            node.process.loop.call_soon(node.gateway.stop)
            self.spin()

    def freeze_gateway(self, index: int) -> None:
        """As by SIGSTOP: its clocks go on."""
        node = self.node(index)
        if node is not None:
            node.process.frozen = True

    def suspend_gateway(self, index: int) -> None:
        """Its machine is stopped, with its clocks."""
        node = self.node(index)
        if node is not None and self.setup.suspends:
            node.process.frozen = True
            node.process.suspend()

    def wake_gateways(self) -> None:
        for node in self.gateways:
            node.process.frozen = False
            node.process.resume()
        self.spin()

    # --- what can happen to the database, and on the way to it

    def finish_commit(self, index: int = 0) -> bool:
        """One of the commits that are executed is on the disk, and answered."""
        flushing = self.server.flushing
        if flushing:
            self.server.flush(flushing[index % len(flushing)])
        self.spin()
        return bool(flushing)

    def finish_commits(self) -> bool:
        """All of them that are not stalled."""
        finished = False
        while ready := [one for one in self.server.flushing if not one.stalled]:
            for backend in ready:
                self.server.flush(backend)
            self.spin()
            finished = True
        return finished

    def stall_commit(self, index: int) -> None:
        """One of the commits that are executed is not on the disk for as long as one likes."""
        flushing = self.server.flushing
        if flushing:
            flushing[index % len(flushing)].stalled = True

    def lose_answer(self, index: int) -> None:
        """A commit is on the disk, and the connection breaks before the answer."""
        flushing = self.server.flushing
        if flushing:
            backend = flushing[index % len(flushing)]
            backend.path.from_cut = True
            self.server.flush(backend)
            backend.path.from_cut = False
            backend.path.reset()
            self.spin()

    def break_store(self, index: int) -> None:
        """The connections of a gateway to the database break."""
        node = self.node(index)
        if node is not None:
            node.path.reset()
            self.spin()

    def cut_store(self, index: int, *, to_store: bool) -> None:
        """Nothing goes that way any more between a gateway and the database."""
        node = self.node(index)
        if node is not None:
            if to_store:
                node.path.to_cut = True
            else:
                node.path.from_cut = True

    def crash_store(self) -> None:
        """It ends at once, without what was not on its disk, and is started again."""
        self.server.crash()
        self.spin()

    def fill_disk(self, *, full: bool) -> None:
        self.server.full = full

    def hold_store(self, index: int) -> None:
        """What a gateway asks for waits, until it is let through."""
        node = self.node(index)
        if node is not None:
            node.path.held = True

    def let_through(self, index: int, count: int) -> None:
        """So many of the requests that wait arrive."""
        node = self.node(index)
        if node is not None:
            node.path.let_through(count)
            self.spin()

    # --- what can happen on the other ways

    def cut_way(self, index: int, *, clients: bool, to_node: bool) -> None:
        """Nothing goes that way any more between a gateway, and all clients or applications."""
        node = self.node(index)
        if node is None:
            return
        others = [self.people] if clients else [each.process for each in self.applications]
        for other in others:
            way = (other, node.process) if to_node else (node.process, other)
            self.network.blocked.add(way)

    def heal(self) -> None:
        """All ways are open, and nothing is held."""
        self.network.blocked.clear()
        for path in list(self.server.paths):
            path.to_cut = path.from_cut = path.held = False
            for backend in self.server.flushing:
                backend.stalled = False
            if path.process_ended:
                self.server.drop(path)
                self.server.paths.remove(path)
        self.spin()

    # --- the clients

    def come_back(self, client: ClientNode, index: int) -> None:
        """A client dials one of the gateways, if it has no connection."""
        client.index = index % len(self.nodes)
        client.connect()
        self.spin()

    # --- rest

    def settle(self) -> None:
        """As with one gateway. Something is always under way: signs of life, and heartbeats."""
        self.heal()
        self.wake_gateways()
        self.wake_applications()
        self.fill_disk(full=False)
        calm = 0.0
        for _ in range(SETTLE_ROUNDS_MAX):
            self._restart()
            for client in self.clients:
                client.connect()
            self.notice()
            self.deliver_all()
            self.finish_commits()
            calm = calm + 1.0 if self.quiet else 0.0
            if calm > CALM_SECONDS:
                return
            self.advance(1.0 if calm else 0.1)
        raise AssertionError("it does not settle")

    def _restart(self) -> None:
        for index in range(len(self.nodes)):
            self.start_gateway(index)
        if not self.applications:
            self.start_application()


def _configure(setup: ClusterSetup, index: int) -> Config:
    """The configuration of one of the gateways."""
    config = parse(f"""
        node = "{"abc"[index]}"
        [store]
        url = "{SIMULATED}"
        on_failure = "{setup.on_failure}"
        [link]
        listen = "{LINKS[index]}"
        [[listener]]
        url = "ws://127.0.0.1:{1 + 10 * index}/"
        durability = "{setup.durability.value}"
        [[listener]]
        url = "tcp://127.0.0.1:{2 + 10 * index}"
        durability = "{setup.durability.value}"
    """)
    return structs.replace(
        config,
        limits=LIMITS.but(
            store={"move_seconds_max": 0.5}, link={"remember_seconds_max": REMEMBER_SECONDS}
        ),
    )
