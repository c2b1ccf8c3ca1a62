"""Who types and who listens, and what each of them was shown and told."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.chaos.notes import ranges
from holdfast.client import (
    Began,
    Client,
    Dropped,
    Notice,
    Offline,
    Online,
    Text,
    Uncertain,
    connect,
)

_SETTLE_SECONDS_MAX = 60.0
_CODE = re.compile(r'type "resume ([0-9A-Z-]+)"')
_GONE = re.compile(r"(\d+) older lines?(?:, which you may have seen,)? could not be kept")
_BY_AGE = "is not shown again"
_LINES_BEFORE_CUT_MAX = 12
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger: on, for no time."""


class Outage(NamedTuple):
    """Of one client."""

    began: float
    """When its connection was lost, by the monotonic clock."""
    seconds: float
    """Until it had its session again."""


@dataclass
class Typist:
    """A resuming client that types numbered commands, and what it was shown."""

    name: str
    typed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """Since it last began afresh."""
    resets: Counter[str] = field(default_factory=Counter)
    """How often it was told to begin afresh, by reason."""
    reset_upto: int = 0
    """How many commands were typed when it was told so last: it may have missed their answers."""
    answered: set[str] = field(default_factory=set)
    """All answers that it was ever shown."""
    stuck: str = ""
    """What it still waited for, long after the last blow."""
    notices: int = 0
    told_upto: int = 0
    """How many of the commands typed were said to be lost, or perhaps lost."""
    sid: str = ""
    """Its session, to be found in the logs."""
    outages: list[Outage] = field(default_factory=list)
    _lost_at: float | None = None

    async def work(self, urls: Sequence[str], per_second: float, finished: asyncio.Event) -> None:
        async with connect(urls) as client, asyncio.TaskGroup() as tasks:
            typing = tasks.create_task(self._type(client, per_second, finished))
            watching = tasks.create_task(self._watch(client))
            await typing
            await self._settle(client)
            if not self.stuck:  # whatever has happened, the next command is answered
                self._say(client)
                await self._settle(client)
            watching.cancel()

    async def _type(self, client: Client, per_second: float, finished: asyncio.Event) -> None:
        while not finished.is_set():
            await asyncio.sleep(random.uniform(0.5, 1.5) / per_second)
            if len(client.state.pending) < 500:  # a person, too, waits at some point
                self._say(client)

    def _say(self, client: Client) -> None:
        self.typed.append(f"{self.name}-{len(self.typed) + 1}")
        client.command(self.typed[-1])

    async def _watch(self, client: Client) -> None:
        async for event in client:
            match event:
                case Text(d=text):
                    self.shown.append(text)
                    self.answered.add(text)
                case Began(reason):
                    self.resets[reason] += 1
                    self.reset_upto = len(self.typed)
                    self.shown.clear()
                    if reason == "expired":
                        self.told_upto = len(self.typed)
                case Dropped() | Uncertain():
                    self.told_upto = len(self.typed)
                case Notice():
                    self.notices += 1
                case Offline() if self._lost_at is None:
                    self._lost_at = time.monotonic()
                case Online(sid):
                    self.sid = sid
                    if self._lost_at is not None:
                        self.outages.append(Outage(self._lost_at, time.monotonic() - self._lost_at))
                        self._lost_at = None
                case _:
                    pass

    async def _settle(self, client: Client) -> None:
        """Wait until everything was taken, and the last answer seen."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS_MAX):
                while not self._settled(client):  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.05)
        except TimeoutError:
            state = client.state
            self.stuck = (
                f"typed {self.typed[-1:]}, shown {self.shown[-1:]}, {state.attempts} attempts, not"
                f" taken: {ranges(command.c for command in state.pending)}"
            )

    def _settled(self, client: Client) -> bool:
        """Who leaves earlier ends a session in which commands may still wait."""
        return not client.state.pending and not self._unanswered(self.typed[-1:])

    @property
    def unanswered(self) -> list[str]:
        """The commands whose answer it neither was shown nor told that it may have missed."""
        return self._unanswered(self.typed)

    def _unanswered(self, newest: Sequence[str]) -> list[str]:
        """Those of the `newest` that were typed."""
        told = max(self.reset_upto, self.told_upto)
        left = newest[max(0, told + len(newest) - len(self.typed)) :]
        return [text for text in left if f"did {text}" not in self.answered]


@dataclass
class Way:
    """How somebody at lines gets to a gateway."""

    ports: Sequence[int]
    """One of them, at random."""
    tls: ssl.SSLContext | None = None
    cuts: bool = False
    """Whether the connection breaks after some lines, wherever it stands."""


@dataclass
class Listener:
    """Somebody at lines who types the resume code after every cut."""

    way: Way
    heard: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Ticks of the session by the run that said them, those too that it was told that it may have
    seen already."""
    told: int = 0
    """How many lines of the session were said to be gone."""
    vague: bool = False
    """Whether it was told of the session that older lines may be gone."""
    missed: int = 0
    """Neither heard nor told: those between two that it heard of one run."""
    repeated: int = 0
    ticks: int = 0
    code: str = ""
    """The newest resume code that it was shown."""
    cuts: int = 0
    refused: int = 0
    """How often its code was not taken: then it has a new session, and was told so."""
    _new: set[str] = field(default_factory=set)

    async def work(self, finished: asyncio.Event) -> None:
        while not finished.is_set():
            with suppress(OSError):
                await self._one_connection(finished)
            self.cuts += not finished.is_set()
            await asyncio.sleep(random.uniform(0.05, 0.5))
        self._count()

    def _count(self) -> None:
        """The session is over: what of it is missing?"""
        if not self.vague:
            missing = sum(max(run) - min(run) + 1 - len(run) for run in self.heard.values())
            self.missed += max(0, missing - self.told)
        self.heard.clear()
        self._new.clear()
        self.told, self.vague = 0, False

    async def _one_connection(self, finished: asyncio.Event) -> None:
        port = random.choice(self.way.ports)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self.way.tls)
        left = random.randint(1, _LINES_BEFORE_CUT_MAX) if self.way.cuts else 1 << 30
        screen = _Screen(self)
        try:
            if self.code:
                writer.write(f"resume {self.code}\n".encode())
            while not finished.is_set() and left:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        line = (await reader.readline()).decode()
                        if not line.endswith("\n"):
                            break
                        screen.read(line.rstrip("\n"))
                        left -= not screen.asked
        finally:
            if self.way.cuts:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort()
            writer.close()

    def tick(self, line: str, *, doubtful: bool) -> None:
        """A tick is on the screen."""
        self.ticks += 1
        _, run, number = line.split()
        self.heard[run].add(int(number))
        if not doubtful:
            self.repeated += line in self._new
            self._new.add(line)

    def leave(self) -> None:
        """The code is refused: what comes is of another session."""
        self.refused += 1
        self._count()


class _Screen:
    """What one connection shows."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.asked = bool(listener.code)
        """Whether the code was typed and not answered: what is heard is of a session that is left
        again."""
        self._doubtful = False
        self._newest = ""

    def read(self, line: str) -> None:
        listener = self._listener
        if line.startswith("*** "):
            self._notice(line)
        elif line.startswith("tick ") and not self.asked:
            listener.tick(line, doubtful=self._doubtful)

    def _notice(self, line: str) -> None:
        listener = self._listener
        if "does not resume" in line:
            listener.leave()
            self.asked = False
        elif "Welcome back" in line:
            self.asked, self._newest = False, ""
        if match := _CODE.search(line):
            self._newest = match[1]
        if self._newest and not self.asked:
            listener.code = self._newest
        if match := _GONE.search(line):
            listener.told += int(match[1])
        listener.vague = listener.vague or _BY_AGE in line
        self._doubtful = "may have seen this" in line
