"""One stream of a connection, as its specification sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from holdfast.vtc.actors.actor import BackgroundTask
from holdfast.vtc.h2.frames import Frame, Priority
from holdfast.vtc.language.command import Context
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.interpreter import Scope
from holdfast.vtc.language.source import ENCODING, Position, Token

if TYPE_CHECKING:
    from holdfast.vtc.h2.connection import Http2Connection

DEFAULT_WEIGHT = 16
_SHOWN_BYTES_MAX = 2000

Fields = list[tuple[str, str]]


class Http2Stream:
    """A stream by number."""

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.log = connection.log.named(f"{connection.http.name}.{number}")
        self.spec: Token | None = None
        self.task = BackgroundTask(connection.case, self.log)
        self.frame: Frame | None = None
        """The last frame that a command has received."""
        self.request: Fields = []
        self.response: Fields = []
        self.body = bytearray()
        self.window = connection.window_initial
        """What the peer may still send."""
        self.peer_window = connection.peer_window_initial
        """What we may still send."""
        self.dependency = 0
        self.weight = DEFAULT_WEIGHT
        self._queue: deque[Frame] = deque()
        self._arrived = asyncio.Event()
        self._waiting = False

    def start(self, position: Position | None) -> None:
        """Begin the specification in the background."""
        self.connection.log.line(2, f"Starting stream {self.number}")
        self.task.start(self._run, position)

    async def _run(self) -> None:
        if self.spec is None:
            raise Failure(f"stream {self.number} has no specification")
        scope = Scope(self.connection.case, Context.STREAM, self, self.log)
        await self.connection.case.play(scope, self.spec)
        self.log.line(2, f"Ending stream {self.number}")

    async def wait(self) -> None:
        """Wait until the specification is done. What it has not received is lost."""
        self.connection.log.line(2, f"Waiting for stream {self.number}")
        await self.task.wait()
        self._queue.clear()
        self.frame = None

    def deliver(self, frame: Frame) -> None:
        """A frame has come for this stream."""
        self._queue.append(frame)
        self.wake()

    def wake(self) -> None:
        """A frame has come, or none will come any more."""
        if self._waiting:
            self._waiting = False
            self.connection.waiting -= 1
            self._arrived.set()

    async def receive(self) -> Frame | None:
        """The next frame; `None` at the end of a connection whose errors are not fatal."""
        if not self._queue:
            self._waiting = True
            self._arrived.clear()
            self.connection.call()
            try:
                await self._arrived.wait()
            finally:
                self.wake()
        return self._queue.popleft() if self._queue else None

    def prioritise(self, priority: Priority) -> None:
        """Depend on another stream; exclusively means that its other dependants depend on us."""
        self.dependency = priority.stream
        self.weight = priority.weight
        if priority.exclusive and self.number:
            for other in self.connection.streams.values():
                if other is not self and other.dependency == self.dependency:
                    other.dependency = self.number

    def notes(self) -> tuple[Note, ...]:
        """What was received, for a failure."""
        found = []
        frame = self.frame
        if frame:
            size = len(frame.payload)
            text = f"{frame.describe()}, flags: 0x{frame.flags:02x}, size: {size}"
            found.append(Note("frame", text))
        for title, fields in (("request", self.request), ("response", self.response)):
            if fields:
                found.append(Note(title, "\n".join(f"{name}: {value}" for name, value in fields)))
        if self.body:
            shown = bytes(self.body[:_SHOWN_BYTES_MAX]).decode(ENCODING)
            found.append(Note("body", shown))
        return tuple(found)
