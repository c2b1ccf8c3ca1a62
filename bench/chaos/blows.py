"""What is done to the programs, again and again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.postgresql import Cluster

from bench.chaos import programs
from bench.chaos.plan import Plan
from bench.chaos.programs import Ports, Program

_GONE_SECONDS_MAX = 60.0
_UP_SECONDS_MAX = 120.0


class Kill(NamedTuple):
    """One of several gateways was killed."""

    at: float
    """By the monotonic clock."""
    seen: bool
    """Whether the others could see at once that it has ended."""


class Database(NamedTuple):
    """The one that several gateways share."""

    cluster: Cluster
    name: str

    @property
    def url(self) -> str:
        return self.cluster.url(self.name)

    async def hide(self, node: str) -> None:
        """Let the other gateways believe that this one is on another machine."""
        statement = f"UPDATE holdfast.node SET host = 'elsewhere' WHERE name = '{node}'"
        await self.cluster.run(self.name, statement)


class Stage:
    """The programs of a run: a gateway at each of the `ports`."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        ports: Sequence[Ports],
        tasks: asyncio.TaskGroup,
        database: Database | None,
    ) -> None:
        self.plan = plan
        url = database.url if database is not None else ""
        self.gateways = [
            programs.gateway(folder, plan, node, each, url) for node, each in enumerate(ports)
        ]
        self.applications: list[Program] = []
        self.kills: list[Kill] = []
        self.restarts = 0
        """How often a gateway was started again because it had ended, killed or not."""
        self._started = 0
        """How many instances of the application were started."""
        self._database = database
        self._folder = folder
        self._tasks = tasks
        self._closing = False

    async def open(self) -> None:
        """Start all of them."""
        async with asyncio.TaskGroup() as starting:
            for gateway in self.gateways:
                starting.create_task(self._start(gateway))
        if self.plan.target == "node":
            for gateway in self.gateways:
                self._tasks.create_task(self._supervise(gateway))
        for _ in range(self.plan.instances):
            await self.add()

    async def add(self) -> None:
        """Start one more instance of the application."""
        program = programs.application(self._folder, self.plan, self._started)
        self._started += 1
        self.applications.append(program)
        await self._start(program)
        if self.plan.target == "poison":
            self._tasks.create_task(self._supervise(program))

    async def close(self) -> None:
        """Kill all of them."""
        self._closing = True
        for program in (*self.applications, *self.gateways):
            await program.kill()

    @property
    def nodes_ended(self) -> int:
        """How many gateways do not run now."""
        return sum(not gateway.runs for gateway in self.gateways)

    async def strike(self) -> None:
        """Do once what the plan says."""
        match self.plan.target:
            case "application":
                await self._kill(self.applications[0])
            case "gateway":
                await self._kill(self.gateways[0])
            case "node":
                await self._kill_node(random.randrange(len(self.gateways)))
            case "deploy":
                await self._deploy()
            case "rolling":
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._restart_all())
                    both.create_task(self._deploy_all())
            case "database":
                await self._lose_database()
            case "freeze":
                await self._freeze(random.choice(self.applications))
            case "replay" | "poison":
                pass  # the clients do it

    async def _deploy(self) -> None:
        """Replace the oldest instance of the application."""
        await self.add()
        await self.applications.pop(0).stop()

    async def _deploy_all(self) -> None:
        for _ in range(self.plan.instances):
            await self._deploy()

    async def _restart_all(self) -> None:
        for gateway in self.gateways:
            await gateway.stop()
            await self._start(gateway)

    async def _lose_database(self) -> None:
        assert self._database is not None
        cluster = self._database.cluster
        await asyncio.to_thread(cluster.stop)
        await asyncio.sleep(self.plan.away_seconds)
        await asyncio.to_thread(cluster.start_again)

    async def _freeze(self, victim: Program) -> None:
        """Let it stand still until the gateway has given its sessions to another."""
        gone = self.gateways[0].instance_gone
        gone.clear()
        victim.freeze()
        try:
            async with asyncio.timeout(self.plan.frozen_seconds + _GONE_SECONDS_MAX):
                await asyncio.sleep(self.plan.frozen_seconds)
                await gone.wait()
        finally:
            victim.wake()

    async def _kill(self, victim: Program) -> None:
        await victim.kill()
        await self._start(victim)

    async def _kill_node(self, node: int) -> None:
        """Kill one of several gateways, and wait until it is there again."""
        victim, seen = self.gateways[node], len(self.kills) % 2 == 0
        await self._up(victim)  # it may have ended by itself
        if not seen:
            assert self._database is not None
            await self._database.hide(programs.node_name(node))
        self.kills.append(Kill(time.monotonic(), seen))
        await victim.kill()
        await self._up(victim)

    async def _up(self, program: Program) -> None:
        async with asyncio.timeout(_UP_SECONDS_MAX):
            await program.up.wait()

    async def _supervise(self, program: Program) -> None:
        """Start it again whenever it ends."""
        while True:
            await program.ended()
            if self._closing:
                return
            program.up.clear()
            self.restarts += program in self.gateways
            await self._start(program)

    async def _start(self, program: Program) -> None:
        await program.start()
        self._tasks.create_task(program.drain_log())
