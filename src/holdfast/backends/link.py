"""The backend `link`: sessions attached to an application over the RPC. Hot path.

One `LinkBackend` serves one application, of which several instances may be
linked. A session sticks to one instance; when that goes, it moves to another or
waits, its commands queued, for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

import msgspec
import structlog

from holdfast.backends.base import Policy
from holdfast.backends.calls import Calls, Host, info_of
from holdfast.backends.instance import Instance
from holdfast.backends.suspects import Suspects
from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Notice, Resized
from holdfast.core.validation import UnsendableError, check_data, check_text
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, Peer, RequestError
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import ResetReason, Session
from holdfast.sessions.states import SessionState

T = TypeVar("T")

_log = structlog.get_logger("holdfast.link")

AWAY = Notice("The application is away. What you type is kept, and runs when it is back.")
SET_ASIDE = Notice(
    "The application ended each time that it was given a command of yours. That one was set aside."
)
NOT_YET = Notice("The application is not here yet. Hold on.")

_INSTANCE_SECONDS_MAX = 3_600.0


class _Gone(NamedTuple):
    """What is remembered of an instance that is not linked."""

    accepted: int
    """The newest of its outputs that was taken in: an older one is a repeat."""
    durable: int
    """The newest one that is stored: a newer one is to be sent again."""
    since: float


_NEW: Final = _Gone(0, 0, 0.0)


class LinkBackend:
    """Sessions of the application `name`. All times are the gateway's (`SteadyClock`).

    `accepted` and `policy` are what the store remembers of the runs before.
    """

    def __init__(
        self,
        name: str,
        manager: SessionManager,
        journal: Journal,
        host: Host,
        at_end_of_tick: Callable[[Callable[[], None]], None],
        clock: Clock,
    ) -> None:
        self.name = name
        self.policy: Policy | None = None
        self.manager = manager
        self.journal = journal
        self.host = host
        self._at_end_of_tick = at_end_of_tick
        self.clock = clock
        self._linked: dict[str, Instance] = {}
        self._gone: dict[str, _Gone] = {}
        """Every instance that was linked before, and not long ago."""
        self._suspects = Suspects(manager.limits.command_runs_max)
        self._timing = False
        """Whether suspects are given time."""
        self._commanded: dict[Session, None] = {}
        self._flushing = False

    def remember(self, accepted: dict[str, int], policy: Policy | None) -> None:
        """What the store kept of the run before."""
        now = self.clock()
        self._gone = {name: _Gone(bseq, bseq, now) for name, bseq in accepted.items()}
        self.policy = policy

    @property
    def instances(self) -> int:
        """How many instances of the application are linked."""
        return len(self._linked)

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        self._commanded[session] = None
        self._flush_later()

    def opened(self, session: Session) -> None:
        if not self._linked:
            session.show(AWAY)
            return
        holder = session.route  # of a session whose user has chosen again
        self._open(holder if isinstance(holder, Instance) else self._least_busy(), session)

    def detached(self, session: Session, reason: Reason) -> None:
        self._tell(session, m.Detached(reason.value))

    def resumed(self, session: Session) -> None:
        row = session.row
        if row.resync:  # from an earlier return, of which the application has not heard
            self._tell_resync(session)
        else:
            self._tell(session, m.Resumed(row.protocol, row.address))
        if not self._linked:
            session.show(AWAY)

    def resync(self, session: Session, reason: ResetReason) -> None:
        if session.row.known:
            session.row.resync = reason.value
            session.touch_row()
            self._tell_resync(session)

    def _tell_resync(self, session: Session) -> None:
        self._tell(session, m.Resync(session.row.resync))
        if isinstance(session.route, Instance):
            session.route.resynced(session)

    def resized(self, session: Session, size: Resized) -> None:
        self._tell(session, size)

    def capabilities_changed(self, session: Session) -> None:
        self._tell(session, m.CapabilitiesChanged(session.row.capabilities))

    def ended(self, session: Session, reason: Reason) -> None:
        self._commanded.pop(session, None)
        self._suspects.forget(session)
        self._try_next()
        instance = session.route
        if isinstance(instance, Instance):
            self._tell(session, m.Closed(reason.value))
            instance.release(session)

    def relieved(self, session: Session) -> None:
        pass  # the link has a window of its own

    def keeps(self, session: Session) -> bool:
        return False  # what an application keeps is in the session

    # --- requests

    async def authenticate(self, session: Session, claim: m.Authenticate) -> m.AuthResult:
        result = await self._ask(m.AUTHENTICATE, claim, m.AuthResult)
        limits = self.manager.limits
        with _usable(m.AUTHENTICATE):
            check_text("user", result.user, limits.name_bytes_max)
            properties = msgspec.msgpack.encode(result.properties)
            check_data("properties", properties, limits.application_data_bytes_max)
        return result

    async def profiles(self, session: Session) -> list[m.ProfileSummary]:
        query = m.ProfileQuery(session.sid)
        return await self._ask(m.PROFILES_LIST, query, list[m.ProfileSummary])

    async def create_profile(self, session: Session, name: str) -> m.ProfileSummary:
        creation = m.ProfileCreation(session.sid, name)
        return await self._ask(m.PROFILES_CREATE, creation, m.ProfileSummary)

    async def select_profile(self, session: Session, profile: str) -> m.ProfileSummary:
        choice = m.ProfileChoice(session.sid, profile)
        chosen = await self._ask(m.PROFILES_SELECT, choice, m.ProfileSummary)
        with _usable(m.PROFILES_SELECT):
            check_text("profile", chosen.id, self.manager.limits.name_bytes_max)
        return chosen

    async def _ask(self, method: str, params: object, result: type[T]) -> T:
        if not self._linked:
            raise LinkClosedError("the application is away")
        return await self._least_busy().peer.request(method, params, result)

    # --- instances

    def welcome(self, peer: Peer, hello: m.Hello) -> tuple[int, list[m.SessionInfo]]:
        """An instance says hello: it gets the sessions that nobody holds.

        Returns the newest of its outputs that is durable, and those sessions.
        """
        self._forget_old_instances()
        self._suspects.run_returned(hello.instance)
        before = self._linked.pop(hello.instance, None)
        if before is not None:
            self._unlinked(before)
            self._suspects.run_ended(before.name, before.sessions, died=False)
            for held in list(before.sessions):  # they are given to the new link below
                before.release(held)
                held.inbox.rewind()
            before.peer.close("another link has taken this instance's name")
        gone = self._gone.get(hello.instance, _NEW)
        instance = Instance(hello, peer, gone.accepted, gone.durable)
        self._linked[hello.instance] = instance
        self._set_policy(Policy(login=hello.login, profiles=hello.profiles))
        peer.dispatch = Calls(instance, self).dispatch
        for sid, cseq in hello.applied.items():
            session = self.manager.sessions.get(sid)
            if session is not None and session.backend is self:
                self._applied(session, cseq)
        return instance.durable, self._adopt(instance)

    def gone(self, peer: Peer) -> None:
        """A link has ended: its sessions move, or wait and are told."""
        for instance in list(self._linked.values()):
            if instance.peer is peer:
                del self._linked[instance.name]
                for session in self._suspects.run_ended(
                    instance.name, instance.sessions, died=not peer.orderly
                ):
                    self._set_aside(session)
                self._unlinked(instance)
                self._release_all(instance)

    def accepted(self, instance: str, bseq: int) -> None:
        """Outputs of `instance` up to `bseq` are durable."""
        linked = self._linked.get(instance)
        if linked is not None:
            linked.durable = bseq
            linked.peer.notify(m.ACCEPTED, m.Accepted(bseq))
        elif instance in self._gone:
            self._gone[instance] = self._gone[instance]._replace(durable=bseq)

    def _applied(self, session: Session, cseq: int) -> None:
        holder = session.route
        if isinstance(holder, Instance):
            holder.applied(session, cseq)
            self.commanded(session)
        else:
            session.applied(cseq)
        self.progressed(session)

    def _unlinked(self, instance: Instance) -> None:
        self._gone[instance.name] = _Gone(instance.accepted, instance.durable, self.clock())

    def _adopt(self, instance: Instance) -> list[m.SessionInfo]:
        infos = []
        for session in self.manager.sessions.values():
            if session.backend is not self or session.route is not None:
                continue
            if session.row.known:
                instance.hold(session)
                infos.append(info_of(session))
                if session.row.resync and not session.state.detached:
                    instance.resynced(session)
                self.commanded(session)
            elif session.state in (SessionState.ACTIVE, SessionState.DETACHED_ACTIVE):
                self._open(instance, session)
        return infos

    def _release_all(self, instance: Instance) -> None:
        for session in list(instance.sessions):
            instance.release(session)
            session.inbox.rewind()
            if self._linked:
                heir = self._least_busy()
                heir.hold(session)
                heir.introduce(session, m.Adopted(info_of(session)))
                self.commanded(session)
            else:
                session.show(AWAY)
        self._flush_later()

    def _least_busy(self) -> Instance:
        return min(self._linked.values(), key=lambda instance: len(instance.sessions))

    def _open(self, instance: Instance, session: Session) -> None:
        instance.hold(session)
        session.row.known = True
        session.touch_row()
        instance.introduce(session, m.Opened(info_of(session)))
        self.commanded(session)

    def _set_policy(self, policy: Policy) -> None:
        if policy != self.policy:
            self.journal.keep(policy_key(self.name), msgspec.msgpack.encode(policy))
        was_known = self.policy is not None
        self.policy = policy
        if not was_known:
            self.host.policy_known()

    def _forget_old_instances(self) -> None:
        limit = self.clock() - _INSTANCE_SECONDS_MAX
        for name, gone in list(self._gone.items()):
            if gone.since < limit and name not in self._linked:
                del self._gone[name]
                self.journal.forget(name)

    # --- commands that may end the application

    def progressed(self, session: Session) -> None:
        """The application has applied commands of the session. Hot path."""
        row = session.row
        if row.suspect and session.inbox.applied >= row.suspect:
            self._suspects.clear(session)
            self._try_next()
        if session.inbox.waiting:
            self.commanded(session)

    def _set_aside(self, session: Session) -> None:
        row = session.row
        _log.error(
            "a command is set aside: the application has died with it too often",
            app=self.name,
            session=row.sid,
            command=row.suspect,
            runs=row.suspect_runs,
        )
        cseq = row.suspect
        self._suspects.clear(session)
        session.applied(cseq)
        session.emit(SET_ASIDE, MUST, self.clock())

    def _try_next(self) -> None:
        for session in self._suspects.next():
            self.commanded(session)

    def _time_suspects(self) -> None:
        tried = self._suspects.tried
        if tried and not self._timing:
            self._timing = True
            seconds = self.manager.limits.suspect_seconds_max
            asyncio.get_running_loop().call_later(seconds, self._time_over, tried)

    def _time_over(self, sessions: list[Session]) -> None:
        self._timing = False
        for session in self._suspects.time_over(sessions):
            self.commanded(session)
        self._try_next()
        self._time_suspects()

    # --- gateway → application

    def _tell(self, session: Session, event: m.Event) -> None:
        instance = session.route
        if isinstance(instance, Instance):
            instance.tell(session, event)
            self._flush_later()

    def _flush_later(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._at_end_of_tick(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        commanded, self._commanded = self._commanded, {}
        for session in commanded:
            instance = session.route
            if not isinstance(instance, Instance):
                continue
            if session.row.suspect and self._suspects.holds(session):
                if self._suspects.admit(session):
                    instance.forward_one(session)
                    self._time_suspects()
            else:
                instance.forward(session)
        for instance in self._linked.values():
            instance.flush()


def policy_key(app: str) -> str:
    """Under which name the store keeps an application's policy."""
    return f"policy:{app}"


@contextlib.contextmanager
def _usable(method: str) -> Iterator[None]:
    """What does not fit in an answer of the application counts as no answer."""
    try:
        yield
    except UnsendableError as error:
        raise RequestError("bad_result", f"the answer to {method}: {error}") from error
