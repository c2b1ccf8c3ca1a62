"""The number of sessions by network and user, and which session makes room for another.

Detached sessions are ordered by the time since they were detached, in three lists: *brief* are
those without a user and without kept data, *anonymous* those without a user, *known* the
others. A new session for which there is no room takes the place of the first brief one, or else
of the first anonymous one; sessions of a user make room for that user only.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from holdfast.core.errors import BusyError
from holdfast.core.limits import SessionLimits
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.session import Session, SessionBackend

Member = Session | DormantSession


def app_of(session: Member) -> str:
    """The name of the backend that a session belongs to."""
    return session.row.app if isinstance(session, Session) else session.app


_Order = OrderedDict[str, Member]  # its first is found in constant time


class _Network:
    """The sessions of one network."""

    __slots__ = ("evictable", "name", "total")

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.evictable: _Order | None = None
        """Detached and without a user, as far as is known; `None` if there never were any."""


class Population:
    """The counts and orders of all sessions of a node."""

    def __init__(self, limits: SessionLimits) -> None:
        self.total = 0
        self.begun = 0.0
        """When the sessions of the previous run were registered: none could be resumed before."""
        self.limits = limits
        self._networks: dict[str, _Network] = {}
        self._users: dict[SessionBackend, dict[str, Member | dict[str, Member]]] = {}
        """A user with one session has no dictionary: there may be very many of them."""
        self._brief: _Order = OrderedDict()
        self._anonymous: _Order = OrderedDict()
        self._known: _Order = OrderedDict()

    # --- all sessions

    def add(self, session: Member, network: str) -> None:
        """Count a session, whose client is in this network."""
        self.total += 1
        self._count(session, network)
        if session.user:
            self._index_user(session)

    def replace(self, dormant: DormantSession, session: Session) -> None:
        """Replace a dormant session by the loaded one."""
        sid, here = session.sid, self._networks[dormant.network]
        session.network = here.name
        for order in (self._brief, self._anonymous, self._known, here.evictable):
            if order is not None and sid in order:
                order[sid] = session
        if session.user:
            users = self._users[session.backend]
            found = users[session.user]
            if isinstance(found, dict):
                found[sid] = session
            else:
                users[session.user] = session

    def remove(self, session: Member) -> None:
        """The session has ended."""
        self.stop_waiting(session)
        self.total -= 1
        self._uncount(session.network)
        self._forget_user(session)

    def move(self, session: Session, network: str) -> None:
        """The session's client is in another network now."""
        if network != session.network:
            self._uncount(session.network)
            self._count(session, network)

    def set_user(self, session: Session, user: str) -> None:
        """The session is this user's."""
        self._forget_user(session)
        session.row.user = user
        if user:
            self._index_user(session)

    def of_user(self, backend: SessionBackend, user: str) -> Iterable[Member]:
        """The sessions of a user of a backend, loaded or not; none for nobody."""
        found = self._users.get(backend, {}).get(user)
        if found is None:
            return ()
        return found.values() if isinstance(found, dict) else (found,)

    # --- detached sessions

    def wait(self, session: Member) -> None:
        """The session is detached."""
        sid = session.sid
        self._order_of(session)[sid] = session
        if not session.user:
            here = self._networks[session.network]
            if here.evictable is None:
                here.evictable = OrderedDict()
            here.evictable[sid] = session

    def stop_waiting(self, session: Member) -> None:
        """The session is not detached any more."""
        sid = session.sid
        for order in (self._brief, self._anonymous, self._known):
            order.pop(sid, None)
        evictable = self._networks[session.network].evictable
        if evictable is not None:
            evictable.pop(sid, None)

    def waiting(self) -> Iterator[Member]:
        """The detached sessions, in the order in which they make room for others."""
        for order in (self._brief, self._anonymous, self._known):
            yield from order.values()

    def keep_seconds(self, session: Member) -> float:
        """How long a session is kept for its client, as it is now."""
        limits = self.limits
        if self._order_of(session) is self._brief:
            return min(limits.unclaimed_seconds_max, limits.detached_seconds_max)
        return limits.detached_seconds_max

    def expires(self, session: Member) -> float:
        """When a detached session ends; infinity for one that has its client."""
        if not session.state.detached:
            return math.inf
        since = session.detached
        if self._order_of(session) is self._brief:
            since = max(since, self.begun)
        return since + self.keep_seconds(session)

    def expired(self, now: float, count: int) -> list[Member]:
        """Return up to `count` expired sessions."""
        limits = self.limits
        found: list[Member] = []
        early = now - min(limits.unclaimed_seconds_max, limits.detached_seconds_max)
        if self.begun > early:
            early = -math.inf
        for order, since in (
            (self._brief, early),
            (self._anonymous, now - limits.detached_seconds_max),
            (self._known, now - limits.detached_seconds_max),
        ):
            lasting = []
            for session in order.values():
                if len(found) >= count or session.detached > since:
                    break
                if order is self._brief and self._order_of(session) is not order:
                    lasting.append(session)  # something was kept for it meanwhile
                else:
                    found.append(session)
            for session in lasting:
                del order[session.sid]
                self._order_of(session)[session.sid] = session
        return found

    def evicted_for(self, network: str) -> Member | None:
        """Return the session that makes room for a new one of this network, if one has to.

        Raises `BusyError` if there is none.
        """
        here = self._networks.get(network)
        if here is not None and here.total >= self.limits.sessions_per_network_max:
            session = self._first(here.evictable) if here.evictable is not None else None
            if session is None:
                raise BusyError(f"{here.total} sessions of {network or 'one address'}")
            return session
        if self.total >= self.limits.sessions_max:
            session = self._first(self._brief) or self._first(self._anonymous)
            if session is None:
                raise BusyError(f"{self.total} sessions")
            return session
        return None

    def _first(self, order: _Order) -> Member | None:
        """The first session of a list that still belongs to it; others move to their list."""
        while order:
            session = next(iter(order.values()))
            right = self._order_of(session)
            if right is self._known or (order is self._brief and right is not order):
                del order[session.sid]
                right[session.sid] = session
            else:
                return session
        return None

    def _order_of(self, session: Member) -> _Order:
        if session.user:
            return self._known
        return self._anonymous if session.lasting else self._brief

    def _count(self, session: Member, network: str) -> None:
        here = self._networks.get(network)
        if here is None:
            here = self._networks[network] = _Network(network)
        here.total += 1
        session.network = here.name  # one string for all of a network

    def _uncount(self, network: str) -> None:
        here = self._networks[network]
        here.total -= 1
        if not here.total:
            del self._networks[network]

    def _index_user(self, session: Member) -> None:
        users = self._users.get(session.backend)
        if users is None:
            users = self._users[session.backend] = {}
        found = users.setdefault(session.user, session)
        if found is session:
            pass
        elif isinstance(found, dict):
            found[session.sid] = session
        else:
            users[session.user] = {found.sid: found, session.sid: session}

    def _forget_user(self, session: Member) -> None:
        users, user = self._users.get(session.backend, {}), session.user
        found = users.get(user)
        if isinstance(found, dict):
            found.pop(session.sid, None)
            if len(found) == 1:
                (users[user],) = found.values()
        elif found is session:
            del users[user]
            if not users:
                del self._users[session.backend]
