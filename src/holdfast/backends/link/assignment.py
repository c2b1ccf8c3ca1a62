"""The assignment of sessions to the linked instances of an application.

A session is held by one instance. When that ends, its sessions are distributed by load; without
another instance, they wait. An instance that gets a session of another one is asked first which
commands it remembers. After a restart of the gateway, instances have some time to return for
the sessions that they held.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final, Protocol

from holdfast.backends.base import Services
from holdfast.backends.link.instance import Instance, Reservation, info_of
from holdfast.core.errors import Reason
from holdfast.core.items import Notice
from holdfast.link import messages as m
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.life import Life
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionState
from holdfast.sessions.waiters import StoreUnavailableError

_log: Final = RateLimitedLogger("holdfast.link")

AWAY = Notice("The application is away. What you type is kept, and runs when it is back.")

_ASKED_MAX: Final = 250
"""Sessions in one `remember`, which are handed over in one pass of the event loop."""
_SHOWN_MAX: Final = 250
"""Clients that are told in one pass of the event loop that the application is away."""
_ACTIVE: Final = frozenset({SessionState.ACTIVE, SessionState.DETACHED_ACTIVE})


class Forwarding(Protocol):
    """Sends the commands of sessions to the instances that hold them: the link backend."""

    def commanded(self, session: Session) -> None:
        """There are commands to forward."""

    def progressed(self, session: Session) -> None:
        """Commands of the session were applied."""


class Assignment:
    """Which instance of a backend's application holds which session."""

    def __init__(self, services: Services, port: SessionPort, forwarding: Forwarding) -> None:
        self.linked: dict[str, Instance] = {}
        """The linked instances, by name."""
        self._port = port
        self._forwarding = forwarding
        self._journal = services.journal
        self._several = services.several
        self._loop = services.runtime.loop
        self._limits = services.limits.link
        self._awaited: set[str] = set()
        """Instances of before the gateway's start that have time to return …"""
        self._await_until = 0.0
        """… until then."""
        self._at_end_of_tick = services.runtime.coalescer.add
        self._away: list[Session] = []
        """Sessions whose clients are still to be told that the application is away."""

    def restore(self) -> None:
        """Await the instances that held sessions before the gateway's start."""
        holders = {session.instance for session in self._port.dormant}
        holders |= {session.row.instance for session in self._port.sessions}
        self._awaited = holders - {""}
        self._await_until = self._loop.time() + self._limits.return_seconds_max

    # --- instances

    @property
    def serving(self) -> bool:
        """Whether an instance is linked that is given sessions."""
        return any(instance.serves for instance in self.linked.values())

    def link(self, instance: Instance) -> None:
        """The instance has linked: it can be given sessions."""
        self.linked[instance.name] = instance
        self._awaited.discard(instance.name)

    def leave(self, instance: Instance) -> None:
        """An instance begins no further command: it is sent none, and given no session."""
        instance.leaving = True
        reserved = list(instance.reserved)
        for session in reserved:
            instance.release(session)
        self.distribute(reserved)

    def least_busy(self) -> Instance | None:
        """Return the instance with the fewest sessions, of those that take more."""
        ready = [one for one in self.linked.values() if one.serves and not one.leaving]
        return min(ready, key=lambda instance: instance.load) if ready else None

    # --- giving sessions

    def open(self, session: Session) -> None:
        """Give a session that is active now to its instance, or to the least busy one."""
        holder = session.route  # of a session whose user has chosen again
        if isinstance(holder, Instance) and holder.leaving:
            holder.release(session)
        elif isinstance(holder, Instance):
            self._open(holder, session)
            return
        heir = self.least_busy()
        if heir is not None:
            self._open(heir, session)
        else:
            self._port.show(session, AWAY)

    def _open(self, instance: Instance, session: Session) -> None:
        instance.hold(session)
        session.row.known = True
        self._port.save(session)
        instance.introduce(session.sid, m.Opened(info_of(session)))
        self._forwarding.commanded(session)

    def compare(self, instance: Instance, hello: m.Hello) -> None:
        """Tell an instance that has linked of the sessions that it knows and no longer holds."""
        tells = hello.oldest > 0  # older applications know nothing of sessions that move
        for sid, cseq in hello.applied.items():
            session = self._port.find(sid)
            if session is None and instance.everywhere and self._several:
                instance.introduce(sid, m.Moved(elsewhere=True))  # if it has not ended
                continue
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

    def take_back(self, instance: Instance) -> list[m.SessionInfo]:
        """Give an instance the sessions that it was the last to hold."""
        infos = []
        for session in self._port.sessions:
            if session.route is None and session.row.instance == instance.name:
                instance.hold(session)
                infos.append(info_of(session))
                self._begin(instance, session)
        return infos

    def share_out(self) -> None:
        """Give sessions without a holder to the linked instances."""
        self._expire_awaited()
        awaited = self._awaited
        self.assign(each for each in self._port.sessions if each.row.instance not in awaited)

    def _expire_awaited(self) -> None:
        if not self._awaited:
            return
        left = self._await_until - self._loop.time()
        if left <= 0:
            self._awaited.clear()
        else:
            self._loop.call_later(left, self.share_out)

    def assign(self, sessions: Iterable[Session]) -> None:
        """Give those of these sessions that have no holder to instances: each to the one that held
        it last, also at another node, if that is linked here."""
        known = []
        for session in sessions:
            if session.route is not None:
                continue
            if session.row.known:
                known.append(session)
            elif session.state in _ACTIVE:
                self.open(session)
        self.distribute(known)

    def _holder_of(self, session: Session) -> Instance | None:
        """The instance that held a session last, if it is linked and takes more."""
        holder = self.linked.get(session.row.instance)
        return holder if holder is not None and holder.serves and not holder.leaving else None

    def distribute(self, sessions: list[Session]) -> None:
        """Distribute sessions that an application knows: to those that held them, and by load.
        They wait if no instance is linked."""
        shares: dict[Instance, list[Session]] = {}
        for session in sessions:
            heir = self._holder_of(session) or self.least_busy()
            if heir is None:
                return
            heir.reserve(session)
            shares.setdefault(heir, []).append(session)
        for heir, share in shares.items():
            heir.peer.spawn(self._hand_over_all(heir, share))

    async def _hand_over_all(self, heir: Instance, sessions: list[Session]) -> None:
        """Give an instance its share, part after part: others are served in between."""
        for start in range(0, len(sessions), _ASKED_MAX):
            await self._hand_over(heir, sessions[start : start + _ASKED_MAX])

    async def _hand_over(self, heir: Instance, sessions: list[Session]) -> None:
        """Ask an instance for its remembered commands, and give it the sessions.

        The answer follows the instance's calls from an earlier time as holder. The new holder
        is stored before the instance gets them, so a restart cannot mistake another instance for
        the holder.
        """
        try:
            remembered = await heir.peer.request(
                m.REMEMBER,
                m.Remember([session.sid for session in sessions]),
                dict[str, m.Number],
                seconds_max=self._limits.remember_seconds_max,
                from_reading=True,
            )
        except LinkClosedError:
            return  # the sessions were given to another, or wait
        except (RequestError, TimeoutError) as error:
            if not isinstance(error, RequestError) or error.code != "unknown_method":
                # Without the answer, commands would be repeated: the instance gets nothing.
                self._close(heir, m.REMEMBER, error)
                return
            remembered = {}
        for session in sessions:
            if session.route is heir.reservation:
                self._learn(session, remembered.get(session.sid, 0))
                self._log_move(heir, session)
                heir.enter(session)
        with contextlib.suppress(StoreUnavailableError):
            await self._journal.settled()
        for session in sessions:
            if session.route is heir.reservation:
                heir.hold(session)
                heir.introduce(session.sid, m.Adopted(info_of(session)))
                self._begin(heir, session)

    def _log_move(self, heir: Instance, session: Session) -> None:
        held = {"from_instance": session.row.instance} if session.row.instance else {}
        self._port.life.tell(Life.MOVED, session, instance=heir.name, **held)

    def _close(self, instance: Instance, asked: str, error: RequestError | TimeoutError) -> None:
        """End the link of an instance that has not answered."""
        fault = str(error) or f"no answer in {self._limits.remember_seconds_max:g} seconds"
        _log.warning(
            "instance failed to answer",
            asked=asked,
            app=instance.app,
            instance=instance.name,
            error=fault,
        )
        instance.leaving = True
        instance.peer.close(f"expected an answer to {asked}, found: {fault}")

    def _begin(self, instance: Instance, session: Session) -> None:
        """An instance has got a session: the waiting commands follow."""
        if session.row.resync and not session.state.detached:
            instance.resynced(session)
        self._forwarding.commanded(session)

    def _learn(self, session: Session, applied: int) -> None:
        """Commands up to `applied` of a session without a holder were applied."""
        self._port.applied(session, applied)
        self._forwarding.progressed(session)

    # --- taking sessions

    def unlink(self, instance: Instance) -> list[Session]:
        """The instance is not linked any more: take every session from it. Returns them."""
        del self.linked[instance.name]
        freed = [*instance.sessions, *instance.reserved]
        for session in freed:
            instance.release(session)
        return freed

    def take(self, instance: Instance, sids: Iterable[str]) -> list[Session]:
        """Take those of these sessions from an instance that it holds. Returns them."""
        freed = []
        for sid in sids:
            session = self._port.find(sid)
            if session is not None and session.route is instance:
                instance.release(session)
                session.row.instance = ""  # it does not come back for it
                self._port.save(session)
                freed.append(session)
        return freed

    async def give_up(self, sessions: Iterable[Session]) -> None:
        """Other nodes get these sessions: their instances are told, and what these have said
        before they knew it is taken in. The link of one that does not answer ends: what it has
        said and is still under way, it says again at the node that has the session then."""
        holders: dict[Instance, None] = {}
        for session in sessions:
            holder = session.route
            if isinstance(holder, Instance):
                holder.introduce(session.sid, m.Moved(elsewhere=True))
                holder.release(session)
                holders[holder] = None
            elif isinstance(holder, Reservation):
                holder.instance.release(session)
        for holder in holders:
            holder.flush()
            try:
                await holder.peer.request(
                    m.HEARTBEAT,
                    m.Heartbeat(),
                    m.Heartbeat,
                    seconds_max=self._limits.remember_seconds_max,
                )
            except LinkClosedError:
                continue
            except (RequestError, TimeoutError) as error:
                self._close(holder, m.HEARTBEAT, error)

    def show_away(self, sessions: Iterable[Session]) -> None:
        """Tell the clients of sessions without a holder that the application is away; those of
        very many in several passes of the event loop."""
        if not self._away:
            self._at_end_of_tick(self._show_some)
        self._away += sessions

    def _show_some(self) -> bool:
        shown, self._away = self._away[:_SHOWN_MAX], self._away[_SHOWN_MAX:]
        for session in shown:
            if session.route is None:
                self._port.show(session, AWAY)
        return bool(self._away)
