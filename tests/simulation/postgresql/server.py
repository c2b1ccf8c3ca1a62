"""The server: what comes on its connections is executed when the world says so."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import asyncpg

from holdfast.sessions.stores.postgres.schema import COMMIT
from tests.simulation.postgresql.rows import Row, Tables, Transaction, WaitsError
from tests.simulation.postgresql.statements import STATEMENTS

_IDLE: Final = re.compile(r"SET LOCAL idle_in_transaction_session_timeout = (\d+)")
BEGIN, END, ROLLBACK, CLOSE, HELLO = "BEGIN", "COMMIT", "ROLLBACK", "close", "hello"


class Request:
    """Something that a connection asks for."""

    def __init__(self, backend: Backend, query: str, values: tuple[object, ...]) -> None:
        self.backend = backend
        self.query = query
        self.values = values
        self.answer: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self.rows: list[Row] = []
        self.error: Exception | None = None

    def tell(self) -> None:
        """The answer has come, if there is anybody."""
        if self.answer.done() or self.answer.get_loop().is_closed():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
            self.answer.exception()  # nobody may wait for it
        else:
            self.answer.set_result(self.rows)


class Backend:
    """The process of the server for one connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue: deque[Request] = deque()
        self.work: Transaction | None = None
        """The transaction that is open."""
        self.explicit = False
        """Whether it began with `BEGIN`."""
        self.waits_for: Transaction | None = None
        """Which one the request at the head of the queue waits for."""
        self.flushing: Request | None = None
        """A commit that is executed, and waits for the disk."""
        self.stalled = False
        """Whether the disk does not take that commit for now."""
        self.idle_seconds_max = 0.0
        self.idle_since = 0.0
        self.ended = False


class Path:
    """What is between one process and the server: it can be cut in each direction."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.to_cut = self.from_cut = False
        self.process_ended = False
        """Whether nobody is at its other end, and the server cannot know that while it is cut."""
        self.held = False
        """Whether requests wait until they are let through one by one."""
        self.requests: deque[Request] = deque()
        self.answers: deque[Request] = deque()
        self.asked: list[Request] = []
        """Those without an answer."""

    def ask(self, request: Request) -> None:
        self.requests.append(request)
        self.asked.append(request)
        self.server.wake()

    def let_through(self, count: int) -> None:
        """So many requests arrive, although they are held."""
        for _ in range(min(count, 0 if self.to_cut else len(self.requests))):
            self._arrive()

    def move(self) -> bool:
        """What is under way arrives. Whether there was anything."""
        moved = False
        while self.requests and not (self.to_cut or self.held):
            self._arrive()
            moved = True
        while self.answers and not self.from_cut:
            self.answers.popleft().tell()
            moved = True
        return moved

    def _arrive(self) -> None:
        request = self.requests.popleft()
        if request.backend.ended:
            request.error = ConnectionResetError("connection reset")
            self.answers.append(request)
        else:
            request.backend.queue.append(request)

    def reset(self) -> None:
        """All connections break, and both ends notice."""
        for request in self.asked:
            request.error = ConnectionResetError("connection reset")
            request.tell()
        self.asked.clear()
        self.answers.clear()
        self.requests.clear()
        self.server.drop(self)


class Server:
    """A database, and the connections to it."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.tables = Tables(wall)
        self.prompt = True
        """Whether each request is executed at once, and is on the disk then."""
        self.full = False
        """Whether every commit is refused."""
        self.paths: list[Path] = []
        self._backends: list[Backend] = []

    def path(self) -> Path:
        """The way of another process to it."""
        made = Path(self)
        self.paths.append(made)
        return made

    def connect(self, path: Path) -> Backend:
        backend = Backend(path)
        self._backends.append(backend)
        return backend

    def wake(self) -> None:
        """A request was sent."""
        if self.prompt:
            asyncio.get_running_loop().call_soon(self.move)

    # --- what the world does

    def move(self) -> bool:
        """Whatever can be done and told is done and told. Whether there was anything."""
        moved = False
        while True:
            now = [path.move() for path in self.paths]
            if not (self._work() or any(now)):
                return moved
            moved = True

    @property
    def flushing(self) -> list[Backend]:
        """Those whose commit waits for the disk."""
        return [backend for backend in self._backends if backend.flushing is not None]

    def flush(self, backend: Backend) -> None:
        """The commit of a connection is on the disk, if it has to be, and is answered."""
        request, backend.flushing, backend.stalled = backend.flushing, None, False
        assert request is not None
        self._end(backend, flush=bool(request.values[2]))
        self._answer(backend, request)
        self.move()

    def crash(self) -> None:
        """The server ends at once and is started again: what was not on its disk is lost."""
        for backend in self._backends:
            backend.flushing = backend.work = None
        self.tables.crash()
        for path in self.paths:
            path.reset()
        self._backends.clear()

    def drop(self, path: Path) -> None:
        """The connections of a process are gone. A commit that waits for the disk goes on."""
        for backend in self._backends:
            if backend.path is path:
                backend.queue.clear()
                self._close(backend)

    def expire(self, now: float) -> None:
        """End the transactions in which nothing was said for too long."""
        for backend in self._backends:
            idle = backend.explicit and not backend.queue and backend.idle_seconds_max
            if idle and now - backend.idle_since > backend.idle_seconds_max:
                self._close(backend)

    # --- what it does

    def _work(self) -> bool:
        done = [self._serve(backend) for backend in list(self._backends)]
        self._backends = [
            backend for backend in self._backends if not backend.ended or backend.flushing
        ]
        return any(done)

    def _serve(self, backend: Backend) -> bool:
        """Execute the next request of a connection. Whether there was one that could be."""
        if not backend.queue or backend.flushing is not None:
            return False
        request, backend.waits_for = backend.queue[0], None
        try:
            request.rows = self._execute(backend, request)
        except WaitsError as waits:
            backend.waits_for = waits.holder
            if not self._is_deadlock(backend):
                return False
            request.error = asyncpg.DeadlockDetectedError("deadlock detected")
        except asyncpg.PostgresError as error:
            request.error = error
        backend.queue.popleft()
        if request.error is not None:
            self._end(backend, flush=None)
        elif backend.explicit:
            backend.idle_since = self.tables.wall()
        elif request.query == COMMIT and not self.prompt:
            backend.flushing = request
            return True
        else:
            self._end(backend, flush=request.query != COMMIT or bool(request.values[2]))
        self._answer(backend, request)
        return True

    def _execute(self, backend: Backend, request: Request) -> list[Row]:
        match request.query:
            case "BEGIN":
                backend.explicit = True
                backend.work = Transaction(self.tables)
            case "COMMIT":
                self._end(backend, flush=True)
            case "ROLLBACK":
                self._end(backend, flush=None)
            case "close":
                self._close(backend)
            case "hello":
                pass
            case query if idle := _IDLE.fullmatch(query):
                backend.idle_seconds_max = int(idle[1]) / 1000
            case query:
                if query == COMMIT and self.full:
                    raise asyncpg.DiskFullError("No space left on device")
                return self._run(backend, query, request.values)
        return []

    def _run(self, backend: Backend, query: str, values: tuple[object, ...]) -> list[Row]:
        if backend.work is None:
            backend.work = Transaction(self.tables)
        before = dict(backend.work.changes)
        try:
            return STATEMENTS[query](backend.work, *values)
        except WaitsError:
            backend.work.changes = before  # it begins again then, with the locks that it has
            raise

    def _is_deadlock(self, backend: Backend) -> bool:
        """Whether those that it waits for wait for it."""
        waiting = {id(one.work): one.waits_for for one in self._backends if one.waits_for}
        holder = backend.waits_for
        for _ in waiting:
            holder = waiting.get(id(holder))
            if holder is backend.work:
                return True
        return False

    def _end(self, backend: Backend, *, flush: bool | None) -> None:
        """The transaction ends; with `None`, nothing of it has happened."""
        work, backend.work = backend.work, None
        backend.explicit, backend.idle_seconds_max = False, 0.0
        if work is not None and flush is not None:
            work.commit(flush=flush)
        elif work is not None:
            work.release()

    def _close(self, backend: Backend) -> None:
        backend.ended = True
        if backend.flushing is None:
            self._end(backend, flush=None)

    def _answer(self, backend: Backend, request: Request) -> None:
        if request in backend.path.asked:
            backend.path.asked.remove(request)
            backend.path.answers.append(request)
