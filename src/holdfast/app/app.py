"""An application: its handlers, its sessions and its calls."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from holdfast.app.answers import Answers
from holdfast.app.dispatcher import Dispatcher
from holdfast.app.handlers import Handlers
from holdfast.app.link_client import LinkClient
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
from holdfast.link.peer import SCHEMES, LinkClosedError
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
        self.outgoing = Outgoing(self.limits.window_bytes_max)
        self.dispatcher = Dispatcher(self)
        self._link_client: LinkClient | None = None
        self.progress = Progress()
        self.answers = Answers(name, self, self.progress)
        self._publisher = Publisher(self)
        self._stop = asyncio.Event()

    @property
    def linked(self) -> bool:
        """Whether the gateway can be reached now."""
        return self._link_client is not None and self._link_client.welcomed

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
        """The sessions of this instance, by `sid`."""
        return self.dispatcher.sessions

    # --- running

    def run(
        self,
        address: str | None = None,
        *,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Serve until SIGINT or SIGTERM.

        `address` is the address of the gateway's link (`unix:…`, `tcp://…` or `tls://…`); the
        default is `HOLDFAST_LINK` in the environment. `tls` is for `tls://`, with a client
        certificate, say; without it, the gateway's certificate is verified with the file that
        `HOLDFAST_LINK_CA` names, or with the system's authorities. Logs go to stderr, unless
        the application has configured structlog itself; `HOLDFAST_LOG_LEVEL` is the level.
        Raises `ConfigurationError` when there is no address, or the gateway refuses the
        application permanently.
        """
        address = address or os.environ.get(LINK_VARIABLE)
        if not address:
            raise ConfigurationError(
                f"expected an address, as in app.run('unix:data/link.sock'), or {LINK_VARIABLE}"
                " in the environment; found neither"
            )
        run(self._run(address, secret, tls))

    async def serve(
        self, address: str, *, secret: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve inside a running event loop, until `stop`. Logs and raises as `run` does."""
        if not is_configured():
            configure_logs(os.environ.get(LOG_LEVEL_VARIABLE, "info"))
        parsed = parse_address(address, SCHEMES)
        self.instance = new_instance()  # not before: a process that forks must not share it
        if secret is None:
            secret = os.environ.get(SECRET_VARIABLE, "")
        if tls is None and parsed.secure:
            tls = client_context(os.environ.get(CA_VARIABLE))
        await self.call("start")
        try:
            with unwrapped():
                await self._serve(parsed, secret, tls)
        finally:
            self._link_client = None
            await self.call("stop")

    async def _serve(self, address: Address, secret: str, tls: ssl.SSLContext | None) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self.dispatcher.spawn = tasks.create_task
                self._link_client = LinkClient(self, address, secret, tls, tasks)
                tasks.create_task(self._link_client.run())
                await self._stop.wait()
                await self._link_client.finish()
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

    async def _run(self, address: str, secret: str | None, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        calm_collector()
        await self.serve(address, secret=secret, tls=tls)

    # --- sending

    async def say(self, sid: str, delivery: str, item: Output) -> None:
        """Send `item` to the client of one session. Hot path.

        Raises `TypeError`, `UnsendableError` for what cannot be sent.
        """
        self.outgoing.emit(sid, delivery, item)
        if self.dispatcher.traced and tracing.api() is not None:
            tracing.note_output(type(item).__name__.lower())
        self.flush_later()
        if self.outgoing.full:
            await self.progress.until(lambda: not self.outgoing.full)

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
        """Make a numbered call; `make` returns its params for a number.

        The params were validated before: the gateway must be able to decode them.
        """
        self.outgoing.call(method, make, size)
        self.flush_later()
        if self.outgoing.full:
            await self.progress.until(lambda: not self.outgoing.full)

    async def sessions_of(self, user: str) -> list[m.SessionInfo]:
        """All sessions of a user, also those of other instances and those without a client.

        Raises `ValueError` for an empty name, and as `request` does.
        """
        if not check_text("user", user, self.outgoing.bounds.name_bytes_max):
            raise ValueError("user: expected the name of a user, found none")
        return await self.request(m.LIST, m.Filter(user=user), list[m.SessionInfo])

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
        found: list[m.SessionInfo] = []
        more = True
        while more:
            wanted = m.MembersWanted(group, found[-1].sid if found else "")
            page = await self.request(m.MEMBERS, wanted, m.Members)
            found += page.members
            more = page.more
        return found

    async def count_members(self, group: str) -> MemberCount:
        """How many sessions are in a group, and of how many the client is connected. Raises as
        `request` does."""
        check_text("group", group, self.outgoing.bounds.name_bytes_max)
        page = await self.request(m.MEMBERS, m.MembersWanted(group, limit=0), m.Members)
        return MemberCount(page.count, page.attached)

    async def close_sessions_of(self, user: str, reason: str = "kicked") -> int:
        """End all sessions of a user for good, as at a logout. Returns how many there were.

        Raises as `sessions_of` does, and `UnsendableError` for a reason that there is not.
        """
        check_choice("reason", reason, REASONS)
        found = await self.sessions_of(user)
        for session in found:
            await self.request(m.CLOSE, m.Close(session.sid, reason), bool)
        return len(found)

    async def request(self, method: str, params: Any, result: type[T]) -> T:
        """Ask the gateway. Raises `RequestError`, `LinkClosedError`, `TimeoutError`."""
        if self._link_client is None:
            raise LinkClosedError("the application is not running")
        return await self._link_client.request(method, params, result)

    def flush_later(self) -> None:
        """Send the queued calls at the end of this tick."""
        if self._link_client is not None:
            self._link_client.flush_later()
