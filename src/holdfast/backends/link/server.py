"""The server that applications dial: it checks a hello, and passes the link to a `LinkBackend`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from holdfast.backends.base import Backend
from holdfast.backends.link.backend import LinkBackend
from holdfast.backends.link.config import ANY_APP
from holdfast.backends.link.runs import is_instance_name, split_key
from holdfast.backends.link.secrets import Secrets, UnprovenLinks
from holdfast.core.histogram import Histogram
from holdfast.core.limits import LinkLimits
from holdfast.link.messages import (
    AUTHORIZE,
    HELLO,
    NODE,
    NODES,
    PROTOCOL,
    Authorize,
    Bounds,
    Hello,
    NodeAddress,
    NodeName,
    Nodes,
    Welcome,
)
from holdfast.link.peer import Dispatch, Peer, RequestError
from holdfast.net.connection.connection import Connection
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.records import EndedRun
from holdfast.sessions.stores.base import StoreError

_log: Final = RateLimitedLogger("holdfast.link")


class LinkServer:
    """The gateway's end of every link: the `PeerOwner` of its peers."""

    def __init__(
        self,
        node: str,
        secrets: Secrets,
        backends: Mapping[str, Backend],
        limits: LinkLimits,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        security: SecurityLog | None = None,
    ) -> None:
        self._security = security or SecurityLog()
        self.spawn = spawn
        self.round_trip_seconds = Histogram()
        """Of heartbeats."""
        self._node = node
        self._secrets = secrets
        self._unproven = UnprovenLinks(limits)
        self._backends = backends
        self._limits = limits
        self._linked: dict[Peer, LinkBackend] = {}
        self.run = 0
        """The number of this run among those on its store."""
        self._nodes: Sequence[NodeAddress] = ()
        self._everywhere: set[Peer] = set()
        """Links of applications that link to every node."""

    def announce(self, nodes: Sequence[NodeAddress]) -> None:
        """Tell the applications of these nodes, if they are others than before."""
        if nodes != self._nodes:
            self._nodes = nodes
            for peer in self._everywhere:
                peer.notify(NODES, Nodes(list(nodes)))

    def inherited(self, ended: EndedRun) -> None:
        """The sessions of another node are here: tell the applications what that had stored."""
        for backend in self._backends.values():
            if isinstance(backend, LinkBackend):
                backend.moves.inherited(ended)

    def handler(self, connection: Connection) -> Peer:
        """The owner of a new link."""
        return Peer(connection, self, self._limits, trusted=not self._secrets.asked)

    def linked(self, peer: Peer) -> None:
        self._unproven.add(peer)
        peer.on_round_trip = self.round_trip_seconds.observe
        peer.dispatch = Dispatch(
            {
                HELLO: (Hello, lambda hello: self._hello(peer, hello)),
                AUTHORIZE: (Authorize, lambda asked: self._authorize(peer, asked)),
                NODE: (dict[str, Any], lambda _: NodeName(self._node)),
            }
        )

    def unlinked(self, peer: Peer, reason: str) -> None:
        self._unproven.remove(peer)
        self._everywhere.discard(peer)
        backend = self._linked.pop(peer, None)
        if backend is not None:
            _log.info("application unlinked", app=backend.app, reason=reason)
            backend.gone(peer)

    def accepted(self, marks: dict[str, int]) -> None:
        """By key of an instance (`runs`): outputs up to this number are durable."""
        for key, bseq in marks.items():
            app, instance = split_key(key)
            backend = self._find(app)
            if backend is not None:
                backend.accepted(instance, bseq)

    def _find(self, app: str) -> LinkBackend | None:
        backend = self._backends.get(app)
        return backend if isinstance(backend, LinkBackend) else None

    def _authorize(self, peer: Peer, asked: Authorize) -> bool:
        self._check_secret(peer, asked.app, asked.secret)
        peer.trust()
        return True

    def _check_secret(self, peer: Peer, app: str, secret: str) -> None:
        if self._secrets.match(app, secret):
            return
        self._security.tell(
            SecurityEvent.LINK_REFUSED,
            peer=peer.name,
            listener="link",
            app=app,
            why="the secret is wrong",
        )
        raise RequestError("secret", "the link's secret is wrong", closes=True)

    def _hello(self, peer: Peer, hello: Hello) -> Welcome | Coroutine[Any, Any, Welcome]:
        if hello.protocol != PROTOCOL:
            raise RequestError(
                "protocol", f"found link protocol {hello.protocol}, expected {PROTOCOL}"
            )
        self._check_secret(peer, hello.app, hello.secret)
        backend = self._find(hello.app) or self._find(ANY_APP)
        if backend is None:
            known = ", ".join(sorted(filter(self._find, self._backends))) or "none"
            raise RequestError(
                "unknown_app", f"found application {hello.app!r}, expected one of: {known}"
            )
        if not is_instance_name(hello.instance):
            raise RequestError(
                "bad_params",
                "hello: instance: expected 1 to 128 printable characters without '/', found"
                f" {hello.instance[:128]!r}",
            )
        try:
            backend.bind(hello.app, serves=hello.serves)
        except RequestError as error:
            _log.error("application refused", peer=peer.name, error=str(error))
            raise
        if len(self._linked) >= self._limits.links_max:
            raise RequestError("busy", f"{len(self._linked)} applications are linked already")
        self._unproven.remove(peer)
        peer.established()
        self._linked[peer] = backend
        if backend.loaded:
            return self._welcome(peer, hello, backend)
        peer.dispatch = Dispatch({})  # no method can be called before the welcome
        return self._load_and_welcome(peer, hello, backend)

    async def _load_and_welcome(self, peer: Peer, hello: Hello, backend: LinkBackend) -> Welcome:
        """An application gets its sessions in the answer: they are loaded first."""
        try:
            await backend.load()
        except StoreError as error:
            _log.error("sessions not loaded", app=hello.app, error=str(error))
            raise RequestError("busy", f"the sessions cannot be loaded: {error}") from error
        if peer not in self._linked:
            raise RequestError("gone", "the link has ended")
        return self._welcome(peer, hello, backend)

    def _welcome(self, peer: Peer, hello: Hello, backend: LinkBackend) -> Welcome:
        welcomed = backend.welcome(peer, hello, self.run)
        if hello.nodes:
            self._everywhere.add(peer)
        bounds = backend.port.limits
        _log.info(
            "application linked",
            app=hello.app,
            instance=hello.instance,
            sessions=len(welcomed.sessions),
        )
        return Welcome(
            gateway="holdfast",
            node=self._node,
            heartbeat_s=self._limits.heartbeat_seconds_max,
            window=self._limits.window_bytes_max,
            accepted=welcomed.heard.durable,
            sessions=welcomed.sessions,
            forgotten=welcomed.heard.forgotten,
            nodes=list(self._nodes),
            run=self.run,
            fresh=welcomed.heard.fresh,
            bounds=Bounds(
                output_bytes_max=bounds.output_bytes_max,
                name_bytes_max=bounds.name_bytes_max,
                data_bytes_max=bounds.application_data_bytes_max,
                groups_max=bounds.groups_max,
            ),
        )
