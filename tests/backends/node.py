"""A gateway's half of the link without its clients: real sessions, journal, hub and sockets.

The other half is an `AppEnd`: what an application in any language would be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.net.helpers import patience

from holdfast.backends.base import Services
from holdfast.backends.link.backend import LinkBackend
from holdfast.backends.link.secrets import Secrets
from holdfast.backends.link.server import LinkServer
from holdfast.core.errors import Reason
from holdfast.core.items import Interrupt, Notice, Output, Text
from holdfast.core.limits import Limits
from holdfast.link import messages as m
from holdfast.link.peer import Dispatch, Peer, connection_limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.dial.dial import dial
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.security_log import SecurityLog
from holdfast.net.server.server import Server
from holdfast.sessions.inbox import Verdict
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.port import SessionPort
from holdfast.sessions.records import Batch
from holdfast.sessions.session import Session, SessionBackend
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.stores.memory import MemoryStore

T = TypeVar("T")

SECRET = "s3cret"


class Client:
    """What a session writes to: it keeps everything it is given."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.outputs: list[Output | None] = []
        self.shown: list[Output] = []
        self.closed: list[Reason] = []
        self.modes: list[str] = []
        self._showed = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [output.text for output in self.outputs if isinstance(output, Text)]

    @property
    def notices(self) -> list[Notice]:
        return [item for item in self.shown if isinstance(item, Notice)]

    def deliver(self) -> None:
        out = self.session.out
        if self.session.deliverable() > out.sent:
            self.outputs += out.take(self.session.deliverable())[1]

    def show(self, item: Output, *, always: bool = False) -> None:
        self.shown.append(item)
        self._showed.set()

    async def until_shown(self) -> None:
        async with patience():
            await self._showed.wait()

    def acknowledge(self, cin: int) -> None:
        pass

    def make_room(self) -> None:
        pass

    def change_input_mode(self) -> None:
        self.modes.append(self.session.row.input_mode)

    def change_viewers(self) -> None:
        pass

    def close(self, reason: Reason) -> None:
        self.closed.append(reason)

    def fail(self, error: Exception) -> None:
        raise AssertionError("a client that failed") from error


class Host:
    """The gateway, as the link backends know it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Session | None]] = []

    def policy_known(self) -> None:
        self.calls.append(("policy_known", None))

    def user_changed(self, session: Session) -> None:
        self.calls.append(("user_changed", session))

    def deselected(self, session: Session) -> None:
        self.calls.append(("deselected", session))


class HeldStore(MemoryStore):
    """A store whose commits wait while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, batch: Batch) -> int:
        await self.gate.wait()
        return await super().commit(batch)


class Node:
    """Sessions on one side of a link, and who may come to the other."""

    def __init__(self, limits: Limits, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self.limits = limits
        self.runtime = Runtime(asyncio.get_running_loop())
        self.backends: dict[str, LinkBackend] = {}
        self.hub = LinkServer("node-1", Secrets(SECRET), self.backends, limits.link, spawn)
        self.journal = Journal(limits.store, self.hub.accepted)
        self.manager = SessionManager(limits.session, self.journal, self.runtime.coalescer.add)
        self.store = HeldStore()
        self.host = Host()
        self.server = Server(connection_limits(limits.link), self.runtime)
        self.address: Address
        self.time = 1_000.0
        self.services = Services(
            open_port=self.open_port,
            runtime=self.runtime,
            clock=self.clock,
            limits=limits,
            journal=self.journal,
            spawn=spawn,
            upstreams={},
            security=SecurityLog(),
            policy_known=self.host.policy_known,
        )

    def open_port(self, backend: SessionBackend) -> SessionPort:
        return SessionPort(backend, self.manager, self.journal, self.host, self.clock)

    def backend(self, name: str = "chat") -> LinkBackend:
        if name not in self.backends:
            self.backends[name] = LinkBackend(name, self.services)
        return self.backends[name]

    def clock(self) -> float:
        return self.time

    def open(self, name: str = "chat", *, user: str = "") -> tuple[Session, Client]:
        """A session that becomes active, with its client."""
        backend = self.backend(name)
        session = self.manager.create(backend, Durability.FAST, self.time)
        client = Client(session)
        session.row.app = name
        self.manager.set_user(session, user)
        session.open(client, numbered=False)
        for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
            session.apply(given)
        backend.opened(session)
        return session, client

    def say(self, session: Session, *lines: str) -> None:
        for line in lines:
            item = Interrupt() if line == "^C" else Text(line)
            assert session.receive(item) is Verdict.ACCEPTED


@contextlib.asynccontextmanager
async def node(tmp_path: Path, limits: Limits | None = None) -> AsyncIterator[Node]:
    """A node that listens for applications of the name `chat` while the block runs."""
    async with asyncio.TaskGroup() as tasks:
        it = Node(limits or Limits(), lambda work: void(tasks.create_task(work)))
        it.backend()
        it.runtime.timers.start()
        it.server.start()
        await it.store.open()
        committing = tasks.create_task(it.journal.run(it.store))
        try:
            url = f"unix:{tmp_path / 'link'}"
            it.address = await it.server.listen(parse_address(url), it.hub.handler)
            yield it
        finally:
            await it.server.close()
            it.runtime.timers.stop()
            it.store.gate.set()
            it.journal.stop()
            await committing


def void(_: object) -> None:
    """What is returned does not matter."""


class AppEnd:
    """One link of an application."""

    def __init__(self, node: Node) -> None:
        self.peer: Peer
        self.events: list[m.SessionEvent] = []
        self.accepted: list[int] = []
        self.refused: list[m.Refused] = []
        self.reason: str | None = None
        self.frames = 0
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.remembered: dict[str, int] = {}
        """What it says to have applied, when it is asked for sessions."""
        self.asked: list[list[str]] = []
        """For which sessions it was asked that."""
        self._node = node
        self._changed = asyncio.Event()
        self._tasks: asyncio.TaskGroup

    @classmethod
    async def dial(cls, node: Node, tasks: asyncio.TaskGroup) -> AppEnd:
        self = cls(node)
        self._tasks = tasks
        limits = node.limits.link
        async with patience():
            await dial(
                node.address,
                lambda connection: Peer(connection, self, limits),
                clockwork=node.runtime,
                limits=connection_limits(limits),
            )
        return self

    async def hello(self, instance: str = "i1", **fields: Any) -> m.Welcome:
        fields = {"app": "chat", "secret": SECRET, "window": 1 << 20, **fields}
        hello = m.Hello(**{"protocol": 1, "instance": instance, **fields})
        welcome = await self.request(m.HELLO, hello, m.Welcome)
        self.peer.established()
        return welcome

    async def request(self, method: str, params: object, result: type[T]) -> T:
        async with patience():
            return await self.peer.request(method, params, result)

    def emit(self, *outputs: m.Emit) -> None:
        self.peer.notify(m.EMIT, list(outputs))

    def applied(self, session: Session, cseq: int) -> None:
        self.peer.notify(m.APPLIED, [m.Applied(session.sid, cseq)])

    async def synchronise(self) -> None:
        """Everything said before has been handled by the gateway."""
        await self.request(m.LIST, m.Filter(user="nobody at all"), list[m.SessionInfo])

    async def until(self, condition: Callable[[AppEnd], object]) -> None:
        async with patience():
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_unlinked(self) -> str:
        await self.until(lambda end: end.reason is not None)
        assert self.reason is not None
        return self.reason

    async def take(self, count: int) -> list[Any]:
        """The next so many events, as `(sid, cseq, event)` or shorter (`told`)."""
        await self.until(lambda end: len(end.events) >= count)
        taken, self.events = self.events[:count], self.events[count:]
        return [told(event) for event in taken]

    async def take_all(self) -> list[Any]:
        """Every event up to now."""
        await self.synchronise()
        return await self.take(len(self.events))

    def cut(self) -> None:
        """Lose the link without a word."""
        self.peer._connection.abort()

    # --- PeerOwner of its peer

    def linked(self, peer: Peer) -> None:
        self.peer = peer
        peer.dispatch = Dispatch(
            {
                m.EVENTS: (list[m.SessionEvent], self._events),
                m.ACCEPTED: (m.Accepted, lambda found: self._note(self.accepted, found.bseq)),
                m.REFUSED: (m.Refused, lambda found: self._note(self.refused, found)),
                m.AUTHENTICATE: (m.Authenticate, self._answer(m.AUTHENTICATE)),
                m.PROFILES_LIST: (m.ProfileQuery, self._answer(m.PROFILES_LIST)),
                m.PROFILES_CREATE: (m.ProfileCreation, self._answer(m.PROFILES_CREATE)),
                m.PROFILES_SELECT: (m.ProfileChoice, self._answer(m.PROFILES_SELECT)),
                m.REMEMBER: (m.Remember, self._remember),
            }
        )

    def unlinked(self, peer: Peer, reason: str) -> None:
        self.reason = reason
        self._changed.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(work)

    def _answer(self, method: str) -> Callable[[Any], Any]:
        def answer(params: Any) -> Any:
            return self.answers[method](params)

        return answer

    def _remember(self, params: m.Remember) -> Any:
        self._note(self.asked, params.sids)
        answer = self.answers.get(m.REMEMBER)
        return answer(params) if answer is not None else self.remembered

    def _events(self, events: list[m.SessionEvent]) -> None:
        self.events += events
        self.frames += 1
        self._changed.set()

    def _note(self, where: list[T], what: T) -> None:
        where.append(what)
        self._changed.set()


def told(event: m.SessionEvent) -> Any:
    """An event as a test writes it: `("look", 3)`, `"opened"`, `("detached", "timeout")`."""
    match event.event:
        case Text(text):
            return (text, event.cseq)
        case Interrupt():
            return ("^C", event.cseq)
        case m.Opened() | m.Adopted() | m.Moved() | m.CapabilitiesChanged():
            return type(event.event).__name__.lower()
        case m.Detached(reason) | m.Resync(reason) | m.Closed(reason):
            return (type(event.event).__name__.lower(), reason)
        case other:
            return other


@contextlib.asynccontextmanager
async def apps(node: Node) -> AsyncIterator[Callable[[], Coroutine[Any, Any, AppEnd]]]:
    """A function that dials one more link; all of them end with the block."""
    ends: list[AppEnd] = []
    async with asyncio.TaskGroup() as tasks:

        async def one_more() -> AppEnd:
            ends.append(await AppEnd.dial(node, tasks))
            return ends[-1]

        yield one_more
        for end in ends:
            end.cut()
            await end.until_unlinked()
