"""A gateway in this process, an application behind it that a test plays, and both their ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from holdfast.app import App, Session
from holdfast.backends import echo, link
from holdfast.backends.link.config import ANY_APP
from holdfast.backends.link.server_config import LinkConfig
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.environment import DEFAULT, Environment
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.link.messages import LIST, Filter, SessionInfo
from holdfast.link.peer import LinkClosedError
from holdfast.net.runtime.loop import unwrapped

SECONDS: Final = 45.0
"""Whatever a test waits for must have come by then."""

WS: Final = "ws://127.0.0.1:0/"
TELNET: Final = "telnet://127.0.0.1:0"
TCP: Final = "tcp://127.0.0.1:0"
EVERYWHERE: Final = (WS, TELNET, TCP)

Durability = Literal["memory", "fast", "durable"]


def configured(
    folder: Path,
    urls: Sequence[str] = EVERYWHERE,
    *,
    durability: Durability = "fast",
    backend: Literal["link", "echo"] = "link",
    app: str = ANY_APP,
    on_failure: Literal["refuse", "memory"] = "refuse",
    origins: tuple[str, ...] = (),
    pages: str = "",
    limits: Limits | None = None,
) -> Config:
    """A configuration that keeps everything in `folder`."""
    return Config(
        listener=tuple(
            ListenerConfig(
                url=url,
                backend=link.Config(app) if backend == "link" else echo.Config(),
                durability=durability,
                origins=origins if url.startswith("ws") else (),
                pages=pages if url.startswith("ws") else "",
            )
            for url in urls
        ),
        store=StoreConfig(path=str(folder / "sessions.db"), on_failure=on_failure),
        link=LinkConfig(listen=f"unix:{folder / 'link'}"),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def serving(config: Config, environment: Environment = DEFAULT) -> AsyncIterator[Gateway]:
    """Serve `config` while the block runs; then stop in an orderly way."""
    started = asyncio.Event()
    gateway = Gateway(config, environment=environment)
    with unwrapped():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(gateway.run(started.set))
            async with asyncio.timeout(SECONDS):
                await started.wait()
            try:
                yield gateway
            finally:
                if not gateway._stop.is_set():  # the second time would be the impatient one
                    gateway.stop()
                async with asyncio.timeout(SECONDS):
                    await asyncio.shield(running)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` is true, where nothing tells of it."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def port(gateway: Gateway, scheme: str) -> int:
    """Where the gateway's listener of this scheme is."""
    return next(at.port for at in gateway.addresses if at.scheme == scheme)


class Stage:
    """An application that says what the test says, and notes what it hears.

    Notes are `(what, …)`: `("text", "look")`, `("open",)`, `("detach", "network_error")` …
    """

    def __init__(self, name: str = "stage") -> None:
        self.app = App(name)
        self.notes: list[tuple[object, ...]] = []
        self._noted = asyncio.Event()
        app = self.app
        for name in (
            "open", "adopt", "text", "binary", "data", "interrupt", "resize", "detach", "resume",
            "resync", "close",
        ):  # fmt: skip
            getattr(app, f"on_{name}")(self._noting(name))

        @app.on_capabilities
        async def capabilities(session: Session) -> None:
            self._note("capabilities", session.capabilities)

    @property
    def session(self) -> Session:
        """The one session there is."""
        (session,) = self.app.sessions.values()
        return session

    @property
    def texts(self) -> list[object]:
        """What was typed, in order."""
        return [note[1] for note in self.notes if note[0] == "text"]

    async def noted(self, *note: object) -> None:
        """Wait for a note, and take it and all before it away."""
        await self.until(lambda: note in self.notes)
        del self.notes[: self.notes.index(note) + 1]

    async def heard(self, *texts: str) -> None:
        """Wait until as many lines were typed: they must be these."""
        await self.has_heard(len(texts))
        assert self.texts == list(texts)

    async def has_heard(self, count: int) -> None:
        """Wait until as many lines were typed."""
        await self.until(lambda: len(self.texts) >= count)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` is true; it is looked at after each note."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._noted.clear()
                await self._noted.wait()

    async def has_a_link(self) -> None:
        """Wait until the gateway answers."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await self.app.request(LIST, Filter(), list[SessionInfo])
                    return
                except LinkClosedError:
                    await asyncio.sleep(0.005)

    async def accepted(self) -> None:
        """Wait until the gateway has everything that was said, durably."""
        async with asyncio.timeout(SECONDS):
            await self.app.progress.until(lambda: self.app.outgoing.idle)

    async def count(self, first: int, last: int) -> None:
        """Say the numbers from `first` to `last`, a line each."""
        for number in range(first, last + 1):
            await self.session.text(str(number))

    def _noting(self, name: str) -> Callable[..., Awaitable[None]]:
        async def note(session: Session, *args: object) -> None:
            self._note(name, *args)

        return note

    def _note(self, *note: object) -> None:
        self.notes.append(note)
        self._noted.set()


@asynccontextmanager
async def linked(gateway: Gateway, stage: Stage | None = None) -> AsyncIterator[Stage]:
    """Link an application to the gateway while the block runs."""
    stage = stage or Stage()
    async with acting(stage.app, str(gateway.link_address)):
        await stage.has_a_link()
        yield stage


@asynccontextmanager
async def acting(app: App, address: str) -> AsyncIterator[None]:
    """Run an application while the block runs, whatever gateways there are at `address`."""
    with unwrapped():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(app.serve(address))
            try:
                yield
            finally:
                app.stop()
                async with asyncio.timeout(SECONDS):
                    await asyncio.shield(running)


@asynccontextmanager
async def staged(config: Config) -> AsyncIterator[tuple[Gateway, Stage]]:
    """Serve `config` with an application behind it."""
    async with serving(config) as gateway, linked(gateway) as stage:
        yield gateway, stage
