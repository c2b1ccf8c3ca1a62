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

    def __init__(
        self, command: Sequence[str], ready: str, variables: dict[str, str], log: str = ""
    ) -> None:
        """`log` is the path of a file that gets its log, which is not kept otherwise."""
        self._command = command
        self._ready = ready
        self._environment = {**os.environ, **variables}
        self._process: asyncio.subprocess.Process | None = None
        self._log = bytearray()
        self._log_file = open(log, "ab", buffering=0) if log else None  # noqa: SIM115
        self.up = asyncio.Event()
        """Set while it is ready."""
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
                self._keep(line)
                if self._ready.encode() in line:
                    self.up.set()
                    return
        raise RuntimeError(f"{self._command}: {self._log.decode(errors='replace')[-2000:]}")

    async def drain_log(self) -> None:
        """Read the log, so that the program is never held up by it."""
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._keep(line)
            if b"application unlinked" in line:
                self.instance_gone.set()

    def _keep(self, line: bytes) -> None:
        if self._log_file is not None:
            self._log_file.write(line)

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

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
        self.up.clear()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


class Ports(NamedTuple):
    """Where clients come in."""

    web: int
    lines: int
    tls: int


def gateway(folder: Path, plan: Plan, node: int, ports: Ports, database: str) -> Program:
    """A gateway of a plan. `database` is the URL of the database that it shares, if it does."""
    config = _configure(folder, plan, node, ports, database)
    return Program(
        [*HOLDFAST, "serve", str(config)],
        "listening for applications",
        {},
        _log(plan, node_name(node)),
    )


def node_name(node: int) -> str:
    """The name of a gateway."""
    return f"node{node}"


def _log(plan: Plan, name: str) -> str:
    return f"{plan.logs}/{plan.target}-{plan.durability}-{name}.log" if plan.logs else ""


def application(folder: Path, plan: Plan, number: int) -> Program:
    """An instance of the application."""
    log = _log(plan, f"application{number}")
    links = (_link(folder, node) for node in range(plan.nodes))
    variables = {
        "HOLDFAST_LINK": " ".join(links),
        "HOLDFAST_LEDGER": str(folder / "ledger.db"),
        "HOLDFAST_TICK_SECONDS": str(plan.tick_seconds),
    }
    return Program([PYTHON, str(HERE / "apps" / "ledger.py")], "linked", variables, log)


def free_ports() -> Ports:
    """Ports at which nobody listens."""
    return Ports(*(free_port() for _ in Ports._fields))


def _link(folder: Path, node: int) -> str:
    return f"unix:{folder}/link{node}.sock"


def _configure(folder: Path, plan: Plan, node: int, ports: Ports, database: str) -> Path:
    path = folder / f"{node_name(node)}.toml"
    place = f'url = "{database}"' if database else f'path = "{folder}/sessions.db"'
    store = f"[store]\n{place}" if plan.durability != "memory" else ""
    secure = _secure_listener(folder, plan, ports) if plan.target == "replay" else ""
    heartbeat = _HEARTBEAT_SECONDS if plan.target == "freeze" else 15.0
    path.write_text(f"""
        node = "{node_name(node)}"
        {store}
        [link]
        listen = "{_link(folder, node)}"
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
