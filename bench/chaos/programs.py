"""The programs of a run, as processes, and their configuration."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.ports import free_port

from bench.chaos.plan import Plan
from bench.harness import HERE, HOLDFAST, PYTHON

_READY_SECONDS_MAX = 60.0
_STOP_SECONDS_MAX = 30.0
_HEARTBEAT_SECONDS = 1.0
"""Where an instance stands still for longer than three of them, its sessions move."""


class Program:
    """A child process that can be killed and started again."""

    def __init__(self, command: Sequence[str], ready: str, variables: dict[str, str]) -> None:
        self._command = command
        self._ready = ready
        self._environment = {**os.environ, **variables}
        self._process: asyncio.subprocess.Process | None = None
        self._log = bytearray()
        self.instance_gone = asyncio.Event()
        """Set when its log says that an instance of the application is gone."""

    async def start(self) -> None:
        """Start it, and wait until its log says that it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(_READY_SECONDS_MAX):
            while line := await self._process.stderr.readline():
                self._log += line
                if self._ready.encode() in line:
                    return
        raise RuntimeError(f"{self._command}: {self._log.decode(errors='replace')[-2000:]}")

    async def drain_log(self) -> None:
        """Read the log, so that the program is never held up by it."""
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            if b"application unlinked" in line:
                self.instance_gone.set()

    async def stop(self) -> None:
        """Ask it to stop in an orderly way, and wait until it has."""
        assert self._process is not None
        self._process.terminate()
        async with asyncio.timeout(_STOP_SECONDS_MAX):
            await self._process.wait()

    def freeze(self) -> None:
        """Let it stand still."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def ended(self) -> None:
        """Wait until it has ended by itself."""
        assert self._process is not None
        await self._process.wait()

    async def kill(self) -> None:
        """Kill it as nothing can prepare for."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


class Ports(NamedTuple):
    """Where clients come in."""

    web: int
    lines: int
    tls: int


def gateway(folder: Path, plan: Plan, ports: Ports) -> Program:
    """The gateway of a plan."""
    config = _configure(folder, plan, ports)
    return Program([*HOLDFAST, "serve", str(config)], "listening for applications", {})


def application(folder: Path) -> Program:
    """An instance of the application."""
    variables = {
        "HOLDFAST_LINK": f"unix:{folder}/link.sock",
        "HOLDFAST_LEDGER": str(folder / "ledger.db"),
    }
    return Program([PYTHON, str(HERE / "apps" / "ledger.py")], "linked", variables)


def free_ports() -> Ports:
    """Ports at which nobody listens."""
    return Ports(*(free_port() for _ in Ports._fields))


def _configure(folder: Path, plan: Plan, ports: Ports) -> Path:
    path = folder / "gateway.toml"
    store = f'[store]\npath = "{folder}/sessions.db"' if plan.durability != "memory" else ""
    secure = _secure_listener(folder, plan, ports) if plan.target == "replay" else ""
    heartbeat = _HEARTBEAT_SECONDS if plan.target == "freeze" else 15.0
    path.write_text(f"""
        {store}
        [link]
        listen = "unix:{folder}/link.sock"
        [[listener]]
        url = "ws://127.0.0.1:{ports.web}/"
        durability = "{plan.durability}"
        [[listener]]
        url = "tcp://127.0.0.1:{ports.lines}"
        durability = "{plan.durability}"
        {secure}
        [limits.session]
        attach_failure_burst_max = 100000
        node_attach_failure_burst_max = 100000
        window_messages_max = 4096
        window_bytes_max = 1048576
        queue_messages_max = 1024
        [limits.link]
        heartbeat_seconds_max = {heartbeat}
    """)
    return path


def _secure_listener(folder: Path, plan: Plan, ports: Ports) -> str:
    import trustme  # only here: the other plans run without it

    pair = trustme.CA().issue_cert("127.0.0.1")
    pair.private_key_pem.write_to_path(folder / "key.pem")
    pair.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return f"""
        [[listener]]
        url = "tls://127.0.0.1:{ports.tls}"
        durability = "{plan.durability}"
        certificate = {{ cert = "{folder}/cert.pem", key = "{folder}/key.pem" }}
    """
