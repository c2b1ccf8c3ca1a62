"""The application's end of the link to one node: dial, send hello, and repeat when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from holdfast.app.answers import Answers
from holdfast.app.dispatcher import Dispatcher
from holdfast.app.node import Node
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
    dispatcher: Dispatcher
    answers: Answers
    progress: Progress

    @property
    def idle(self) -> bool: ...

    def has(self, name: str) -> bool: ...

    def orphaned(self) -> bool: ...

    def stop(self) -> None: ...


class LinkOwner(Protocol):
    """The links to all nodes, as far as one of them needs it."""

    def addresses(self, link: LinkClient) -> Sequence[Address]:
        """Where to link to its node, in the order to try them; empty if it has ended."""

    def asks_name(self, link: LinkClient) -> bool:
        """Whether its node is known by name, and another one could answer."""

    def linked(self, link: LinkClient, nodes: Sequence[m.NodeAddress]) -> None:
        """The link has its welcome, with these nodes."""

    def announced(self, link: LinkClient, nodes: Sequence[m.NodeAddress]) -> None:
        """The node has told of these nodes."""

    def replaced(self, link: LinkClient, number: int) -> None:
        """Another run of a node has welcomed the application, and knows nothing of its outputs up
        to `number`."""

    def inherited(self, link: LinkClient, told: m.Inherited) -> None:
        """The node has the sessions of another one."""


_log: Final = RateLimitedLogger("holdfast.app")

_FIRST_PAUSE_SECONDS: Final = 0.05
_UNAUTHENTICATED_SESSIONS_MAX: Final = 1_000
"""The most sessions in a `hello` that fits into a frame before the secret is shown."""
_FATAL: Final = frozenset({"protocol", "secret", "unknown_app"})
"""Answers to `hello` that trying again does not change."""


class LinkSettings(NamedTuple):
    """What the links to all nodes have in common."""

    runtime: Runtime
    secret: str
    tls: ssl.SSLContext | None
    tasks: asyncio.TaskGroup


class LinkClient:
    """Keeps one application linked to one node: the `PeerOwner`."""

    def __init__(
        self, app: LinkedApp, node: Node, owner: LinkOwner, settings: LinkSettings
    ) -> None:
        self.node = node
        self._app = app
        self._owner = owner
        self._secret = settings.secret
        self._tls = settings.tls
        self._tasks = settings.tasks
        self._runtime = settings.runtime
        self._attempts = 0
        self._peer: Peer | None = None
        """The peer, once the gateway has answered hello."""
        self._early: list[m.SessionEvent] = []
        """Events that came before the welcome: of sessions that the node does not have any more."""
        self._greeted = node.outgoing
        """The outputs that the newest hello has told of."""
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
        """Link, and link again with growing pauses, until cancelled or the node has ended.

        Raises `ConfigurationError` when the gateway refuses the application permanently.
        """
        longest = self._app.limits.reconnect_seconds_max
        backoff = Backoff(_FIRST_PAUSE_SECONDS, longest, longest)
        while addresses := self._owner.addresses(self):
            address = addresses[self._attempts % len(addresses)]
            lasted = await self._link(address)
            if not lasted:
                self._attempts += 1
            if self._app.orphaned():
                self._app.stop()
            await asyncio.sleep(backoff.pause(random.random(), lasted))

    async def _link(self, address: Address) -> float:
        """Dial, and wait for the end of the link. Returns the seconds that it was established."""
        self._ended.clear()
        limits = connection_limits(self._app.limits)
        try:
            connection = await dial(
                address,
                self._handler,
                clockwork=self._runtime,
                limits=limits,
                tls=self._tls,
            )
        except DialError as error:
            self._not_linked(address, str(error))
            return 0.0
        try:
            await self._ended.wait()
        finally:
            connection.abort()
        linked = self._peer is not None
        self._peer = None
        if self._fatal is not None:
            raise ConfigurationError(f"{address}: {self._fatal}") from self._fatal
        if not linked:
            self._not_linked(address, self._why_unlinked)
            return 0.0
        return connection.time() - self._linked_at

    def _not_linked(self, address: Address, reason: str) -> None:
        now = self._runtime.timers.time()
        if self._outage.failed(now):
            _log.warning(
                "no link to the gateway",
                at=str(address),
                reason=reason,
                attempts=self._outage.attempts,
                for_s=round(self._outage.seconds(now)),
            )

    def _handler(self, connection: Connection) -> Peer:
        return Peer(connection, self, self._app.limits)

    # --- PeerOwner

    def linked(self, peer: Peer) -> None:
        self._early.clear()
        peer.dispatch = self._dispatch
        if self._owner.asks_name(self):
            peer.ask(
                m.NODE,
                {},
                m.NodeName,
                lambda found: self._named(peer, found.node),
                lambda error: self._unnamed(peer, error),
            )
        else:
            self._greet(peer)

    def _unnamed(self, peer: Peer, error: Exception) -> None:
        if isinstance(error, RequestError) and error.code == "unknown_method":
            self._greet(peer)  # an older gateway
        else:
            self._refused(peer, error)

    def _named(self, peer: Peer, name: str) -> None:
        if name == self.node.name:
            self._greet(peer)
        else:  # the numbers of this node mean nothing there
            peer.close(f"expected the node {self.node.name!r}, found {name!r}")

    def _greet(self, peer: Peer) -> None:
        app, outgoing = self._app, self.node.outgoing
        self._greeted = outgoing
        hello = m.Hello(
            protocol=m.PROTOCOL,
            app=app.name,
            instance=app.instance,
            window=app.limits.window_bytes_max,
            secret=self._secret,
            oldest=outgoing.oldest,
            sent=outgoing.sent,
            applied=app.dispatcher.applied(outgoing.oldest - 1, self.node),
            login=app.has("authenticate"),
            profiles=app.has("profiles"),
            certificates=app.has("certificate"),
            serves=app.serves,
            nodes=True,
            run=self.node.run,
        )
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
            self._app.dispatcher.unlink(self.node)
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
        if self.node.outgoing is not self._greeted:
            # Its numbers are others now: the node would take the first ones for repeats.
            peer.close("the run before it has ended since hello")
            return
        peer.established()
        self._peer = peer
        self._linked_at = self._runtime.timers.time()
        self._outage.ended()
        if welcome.forgotten:
            _log.warning(
                "accepted outputs lost by the gateway",
                outputs=welcome.forgotten,
            )
        if welcome.fresh and self.node.run not in (0, welcome.run):
            self._owner.replaced(self, welcome.accepted)
        self.node.name, self.node.run = welcome.node, welcome.run
        self.node.outgoing.relink(welcome.accepted, welcome.window)
        self.node.outgoing.bounds = welcome.bounds
        app.dispatcher.moves.relinked(self.node)
        early, self._early = self._early, []
        # What was said to these is not said again on this link.
        gone = {event.sid for event in early if event.event == m.Moved(elsewhere=True)}
        app.dispatcher.welcome(welcome.sessions, self.node, gone)
        self._receive([event for event in early if event.sid not in gone])
        if app.dispatcher.leaving:
            self.spawn(self._leave())  # the link before this one broke meanwhile
        _log.info("linked", gateway=welcome.node, sessions=len(welcome.sessions))
        self.flush_later()
        self._owner.linked(self, welcome.nodes)
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
                m.REFUSED: (
                    m.Refused,
                    lambda told: app.dispatcher.refusals.refused(told, self.node),
                ),
                m.NODES: (m.Nodes, lambda told: self._owner.announced(self, told.nodes)),
                m.INHERITED: (m.Inherited, lambda told: self._owner.inherited(self, told)),
                **app.answers.methods,
            }
        )

    def _accepted(self, accepted: m.Accepted) -> None:
        self.node.outgoing.accepted(accepted.bseq)
        self._app.dispatcher.moves.accepted()
        self._app.progress.move()

    def _receive(self, events: Sequence[m.SessionEvent]) -> None:
        """Hot path."""
        if self._peer is not None:
            self._app.dispatcher.receive(events, self.node)
        else:
            self._early += events

    # --- sending

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask the gateway. Raises `LinkClosedError` while there is no link."""
        if self._peer is None:
            raise LinkClosedError("the gateway is not linked")
        self.flush()  # earlier calls come first
        return await self._peer.request(method, params, result)

    def flush_later(self) -> None:
        """Send the queued calls at the end of this tick. Hot path."""
        if not self._flushing:
            self._flushing = True
            self._runtime.coalescer.add(self.flush)

    def flush(self) -> None:
        """Send the queued calls now."""
        self._flushing = False
        peer = self._peer
        if peer is None:
            return
        node = self.node
        for method, params in node.outgoing.take():
            if method == m.EMIT:
                peer.notify_batch(method, params)
            else:
                peer.notify(method, params)
        # After the outputs: a command counts as applied when its output has been sent.
        marks = node.take_applied()
        if marks:
            peer.notify_batch(m.APPLIED, marks)
        released = node.take_released()
        if released:
            peer.notify_batch(m.RELEASE, released)

    async def finish(self) -> None:
        """Wait a limited time for the handlers that run and their outputs. None begins any more."""
        app = self._app
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(app.limits.finish_seconds_max):
                await self._leave()
                await app.progress.until(lambda: app.idle)
                await app.progress.until(lambda: self.node.outgoing.idle or self._peer is None)
        if self._peer is not None:
            self.flush()
            self._peer.close("the application is stopping")
            await self._ended.wait()

    async def _leave(self) -> None:
        """Tell the gateway, so that the sessions move to another instance as soon as they can."""
        try:
            await self.request(m.LEAVING, m.Leaving(), m.Leaving)
        except (LinkClosedError, RequestError):
            return  # there is no link, or it is an older gateway's: the sessions stay until the end
        self._app.dispatcher.release(self.node)
