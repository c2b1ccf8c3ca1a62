"""The application's end of the link: dial, say hello, and again when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from holdfast.core.errors import ConfigurationError
from holdfast.link import messages as m
from holdfast.link.peer import Dispatch, LinkClosedError, Peer, RequestError, connection_limits
from holdfast.net.addresses import Address
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection
from holdfast.net.dial import DialError, dial

if TYPE_CHECKING:
    from holdfast.app.app import App

T = TypeVar("T")

_log = structlog.get_logger("holdfast.app")

_FIRST_PAUSE_SECONDS: Final = 0.05
_FATAL: Final = frozenset({"protocol", "secret", "unknown_app"})
"""Answers to `hello` that trying again does not change."""


class Linker:
    """Keeps one application linked: the `Owner` of its peer."""

    def __init__(self, app: App, address: Address, secret: str, tasks: asyncio.TaskGroup) -> None:
        self._app = app
        self._address = address
        self._secret = secret
        self._tasks = tasks
        self._clockwork = Clockwork(asyncio.get_running_loop())
        self._peer: Peer | None = None
        """The peer, once the gateway has welcomed us."""
        self._early: list[m.SessionEvent] = []
        """Events that came before the welcome was handled: most often in one piece with it."""
        self._ended = asyncio.Event()
        self._flushing = False
        self._fatal: RequestError | None = None

    async def run(self) -> None:
        """Link, and link again with growing pauses, until cancelled.

        Raises `ConfigurationError` when the gateway refuses us for good.
        """
        self._clockwork.wheel.start()
        try:
            pause = _FIRST_PAUSE_SECONDS
            while True:
                if await self._link():
                    pause = _FIRST_PAUSE_SECONDS
                if self._app.orphaned():
                    self._app.stop()
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, self._app.limits.reconnect_seconds_max)
        finally:
            self._clockwork.wheel.stop()

    async def _link(self) -> bool:
        """One link, from dialling to its end. Whether it was ever established."""
        self._ended.clear()
        limits = connection_limits(self._app.limits)
        try:
            connection = await dial(
                self._address, self._handler, clockwork=self._clockwork, limits=limits
            )
        except DialError as error:
            _log.debug("the gateway cannot be reached", error=str(error))
            return False
        try:
            await self._ended.wait()
        finally:
            connection.abort()
        established = self._peer is not None
        self._peer = None
        if self._fatal is not None:
            raise ConfigurationError(f"{self._address}: {self._fatal}") from self._fatal
        return established

    def _handler(self, connection: Connection) -> Peer:
        return Peer(connection, self, self._app.limits)

    # --- Owner of the peer

    def linked(self, peer: Peer) -> None:
        self.spawn(self._hello(peer))

    def unlinked(self, peer: Peer, reason: str) -> None:
        if self._peer is peer:
            _log.warning("the link is broken", reason=reason)
            self._app.dispatcher.unlink()
        self._ended.set()
        self._app.move()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self._tasks.create_task(work)
        except RuntimeError:
            work.close()  # the application is ending

    async def _hello(self, peer: Peer) -> None:
        app = self._app
        hello = m.Hello(
            protocol=m.PROTOCOL,
            app=app.name,
            instance=app.instance,
            window=app.limits.window_bytes_max,
            secret=self._secret,
            sent=app.outgoing.sent,
            applied=app.dispatcher.applied(await app.call("remember") or {}),
            login=app.has("authenticate"),
            profiles=app.has("profiles"),
        )
        peer.dispatch = self._dispatch
        # Not awaited: what follows the welcome is of sessions that the welcome tells of.
        peer.ask(
            m.HELLO,
            hello,
            m.Welcome,
            lambda welcome: self._welcomed(peer, welcome),
            lambda error: self._refused(peer, error),
        )

    def _welcomed(self, peer: Peer, welcome: m.Welcome) -> None:
        app = self._app
        peer.established()
        self._peer = peer
        app.outgoing.relink(welcome.accepted, welcome.window)
        app.outgoing.bounds = welcome.bounds
        app.dispatcher.welcome(welcome.sessions)
        self._receive(self._early)
        _log.info("linked", gateway=welcome.node, sessions=len(welcome.sessions))
        self.flush_later()

    def _refused(self, peer: Peer, error: Exception) -> None:
        if isinstance(error, RequestError):
            if error.code in _FATAL:
                self._fatal = error
            peer.close(str(error))

    @property
    def _dispatch(self) -> Dispatch:
        app = self._app
        return Dispatch(
            {
                m.EVENTS: (list[m.SessionEvent], self._receive),
                m.ACCEPTED: (m.Accepted, lambda accepted: app.accepted(accepted.bseq)),
                m.REFUSED: (m.Refused, _log_refused),
                m.AUTHENTICATE: (m.Authenticate, app.authenticate),
                m.PROFILES_LIST: (m.ProfileQuery, app.list_profiles),
                m.PROFILES_CREATE: (m.ProfileCreation, app.create_profile),
                m.PROFILES_SELECT: (m.ProfileChoice, app.select_profile),
            }
        )

    def _receive(self, events: list[m.SessionEvent]) -> None:
        """Hot path."""
        if self._peer is not None:
            self._app.dispatcher.receive(events)
        else:
            self._early += events

    # --- sending

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask the gateway. Raises `LinkClosedError` while there is no link."""
        if self._peer is None:
            raise LinkClosedError("the gateway is not linked")
        self._flush()  # what was said before comes before
        return await self._peer.request(method, params, result)

    def flush_later(self) -> None:
        """Send what was said, at the end of this tick. Hot path."""
        if not self._flushing:
            self._flushing = True
            self._clockwork.tick.add(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        peer = self._peer
        if peer is None:
            return
        for method, params in self._app.outgoing.take():
            peer.notify(method, params)
        # After the outputs: a command counts as applied when what it caused has been said.
        marks = self._app.dispatcher.take_applied()
        if marks:
            peer.notify(m.APPLIED, marks)

    async def finish(self) -> None:
        """Let the handlers end and their outputs be accepted, within a limit of time."""
        app = self._app
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(app.limits.finish_seconds_max):
                await app.moved_until(lambda: app.dispatcher.idle)
                await app.moved_until(lambda: app.outgoing.idle or self._peer is None)
        if self._peer is not None:
            self._peer.close("the application is stopping")
            await self._ended.wait()


def _log_refused(refused: m.Refused) -> None:
    _log.error("the gateway refused an output", fault=refused.message)
