"""The processes of `holdfast demo`: a gateway and an application, each started again when it ends.

This process holds the listening sockets: clients that come while the gateway is away wait in
them for the next one. Its robot is a client like others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import typer

from holdfast.backends.link.server_config import LinkConfig
from holdfast.cli.output import EXIT_FAILED
from holdfast.cli.readiness import hearing
from holdfast.cli.supervise import Child, Supervisor, link_environment
from holdfast.demo import control
from holdfast.demo.robot import Robot
from holdfast.net.runtime.loop import unwrapped
from holdfast.net.server.inherited import notify
from holdfast.net.server.service import signals

_CHAT: Final = ("-m", "holdfast.demo.chat")


class Processes:
    """Runs all of the demo until SIGINT, SIGTERM or SIGHUP; a second signal hurries the gateway.

    `gateway` is the command of the gateway's process, which inherits `sockets` and listens for
    the application at `link`. `started` is called once the first gateway is ready, before the
    application is started, and `says` with what a user is told of processes.
    """

    def __init__(
        self,
        gateway: Sequence[str],
        sockets: Sequence[int],
        link: LinkConfig,
        log_level: str,
        started: Callable[[], None],
        says: Callable[[str], None],
    ) -> None:
        self._gateway = Child(
            gateway, self._started, name="gateway", files=sockets, ended=self._ended
        )
        self._application = Supervisor(
            Child(_CHAT, lambda pid: says(f"The chat itself is process {pid}.")),
            link_environment(link, log_level),
        )
        self._tell = started
        self._says = says
        self._pid = 0
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self, robot_at: str, token: str, close: Callable[[], None]) -> None:
        """Run it, with a robot at the gateway's URL `robot_at` if there is a `token`.

        Calls `close` when no more clients are wanted. Raises `typer.Exit` with the exit code of a
        gateway that could not start.
        """
        with unwrapped(), hearing(self._is_ready) as environment:
            gateway = Supervisor(self._gateway, environment)

            def stop() -> None:
                if self._stopping.is_set():
                    gateway.terminate()
                self._stopping.set()

            with signals(stop, None):
                async with asyncio.TaskGroup() as tasks:
                    serving = tasks.create_task(gateway.run())
                    behind = tasks.create_task(self._behind(gateway, robot_at, token))
                    await self._stopping.wait()
                    close()
                    serving.cancel()  # it tells the clients, which takes the application, too
                    await asyncio.wait([serving])
                    behind.cancel()

    async def _behind(self, gateway: Supervisor, robot_at: str, token: str) -> None:
        """Run the application and the robot, once there is a gateway."""
        await self._ready.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._application.run())
            if token:
                acts = {
                    control.KILL_APPLICATION: self._application.kill,
                    control.KILL_GATEWAY: gateway.kill,
                }
                tasks.create_task(Robot(robot_at, token, acts).run())

    def _started(self, pid: int) -> None:
        self._pid = pid

    def _is_ready(self) -> None:
        if not self._ready.is_set():
            self._tell()
            notify("READY=1")
        self._ready.set()
        self._says(f"The gateway itself is process {self._pid}.")

    def _ended(self, code: int) -> None:
        if not self._ready.is_set():
            raise typer.Exit(code if code > 0 else EXIT_FAILED)
