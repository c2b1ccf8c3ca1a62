"""The simulated world: a gateway, instances of an application and clients, all of whom can die."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import structlog
from msgspec import Struct, structs

from holdfast.app.outgoing import Outgoing
from holdfast.backends.link import backend
from holdfast.backends.link.instance import Instance
from holdfast.gateway.config import Config, parse
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from tests.simulation.application import ApplicationNode, Database, texts_of
from tests.simulation.clients.base import ClientNode
from tests.simulation.clients.counting import CountingClient
from tests.simulation.clients.lines import ADDRESSES as LINES
from tests.simulation.clients.web import ADDRESSES as WEB
from tests.simulation.disk import Disk
from tests.simulation.gateway import GatewayNode
from tests.simulation.limits import LIMITS
from tests.simulation.loop import Time
from tests.simulation.network import Network
from tests.simulation.process import Process

LINK = "unix:sim"
WALL = 1_700_000_000.0
_TURNS_MAX = 2_000
_ROUNDS_MAX = 400


class Setup(Struct, frozen=True):
    """Which world it is."""

    durability: Durability = Durability.FAST
    on_disk: bool = False
    """Whether the store is a SQLite file."""
    clients: tuple[type[ClientNode], ...] = (CountingClient,)
    on_failure: str = "refuse"
    """What the gateway does while the store is not writable."""
    goes_back: bool = False
    """Whether the store may be replaced by an older copy of it."""
    compares: bool = True
    """Whether the application's transaction looks whether another instance has done the command."""
    instances: int = 1
    """How many instances of the application run at most."""

    def __str__(self) -> str:
        kinds = "-".join(kind.__name__ for kind in self.clients)
        goes = ["back"] if self.goes_back else []
        words = [*goes, self.durability.value, self.on_failure, kinds, f"{self.instances}"]
        return "-".join(words if self.compares else [*words, "naive"])

    @property
    def stored(self) -> bool:
        """Whether there is a store."""
        return self.durability is not Durability.MEMORY


class World:
    """Everything, and what can happen to it. `rules` says what must hold."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._cleanup = ExitStack()
        self.time = Time()
        self.faults: list[MutableMapping[str, Any]] = []
        """Defects: what the code that ships has logged with a traceback, what a callback of any
        loop has raised, and broken rules that a client has noticed."""
        self.network = Network()
        self.people = Process(self.time, self.faults)
        """Where the clients run, who do not die."""
        self.config = _configure(setup)
        self.disk = Disk(self._path())
        self.database = Database(compares=setup.compares)
        self.unpromised = False
        """Whether a gateway was killed while it went on without its store, as it was told to do:
        what was said then is gone, and nobody is left who knows."""
        self.cells: dict[tuple[str, int], str] = {}
        self._log()
        self._cleanup.enter_context(mock.patch("holdfast.app.link_client.dial", self._dial))
        refuses = type("Instance", (Instance,), {"__slots__": (), "refuse": self._refuse})
        self._cleanup.enter_context(mock.patch.object(backend, "Instance", refuses))
        self._cleanup.enter_context(mock.patch.object(Outgoing, "accepted", self._accepted))
        self.applications: list[ApplicationNode] = []
        self._open()
        self._begun = 0
        for _ in range(setup.instances):
            self.start_application()
        self.clients: list[ClientNode] = [
            kind(self, chr(ord("a") + number)) for number, kind in enumerate(setup.clients)
        ]
        self.spin()

    def _open(self) -> None:
        """Start the first gateways."""
        self.gateway: GatewayNode | None = GatewayNode(self, self.config)

    @property
    def links(self) -> list[str]:
        """Where applications find a gateway."""
        return [LINK]

    @property
    def gateways(self) -> Sequence[GatewayNode]:
        """Those that run, or are stopped."""
        return [self.gateway] if self.gateway is not None else []

    @property
    def sessions(self) -> list[Session]:
        """Of all gateways, as far as they are loaded."""
        return [
            session for node in self.gateways for session in node.gateway.manager.sessions.values()
        ]

    def _path(self) -> Path | None:
        if not self.setup.on_disk:
            return None
        name = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-sim-"))
        return Path(name) / "sessions.db"

    def _log(self) -> None:
        before = structlog.get_config()
        self._cleanup.callback(lambda: structlog.configure(**before))
        structlog.configure(
            processors=[self._note],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            cache_logger_on_first_use=False,
        )

    def _note(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        if "traceback" in event:
            self.faults.append(event)
        raise structlog.DropEvent

    async def _dial(self, *args: Any, **options: Any) -> Any:
        processes = (node.process for node in self.applications)
        return await self.network.dial_for(*args, **options, processes=processes)

    @property
    def _refuse(self) -> Any:
        """`Instance.refuse`, with a note of what is refused."""
        honest = Instance.refuse

        def refuse(instance: Instance, number: int, fault: str, *, unknown: bool = False) -> None:
            if not unknown:
                self._note_refused(instance.name, number)
            honest(instance, number, fault, unknown=unknown)

        return refuse

    @property
    def _accepted(self) -> Any:
        """`Outgoing.accepted`, with a note of what is accepted."""
        honest = Outgoing.accepted

        def accepted(outgoing: Outgoing, upto: int) -> None:
            texts = [text for number, text in texts_of(outgoing) if number <= upto]
            honest(outgoing, upto)
            loop = asyncio.get_running_loop()
            for node in self.applications:
                if texts and node.process.loop is loop:
                    node.accepted(outgoing, texts)

        return accepted

    def _note_refused(self, instance: str, number: int) -> None:
        loop = asyncio.get_running_loop()
        (name,) = [node.config.node for node in self.gateways if node.process.loop is loop]
        for node in self.applications:
            if node.app.instance == instance:
                node.refused(name, number)

    def wall(self) -> float:
        return WALL + self.time.now

    def see(self, epoch: str, n: int, text: str) -> None:
        """S5: never the same (epoch, number) for two contents."""
        assert self.cells.setdefault((epoch, n), text) == text, (epoch, n)

    # --- time

    @property
    def processes(self) -> list[Process]:
        """All that run."""
        found = [node.process for node in self.applications if node.process.runs]
        found += [node.process for node in self.gateways if node.process.runs]
        return [self.people, *found] if self.people.runs else found

    def spin(self) -> None:
        """Let everybody do what can be done now."""
        for _ in range(_TURNS_MAX):
            due = [process for process in self.processes if process.loop.due]
            if not due:
                return
            for process in due:
                process.loop.spin()
            self._reap()
        raise AssertionError("the world does not come to rest")

    def _reap(self) -> None:
        """Whoever has ended by itself is gone."""
        for node in [node for node in self.applications if node.task.done()]:
            self.applications.remove(node)
            node.doubt()
            if error := node.task.exception():
                self.faults.append({"event": "an application has failed", "error": error})
            node.process.kill()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, in steps that fire each timer in its order."""
        end = self.time.now + seconds
        while True:
            due = min((one.loop.next_timer for one in self.processes), default=end)
            if due >= end:
                break
            self.time.now = max(self.time.now, due) + 1e-6
            self.spin()
        self.time.now = end
        self.spin()

    # --- what can happen to the gateway

    def kill_gateway(self, *, stored: bool) -> None:
        if self.gateway is not None:
            self.unpromised = self.unpromised or self.gateway.gateway.journal.degraded
            self.gateway.die(stored=stored)
            self.gateway = None
            self.spin()

    def start_gateway(self) -> None:
        if self.gateway is None:
            self.gateway = GatewayNode(self, self.config)
            self.spin()

    def finish_commit(self) -> bool:
        """The commit under way ends. False if there is none."""
        finished = self.gateway is not None and self.gateway.finish_commit()
        self.spin()
        return finished

    def copy_store(self) -> None:
        """A backup is made, while no gateway runs."""
        if self.setup.goes_back and self.gateway is None:
            self.disk.copy()

    def go_back(self) -> None:
        """The backup is restored, while no gateway runs."""
        if self.setup.goes_back and self.gateway is None:
            self.disk.go_back()

    def fill_disk(self, *, full: bool) -> None:
        """From here on the store refuses every commit, or none."""
        self.disk.full = full

    # --- what can happen to the application

    def start_application(self) -> None:
        if len(self.applications) < self.setup.instances:
            self._begun += 1
            self.applications.append(ApplicationNode(self, f"i{self._begun}"))
            self.spin()

    def application(self, index: int) -> ApplicationNode | None:
        """One of the instances that are there."""
        return self.applications[index % len(self.applications)] if self.applications else None

    def kill_application(self, index: int) -> None:
        node = self.application(index)
        if node is not None:
            self.applications.remove(node)
            node.die()
            self.spin()

    def stop_application(self, index: int) -> None:
        """An instance is asked to stop in an orderly way, as by a deploy."""
        node = self.application(index)
        if node is not None:
            node.stop()
            self.spin()

    def freeze_application(self, index: int) -> None:
        """An instance is stopped as by SIGSTOP."""
        node = self.application(index)
        if node is not None:
            node.freeze()

    def wake_applications(self) -> None:
        """Every stopped instance goes on."""
        for node in self.applications:
            node.process.frozen = False
        self.spin()

    def cut_link(self, index: int) -> None:
        """The connection of an instance to the gateway breaks, and nobody dies."""
        self.network.cut(index, self.links)

    def say(self, instance: int, session: int) -> None:
        """An instance speaks unasked to one of its sessions."""
        node = self.application(instance)
        if node is not None:
            node.speak(session)
            self.spin()

    # --- what can happen to the clients and the network

    def client(self, index: int) -> ClientNode:
        """One of the clients."""
        return self.clients[index % len(self.clients)]

    def deliver(self, index: int, count: int | None, *, to_far: bool) -> None:
        """Some bytes arrive at one end of one pipe."""
        live = [pipe for pipe in self.network.pipes if not pipe.cut]
        if live:
            pipe = live[index % len(live)]
            (pipe.far if to_far else pipe.near).arrive(count)
            self.spin()

    def deliver_all(self) -> bool:
        """Every byte under way arrives. Whether there was any."""
        moved = self.network.move()
        self.spin()
        return moved

    def notice(self) -> None:
        """Everybody notices which connections are broken."""
        self.network.notice()
        self.spin()

    def settle(self) -> None:
        """Everyone comes back, and everything arrives."""
        self.wake_applications()
        self.fill_disk(full=False)
        pause = 0.1
        for _ in range(_ROUNDS_MAX):
            self._restart()
            for client in self.clients:
                client.connect()
            self.notice()
            moved = self.deliver_all()
            if self.finish_commit() or moved:
                pause = 0.1
                self.advance(0.05)  # whoever is refused tries again after a while
                continue
            if pause > 6.0 and self.quiet:
                return
            self.advance(pause)
            pause = min(pause * 3, 6.1)
        raise AssertionError("it does not settle")

    def _restart(self) -> None:
        """Whoever has to be there is there."""
        self.start_gateway()
        if not self.applications:
            self.start_application()

    @property
    def quiet(self) -> bool:
        """Whether nobody waits for anybody."""
        return (
            all(client.settled for client in self.clients)
            and all(node.idle for node in self.gateways)
            and all(not session.inbox.entries for session in self.sessions)
            and all(node.idle for node in self.applications)
        )

    def close(self) -> None:
        for node in self.applications:
            node.die()
        self.applications.clear()
        for gateway in self.gateways:
            gateway.die(stored=False)
        self.people.kill()
        self._cleanup.close()


def _configure(setup: Setup) -> Config:
    """The gateway's configuration: a file's, with limits that are soon reached."""
    store = f'[store]\npath = "nowhere.db"\non_failure = "{setup.on_failure}"'
    config = parse(f"""
        {store if setup.stored else ""}
        [link]
        listen = "{LINK}"
        [[listener]]
        url = "{WEB[0]}"
        durability = "{setup.durability.value}"
        [[listener]]
        url = "{LINES[0]}"
        durability = "{setup.durability.value}"
    """)
    return structs.replace(config, limits=LIMITS)
