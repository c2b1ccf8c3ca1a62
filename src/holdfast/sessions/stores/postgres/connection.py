"""One connection to a PostgreSQL database, which is made again when it is lost.

Nothing of it depends on the session of the server: each statement, or each transaction, stands
alone. So it also works through PgBouncer, if that pools transactions or sessions; prepared
statements are kept only where no such pooler is between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg

from holdfast.core.limits import StoreLimits
from holdfast.net.loggers import LazyLogger
from holdfast.sessions.stores.base import StoreBusyError, StoreError
from holdfast.sessions.stores.postgres.faults import FAULTS, LOST, explain

_log = LazyLogger("holdfast.store")

_CLOSE_SECONDS_MAX: Final = 2.0
_RETRY_SECONDS: Final = 0.1
"""Between two attempts to connect to a server that starts."""
_TYPES: Final = "SELECT $1::text[], $2::bytea[], $3::bigint[], $4::float8[]"
NUMBER: Final = "SELECT pg_current_xact_id()::text"
"""Of a transaction, with which `Connection.committed` finds it."""
_STATUS: Final = """
    SELECT CASE WHEN $1::text::xid8 < pg_current_xact_id() THEN pg_xact_status($1::text::xid8) END
"""
"""`NULL` for a transaction that the server does not know: it has lost its newest ones."""
_IDLE: Final = "SET LOCAL idle_in_transaction_session_timeout = {}"
_STATEMENTS_MAX: Final = 50
"""Prepared statements that are kept."""


def name_of(url: str) -> str:
    """How messages name the database of a URL: without a password, and without options."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}/{unquote(parts.path.strip('/'))}"


class Connection:
    """Runs statements, one after the other. Raises `StoreError` from every method.

    `begin` is called with each new connection before anything else is sent on it.
    """

    def __init__(
        self,
        url: str,
        password: str | None,
        limits: StoreLimits,
        begin: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self._begin = begin
        self.name = name_of(url)
        self._url = url
        self._password = password
        self._limits = limits
        self._lock = asyncio.Lock()
        self._db: Any = None

    async def open(self) -> None:
        """Connect. A server that starts is waited for."""
        async with self._lock:
            await self._connected()

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """The rows of a query, which is sent again once if the connection was lost."""
        async with self._lock:
            return await self._fetch(query, values)

    async def value(self, query: str, *values: object) -> Any:
        """The first column of the first row, or `None`."""
        rows = await self.fetch(query, *values)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def transaction(self, idle_seconds_max: float = 0.0) -> AsyncIterator[Transaction]:
        """All of the block is stored, or nothing. It begins again if the connection was lost.

        With `idle_seconds_max`, the server ends one in which this process says nothing for so long:
        what it has locked is free then.
        """
        async with self._lock:
            try:
                async with AsyncExitStack() as work:
                    statements = Transaction(await self._started(work), self._limits)
                    if idle_seconds_max:
                        await statements.run(_IDLE.format(round(idle_seconds_max * 1000)))
                    yield statements
            except FAULTS as error:
                self._lost(error)
                raise explain(self.name, error) from error

    @asynccontextmanager
    async def certain(self, idle_seconds_max: float) -> AsyncIterator[Transaction]:
        """As `transaction`, whose outcome is known at its end: after a `StoreError`, nothing is
        stored. If the connection is lost during the commit, this asks until the server says."""
        number = ""
        try:
            async with self.transaction(idle_seconds_max) as work:
                yield work
                number = await work.value(NUMBER)
        except StoreError:
            if not (number and await self.committed(number)):
                raise

    async def committed(self, number: str) -> bool:
        """Whether a transaction was committed that may still be under way. Waits for its end, and
        for the server."""
        while True:
            try:
                status = await self.value(_STATUS, number)
            except StoreError as error:
                _log.warning("not known yet whether a transaction was committed", error=str(error))
                await asyncio.sleep(self._limits.retry_seconds_max)
                continue
            if status != "in progress":
                return bool(status == "committed")
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(*FAULTS):
                async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                    await db.close()
            db.terminate()

    async def _started(self, work: AsyncExitStack) -> Any:
        """A connection, in a transaction that ends with `work`."""
        deadline = asyncio.get_running_loop().time() + self._limits.busy_seconds_max
        while True:
            db = await self._connected()
            try:
                await work.enter_async_context(_transaction(db, self._limits))
            except LOST as error:
                self._lost(error)
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            else:
                return db

    async def _fetch(self, query: str, values: Sequence[object]) -> list[Any]:
        deadline = asyncio.get_running_loop().time() + self._limits.busy_seconds_max
        while True:
            db = await self._connected()
            try:
                async with _in_time(db, self._limits):
                    found: list[Any] = await db.fetch(query, *values)
                    return found
            except FAULTS as error:
                self._lost(error)
                if not isinstance(error, LOST) or asyncio.get_running_loop().time() >= deadline:
                    raise explain(self.name, error) from error

    async def _connected(self) -> Any:
        """The connection, made anew if it was lost. Raises `StoreError`."""
        if self._db is not None and not self._db.is_closed():
            return self._db
        self._db = None
        deadline = asyncio.get_running_loop().time() + self._limits.busy_seconds_max
        while True:
            try:
                self._db = await self._begun(await self._connect())
            except FAULTS as error:
                fault = explain(self.name, error)
                if not isinstance(fault, StoreBusyError):
                    raise fault from error
                if asyncio.get_running_loop().time() >= deadline:
                    raise fault from error
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return self._db

    async def _connect(self) -> Any:
        db = await self._dial(_STATEMENTS_MAX)
        try:
            # Without a name: behind a pooler, another client may have the one that it would get.
            async with _in_time(db, self._limits):
                asking = await db.prepare("SELECT pg_backend_pid()", name="")
                process = await asking.fetchval()
            if process == db.get_server_pid():
                return db
        except BaseException:
            db.terminate()
            raise
        # A pooler such as PgBouncer: the next transaction may meet another server process, which
        # does not know the statements that this one has prepared.
        db.terminate()
        return await self._know_types(await self._dial(0))

    async def _know_types(self, db: Any) -> Any:
        """Let asyncpg look up the types of our statements in one transaction.

        It turns off `jit` for that, which would take seconds: without a transaction, a pooler
        may send that to another server process.
        """
        try:
            async with _transaction(db, self._limits), _in_time(db, self._limits):
                await db.prepare(_TYPES, name="")
        except BaseException:
            db.terminate()
            raise
        return db

    async def _begun(self, db: Any) -> Any:
        """The connection after `begin`."""
        try:
            if self._begin is not None:
                async with asyncio.timeout(self._limits.answer_seconds_max):
                    await self._begin(db)
        except BaseException:
            db.terminate()
            raise
        return db

    async def _dial(self, statements: int) -> Any:
        async with asyncio.timeout(self._limits.answer_seconds_max):
            return await asyncpg.connect(
                self._url,
                password=self._password,
                statement_cache_size=statements,
                timeout=None,
            )

    def _lost(self, error: BaseException) -> None:
        """After an error of a connection: it is not used again."""
        if self._db is not None and isinstance(error, LOST):
            self._db.terminate()
            self._db = None


class Transaction:
    """Statements that are stored together. Raises what asyncpg raises."""

    def __init__(self, db: Any, limits: StoreLimits) -> None:
        self._db = db
        self._limits = limits

    async def fetch(self, query: str, *values: object) -> list[Any]:
        """The rows of a query."""
        async with _in_time(self._db, self._limits):
            found: list[Any] = await self._db.fetch(query, *values)
            return found

    async def value(self, query: str, *values: object) -> Any:
        """The first column of the first row, or `None`."""
        rows = await self.fetch(query, *values)
        return rows[0][0] if rows else None

    async def run(self, script: str) -> None:
        """Statements without values."""
        async with _in_time(self._db, self._limits):
            await self._db.execute(script)

    async def rows(self, query: str, *values: object) -> AsyncIterator[Any]:
        """The rows of a query, read a part at a time."""
        async for row in self._db.cursor(query, *values, prefetch=_ROWS):
            yield row


@asynccontextmanager
async def _transaction(db: Any, limits: StoreLimits) -> AsyncIterator[None]:
    """asyncpg's own has no time limit."""
    work = db.transaction()
    async with _in_time(db, limits):
        await work.start()
    try:
        yield
    except BaseException:
        with suppress(*FAULTS):  # the server does so by itself for a connection that is gone
            async with _in_time(db, limits):
                await work.rollback()
        raise
    async with _in_time(db, limits):
        await work.commit()


@asynccontextmanager
async def _in_time(db: Any, limits: StoreLimits) -> AsyncIterator[None]:
    """Wait at most so long for an answer. A connection without one is dropped at once: otherwise
    the end of its transaction would wait for the server, too."""
    try:
        async with asyncio.timeout(limits.answer_seconds_max):
            yield
    except TimeoutError:
        db.terminate()
        raise


_ROWS: Final = 100
"""That are read at a time, and handled in one go: an entry of a journal may have 100 KiB."""
