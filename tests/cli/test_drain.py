"""`holdfast serve` stops while everybody is busy: what each is told, and has when it is back.

The clients keep their own books: what they typed, what of it was acknowledged,
and what they were shown. So does the application behind the gateway.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.cli.process import Program, program
from tests.cli.test_serve import configure, refuses
from tests.gateway.clients import person_at, v1_at
from tests.gateway.running import acting
from websockets.exceptions import ConnectionClosed, InvalidState

from holdfast.app import App, Session

_CODE: Final = re.compile(r'type "resume ([0-9A-Z-]+)"')
_WORK_SECONDS: Final = 0.1
"""A command takes the application so long, and is acknowledged long before."""
_UNDER_WAY: Final = 3
"""Commands that somebody on a WebSocket has not seen done."""
_ALL_SECONDS: Final = 60.0
"""A thousand clients share two cores with whatever else is tested."""
_PATIENT: Final = f"""
[limits.connection]
close_seconds_max = {_ALL_SECONDS}
handshake_seconds_max = {_ALL_SECONDS}
"""


class Diligent:
    """An application that does what it is told, says so, and keeps the books on it."""

    def __init__(self) -> None:
        self.app = App("diligent")
        self.done: dict[str, list[int]] = defaultdict(list)
        """By who has typed it: the numbers of the commands, in the order of their effects."""
        self.app.on_text(self._does)

    async def _does(self, session: Session, text: str) -> None:
        await asyncio.sleep(_WORK_SECONDS)
        who, _, number = text.partition("-")
        self.done[who].append(int(number))
        await session.text(f"did {number}")


class Busy:
    """Somebody who always has a command under way, and keeps the books."""

    def __init__(self, name: str, *, stubborn: bool = False) -> None:
        self.name = name
        self.typed = 0
        """The newest command."""
        self.shown: list[int] = []
        """The commands that the application was seen to have done."""
        self.told = False
        """Whether the end was announced."""
        self.reset = False
        """Whether the connection was broken off."""
        self.began = asyncio.Event()
        """Set when it has had two answers."""
        self._stubborn = stubborn
        """Whether it then reads no more, so that it hears of no end."""

    async def work(self, port: int) -> None:
        """Come, and be busy until the connection ends."""
        raise NotImplementedError

    async def come_back(self, port: int) -> None:
        """Take the session up, and wait until everything was done."""
        raise NotImplementedError

    def missed(self, done: Sequence[int]) -> list[int]:
        """The commands that had to be done, and are not in `done`."""
        raise NotImplementedError

    def _next(self) -> str:
        self.typed += 1
        return f"{self.name}-{self.typed}"

    def _sees(self, answer: str) -> None:
        """Note an answer of the application."""
        self.shown.append(int(answer.removeprefix("did ")))
        if len(self.shown) == 2:
            self.began.set()

    async def _pause(self, transport: asyncio.WriteTransport) -> None:
        """Who is stubborn takes nothing more from its socket, until it is cancelled."""
        if self._stubborn and self.began.is_set():
            cast(asyncio.Transport, transport).pause_reading()
            try:
                await asyncio.Event().wait()
            finally:
                transport.abort()


class Typist(Busy):
    """On a WebSocket, with `holdfast.v1`."""

    _acked = 0
    _last = 0

    async def work(self, port: int) -> None:
        async with v1_at(port) as client:
            code = 0
            while not code:
                try:
                    self._hears(await client.hear())
                    wanted = range(self.typed, len(self.shown) + _UNDER_WAY)
                    with suppress(InvalidState):  # it closes; what has come is still to be heard
                        # In one piece, so that the first acknowledgement is of all of them.
                        client.say_at_once(
                            {"t": "cmd", "d": self._next(), "c": self.typed} for _ in wanted
                        )
                    await self._pause(client.ws.transport)
                except ConnectionClosed as error:
                    code = error.rcvd.code if error.rcvd is not None else 1006
        self.reset = code == 1006
        self.told = self.told and code == 1012

    async def come_back(self, port: int) -> None:
        async with v1_at(port, token=self._token, epoch=self._epoch, last=self._last) as client:
            resumed = await client.hear()
            assert (resumed["t"], resumed["epoch"]) == ("resumed", self._epoch)
            assert self._acked <= resumed["cin"] <= self.typed
            for number in range(resumed["cin"] + 1, self.typed + 1):
                await client.say("cmd", c=number, d=f"{self.name}-{number}")
            while self.typed not in self.shown:
                self._hears(await client.hear())

    def missed(self, done: Sequence[int]) -> list[int]:
        return sorted({*range(1, self.typed + 1)} - {*done})

    @property
    def owed(self) -> int:
        """How many commands are acknowledged and not answered."""
        return self._acked - len(self.shown)

    def _hears(self, message: dict[str, Any]) -> None:
        match message["t"]:
            case "welcome":
                self._token, self._epoch = message["token"], message["epoch"]
            case "text":
                assert message["n"] == self._last + 1
                self._last += 1
                self._sees(message["d"])
            case "ack":
                self._acked = message["c"]
            case "bye":
                self.told = message["reason"] == "shutdown"
            case _:
                pass


class Person(Busy):
    """At a terminal, on plain TCP. Nobody acknowledges a line, but its answer proves it."""

    telnet = False
    _code = ""

    async def work(self, port: int) -> None:
        async with person_at(port, telnet=self.telnet) as it:
            try:
                while line := await it.line():
                    if self._hears(line):
                        it.types(self._next())
                    await self._pause(it.writer.transport)
            except ConnectionError:
                self.reset = True

    async def come_back(self, port: int) -> None:
        async with person_at(port, telnet=self.telnet) as it:
            it.types(f"resume {self._code}")
            last, doubting = self._next(), False
            while self.typed not in self.shown:
                line = await it.line()
                assert line, "the connection has ended"
                if line.startswith("*** "):
                    assert "does not resume" not in line
                    doubting = "may have seen" in line
                    if "Welcome back" in line:
                        it.types(last)
                elif not doubting:
                    self._sees(line)
                elif (number := int(line.removeprefix("did "))) not in self.shown:
                    self.shown.append(number)

    def missed(self, done: Sequence[int]) -> list[int]:
        """The one that was typed as the gateway stopped may never have come to it."""
        return sorted({*range(1, self.typed + 1)} - {*done} - {self.typed - 1})

    def _hears(self, line: str) -> bool:
        """Whether it is time for the next line."""
        if line.startswith("did "):
            self._sees(line)
            return True
        if found := _CODE.search(line):
            self._code = found[1]
            self.told = "Connect again" in line
            return not self.told
        return False


class Telnetter(Person):
    """At a terminal, on Telnet."""

    telnet = True


KINDS: Final[dict[str, type[Busy]]] = {"tcp": Person, "telnet": Telnetter, "ws": Typist}

Crowd = dict[str, list[Busy]]
"""By the scheme that they come in by."""


def crowd(count: int, *, stubborn: bool = False) -> Crowd:
    """`count` people, of each kind as many."""
    found: Crowd = {scheme: [] for scheme in KINDS}
    for number, (scheme, kind) in zip(range(count), list(KINDS.items()) * count, strict=False):
        found[scheme].append(kind(f"{scheme}{number}", stubborn=stubborn))
    return found


async def come_back(gateway: Program, people: Crowd) -> None:
    """Let everybody take up the session again."""
    ports = await gateway.ports(len(people))
    async with asyncio.timeout(_ALL_SECONDS), asyncio.TaskGroup() as tasks:
        for scheme, some in people.items():
            for one in some:
                tasks.create_task(one.come_back(ports[scheme]))


def all_of(people: Crowd) -> list[Busy]:
    return [one for some in people.values() for one in some]


def nothing_is_lost(people: Crowd, diligent: Diligent) -> None:
    """Each command once and in order, and each answer shown once, or told to be doubtful."""
    for one in all_of(people):
        done = diligent.done[one.name]
        assert done == sorted(set(done)), one.name
        assert one.missed(done) == [], one.name
        assert one.shown == done, one.name


@pytest.mark.timeout(6 * _ALL_SECONDS)  # and a failure of a thousand is long to write down
async def test_a_drain_of_a_thousand_busy_sessions_loses_nothing(tmp_path: Path) -> None:
    configure(tmp_path, durability="durable", drain_seconds=_ALL_SECONDS, more=_PATIENT)
    people, diligent = crowd(1_000), Diligent()
    async with acting(diligent.app, f"unix:{tmp_path / 'link'}"):
        async with program("serve", folder=tmp_path) as gateway:
            ports = await gateway.ports(3)
            async with asyncio.timeout(_ALL_SECONDS), asyncio.TaskGroup() as tasks:
                for scheme, some in people.items():
                    for one in some:
                        tasks.create_task(one.work(ports[scheme]))
                    for one in some:
                        await one.began.wait()
                gateway.send(signal.SIGTERM)
            assert await gateway.ends() == 0, gateway.err
            assert {entry["level"] for entry in gateway.logs} == {"info"}
        assert [one.name for one in all_of(people) if one.reset or not one.told] == []
        # The last to come had their commands acknowledged, and were not answered yet.
        owed = [one.owed for one in people["ws"] if isinstance(one, Typist)]
        assert max(owed) > 0
        async with program("serve", folder=tmp_path) as gateway:
            await come_back(gateway, people)
            (found,) = await gateway.logged("sessions loaded")
            assert (found["sessions"], found["clean"]) == (1_000, True)
    nothing_is_lost(people, diligent)


@pytest.mark.parametrize("how", ["time", "signal"])
async def test_a_stop_does_not_wait_for_ever(tmp_path: Path, how: str) -> None:
    """Who does not go is dropped: when the time is over, or at a second signal."""
    seconds = 0.2 if how == "time" else _ALL_SECONDS
    configure(tmp_path, drain_seconds=seconds, more=_PATIENT)
    people, diligent = crowd(30, stubborn=True), Diligent()
    async with acting(diligent.app, f"unix:{tmp_path / 'link'}"):
        async with program("serve", folder=tmp_path) as gateway:
            ports = await gateway.ports(3)
            async with asyncio.timeout(_ALL_SECONDS), asyncio.TaskGroup() as tasks:
                working = [
                    tasks.create_task(one.work(ports[scheme]))
                    for scheme, some in people.items()
                    for one in some
                ]
                for one in all_of(people):
                    await one.began.wait()
                gateway.send(signal.SIGTERM)
                if how == "signal":
                    await refuses(ports["ws"])  # it is draining
                    gateway.send(signal.SIGTERM)
                assert await gateway.ends() == 0, gateway.err
                for work in working:
                    work.cancel()
            told = [entry for entry in gateway.logs if entry["level"] != "info"]
            if how == "time":
                (line,) = told
                assert line["event"] == "drain timed out"
                assert (line["dropped"], line["left"], line["seconds"]) == (30, 0, 0.2)
                assert all(f"{scheme}://" in line["at"] for scheme in KINDS)
            else:
                assert told == []
        async with program("serve", folder=tmp_path) as gateway:
            await come_back(gateway, people)
            (found,) = await gateway.logged("sessions loaded")
            assert (found["sessions"], found["clean"]) == (30, True)
    nothing_is_lost(people, diligent)
