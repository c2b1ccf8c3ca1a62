"""The publisher's client for programs on asyncio."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from holdfast.publish import requests as r
from holdfast.publish.client import IDLE_MAX, SECONDS_MAX, check_url

_HEAD_BYTES_MAX: Final = 64 * 1024


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class AsyncClient:
    """As `Client`, for programs on asyncio: use it within one event loop. Calls that run at one
    time have a connection each."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        tls: ssl.SSLContext | None = None,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._url = url or os.environ.get(r.API_VARIABLE, "") or r.DEFAULT_API
        self._key = r.key_of(key)
        self._tls = tls
        self._seconds_max = seconds_max
        self._ids = r.Ids()
        self._idle: list[_Connection] = []
        check_url(self._url)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the open connections. They are opened again when they are needed."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.writer.close()

    async def publish(
        self,
        item: r.Item | None = None,
        *,
        session: r.Names = (),
        user: r.Names = (),
        group: r.Names = (),
        items: Iterable[r.Item] = (),
        delivery: str = "",
        id: str = "",
        app: str = "",
        durability: str = "",
    ) -> r.Published:
        """Send an item, or several, as `Client.publish`."""
        (result,) = await self.publish_all(
            [
                r.publication(
                    item,
                    session=session,
                    user=user,
                    group=group,
                    items=items,
                    delivery=delivery,
                    id=id,
                    app=app,
                    durability=durability,
                )
            ]
        )
        if isinstance(result, r.RefusedError):
            raise result
        return result

    async def publish_all(
        self, publications: Iterable[Mapping[str, Any]]
    ) -> list[r.Published | r.RefusedError]:
        """Send several publications in one request, in their order. Returns each one's result."""
        call = r.publish_call(list(publications), self._ids)
        return r.results_of(await self._call(call))

    async def sessions(self, user: str, *, app: str = "") -> list[r.SessionFound]:
        """All sessions of a user. The key must have the action `read`."""
        found: list[r.SessionFound] = []
        more = True
        while more:
            after = found[-1].sid if found else ""
            page, more = r.sessions_of(await self._call(r.sessions_call(user, app, after)))
            found += page
        return found

    async def group(self, name: str, *, app: str = "") -> r.Group:
        """A group: its members, and how many. The key must have the action `read`."""
        return r.group_of(await self._call(r.group_call(name, app)))

    async def close_session(self, sid: str, reason: str = "kicked") -> None:
        """End a session for good. The key must have the action `close`."""
        await self._call(r.close_call(sid, reason))

    # --- inside

    async def _call(self, call: r.Call) -> bytes:
        steps = r.attempts(call, self._seconds_max, iter(time.monotonic, None), random.random)
        pause = next(steps)
        while True:
            if pause:
                await asyncio.sleep(pause)
            try:
                pause = steps.send(await self._attempt(call))
            except StopIteration as done:
                body: bytes = done.value
                return body

    async def _attempt(self, call: r.Call) -> r.Reply | OSError:
        """One attempt. An idle connection may have been closed: then on a new one at once."""
        if self._idle:
            reply = await self._exchange(self._idle.pop(), call)
            if isinstance(reply, r.Reply):
                return reply
        try:
            async with asyncio.timeout(self._seconds_max):
                connection = await self._connect()
        except OSError as error:  # a time-out is one, too
            return error
        return await self._exchange(connection, call)

    async def _exchange(self, connection: _Connection, call: r.Call) -> r.Reply | OSError:
        kept = False
        try:
            async with asyncio.timeout(self._seconds_max):
                connection.writer.write(_request(self._url, self._key, call))
                reply, kept = await _read_reply(connection.reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            return OSError(f"{type(error).__name__}: {error}")
        except OSError as error:
            return error
        else:
            return reply
        finally:
            if kept and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
            else:
                connection.writer.close()

    async def _connect(self) -> _Connection:
        parts = urlsplit(self._url)
        if parts.scheme == "unix":
            path = parts.netloc + parts.path
            return _Connection(*await asyncio.open_unix_connection(path, limit=_HEAD_BYTES_MAX))
        secure = parts.scheme == "https"
        tls = (self._tls or ssl.create_default_context()) if secure else None
        port = parts.port or (443 if secure else 80)
        opened = await asyncio.open_connection(parts.hostname, port, ssl=tls, limit=_HEAD_BYTES_MAX)
        return _Connection(*opened)


def _request(url: str, key: str, call: r.Call) -> bytes:
    parts = urlsplit(url)
    host = "localhost" if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
    fields = {"Host": host, **r.headers_of(key, call)}
    lines = [f"{call.method} {call.target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + call.body


async def _read_reply(reader: asyncio.StreamReader) -> tuple[r.Reply, bool]:
    """An answer of the API, which always has `Content-Length`; and whether another may follow.

    Raises `ValueError` for what is none.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    version, status, *_ = first.split(" ", 2)
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    length = int(fields.get("content-length", ""))
    if not 0 <= length <= r.ANSWER_BYTES_MAX:
        raise ValueError(f"an answer of {length} bytes")
    body = await reader.readexactly(length)
    kept = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    return r.Reply(int(status), body, r.retry_after(fields.get("retry-after"))), kept
