"""The backend `link`: sessions attached to an application over the link. Hot path.

One `LinkBackend` serves one application, of which several instances may be linked. A session is
held by one instance; when that ends, the session moves to another or waits, with its commands
queued. An instance that gets a session of another one is asked first which commands it
remembers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from holdfast.backends.base import BaseBackend, Services
from holdfast.backends.link.calls import Calls, info_of
from holdfast.backends.link.config import ANY_APP
from holdfast.backends.link.instance import Instance, Reservation
from holdfast.backends.link.questions import Questions
from holdfast.backends.link.runs import Heard, Runs
from holdfast.backends.link.trials import Trials
from holdfast.core.errors import Reason
from holdfast.core.items import Notice, Resized
from holdfast.core.login import Policy
from holdfast.link import messages as m
from holdfast.link.codec import UNREADABLE, fitting
from holdfast.link.peer import LinkClosedError, Peer, RequestError
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.journal import StoreUnavailableError
from holdfast.sessions.position import ResetReason
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionState

_log: Final = RateLimitedLogger("holdfast.link")

AWAY = Notice("The application is away. What you type is kept, and runs when it is back.")
NOT_YET = Notice("The application is not here yet. Hold on.")

_ASKED_MAX: Final = 10_000
"""Sessions in one `remember`."""
_ACTIVE: Final = frozenset({SessionState.ACTIVE, SessionState.DETACHED_ACTIVE})


class Welcomed(NamedTuple):
    """The answer to an instance that has linked."""

    heard: Heard
    sessions: list[m.SessionInfo]


class LinkBackend(Questions, BaseBackend):
    """The sessions of the application `name`. All times are the gateway's (`SteadyClock`).

    `policy` is the stored state of earlier runs.
    """

    def __init__(self, name: str, services: Services) -> None:
        self.name = name
        self.policy: Policy | None = None
        self.port = services.open_port(self)
        self._journal = services.journal
        self._policy_known = services.policy_known
        self._loop = services.runtime.loop
        self._at_end_of_tick = services.runtime.coalescer.add
        self._limits = services.limits.link
        self.runs = Runs(name, self._journal, self._limits, services.clock)
        self._linked: dict[str, Instance] = {}
        self._trials = Trials(
            name, services.runtime.loop, services.clock, self.port, self.commanded
        )
        self._bound = ""
        """Of `ANY_APP`: the name of the application that it serves."""
        self._awaited: set[str] = set()
        """Instances of before the gateway's start that have time to return …"""
        self._await_until = 0.0
        """… until then."""
        self._commanded: dict[Session, None] = {}
        self._flushing = False

    def restore(self, stored: Stored) -> None:
        """Take the kept settings of an earlier gateway. The sessions are restored already."""
        self.runs.restore(stored.accepted)
        policy = stored.settings.get(policy_key(self.name))
        if policy is not None:
            try:
                self.policy = msgspec.msgpack.decode(policy, type=Policy)
            except (*UNREADABLE, TypeError) as error:  # an application says it when it links
                fault = str(error)
                _log.error("malformed policy of an application", app=self.name, fault=fault)
        self._bound = stored.settings.get(_bound_key(self.name), b"").decode(errors="replace")
        holders = {session.instance for session in self.port.dormant}
        holders |= {session.row.instance for session in self.port.sessions}
        self._awaited = holders - {""}
        self._await_until = self._loop.time() + self._limits.return_seconds_max

    @property
    def instances(self) -> int:
        """How many instances of the application are linked."""
        return len(self._linked)

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        self._commanded[session] = None
        if not self._flushing:
            self._flush_later()

    def opened(self, session: Session) -> None:
        holder = session.route  # of a session whose user has chosen again
        if isinstance(holder, Instance) and holder.leaving:
            holder.release(session)
        elif isinstance(holder, Instance):
            self._open(holder, session)
            return
        heir = self._least_busy()
        if heir is not None:
            self._open(heir, session)
        else:
            self.port.show(session, AWAY)

    def detached(self, session: Session, reason: Reason) -> None:
        self._tell(session, m.Detached(reason.value))

    def resumed(self, session: Session) -> None:
        row = session.row
        if row.resync:  # from an earlier return, of which the application has not heard
            self._tell_resync(session)
        else:
            self._tell(session, m.Resumed(row.protocol, row.address))
        if not self._linked:
            self.port.show(session, AWAY)

    def resync(self, session: Session, reason: ResetReason) -> None:
        if session.row.known:
            session.row.resync = reason.value
            self.port.save(session)
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
        self._trials.forget([session])
        holder = session.route
        if isinstance(holder, Instance):
            self._tell(session, m.Closed(reason.value))
            holder.release(session)
        elif isinstance(holder, Reservation):
            holder.instance.release(session)

    # --- instances

    def bind(self, app: str) -> None:
        """An application of this name is about to link. Raises `RequestError` if this backend
        serves another one."""
        if self.name != ANY_APP or app == self._bound:
            return
        if self._bound:
            kept = sum(session.row.known for session in self.port.sessions)
            kept += sum(session.known for session in self.port.dormant)
            if kept or self._linked:
                raise RequestError(
                    "unknown_app",
                    f"found application {app!r}, expected {self._bound!r}: this gateway's listeners"
                    f" serve that one, and {kept} of its sessions are kept. Name the application"
                    ' in the configuration (listener.app = "...") to serve several',
                )
        self._bound = app
        self._journal.keep(_bound_key(self.name), app.encode())

    @property
    def loaded(self) -> bool:
        """Whether `load` would find nothing to do."""
        return not any(True for _ in self.port.dormant)

    async def load(self) -> None:
        """Load what the store has of this backend's sessions. Raises `StoreError`."""
        await self.port.load()

    def welcome(self, peer: Peer, hello: m.Hello) -> Welcomed:
        """Handle the hello of an instance: it gets back its sessions, and a share of those
        without a holder.

        All sessions must be loaded (`load`).
        """
        self._trials.suspects.run_returned(hello.instance)
        before = self._linked.pop(hello.instance, None)
        if before is not None:
            self._trials.run_ended(before, died=False)
            self._unlinked(before)
            taken = f"another process has linked under the instance's name, {hello.instance}"
            before.peer.close(taken, Reason.SUPERSEDED.value)
        heard = self.runs.begin(hello)
        instance = Instance(hello, self.runs.key(hello.instance), peer, heard, self.port)
        self._linked[hello.instance] = instance
        self._trials.run_began(instance)
        self._awaited.discard(hello.instance)
        self._set_policy(Policy(login=hello.login, profiles=hello.profiles))
        peer.dispatch = Calls(instance, self.port, self).dispatch
        self._compare(instance, hello)
        infos = self._take_back(instance)
        count = fitting(infos, self._limits.batch_bytes_max)
        for info in infos[count:]:
            instance.introduce(info.sid, m.Adopted(info))
        self._share_out()
        self._flush_later()
        return Welcomed(heard, infos[:count])

    def gone(self, peer: Peer) -> None:
        """Handle the end of a link: its sessions move, or wait and are notified."""
        for instance in list(self._linked.values()):
            if instance.peer is peer:
                del self._linked[instance.name]
                held = list(instance.sessions)
                self._trials.run_ended(instance, died=not peer.orderly)
                self._give(self._unlinked(instance))
                self._show_away(held)

    def accepted(self, instance: str, bseq: int) -> None:
        """Outputs of `instance` up to `bseq` are durable."""
        linked = self._linked.get(instance)
        if linked is not None:
            linked.durable = bseq
            linked.peer.notify(m.ACCEPTED, m.Accepted(bseq))
        else:
            self.runs.stored(instance, bseq)

    def leaving(self, instance: Instance) -> None:
        """An instance begins no further command: it is sent none, and given no session."""
        instance.leaving = True
        reserved = list(instance.reserved)
        for session in reserved:
            instance.release(session)
        self._give(reserved)

    def progressed(self, session: Session) -> None:
        """The application has applied commands of the session. Hot path."""
        if session.row.suspect:
            self._trials.progressed(session)
        if session.inbox.waiting:
            self.commanded(session)

    def released(self, instance: Instance, sids: Iterable[str]) -> None:
        """An instance that is leaving gives sessions back."""
        freed = []
        for sid in sids:
            session = self.port.find(sid)
            if session is not None and session.route is instance:
                instance.release(session)
                session.row.instance = ""  # it does not come back for it
                self.port.save(session)
                freed.append(session)
        self._trials.forget(freed)
        self._give(freed)
        self._show_away(freed)

    def _learn(self, session: Session, applied: int) -> None:
        """Of a session without a holder: the commands that were applied."""
        self.port.applied(session, applied)
        self.progressed(session)

    def _unlinked(self, instance: Instance) -> list[Session]:
        """Take every session from an instance. Returns them."""
        self.runs.end(instance.name, Heard(instance.accepted, instance.durable))
        freed = [*instance.sessions, *instance.reserved]
        for session in freed:
            instance.release(session)
        return freed

    def _compare(self, instance: Instance, hello: m.Hello) -> None:
        """Report to an instance the sessions that it knows and no longer holds."""
        tells = hello.oldest > 0  # older applications know nothing of sessions that move
        for sid, cseq in hello.applied.items():
            session = self.port.find(sid)
            if session is None:
                instance.introduce(sid, m.Closed(Reason.TIMEOUT.value))
                continue
            if session.route is None:
                self._learn(session, cseq)
                if not session.row.instance:
                    session.row.known = True
                    instance.enter(session)
            if session.route is not None or session.row.instance != instance.name:
                instance.lost.add(sid)
                if tells:
                    instance.introduce(sid, m.Moved())

    def _take_back(self, instance: Instance) -> list[m.SessionInfo]:
        """Give an instance the sessions that it was the last to hold."""
        infos = []
        for session in self.port.sessions:
            if session.route is None and session.row.instance == instance.name:
                instance.hold(session)
                infos.append(info_of(session))
                self._begin(instance, session)
        return infos

    def _share_out(self) -> None:
        """Give sessions without a holder to the linked instances."""
        self._await_no_longer_than_meant()
        known = []
        for session in self.port.sessions:
            if session.route is not None or session.row.instance in self._awaited:
                continue
            if session.row.known:
                known.append(session)
            elif session.state in _ACTIVE:
                self.opened(session)
        self._give(known)

    def _await_no_longer_than_meant(self) -> None:
        if not self._awaited:
            return
        left = self._await_until - self._loop.time()
        if left <= 0:
            self._awaited.clear()
        else:
            self._loop.call_later(left, self._share_out)

    def _give(self, sessions: list[Session]) -> None:
        """Distribute sessions that an application knows by load. They wait if no instance is
        linked."""
        shares: dict[Instance, list[Session]] = {}
        for session in sessions:
            heir = self._least_busy()
            if heir is None:
                return
            heir.reserve(session)
            shares.setdefault(heir, []).append(session)
        for heir, share in shares.items():
            for start in range(0, len(share), _ASKED_MAX):
                heir.peer.spawn(self._hand_over(heir, share[start : start + _ASKED_MAX]))

    async def _hand_over(self, heir: Instance, sessions: list[Session]) -> None:
        """Ask an instance for its remembered commands, and give it the sessions.

        The answer follows the instance's calls from an earlier time as holder. The new holder
        is stored before the instance is told, so a restart cannot mistake another instance for
        the holder.
        """
        try:
            remembered = await heir.peer.request(
                m.REMEMBER,
                m.Remember([session.sid for session in sessions]),
                dict[str, m.Number],
                seconds_max=self._limits.remember_seconds_max,
            )
        except LinkClosedError:
            return  # the sessions were given to another, or wait
        except (RequestError, TimeoutError) as error:
            if not isinstance(error, RequestError) or error.code != "unknown_method":
                self._give_up(heir, error)
                return
            remembered = {}
        for session in sessions:
            if session.route is heir.reservation:
                self._learn(session, remembered.get(session.sid, 0))
                heir.enter(session)
        with contextlib.suppress(StoreUnavailableError):
            await self._journal.settled()
        for session in sessions:
            if session.route is heir.reservation:
                heir.hold(session)
                heir.introduce(session.sid, m.Adopted(info_of(session)))
                self._begin(heir, session)

    def _give_up(self, heir: Instance, error: RequestError | TimeoutError) -> None:
        """Without the answer, commands would be repeated: the instance gets nothing."""
        fault = str(error) or f"no answer in {self._limits.remember_seconds_max:g} seconds"
        _log.warning(
            "instance failed to answer remember",
            app=self.name,
            instance=heir.name,
            error=fault,
        )
        heir.leaving = True
        heir.peer.close(f"expected an answer to {m.REMEMBER}, found: {fault}")

    def _begin(self, instance: Instance, session: Session) -> None:
        """An instance was told of a session: the waiting commands follow."""
        if session.row.resync and not session.state.detached:
            instance.resynced(session)
        self.commanded(session)

    def _show_away(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            if session.route is None:
                self.port.show(session, AWAY)

    def _least_busy(self) -> Instance | None:
        ready = [one for one in self._linked.values() if not one.leaving]
        return min(ready, key=lambda instance: instance.load) if ready else None

    def _open(self, instance: Instance, session: Session) -> None:
        instance.hold(session)
        session.row.known = True
        self.port.save(session)
        instance.introduce(session.sid, m.Opened(info_of(session)))
        self.commanded(session)

    def _set_policy(self, policy: Policy) -> None:
        if policy != self.policy:
            self._journal.keep(policy_key(self.name), msgspec.msgpack.encode(policy))
        was_known = self.policy is not None
        self.policy = policy
        if not was_known:
            self._policy_known()

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
            if session.row.suspect:
                self._trials.forward(instance, session)
            else:
                instance.forward(session)
        for instance in self._linked.values():
            instance.flush()


def policy_key(app: str) -> str:
    """Under which name the store keeps an application's policy."""
    return f"policy:{app}"


def _bound_key(app: str) -> str:
    """Under which name the store keeps which application a backend serves."""
    return f"bound:{app}"
