"""An application: its handlers, its sessions and its calls."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from holdfast.app.answers import Answers
from holdfast.app.dispatcher import Dispatcher
from holdfast.app.handlers import Handlers
from holdfast.app.links import Links
from holdfast.app.node import Node
from holdfast.app.outgoing import Outgoing
from holdfast.app.progress import Progress
from holdfast.app.publishing import SECONDS_MAX, Names, Publisher
from holdfast.app.session import Session
from holdfast.core.errors import REASONS, ConfigurationError
from holdfast.core.ids import new_instance
from holdfast.core.items import MUST, Output, Text
from holdfast.core.limits import KIB, LinkLimits
from holdfast.core.validation import check_choice, check_delivery, check_output, check_text
from holdfast.link import messages as m
from holdfast.link import tracing
from holdfast.link.peer import SCHEMES
from holdfast.net.addresses import Address, parse_address
from holdfast.net.log import configure_logs
from holdfast.net.loggers import is_configured
from holdfast.net.runtime.loop import calm_collector, run, unwrapped
from holdfast.net.tls.contexts import client_context
from holdfast.sessions.publishing import Published

T = TypeVar("T")

LINK_VARIABLE: Final = "HOLDFAST_LINK"
"""The environment variable in which `holdfast run` passes the gateway's address to an
application."""
SECRET_VARIABLE: Final = "HOLDFAST_LINK_SECRET"
CA_VARIABLE: Final = "HOLDFAST_LINK_CA"
"""A file with the authorities that the gateway's certificate is checked against."""
LOG_LEVEL_VARIABLE: Final = "HOLDFAST_LOG_LEVEL"
"""How much `App.run` and `App.serve` log: `debug`, `info`, `warning` or `error`."""
PARENT_VARIABLE: Final = "HOLDFAST_PARENT"
"""Set by `holdfast run` to its process id: without that process, the application ends too."""
FAILURE_TEXT: Final = "Sorry, that did not work: an error occurred, and was logged."
_FAILURE_BYTES_MAX: Final = 4 * KIB


class MemberCount(NamedTuple):
    """How many sessions are in a group."""

    total: int
    attached: int
    """Those of them whose clients are connected."""


class _FinishedError(Exception):
    """Ends the application's task group: what still runs is cancelled."""


class App(Handlers):
    """An application called `name`. `run` serves it until it is stopped.

    Without `serves`, it gets no sessions: it publishes to those of the instances that do.
    `failure_text` is the line that the user gets when a handler of the session raises an
    exception; empty: none.
    """

    def __init__(
        self,
        name: str,
        *,
        limits: LinkLimits | None = None,
        serves: bool = True,
        failure_text: str = FAILURE_TEXT,
    ) -> None:
        super().__init__()
        check_text("failure_text", failure_text, _FAILURE_BYTES_MAX)
        self.failure_text = failure_text
        self.name = name
        self.serves = serves
        self.instance = ""
        """The name of this run, from its start."""
        self.limits = limits or LinkLimits()
        self.home = Node(self.limits.window_bytes_max)
        """The node of the gateway that the first link leads to."""
        self.dispatcher = Dispatcher(self)
        self._links: Links | None = None
        self.progress = Progress()
        self.answers = Answers(name, self, self.progress)
        self._publisher = Publisher(self)
        self._stop = asyncio.Event()

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes of the gateway, as far as they are known."""
        return self._links.nodes if self._links is not None else [self.home]

    @property
    def outgoing(self) -> Outgoing:
        """What goes to `home`."""
        return self.home.outgoing

    @property
    def linked(self) -> bool:
        """Whether the gateway can be reached now."""
        return any(node.linked for node in self.nodes)

    @property
    def bounds(self) -> m.Bounds:
        """The limits that the gateway reported."""
        return self.outgoing.bounds

    @property
    def idle(self) -> bool:
        """Whether no handler is running."""
        return self.dispatcher.idle and self.answers.idle

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions that this instance was given so far, by `sid`.

        After a start, those of earlier runs follow, each with `on_adopt`. What concerns all
        sessions is asked of the gateway: `members`, `count_members`, `sessions_of`.
        """
        return self.dispatcher.sessions

    # --- running

    def run(
        self,
        address: str | Sequence[str] | None = None,
        *,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve until SIGINT or SIGTERM.

        `address` is the address of the gateway's link (`unix:…`, `tcp://…` or `tls://…`); the
        default is `HOLDFAST_LINK` in the environment, which may have several with spaces between.
        Of several nodes of a gateway, it is one, or a list to try; that one names the others, to
        which the application links as well. `tls` is for `tls://`, with a client
        certificate, say; without it, the gateway's certificate is verified with the file that
        `HOLDFAST_LINK_CA` names, or with the system's authorities. Logs go to stderr, unless
        the application has configured structlog itself; `HOLDFAST_LOG_LEVEL` is the level.
        Raises `ConfigurationError` when there is no address, or the gateway refuses the
        application permanently.
        """
        address = address or os.environ.get(LINK_VARIABLE, "").split()
        if not address:
            raise ConfigurationError(
                f"expected an address, as in app.run('unix:data/link.sock'), or {LINK_VARIABLE}"
                " in the environment; found neither (`holdfast run FILE` starts a gateway, and"
                " sets it)"
            )
        run(self._run(address, secret, tls))

    async def serve(
        self,
        address: str | Sequence[str],
        *,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve inside a running event loop, until `stop`. Logs and raises as `run` does."""
        if not is_configured():
            configure_logs(os.environ.get(LOG_LEVEL_VARIABLE, "info"))
        several = [address] if isinstance(address, str) else address
        parsed = [parse_address(each, SCHEMES) for each in several]
        self.instance = new_instance()  # not before: a process that forks must not share it
        if secret is None:
            secret = os.environ.get(SECRET_VARIABLE, "")
        if tls is None and any(each.secure for each in parsed):
            tls = client_context(os.environ.get(CA_VARIABLE))
        await self.call("start")
        try:
            with unwrapped():
                await self._serve(parsed, secret, tls)
        finally:
            self._links = None
            await self.call("stop")

    async def _serve(
        self, addresses: Sequence[Address], secret: str, tls: ssl.SSLContext | None
    ) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self.dispatcher.spawn = tasks.create_task
                self._links = links = Links(self, self.home, addresses, secret, tls, tasks)
                try:
                    links.start()
                    await self._stop.wait()
                    await links.finish()
                finally:
                    links.stop()
                raise _FinishedError
        except* _FinishedError:
            pass

    def orphaned(self) -> bool:
        """Whether the `holdfast run` that started this process has ended."""
        parent = os.environ.get(PARENT_VARIABLE)
        return parent is not None and os.getppid() != int(parent)

    def stop(self) -> None:
        """Complete the running handlers, and end."""
        self._stop.set()

    async def _run(
        self, address: str | Sequence[str], secret: str | None, tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        calm_collector()
        await self.serve(address, secret=secret, tls=tls)

    # --- sending

    async def say(self, sid: str, delivery: str, item: Output) -> None:
        """Send `item` to the client of one session, of any instance.

        Raises `TypeError`, `UnsendableError` for what cannot be sent.
        """
        session = self.sessions.get(sid)
        if session is not None:
            await self.say_for(session, delivery, item)
            return
        for node in self.nodes:  # those that do not have it ignore it
            node.outgoing.emit(sid, delivery, item)
            await self._sent(node)

    async def say_for(self, session: Session, delivery: str, item: Output) -> None:
        """Send `item` to the client of a session of this instance. Raises as `say` does. Hot
        path."""
        session.outgoing.emit(session.sid, delivery, item)
        if self.dispatcher.traced and tracing.api() is not None:
            tracing.note_output(type(item).__name__.lower())
        session.node.flush_later()
        if session.outgoing.full:
            await self.progress.until(lambda: not session.outgoing.full)

    async def broadcast(self, group: str, text: str, *, but: Session | None = None) -> None:
        """Send `text` to every session in `group`, except `but`."""
        await self.broadcast_item(group, Text(text), but=but)

    async def broadcast_item(
        self, group: str, item: Output, *, delivery: str = MUST, but: Session | None = None
    ) -> None:
        """Send any item to every session in `group`, except `but`.

        Raises `TypeError`, `UnsendableError` for what cannot be sent.
        """
        bounds = self.outgoing.bounds
        size = check_output(item, bounds.output_bytes_max)
        check_delivery(delivery, bounds.name_bytes_max)
        check_text("group", group, bounds.name_bytes_max)
        sid = but.sid if but is not None else ""
        await self.call_gateway(
            m.BROADCAST, lambda bseq: m.Broadcast(group, bseq, delivery, item, sid), size
        )

    async def publish(
        self,
        *items: Output | str,
        session: Names = (),
        user: Names = (),
        group: Names = (),
        delivery: str = MUST,
        id: str = "",
        seconds_max: float = SECONDS_MAX,
    ) -> Published:
        """Send items to sessions, to all sessions of users, or to groups, whichever instance
        holds them. A string is a text.

        Returns how many were reached and who does not exist, once it is stored. It is sent again
        when the link breaks, and carried out once; with an `id`, also if it is published again.
        Raises `UnknownSessionError` if there is none of these sessions, `PublishRefusedError`,
        `TimeoutError`, and `TypeError` or `UnsendableError` for what cannot be sent.
        """
        return await self._publisher.publish(
            items,
            session=session,
            user=user,
            group=group,
            delivery=delivery,
            id_=id,
            seconds_max=seconds_max,
        )

    async def call_gateway(self, method: str, make: Callable[[int], Any], size: int = 0) -> None:
        """Make a numbered call at every node; `make` returns its params for a number.

        The params were validated before: the gateway must be able to decode them.
        """
        nodes = list(self.nodes)
        for node in nodes:
            node.outgoing.call(method, make, size)
        for node in nodes:
            await self._sent(node)

    async def call_for(
        self, session: Session, method: str, make: Callable[[int], Any], size: int = 0
    ) -> None:
        """Make a numbered call for a session of this instance, as `call_gateway` does."""
        session.outgoing.call(method, make, size)
        session.node.flush_later()
        if session.outgoing.full:
            await self.progress.until(lambda: not session.outgoing.full)

    async def _sent(self, node: Node) -> None:
        """Send what was queued for a node, and wait while its window is full."""
        node.flush_later()
        if node.outgoing.full:
            await self.progress.until(lambda: not node.outgoing.full or node not in self.nodes)

    async def sessions_of(self, user: str) -> list[m.SessionInfo]:
        """All sessions of a user, also those of other instances and those without a client.

        Raises `ValueError` for an empty name, and as `request` does.
        """
        if not check_text("user", user, self.outgoing.bounds.name_bytes_max):
            raise ValueError("user: expected the name of a user, found none")
        answers = await self._ask_all(m.LIST, m.Filter(user=user), list[m.SessionInfo])
        return [info for found in answers.values() for info in found]

    async def others_of(self, session: Session) -> list[m.SessionInfo]:
        """The other sessions of the user of `session`; none without a user. Raises as `request`
        does."""
        if not session.user:
            return []
        return [found for found in await self.sessions_of(session.user) if found.sid != session.sid]

    async def members(self, group: str) -> list[m.SessionInfo]:
        """The sessions in a group, also those of other instances and those without a client
        (`attached`), by their ids. Raises as `request` does."""
        check_text("group", group, self.outgoing.bounds.name_bytes_max)
        found: dict[str, m.SessionInfo] = {}
        for node in self._linked_nodes():
            more, after = True, ""
            while more:
                page = await node.request(m.MEMBERS, m.MembersWanted(group, after), m.Members)
                found |= {info.sid: info for info in page.members}
                more, after = page.more, page.members[-1].sid if page.members else ""
        return [found[sid] for sid in sorted(found)]

    async def count_members(self, group: str) -> MemberCount:
        """How many sessions are in a group, and of how many the client is connected. Raises as
        `request` does."""
        check_text("group", group, self.outgoing.bounds.name_bytes_max)
        answers = await self._ask_all(m.MEMBERS, m.MembersWanted(group, limit=0), m.Members)
        pages = answers.values()
        return MemberCount(sum(page.count for page in pages), sum(page.attached for page in pages))

    async def close_sessions_of(self, user: str, reason: str = "kicked") -> int:
        """End all sessions of a user for good, as at a logout. Returns how many there were.

        Raises as `sessions_of` does, and `UnsendableError` for a reason that there is not.
        """
        check_choice("reason", reason, REASONS)
        if not check_text("user", user, self.outgoing.bounds.name_bytes_max):
            raise ValueError("user: expected the name of a user, found none")
        answers = await self._ask_all(m.LIST, m.Filter(user=user), list[m.SessionInfo])
        for node, found in answers.items():
            for session in found:
                await node.request(m.CLOSE, m.Close(session.sid, reason), bool)
        return sum(map(len, answers.values()))

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask one node of the gateway. Raises `RequestError`, `LinkClosedError`, `TimeoutError`."""
        return await self._linked_nodes()[0].request(method, params, result)

    async def _ask_all(self, method: str, params: Any, result: type[T]) -> dict[Node, T]:
        """Ask all nodes that are linked. Raises as `request` does."""
        return {node: await node.request(method, params, result) for node in self._linked_nodes()}

    def _linked_nodes(self) -> list[Node]:
        """The nodes that are linked, or one that is not, if there is no other."""
        return [node for node in self.nodes if node.linked] or [self.home]
