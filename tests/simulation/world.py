"""One gateway, one application and some clients, all of whom can die."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from unittest import mock

from holdfast.app import App
from holdfast.app.session import Session as AppSession
from holdfast.backends.hub import ANY_APP, LinkHub
from holdfast.backends.link import LinkBackend
from holdfast.client.core import Began, ClientCore, Event, Online
from holdfast.core.limits import Limits
from holdfast.core.rate import Rate
from holdfast.gateway import login
from holdfast.gateway.adapters.websocket import WebSocketAdapter, WebSocketSettings
from holdfast.gateway.attach import Attachment
from holdfast.gateway.context import Context, Door
from holdfast.gateway.cookies import SessionCookie
from holdfast.gateway.phases import Phase
from holdfast.gateway.pool import ConnectionPool
from holdfast.link.peer import connection_limits
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection
from holdfast.net.dial import DialError
from holdfast.protocols import holdfast as wire
from holdfast.protocols import websocket as ws
from holdfast.sessions.journal import Commit, Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.memory import MemoryStore
from holdfast.sessions.stores.sqlite import SQLiteFile
from tests.simulation.loop import SimLoop
from tests.simulation.network import End, Pipe

WALL = 1_700_000_000.0
COOKIE = SessionCookie("holdfast", "/", 3600, secure=False)


class Anyone:
    """The owner of a connection that is never refused."""

    def opened(self, connection: Connection) -> bool:
        return True

    def closed(self, connection: Connection) -> None:
        pass


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class Disk:
    """What survives the gateway: a store, without its thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._memory = MemoryStore()
        self._file: SQLiteFile | None = None

    def open(self) -> Stored:
        if self._path is None:
            stored: Stored = finish(self._memory.open())
            return stored
        self._file = SQLiteFile(self._path, Limits().store)
        return self._file.open()

    def commit(self, commit: Commit) -> int:
        if self._file is None:
            size: int = finish(self._memory.commit(commit.batch))
            return size
        return self._file.commit(commit.batch)

    def close(self, *, clean: bool) -> None:
        if self._file is None:
            finish(self._memory.close(clean=clean))
        else:
            self._file.close(clean=clean)


class GatewayNode:
    """One run of a gateway: the parts that `gateway.Gateway` wires, without sockets."""

    def __init__(self, world: World) -> None:
        self.world = world
        loop = world.loop
        self.clockwork = Clockwork(loop)
        links: dict[str, LinkBackend] = {}
        self.hub = LinkHub("sim", "", links, world.limits.link, self.spawn)
        self.journal = Journal(world.limits.store, self.hub.accepted)
        at_end = self.clockwork.tick.add
        self.manager = SessionManager(world.limits.session, self.journal, at_end)
        self.backend = LinkBackend(ANY_APP, self.manager, self.journal, self, at_end, world.wall)
        links[ANY_APP] = self.backend
        self.context = Context(
            limits=world.limits,
            command_rate=Rate(1e9, 10**9),
            clockwork=self.clockwork,
            wall=world.wall,
            journal=self.journal,
            manager=self.manager,
            pool=ConnectionPool(),
            spawn=self.spawn,
            counts=Counter(),
        )
        settings = WebSocketSettings(world.limits.websocket, "", (), COOKIE)
        self.door = Door(self.backend, world.durability, lambda: WebSocketAdapter(settings))
        self.tasks: set[asyncio.Task[None]] = set()
        self.ends: list[End] = []
        stored = world.disk.open()
        self.manager.restore(stored, lambda row: self.backend, world.wall())
        self.backend.remember(stored.accepted, None)
        self.clockwork.wheel.start()
        self.commit: Commit | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.world.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.world.faults.append(task.exception())

    # --- Host

    def policy_known(self) -> None:
        for session in list(self.manager.sessions.values()):
            consumer = session.consumer
            if isinstance(consumer, Attachment) and consumer.phase is Phase.LIVE:
                login.begin(consumer, session)

    def user_changed(self, session: Session) -> None:
        pass

    def deselected(self, session: Session) -> None:
        pass

    # --- life and death

    def accept_client(self) -> Connection:
        connection = Connection(self.clockwork, self.world.limits.connection, Anyone())
        connection.attach(Attachment(connection, self.context, self.door))
        return connection

    def accept_link(self) -> Connection:
        limits = connection_limits(self.world.limits.link)
        connection = Connection(self.clockwork, limits, Anyone())
        connection.attach(self.hub.handler(connection))
        return connection

    def begin_commit(self) -> None:
        if self.commit is None:
            self.commit = self.journal.collect()

    def finish_commit(self) -> None:
        if self.commit is not None:
            commit, self.commit = self.commit, None
            self.journal.committed(commit, self.world.disk.commit(commit))

    def die(self, *, stored: bool) -> None:
        """As by kill -9. `stored`: a commit under way has reached the disk, unknown to us."""
        if stored and self.commit is not None:
            self.world.disk.commit(self.commit)
        self.world.disk.close(clean=False)
        for task in list(self.tasks):
            task.cancel()
        self.clockwork.wheel.stop()


class Database:
    """What survives the application: its effects, each with its command's number."""

    def __init__(self) -> None:
        self.applied: dict[str, int] = {}
        self.effects: dict[str, list[str]] = {}


class ApplicationNode:
    """One run of an application."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = App("sim")
        self.pipe: Pipe | None = None
        self.said: list[str] = []
        app, database = self.app, world.database

        @app.on_remember
        def remember() -> dict[str, int]:
            return dict(database.applied)

        @app.on_text
        async def said(session: AppSession, text: str) -> None:
            # One transaction: the effect and its number.
            database.effects.setdefault(session.sid, []).append(text)
            database.applied[session.sid] = session.cseq
            await self.say(session, f"did {text}")

        self.task = world.loop.create_task(self._serve())

    async def say(self, session: AppSession, text: str) -> None:
        self.said.append(text)
        await session.text(text)

    async def _serve(self) -> None:
        with mock.patch("holdfast.app.linker.dial", self._dial):
            await self.app.serve("unix:sim")

    async def _dial(self, address: Any, make: Any, *, clockwork: Any, limits: Any) -> Connection:
        if self.world.gateway is None:
            raise DialError("there is no gateway")
        near = Connection(clockwork, limits, Anyone())
        near.attach(make(near))
        self.pipe = Pipe(self.world.loop)
        self.world.pipes.append(self.pipe)
        self.pipe.connect(near, self.world.gateway.accept_link())
        return near

    def die(self) -> None:
        """As by kill -9: nothing is flushed, nobody is told but by the network."""
        if self.pipe is not None:
            self.pipe.near.outgoing.clear()
            self.pipe.near.gone = True
        self.task.cancel()


class Ghost:
    """Nobody, at the end of a connection that was forgotten."""

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, cause: Exception | None) -> None:
        pass


class ClientNode:
    """One person's client, on the real core; it lives as long as the world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.core = ClientCore()
        self.typed: list[str] = []
        self.shown: list[str] = []
        """Outputs since the last time that it had to begin afresh."""
        self.resets: list[str] = []
        self.pipe: Pipe | None = None
        self.slept_on: list[Pipe] = []
        """Connections that are still open, and nobody's any more."""
        self.sealed: list[bytearray] = []
        """What the gateway wrote to those after a newer one attached."""
        self._ws: ws.ClientConnection
        self.transport: Any = None

    def type(self, text: str) -> None:
        self.typed.append(text)
        self.core.command(text)
        self.send()

    def connect(self) -> None:
        if self.pipe is not None or self.world.gateway is None:
            return
        self.pipe = Pipe(self.world.loop)
        self.world.pipes.append(self.pipe)
        offer = ws.Offer("sim", "/", (wire.SUBPROTOCOL,))
        self._ws = ws.ClientConnection(self.world.limits.websocket, offer, bytes)
        self.pipe.connect(self, self.world.gateway.accept_client())

    def hang_up(self) -> None:
        """The client's side notices that the network failed, and may dial again."""
        if self.pipe is not None:
            self.pipe.break_()
            self.pipe = None
            self.core.online = False

    def doze(self) -> None:
        """Forget the connection without closing it, as a phone does that falls asleep."""
        if self.pipe is not None:
            self.pipe.near.protocol = Ghost()
            self.slept_on.append(self.pipe)
            self.pipe = None
            self.core.online = False

    def send(self) -> None:
        if self.pipe is None:
            return
        if self._ws.state is ws.State.OPEN:
            for message in self.core.take():
                self._ws.queue(self._ws.encode_text(message))
        self.transport.write(self._ws.data_to_send())

    # --- the protocol on its end of the pipe

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def data_received(self, data: bytes) -> None:
        try:
            events = self._ws.receive_data(data)
        except ws.HandshakeError:  # the gateway's patience with half a handshake has ended
            self.transport.close()
            return
        for event in events:
            if isinstance(event, ws.Response):
                self.core.connected()
            elif isinstance(event, str):
                for found in self.core.receive(event):
                    self._take(found)
        self.send()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, cause: Exception | None) -> None:
        self.pipe = None
        self.core.online = False

    def _take(self, event: Event) -> None:
        match event:
            case wire.Text(n, text):
                self.world.see(self.core.state.epoch, n, text)
                self.shown.append(text)
            case Online():
                for pipe in self.slept_on:
                    pipe.far.seal = bytearray()
                    self.sealed.append(pipe.far.seal)
                self.slept_on.clear()
            case Began(reason):
                self.resets.append(reason)
                self.shown.clear()
            case _:
                pass


class World:
    """Everything, and the rules that must hold whatever happens."""

    def __init__(self, durability: Durability, *, on_disk: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="holdfast-sim-") if on_disk else None
        path = Path(self._folder.name) / "sessions.db" if self._folder is not None else None
        self.loop = SimLoop()
        asyncio.set_event_loop(self.loop)
        self.durability = durability
        self.limits = Limits().but(
            store={"journal_bytes_max": 2_000, "snapshot_bytes_max": 300},
            session={"window_messages_max": 20, "queue_messages_max": 8},
        )
        self.disk = Disk(path)
        self.database = Database()
        self.faults: list[BaseException | None] = []
        self.pipes: list[Pipe] = []
        self.cells: dict[tuple[str, int], str] = {}
        self.gateway: GatewayNode | None = GatewayNode(self)
        self.application: ApplicationNode | None = ApplicationNode(self)
        self.clients: list[ClientNode] = [ClientNode(self)]
        self.loop.spin()

    def wall(self) -> float:
        return WALL + self.loop.time()

    def see(self, epoch: str, n: int, text: str) -> None:
        """S5: never the same (epoch, number) for two contents."""
        assert self.cells.setdefault((epoch, n), text) == text, (epoch, n)

    # --- what can happen

    def kill_gateway(self, *, stored: bool) -> None:
        if self.gateway is None:
            return
        self.gateway.die(stored=stored)
        self.gateway = None
        for pipe in self.pipes:
            # The kernel closes a dead process's sockets: its peers notice.
            pipe.far.gone = True
            pipe.far.outgoing.clear()
        self.loop.spin()

    def start_gateway(self) -> None:
        if self.gateway is None:
            self.gateway = GatewayNode(self)
            self.loop.spin()

    def kill_application(self) -> None:
        if self.application is not None:
            self.application.die()
            self.application = None
            self.loop.spin()

    def start_application(self) -> None:
        if self.application is None:
            self.application = ApplicationNode(self)
            self.loop.spin()

    def deliver(self, index: int, count: int | None, *, to_far: bool) -> None:
        """Some bytes arrive at one end of one pipe."""
        live = [pipe for pipe in self.pipes if not pipe.cut]
        if live:
            pipe = live[index % len(live)]
            (pipe.far if to_far else pipe.near).arrive(count)
            self.loop.spin()

    def notice(self) -> None:
        """The gateway notices which of its connections are broken."""
        for pipe in self.pipes:
            if pipe.cut and not pipe.far.gone:
                pipe.far.lose(ConnectionResetError())
        self.loop.spin()

    def settle(self) -> None:
        """Everyone comes back, and everything arrives."""
        self.start_gateway()
        self.start_application()
        for _ in range(300):
            for client in self.clients:
                client.connect()
            moved = self._move_everything()
            assert self.gateway is not None
            if not self.gateway.journal.idle or self.gateway.commit is not None:
                self.gateway.begin_commit()
                self.gateway.finish_commit()
                moved = True
            self.loop.spin()
            if not moved and all(client.core.online for client in self.clients):
                if self._quiet():
                    return
                self.loop.advance(6.0)
            elif not moved:
                self.loop.advance(6.0)
        raise AssertionError("it does not settle")

    def _move_everything(self) -> bool:
        moved = False
        self.notice()
        for pipe in list(self.pipes):
            for end in (pipe.far, pipe.near):
                moved = end.arrive() or moved
                self.loop.spin()
        self.pipes = [pipe for pipe in self.pipes if not (pipe.near.gone and pipe.far.gone)]
        return moved

    def _quiet(self) -> bool:
        """Whether nobody waits for anybody."""
        assert self.application is not None
        assert self.gateway is not None
        app = self.application.app
        sessions = self.gateway.manager.sessions.values()
        return (
            all(not client.core.state.pending for client in self.clients)
            and all(not session.inbox.entries for session in sessions)
            and app.outgoing.idle
            and app.dispatcher.idle
        )

    # --- what must hold

    def check(self) -> None:
        assert not self.faults, self.faults
        for client in self.clients:
            effects = self.database.effects.get(client.core.state.sid, [])
            # S2: each command is applied once, and in order.
            assert effects == client.typed[: len(effects)], (effects, client.typed)
            # S1, beside what the client's core checks of the numbers: no repeat, no swap.
            for kind in ("did c", "o"):
                said = [
                    int(text.removeprefix(kind)) for text in client.shown if text.startswith(kind)
                ]
                assert said == sorted(set(said)), client.shown
            # S3: an older connection is not written to after a newer one attached.
            for written in client.sealed:
                assert b'"t":"text"' not in written, "an older connection was written to"
        if self.gateway is not None:
            limits = self.limits.session
            for session in self.gateway.manager.sessions.values():
                # S6: memory stays under its caps.
                assert len(session.inbox.entries) <= limits.queue_messages_max
                if session.consumer is None:
                    assert len(session.out.entries) <= limits.window_messages_max

    def close(self) -> None:
        for node in (self.application, self.gateway):
            if node is not None:
                if isinstance(node, GatewayNode):
                    node.die(stored=False)
                else:
                    node.die()
        self.loop.spin()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.spin()
        asyncio.set_event_loop(None)
        self.loop.close()
        if self._folder is not None:
            self._folder.cleanup()
