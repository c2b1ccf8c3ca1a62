"""Gateways for applications under test: one that does what the test says, and the real one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.net.helpers import Caller, call, patience

from holdfast.app import App
from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.limits import Limits, LinkLimits
from holdfast.gateway.config import Config, ListenerConfig, check
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.link import messages as m
from holdfast.link.peer import Dispatch, Peer, connection_limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.server import Server
from holdfast.sessions.publishing import Publication

T = TypeVar("T")

QUICK = LinkLimits(reconnect_seconds_max=0.05)
"""The limits of an application that is not to keep its test waiting."""

_CALLS = (m.BROADCAST, m.UPDATE, m.INPUT_MODE, m.JOIN, m.LEAVE)
_UNNUMBERED = (m.APPLIED, m.RELEASE)
_PARAMS = {
    m.BROADCAST: m.Broadcast,
    m.UPDATE: m.Update,
    m.INPUT_MODE: m.InputMode,
    m.JOIN: m.Membership,
    m.LEAVE: m.Membership,
}


class FakeGateway:
    """Takes links, writes down what is said on them, and answers as it is told."""

    def __init__(self, limits: LinkLimits, spawn: Callable[[Coroutine[Any, Any, None]], None]):
        self.spawn = spawn
        self.address: Address
        self.asked = 0
        """How many hellos have come."""
        self.hellos: list[m.Hello] = []
        """Those that were not refused."""
        self.accepting = True
        """Whether it accepts every output at once."""
        self.notes: list[tuple[str, Any]] = []
        """Notifications in their order."""
        self.peers: list[Peer] = []
        self.requests: list[str] = []
        """The requests that were answered, but for hellos."""
        self.ends: list[str] = []
        """Why links ended."""
        self.on_hello: Callable[[m.Hello], Any] = lambda hello: self.welcome()
        self.at_welcome: Callable[[Peer], None] = lambda peer: None
        """Says more in the same tick as the welcome."""
        self.answers: dict[str, Any] = {m.CLOSE: True, m.LIST: [], m.LEAVING: m.Leaving()}
        self.node = "node-1"
        self.run = 0
        """The number of its run."""
        self.fresh = 0
        """If set: this run knows nothing of the instance, and its outputs begin behind this one."""
        self.nodes: list[m.NodeAddress] = []
        """What it says of all nodes."""
        self.runtime = Runtime(asyncio.get_running_loop())
        self._limits = limits
        self._changed = asyncio.Event()

    @property
    def peer(self) -> Peer:
        """The newest link."""
        return self.peers[-1]

    def welcome(self, accepted: int = 0, window: int = 1 << 20, *sessions: m.SessionInfo) -> Any:
        return m.Welcome(
            "fake",
            self.node,
            15.0,
            window,
            self.fresh or accepted,
            list(sessions),
            nodes=self.nodes,
            run=self.run,
            fresh=bool(self.fresh),
        )

    def handler(self, connection: Connection) -> Peer:
        return Peer(connection, self, self._limits)

    def tell(self, *events: m.SessionEvent) -> None:
        self.peer.notify(m.EVENTS, list(events))

    def accept(self, bseq: int) -> None:
        self.peer.notify(m.ACCEPTED, m.Accepted(bseq))

    async def until(self, condition: Callable[[FakeGateway], object]) -> None:
        async with patience():
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_linked(self, times: int = 1) -> None:
        await self.until(lambda gateway: len(gateway.hellos) >= times)

    def cut(self) -> None:
        """Lose the newest link without a word."""
        self.peer._connection.abort()

    @property
    def outputs(self) -> list[Any]:
        """What was said, in order: entries of `emit`, and other numbered calls."""
        found: list[Any] = []
        for method, params in self.notes:
            if method == m.EMIT:
                found += params
            elif method not in _UNNUMBERED:
                found.append(params)
        return found

    @property
    def numbers(self) -> list[int]:
        return [output.bseq for output in self.outputs]

    # --- PeerOwner of its peers

    def linked(self, peer: Peer) -> None:
        self.peers.append(peer)
        peer.dispatch = Dispatch(
            {
                m.HELLO: (m.Hello, lambda hello: self._hello(peer, hello)),
                m.NODE: (dict[str, Any], lambda _: m.NodeName(self.node)),
            }
        )

    def unlinked(self, peer: Peer, reason: str) -> None:
        self.ends.append(reason)
        self._changed.set()

    def _hello(self, peer: Peer, hello: m.Hello) -> Any:
        self.asked += 1
        self._changed.set()
        answer = self.on_hello(hello)
        peer.established()
        calls = {name: (_PARAMS[name], self._note(name)) for name in _CALLS}
        peer.dispatch = Dispatch(
            {
                m.EMIT: (list[m.Emit], self._note(m.EMIT)),
                m.APPLIED: (list[m.Applied], self._note(m.APPLIED)),
                m.CLOSE: (m.Close, lambda _: self._answer(m.CLOSE)),
                m.LIST: (m.Filter, lambda _: self._answer(m.LIST)),
                m.PUBLISH: (Publication, lambda _: self._answer(m.PUBLISH)),
                m.MEMBERS: (m.MembersWanted, lambda _: self._answer(m.MEMBERS)),
                m.LEAVING: (m.Leaving, lambda _: self._answer(m.LEAVING)),
                m.RELEASE: (list[str], self._note(m.RELEASE)),
                **calls,
            }
        )
        self.hellos.append(hello)
        self._changed.set()
        self.runtime.coalescer.add(lambda: self.at_welcome(peer))
        return answer

    def _answer(self, method: str) -> Any:
        answer = self.answers[method]
        self.requests.append(method)
        self._changed.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _note(self, method: str) -> Callable[[Any], None]:
        def note(params: Any) -> None:
            self.notes.append((method, params))
            self._changed.set()
            if self.accepting and method not in _UNNUMBERED:
                self.accept(self.numbers[-1])

        return note


@contextlib.asynccontextmanager
async def fake_gateway(
    tmp_path: Path, limits: LinkLimits = QUICK, name: str = "fake"
) -> AsyncIterator[FakeGateway]:
    async with asyncio.TaskGroup() as tasks:
        gateway = FakeGateway(limits, lambda work: void(tasks.create_task(work)))
        server = Server(connection_limits(limits), gateway.runtime)
        gateway.runtime.timers.start()
        server.start()
        try:
            url = f"unix:{tmp_path / name}"
            gateway.address = await server.listen(parse_address(url), gateway.handler)
            yield gateway
        finally:
            await server.close()
            gateway.runtime.timers.stop()


def void(_: object) -> None:
    """What is returned does not matter."""


@contextlib.asynccontextmanager
async def running(
    app: App, address: Address, secret: str = ""
) -> AsyncIterator[asyncio.Task[None]]:
    """The application serves while the block runs; then it is stopped, and has ended."""
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve(str(address), secret=secret))
        try:
            yield serving
        finally:
            app.stop()
            async with patience():
                await asyncio.wait([serving])


# --- the real one


class Real:
    """A gateway in this process."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @property
    def link(self) -> Address:
        assert self.gateway.link_address is not None
        return self.gateway.link_address

    @property
    def addresses(self) -> list[Address]:
        return self.gateway.addresses


@contextlib.asynccontextmanager
async def real_gateway(
    tmp_path: Path,
    *urls: str,
    limits: Limits | None = None,
    durability: str = "fast",
    crash: bool = False,
) -> AsyncIterator[Real]:
    """A gateway at these addresses, with its store and its link in `tmp_path`.

    With `crash`, its end is not orderly: the store is left as a killed process leaves it.
    """
    config = Config(
        listener=tuple(ListenerConfig(url=url, durability=durability) for url in urls),  # type: ignore[arg-type]
        store=StoreConfig(path=str(tmp_path / "sessions.db")),
        link=LinkConfig(listen=f"unix:{tmp_path / 'link'}"),
        limits=limits or Limits(),
    )
    check(config)
    gateway = Gateway(config)
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.run(started.set))
        starting = tasks.create_task(started.wait())
        async with patience():
            await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
        try:
            yield Real(gateway)
        finally:
            starting.cancel()
            if crash:
                running.cancel()
            else:
                gateway.stop()
                gateway.stop()  # without waiting for the clients


class Person:
    """Somebody who speaks lines."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.heard: list[str] = []

    async def say(self, *lines: str) -> None:
        await self.caller.write("".join(f"{line}\n" for line in lines).encode())

    async def hear(self, wanted: str) -> str:
        """Read to the next line that contains `wanted`, and return it."""
        async with patience():
            while True:
                line = (await self.caller.reader.readuntil(b"\n")).decode().rstrip("\n")
                self.heard.append(line)
                if wanted in line:
                    return line

    async def code(self) -> str:
        """The resume code that the gateway shows."""
        return (await self.hear('type "resume ')).split('"')[1].removeprefix("resume ")

    def texts(self) -> list[str]:
        """What was heard that is not the gateway's own."""
        return [line for line in self.heard if not line.startswith("*** ")]


@contextlib.asynccontextmanager
async def person(address: Address, *lines: str) -> AsyncIterator[Person]:
    """Somebody who connects and says these lines at once."""
    async with call(address) as caller:
        it = Person(caller)
        await it.say(*lines)
        yield it


def texts(outputs: Sequence[m.Emit]) -> list[str]:
    """The text of each output."""
    return [output.item.text for output in outputs]  # type: ignore[union-attr]
