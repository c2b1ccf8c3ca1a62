"""The publisher's client for programs without an event loop: WSGI, Celery, cron."""

from __future__ import annotations

import http.client
import os
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.uris import without_user
from holdfast.publish import requests as r

SECONDS_MAX: Final = 30.0
IDLE_MAX: Final = 8
"""Open connections that are kept while they are not used."""


class Client:
    """Publishes through the HTTP API at `url` (`http://`, `https://` or `unix:`).

    Several threads may use it, and processes that were forked: calls that run at one time have a
    connection each, which stays open. `key` is that of the API; without it, it is taken from
    `HOLDFAST_API_KEY`. A request that fails is sent again for `seconds_max`, and is carried out
    once.
    Raises `ConfigurationError` for an address or a key that cannot be used.
    """

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
        self._idle: deque[tuple[int, http.client.HTTPConnection]] = deque()
        """With the process that opened each. Threads may use it at any time."""
        check_url(self._url)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the open connections. They are opened again when they are needed."""
        while (connection := self._take_idle()) is not None:
            connection.close()

    def publish(
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
        """Send an item, or several, to sessions, to all sessions of users, or to groups.

        An item is a text, an `Output`, or its JSON object, as in
        `{"package": "Order", "data": {...}}`. `delivery` is `must` (if not given), `volatile` or
        `latest:KEY`. A publication with an `id` of yours is carried out once, also if another
        process sends it again. Returns when it is stored, as `durability` asks (`memory`, `fast`,
        `durable`).

        Raises `UnknownSessionError` if there is none of these sessions, `RefusedError`,
        `UnavailableError`, and `UnsendableError` for what JSON cannot hold.
        """
        (result,) = self.publish_all(
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

    def publish_all(
        self, publications: Iterable[Mapping[str, Any]]
    ) -> list[r.Published | r.RefusedError]:
        """Send several publications in one request, in their order. Returns each one's result."""
        return r.results_of(self._call(r.publish_call(list(publications), self._ids)))

    def sessions(self, user: str, *, app: str = "") -> list[r.SessionFound]:
        """All sessions of a user. The key must have the action `read`."""
        found: list[r.SessionFound] = []
        more = True
        while more:
            after = found[-1].sid if found else ""
            page, more = r.sessions_of(self._call(r.sessions_call(user, app, after)))
            found += page
        return found

    def group(self, name: str, *, app: str = "") -> r.Group:
        """A group: its members, and how many. The key must have the action `read`."""
        return r.group_of(self._call(r.group_call(name, app)))

    def close_session(self, sid: str, reason: str = "kicked") -> None:
        """End a session for good. The key must have the action `close`."""
        self._call(r.close_call(sid, reason))

    # --- inside

    def _call(self, call: r.Call) -> bytes:
        steps = r.attempts(call, self._seconds_max, iter(time.monotonic, None), random.random)
        pause = next(steps)
        while True:
            if pause:
                time.sleep(pause)
            try:
                pause = steps.send(self._attempt(call))
            except StopIteration as done:
                body: bytes = done.value
                return body

    def _attempt(self, call: r.Call) -> r.Reply | OSError:
        """One attempt. An idle connection may have been closed: then on a new one at once."""
        kept = self._take_idle()
        if kept is not None:
            reply = self._exchange(kept, call)
            if isinstance(reply, r.Reply):
                return reply
        return self._exchange(connection_to(self._url, self._tls, self._seconds_max), call)

    def _exchange(self, connection: http.client.HTTPConnection, call: r.Call) -> r.Reply | OSError:
        kept = False
        try:
            connection.request(
                call.method, call.target, call.body or None, r.headers_of(self._key, call)
            )
            response = connection.getresponse()
            length = response.length  # http.client takes an answer that is cut off for a whole one
            body = response.read(r.ANSWER_BYTES_MAX)
            if length != len(body):
                return OSError(f"an answer was cut off: {len(body)} of {length} bytes came")
            kept = response.isclosed() and not response.will_close
            after = r.retry_after(response.getheader("Retry-After"))
            return r.Reply(response.status, body, after)
        except OSError as error:
            return error
        except http.client.HTTPException as error:
            return OSError(f"{type(error).__name__}: {error}")
        finally:
            if kept and len(self._idle) < IDLE_MAX:
                self._idle.append((os.getpid(), connection))
            else:
                connection.close()

    def _take_idle(self) -> http.client.HTTPConnection | None:
        """An open connection that is not used, if there is one of this process."""
        while True:
            try:
                pid, connection = self._idle.pop()
            except IndexError:
                return None
            if pid == os.getpid():
                return connection
            connection.close()  # of the process that this one was forked from


def check_url(url: str) -> None:
    """Raise `ConfigurationError` for an invalid address."""
    parts = urlsplit(url)
    try:
        good = parts.scheme == "unix" or (parts.scheme in ("http", "https") and parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good or (parts.scheme == "unix" and not parts.path):
        raise ConfigurationError(
            f"url: expected an http://, https:// or unix: address, as in {r.DEFAULT_API}; found"
            f" {without_user(url)!r}"
        )


def connection_to(
    url: str, tls: ssl.SSLContext | None, seconds_max: float
) -> http.client.HTTPConnection:
    """A connection that is opened when it is used."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.netloc + parts.path, seconds_max)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds_max, context=tls)
    return http.client.HTTPConnection(host, parts.port, timeout=seconds_max)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, seconds_max: float) -> None:
        super().__init__("localhost", timeout=seconds_max)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
