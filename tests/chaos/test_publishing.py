"""Publications and an application that is a URL, while everything is killed: real processes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from bench.chaos.programs import Program
from bench.harness import HERE, HOLDFAST, PYTHON
from tests.ports import free_port

from holdfast.client import Began, Client, Text, connect

KEY = "a key for nothing but chaos"
NAMES = [f"c{number}" for number in range(8)]
SECONDS = 150.0


class Person:
    """A client that types, and keeps what it is shown."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client
        self.typed = [f"I am {name}"]
        self.shown: list[str] = []
        self.resets: list[str] = []
        client.command(self.typed[0])

    async def watch(self) -> None:
        async for event in self.client:
            match event:
                case Text(d=text):
                    self.shown.append(text)
                case Began(reason):
                    self.resets.append(reason)
                case _:
                    pass

    async def type(self, finished: asyncio.Event) -> None:
        while not finished.is_set():
            await asyncio.sleep(random.uniform(0.02, 0.08))
            if len(self.client.state.pending) < 100:
                self.typed.append(f"{self.name}-{len(self.typed)}")
                self.client.command(self.typed[-1])

    @property
    def answers(self) -> list[str]:
        return [text for text in self.shown if text.startswith("did ")]

    @property
    def news(self) -> list[str]:
        return [text for text in self.shown if text.startswith("news ")]


def programs(folder: Path) -> tuple[dict[str, Program], str]:
    """The gateway, the application and the publisher; and where clients come in."""
    web, api, endpoint = free_port(), free_port(), free_port()
    config = folder / "gateway.toml"
    config.write_text(f"""
        [store]
        path = "{folder}/sessions.db"
        [api]
        listen = "tcp://127.0.0.1:{api}"
        [[api.key]]
        name = "publisher"
        hash = "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"
        apps = ["shop"]
        [[listener]]
        url = "ws://127.0.0.1:{web}/"
        durability = "durable"
        backend = "http"
        endpoint = "http://127.0.0.1:{endpoint}/"
        app = "shop"
        [limits.session]
        window_messages_max = 4096
        window_bytes_max = 1048576
        [limits.http]
        backoff_seconds_max = 0.5
        [limits.upstream]
        broken_seconds_max = 0.5
    """)
    ledger = [PYTHON, str(HERE / "apps" / "http_ledger.py"), str(endpoint), f"{folder}/ledger.db"]
    variables = {"HOLDFAST_API": f"http://127.0.0.1:{api}", "HOLDFAST_API_KEY": KEY}
    publisher = [PYTHON, str(HERE / "apps" / "publisher.py"), f"{folder}/progress", ",".join(NAMES)]
    return {
        "gateway": Program([*HOLDFAST, "serve", str(config)], "listening", {}),
        "application": Program(ledger, "ready", {}),
        "publisher": Program(publisher, "ready", variables),
    }, f"ws://127.0.0.1:{web}/"


@contextlib.asynccontextmanager
async def running(program: Program, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    await program.start()
    tasks.create_task(program.drain_log())
    try:
        yield
    finally:
        await program.kill()


async def kill(program: Program, tasks: asyncio.TaskGroup) -> None:
    """Kill a program, and start it again."""
    await program.kill()
    await program.start()
    tasks.create_task(program.drain_log())


@pytest.mark.timeout(400)  # programs that are started anew take their time on a busy machine
async def test_nothing_is_lost_nothing_comes_twice_and_the_order_is_kept(tmp_path: Path) -> None:
    stages, url = programs(tmp_path)
    finished = asyncio.Event()
    async with asyncio.timeout(360), asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        for name in ("application", "gateway"):
            await stack.enter_async_context(running(stages[name], tasks))
        people = [Person(name, await stack.enter_async_context(connect(url))) for name in NAMES]
        watching = [tasks.create_task(person.watch()) for person in people]
        await until(lambda: all(person.answers for person in people))
        await stack.enter_async_context(running(stages["publisher"], tasks))
        typing = [tasks.create_task(person.type(finished)) for person in people]
        for names in (["gateway"], ["application"], ["publisher"], ["gateway", "application"]):
            await asyncio.sleep(random.uniform(0.5, 1.0))
            async with asyncio.TaskGroup() as kills:
                for name in names:
                    kills.create_task(kill(stages[name], tasks))
        await asyncio.sleep(0.5)
        finished.set()
        await asyncio.wait(typing)
        (tmp_path / "progress.stop").touch()
        await stages["publisher"].ended()
        published = int((tmp_path / "progress").read_text())
        await until(
            lambda: (
                sum(len(person.news) for person in people) >= published
                and all(len(person.answers) >= len(person.typed) for person in people)
            )
        )
        for task in watching:
            task.cancel()
    assert published > len(NAMES)
    for number, person in enumerate(people):
        assert person.answers == [f"did {text}" for text in person.typed]
        count = (published - number + len(NAMES) - 1) // len(NAMES)
        assert person.news == [f"news {k}" for k in range(1, count + 1)]
        assert person.resets in ([], ["new"])
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        effects = [what for (what,) in ledger.execute("SELECT what FROM effect ORDER BY rowid")]
    for person in people:
        mine = [what for what in effects if what in set(person.typed)]
        assert mine == person.typed


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)
