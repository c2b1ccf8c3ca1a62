"""What is done to the programs, again and again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from bench.chaos import programs
from bench.chaos.plan import Plan
from bench.chaos.programs import Ports, Program

_GONE_SECONDS_MAX = 60.0


class Stage:
    """The programs of a run."""

    def __init__(self, folder: Path, plan: Plan, ports: Ports, tasks: asyncio.TaskGroup) -> None:
        self.plan = plan
        self.gateway = programs.gateway(folder, plan, ports)
        self.applications: list[Program] = []
        self._folder = folder
        self._tasks = tasks
        self._closing = False

    async def open(self) -> None:
        """Start all of them."""
        await self._start(self.gateway)
        for _ in range(self.plan.instances):
            await self.add()

    async def add(self) -> None:
        """Start one more instance of the application."""
        program = programs.application(self._folder)
        self.applications.append(program)
        await self._start(program)
        if self.plan.target == "poison":
            self._tasks.create_task(self._supervise(program))

    async def close(self) -> None:
        """Kill all of them."""
        self._closing = True
        for program in (*self.applications, self.gateway):
            await program.kill()

    async def strike(self) -> None:
        """Do once what the plan says."""
        match self.plan.target:
            case "application":
                await self._kill(self.applications[0])
            case "gateway":
                await self._kill(self.gateway)
            case "deploy":
                await self.add()
                await self.applications.pop(0).stop()
            case "freeze":
                await self._freeze(random.choice(self.applications))
            case "replay" | "poison":
                pass  # the clients do it

    async def _freeze(self, victim: Program) -> None:
        """Let it stand still until the gateway has given its sessions to another."""
        gone = self.gateway.instance_gone
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

    async def _supervise(self, program: Program) -> None:
        """Start it again whenever it ends."""
        while True:
            await program.ended()
            if self._closing:
                return
            await self._start(program)

    async def _start(self, program: Program) -> None:
        await program.start()
        self._tasks.create_task(program.drain_log())
