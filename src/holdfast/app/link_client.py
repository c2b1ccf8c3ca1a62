"""The application's end of the link: dial, send hello, and repeat when the link breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from holdfast.app.answers import Answers
from holdfast.app.dispatcher import Dispatcher
from holdfast.app.outgoing import Outgoing
from holdfast.app.progress import Progress
from holdfast.core.backoff import Backoff
from holdfast.core.errors import ConfigurationError, Reason
from holdfast.core.limits import LinkLimits
from holdfast.core.outage import Outage
from holdfast.link import messages as m
from holdfast.link.peer import Dispatch, LinkClosedError, Peer, RequestError, connection_limits
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.tasks import spawn

T = TypeVar("T")


class LinkedApp(Protocol):
    """The application, as far as its link needs it."""

    name: str
    instance: str
    limits: LinkLimits
    serves: bool
    outgoing: Outgoing
    dispatcher: Dispatcher
    answers: Answers
    progress: Progress

    @property
    def idle(self) -> bool: ...

    def has(self, name: str) -> bool: ...

    def orphaned(self) -> bool: ...

    def stop(self) -> None: ...


_log: Final = RateLimitedLogger("holdfast.app")

_FIRST_PAUSE_SECONDS: Final = 0.05
_UNAUTHENTICATED_SESSIONS_MAX: Final = 1_000
"""The most sessions in a `hello` that fits into a frame before the secret is shown."""
_FATAL: Final = frozenset({"protocol", "secret", "unknown_app"})
"""Answers to `hello` that trying again does not change."""


class LinkClient:
    """Keeps one application linked: the `PeerOwner`."""

    def __init__(
        self,
        app: LinkedApp,
        address: Address,
        secret: str,
        tls: ssl.SSLContext | None,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._app = app
        self._address = address
        self._secret = secret
        self._tls = tls
        self._tasks = tasks
        self._runtime = Runtime(asyncio.get_running_loop())
        self._peer: Peer | None = None
        """The peer, once the gateway has answered hello."""
        self._early: list[m.SessionEvent] = []
        """Events that came before the welcome was handled, usually in the same read."""
        self._linked_at = 0.0
        self._ended = asyncio.Event()
        self._flushing = False
        self._fatal: RequestError | None = None
        self._outage = Outage()
        self._why_unlinked = ""
        """Why the newest connection to the gateway ended before its welcome."""

    @property
    def welcomed(self) -> bool:
        """Whether the gateway has welcomed the application."""
        return self._peer is not None

    async def run(self) -> None:
        """Link, and link again with growing pauses, until cancelled.

        Raises `ConfigurationError` when the gateway refuses the application permanently.
        """
        self._runtime.timers.start()
        try:
            longest = self._app.limits.reconnect_seconds_max
            backoff = Backoff(_FIRST_PAUSE_SECONDS, longest, longest)
            while True:
                pause = backoff.pause(random.random(), await self._link())
                if self._app.orphaned():
                    self._app.stop()
                await asyncio.sleep(pause)
        finally:
            self._runtime.timers.stop()

    async def _link(self) -> float:
        """Dial, and wait for the end of the link. Returns the seconds that it was established."""
        self._ended.clear()
        limits = connection_limits(self._app.limits)
        try:
            connection = await dial(
                self._address,
                self._handler,
                clockwork=self._runtime,
                limits=limits,
                tls=self._tls,
            )
        except DialError as error:
            self._not_linked(str(error))
            return 0.0
        try:
            await self._ended.wait()
        finally:
            connection.abort()
        linked = self._peer is not None
        self._peer = None
        if self._fatal is not None:
            raise ConfigurationError(f"{self._address}: {self._fatal}") from self._fatal
        if not linked:
            self._not_linked(self._why_unlinked)
            return 0.0
        return connection.time() - self._linked_at

    def _not_linked(self, reason: str) -> None:
        now = self._runtime.timers.time()
        if self._outage.failed(now):
            _log.warning(
                "no link to the gateway",
                at=str(self._address),
                reason=reason,
                attempts=self._outage.attempts,
                for_s=round(self._outage.seconds(now)),
            )

    def _handler(self, connection: Connection) -> Peer:
        return Peer(connection, self, self._app.limits)

    # --- PeerOwner

    def linked(self, peer: Peer) -> None:
        app = self._app
        hello = m.Hello(
            protocol=m.PROTOCOL,
            app=app.name,
            instance=app.instance,
            window=app.limits.window_bytes_max,
            secret=self._secret,
            oldest=app.outgoing.oldest,
            sent=app.outgoing.sent,
            applied=app.dispatcher.applied(app.outgoing.oldest - 1),
            login=app.has("authenticate"),
            profiles=app.has("profiles"),
            certificates=app.has("certificate"),
            serves=app.serves,
        )
        peer.dispatch = self._dispatch
        if self._secret and len(hello.applied) > _UNAUTHENTICATED_SESSIONS_MAX:
            # An unauthenticated link may not send so much at once.
            peer.ask(
                m.AUTHORIZE,
                m.Authorize(app.name, self._secret),
                bool,
                lambda _: self._hello(peer, hello),
                lambda error: self._refused(peer, error),
            )
        else:
            self._hello(peer, hello)

    def _hello(self, peer: Peer, hello: m.Hello) -> None:
        # Not awaited: events after the welcome concern its sessions.
        peer.ask(
            m.HELLO,
            hello,
            m.Welcome,
            lambda welcome: self._welcomed(peer, welcome),
            lambda error: self._refused(peer, error),
        )

    def unlinked(self, peer: Peer, reason: str) -> None:
        if self._peer is peer:
            stops = peer.goodbye_code == Reason.SHUTDOWN.value or self._app.dispatcher.leaving
            log = _log.info if stops else _log.warning
            log("link lost", reason=reason)
            if stops:
                self._outage.announced(self._runtime.timers.time())
            self._app.dispatcher.unlink()
        else:
            self._why_unlinked = reason
        # To link again would supersede the other process in turn.
        if peer.goodbye_code == Reason.SUPERSEDED.value:
            self._fatal = RequestError(peer.goodbye_code, reason)
        self._ended.set()
        self._app.progress.move()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(self._tasks, work, partial(log_failure, _log, "a task of the link failed"))

    def _welcomed(self, peer: Peer, welcome: m.Welcome) -> None:
        app = self._app
        peer.established()
        self._peer = peer
        self._linked_at = self._runtime.timers.time()
        self._outage.ended()
        if welcome.forgotten:
            _log.warning(
                "accepted outputs lost by the gateway",
                outputs=welcome.forgotten,
            )
        app.outgoing.relink(welcome.accepted, welcome.window)
        app.outgoing.bounds = welcome.bounds
        app.dispatcher.welcome(welcome.sessions)
        self._receive(self._early)
        if app.dispatcher.leaving:
            self.spawn(self._leave())  # the link before this one broke meanwhile
        _log.info("linked", gateway=welcome.node, sessions=len(welcome.sessions))
        self.flush_later()
        app.progress.move()

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
                m.EVENTS: (list[m.TracedEvent], self._receive),
                m.ACCEPTED: (m.Accepted, self._accepted),
                m.REFUSED: (m.Refused, _log_refused),
                **app.answers.methods,
            }
        )

    def _accepted(self, accepted: m.Accepted) -> None:
        self._app.outgoing.accepted(accepted.bseq)
        self._app.progress.move()

    def _receive(self, events: Sequence[m.SessionEvent]) -> None:
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
        self._flush()  # earlier calls come first
        return await self._peer.request(method, params, result)

    def flush_later(self) -> None:
        """Send the queued calls at the end of this tick. Hot path."""
        if not self._flushing:
            self._flushing = True
            self._runtime.coalescer.add(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        peer = self._peer
        if peer is None:
            return
        app = self._app
        for method, params in app.outgoing.take():
            if method == m.EMIT:
                peer.notify_batch(method, params)
            else:
                peer.notify(method, params)
        # After the outputs: a command counts as applied when its output has been sent.
        marks = app.dispatcher.take_applied()
        if marks:
            peer.notify_batch(m.APPLIED, marks)
        released = app.dispatcher.take_released()
        if released:
            peer.notify_batch(m.RELEASE, released)

    async def finish(self) -> None:
        """Begin no more handlers, and wait a limited time for those that run and their outputs."""
        app = self._app
        app.dispatcher.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(app.limits.finish_seconds_max):
                await self._leave()
                await app.progress.until(lambda: app.idle)
                await app.progress.until(lambda: app.outgoing.idle or self._peer is None)
        if self._peer is not None:
            self._flush()
            self._peer.close("the application is stopping")
            await self._ended.wait()

    async def _leave(self) -> None:
        """Tell the gateway, so that the sessions move to another instance as soon as they can."""
        try:
            await self.request(m.LEAVING, m.Leaving(), m.Leaving)
        except (LinkClosedError, RequestError):
            return  # there is no link, or it is an older gateway's: the sessions stay until the end
        self._app.dispatcher.release()


def _log_refused(refused: m.Refused) -> None:
    if refused.code == m.UNKNOWN_SESSION:  # most often it has just ended
        _log.info("output for a session that there is not", fault=refused.message)
    else:
        _log.error("output refused by the gateway", fault=refused.message)
