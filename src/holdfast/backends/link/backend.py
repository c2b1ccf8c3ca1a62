"""The backend `link`: sessions attached to an application over the link. Hot path.

One `LinkBackend` serves one application, of which several instances may be linked (`Assignment`
says which of them holds a session). It tells them what becomes of sessions, and sends what was
said during one tick together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from holdfast.backends.base import BaseBackend, Services
from holdfast.backends.link.assignment import AWAY, Assignment
from holdfast.backends.link.calls import Calls
from holdfast.backends.link.instance import Instance, Reservation
from holdfast.backends.link.moves import LinkMoves
from holdfast.backends.link.publications import Publications
from holdfast.backends.link.questions import Questions
from holdfast.backends.link.runs import RunProgress, Runs
from holdfast.backends.link.settings import AppSettings
from holdfast.backends.link.trials import Trials
from holdfast.core.errors import Reason
from holdfast.core.items import Resized
from holdfast.core.login import Policy
from holdfast.link import messages as m
from holdfast.link.codec import fitting
from holdfast.link.peer import Peer, RequestError
from holdfast.sessions.position import ResetReason
from holdfast.sessions.publication_ids import PublicationIds
from holdfast.sessions.publishing import Publishing
from holdfast.sessions.records import Stored
from holdfast.sessions.session import Session


class InstanceWelcome(NamedTuple):
    """The answer to an instance that has linked."""

    heard: RunProgress
    sessions: list[m.SessionInfo]


class LinkBackend(Questions, BaseBackend):
    """The sessions of the application `name`. All times are the gateway's (`SteadyClock`)."""

    def __init__(self, name: str, services: Services) -> None:
        self.name = name
        self.port = services.open_port(self)
        self.assignment = Assignment(services, self.port, self)
        super().__init__(self.port.limits, self.assignment.least_busy)
        self._settings = AppSettings(name, services.journal, services.policy_known)
        self._limits = services.limits.link
        self._traces = services.traces
        self._runs = Runs(name, services.journal, self._limits, services.clock)
        self._trials = Trials(
            self._settings, services.runtime.loop, services.clock, self.port, self.commanded
        )
        limits = services.limits.api
        self._published = Publications(
            Publishing(name, self.port, services.journal, limits, services.clock),
            PublicationIds(f"link/{name}", services.journal.keep, limits.ids_max),
        )
        self._at_end_of_tick = services.runtime.coalescer.add
        self._instances = self.assignment.linked
        self._commanded: dict[Session, None] = {}
        self._flushing = False
        self.moves: LinkMoves = LinkMoves(
            self.port, self.assignment, self._flush_later, self._trials
        )

    def restore(self, stored: Stored) -> None:
        self._runs.restore(stored.accepted)
        self._published.ids.restore(stored.settings)
        self._settings.restore(stored.settings)
        self.assignment.restore()

    @property
    def policy(self) -> Policy | None:  # type: ignore[override]
        return self._settings.policy

    @property
    def app(self) -> str:
        return self._settings.app

    @property
    def instances(self) -> int:
        """How many instances of the application are linked."""
        return len(self._instances)

    # --- what becomes of sessions

    def commanded(self, session: Session) -> None:
        self._commanded[session] = None
        if not self._flushing:
            self._flush_later()

    def opened(self, session: Session) -> None:
        self.assignment.open(session)

    def detached(self, session: Session, reason: Reason) -> None:
        self._tell(session, m.Detached(reason.value))

    def resumed(self, session: Session) -> None:
        row = session.row
        if row.resync:  # from an earlier return, of which the application has not heard
            self._tell_resync(session)
        else:
            self._tell(session, m.Resumed(row.protocol, row.address, session.facts))
        if not self.assignment.serving:
            self.port.show(session, AWAY)

    def resync(self, session: Session, reason: ResetReason) -> None:
        if session.row.known:
            session.row.resync = reason.value
            self.port.save(session)
            self._tell_resync(session)

    def _tell_resync(self, session: Session) -> None:
        row = session.row
        self._tell(session, m.Resync(row.resync, row.protocol, row.address, session.facts))
        if isinstance(session.route, Instance):
            session.route.resynced(session)

    def forget_commands(self, session: Session) -> int:
        newest = session.inbox.top
        holder = session.route
        if isinstance(holder, Instance):
            holder.applied(session, newest)
        else:
            self.port.applied(session, newest)
        self.progressed(session)
        return newest

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

    def bind(self, app: str, *, serves: bool = True) -> None:
        """An application of this name is about to link. Raises `RequestError` if this backend
        serves another one; or none yet, for an instance that is given no sessions."""
        if not serves:
            if app != self.app:
                raise RequestError(
                    "busy", f"found application {app!r}, which has not linked yet to serve sessions"
                )
            return
        serving = sum(instance.serves for instance in self._instances.values())
        self._settings.bind(app, self._known, serving)

    def _known(self) -> int:
        """How many sessions an application knows."""
        loaded = sum(session.row.known for session in self.port.sessions)
        return loaded + sum(session.known for session in self.port.dormant)

    @property
    def loaded(self) -> bool:
        """Whether `load` would find nothing to do."""
        return not any(True for _ in self.port.dormant)

    async def load(self) -> None:
        """Load what the store has of this backend's sessions. Raises `StoreError`."""
        await self.port.load()

    def welcome(self, peer: Peer, hello: m.Hello, node_run: int = 0) -> InstanceWelcome:
        """Handle the hello of an instance: it gets back its sessions, and a share of those
        without a holder.

        `node_run` is the number of this run of the node. All sessions must be loaded (`load`).
        """
        self._trials.suspects.run_returned(hello.instance)
        before = self._instances.get(hello.instance)
        if before is not None:
            self._unlink(before, died=False)
            taken = f"another process has linked under the instance's name, {hello.instance}"
            before.peer.close(taken, Reason.SUPERSEDED.value)
        heard = self._runs.begin(hello, node_run)
        instance = Instance(
            hello, self._runs.key(hello.instance), peer, heard, self.port, self._traces
        )
        self.assignment.link(instance)
        self._trials.run_began(instance)
        if hello.serves:
            self._settings.set_policy(Policy(hello.login, hello.profiles, hello.certificates))
        self.moves.linked(instance)
        peer.dispatch = Calls(instance, self.port, self, self._published).dispatch
        self.assignment.compare(instance, hello)
        instance.flush()  # before the welcome: the instance says nothing again to what is gone
        infos = self.assignment.take_back(instance)
        count = fitting(infos, self._limits.batch_bytes_max)
        for info in infos[count:]:
            instance.introduce(info.sid, m.Adopted(info))
        self.assignment.share_out()
        self._flush_later()
        return InstanceWelcome(heard, infos[:count])

    def gone(self, peer: Peer) -> None:
        """Handle the end of a link: its sessions move, or wait and are notified."""
        for instance in list(self._instances.values()):
            if instance.peer is peer:
                held = list(instance.sessions)
                self.assignment.distribute(self._unlink(instance, died=not peer.orderly))
                self.assignment.show_away(held)

    def _unlink(self, instance: Instance, *, died: bool) -> list[Session]:
        """Take an instance out, and its sessions from it. Returns them."""
        self._trials.run_ended(instance, died=died)
        self._runs.end(instance.name, RunProgress(instance.accepted, instance.durable))
        return self.assignment.unlink(instance)

    def accepted(self, instance: str, bseq: int) -> None:
        """Outputs of `instance` up to `bseq` are durable."""
        linked = self._instances.get(instance)
        if linked is not None:
            linked.durable = bseq
            linked.peer.notify(m.ACCEPTED, m.Accepted(bseq))
        else:
            self._runs.stored(instance, bseq)

    def leaving(self, instance: Instance) -> None:
        """An instance begins no further command: it is sent none, and given no session."""
        self.assignment.leave(instance)

    def progressed(self, session: Session) -> None:
        """The application has applied commands of the session. Hot path."""
        if session.row.suspect:
            self._trials.progressed(session)
        if session.inbox.waiting:
            self.commanded(session)

    def released(self, instance: Instance, sids: Iterable[str]) -> None:
        """An instance that is leaving gives sessions back."""
        freed = self.assignment.take(instance, sids)
        self._trials.forget(freed)
        self.assignment.distribute(freed)
        self.assignment.show_away(freed)

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
        for instance in self._instances.values():
            instance.flush()
