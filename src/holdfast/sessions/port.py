"""The only interface through which backends change sessions. Hot path.

A `SessionPort` belongs to a backend, and changes the sessions of that backend. A backend in
this process uses the session objects that it was given. A remote caller is a `Caller`: it names
sessions by their ids and numbers its changes, so a repeated change after a broken connection is
detected and ignored.

A backend reads a session (`row`, `inbox`, `attached`), records where it has sent it (`route`)
and keeps notes in the row (`save` follows). All changes go through this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from holdfast.core.clock import Clock
from holdfast.core.errors import HoldfastError, LimitExceededError, ProtocolError, Reason, Source
from holdfast.core.items import INPUT_MODES, MUST, Output
from holdfast.core.validation import (
    UnsendableError,
    check_choice,
    check_delivery,
    check_output,
    check_text,
)
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.inbox import Queued
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import shared
from holdfast.sessions.session import Session, SessionBackend
from holdfast.sessions.states import SessionInput
from holdfast.sessions.terminal import TerminalSession


class GapError(ProtocolError):
    """A caller has left out a number: some of its changes are missing."""


class SessionMovedError(HoldfastError):
    """A caller changes a session that another caller has held since."""

    source = Source.REMOTE


class UnknownSessionError(HoldfastError):
    """The backend has no such session."""

    source = Source.REMOTE


class NumberedOutput(Protocol):
    """One output of a `Caller`, with its number."""

    @property
    def sid(self) -> str: ...
    @property
    def bseq(self) -> int: ...
    @property
    def delivery(self) -> str: ...
    @property
    def item(self) -> Output: ...


class Caller:
    """Changes sessions from another process, and numbers its changes 1, 2, 3 …"""

    __slots__ = ("accepted", "caller_key", "maybe_delivered")

    def __init__(self, key: str, accepted: int = 0, maybe_delivered: int = 0) -> None:
        self.caller_key = key
        """The store's key for `accepted`."""
        self.accepted = accepted
        """The number of its newest change that was accepted."""
        self.maybe_delivered = maybe_delivered
        """An earlier gateway may have shown the outputs up to this number."""

    def may_change(self, session: Session) -> bool:
        """Whether it may change the session now. False if it held the session, and another caller
        has held it since."""
        return True

    def refuse(self, number: int, fault: str, *, unknown: bool = False) -> None:
        """Report that the change of this number was accepted, but cannot be carried out; with
        `unknown`, because the backend has no such session."""
        raise NotImplementedError


class ClientNotifier(Protocol):
    """Tells the connections of sessions that a backend has changed them: the gateway."""

    def user_changed(self, session: Session) -> None:
        """The session is another user's now."""

    def deselected(self, session: Session) -> None:
        """The user is sent back to the choice of a profile."""


class SessionPort:
    """The operations of a backend on its sessions."""

    __slots__ = ("_backend", "_clock", "_host", "_journal", "_manager", "by_sid", "life", "limits")

    def __init__(
        self,
        backend: SessionBackend,
        manager: SessionManager,
        journal: Journal,
        host: ClientNotifier,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._manager = manager
        self._journal = journal
        self._host = host
        self._clock = clock
        self.limits: Final = manager.limits
        self.life: Final = manager.life
        """The log of what happens to sessions."""
        self.by_sid: Final[Mapping[str, Session]] = manager.sessions
        """All loaded sessions of the node, also those of other backends: for look-ups on the hot
        path."""

    @property
    def sessions(self) -> Iterator[Session]:
        """The backend's sessions."""
        backend = self._backend
        return (one for one in self.by_sid.values() if one.backend is backend)

    @property
    def dormant(self) -> Iterable[DormantSession]:
        """The backend's sessions that are not loaded."""
        return self._manager.loader.dormant.of(self._backend)

    async def load(self, sids: Iterable[str] | None = None) -> None:
        """Load sessions of the backend: these, or all. Raises `StoreError`."""
        loader = self._manager.loader
        if sids is None:
            await loader.load_all(self._backend, self._clock())
        else:
            found = map(loader.dormant.get, sids)
            own = [one.sid for one in found if one is not None and one.backend is self._backend]
            await loader.load(own, self._clock())

    def find(self, sid: str) -> Session | None:
        """The backend's session of this id."""
        session = self.by_sid.get(sid)
        return session if session is not None and session.backend is self._backend else None

    def of_user(self, user: str) -> Iterable[Session | DormantSession]:
        """The backend's sessions of a user, loaded or not."""
        return self._manager.population.of_user(self._backend, user)

    def members(self, group: str) -> list[Session]:
        """The backend's loaded sessions in a group, in the order in which they joined."""
        backend = self._backend
        members = self._manager.groups.members(group)
        return [session for session in members if session.backend is backend]

    # --- from this process. What is called for every message is the session's own method.

    emit = staticmethod(Session.emit)
    """`(session, item, delivery, now)`: send `item` to the client. `now` is the gateway's time."""
    emit_shared = staticmethod(Session.emit_shared)
    """`(session, entry)`: as `emit`, of an output that many sessions get (`outbox.shared`)."""
    show = staticmethod(Session.show)
    """`(session, item)`: show the client a volatile item now, if there is one. A client that lags
    gets it with `always=True` alone, and then before earlier output."""
    applied = staticmethod(Session.applied)
    """`(session, cseq)`: every command up to `cseq` was applied. Returns the bytes set free."""
    set_input_mode = staticmethod(Session.set_input_mode)
    """`(session, mode)`: how typing is to be taken."""
    unacknowledged = staticmethod(TerminalSession.unacknowledged)
    """`(session)`: bytes of a terminal that its client has not shown yet; that were not written
    to it, for a client that does not say what it has shown."""
    save = staticmethod(Session.mark_row_dirty)
    """`(session)`: store the row, in which the backend has changed its notes."""

    @staticmethod
    def take(session: Session) -> Sequence[Queued]:
        """The commands not yet taken, in order."""
        return session.inbox.take()

    @staticmethod
    def take_within(session: Session, bytes_max: int) -> Sequence[Queued]:
        """As `take`, while less than `bytes_max` and the session's own limit are under way."""
        return session.inbox.take_within(bytes_max)

    @staticmethod
    def rewind(session: Session) -> None:
        """Let commands that were taken and not applied be taken again."""
        session.inbox.rewind()

    @staticmethod
    def mark_delivered(session: Session) -> None:
        """The client may have received all output so far."""
        session.out.maybe_delivered = session.out.top
        session.mark_dirty()

    @staticmethod
    def fill(session: Session) -> float:
        """The used share of the window; while a client is attached, only by outputs that were not
        written to it."""
        if not session.attached:
            return session.out.fill(0)
        session.deliver()
        return session.out.fill(session.out.sent)

    @staticmethod
    def is_delivered(session: Session) -> bool:
        """Whether a client is attached and all outputs were written to it."""
        if not session.attached:
            return False
        session.deliver()
        return session.out.sent >= session.out.top

    @staticmethod
    def await_delivery(session: Session) -> None:
        """Call the backend's `relieved` again once more output was written."""
        session.lagging = True

    def close(self, session: Session, reason: Reason) -> None:
        """End the session for good."""
        self._manager.close(session, reason)

    # --- from another process, numbered

    def emit_numbered(self, caller: Caller, outputs: Sequence[NumberedOutput]) -> None:
        """Send outputs, each to the client of its session. Raises `GapError`."""
        now = self._clock()
        find = self.by_sid.get
        backend = self._backend
        bytes_max = self.limits.output_bytes_max
        for output in outputs:
            bseq = output.bseq
            if bseq == caller.accepted + 1:  # the usual case, without a call for every output
                caller.accepted = bseq
            elif not self._is_new(caller, bseq):
                continue
            delivery = output.delivery
            try:
                size = check_output(output.item, bytes_max)
                if delivery != MUST:
                    check_delivery(delivery, self.limits.name_bytes_max)
            except UnsendableError as error:
                caller.refuse(bseq, str(error))
                continue
            session = find(output.sid)
            if session is None or session.backend is not backend:
                caller.refuse(bseq, str(_unknown(output.sid)), unknown=True)
                continue
            if session.route is not caller and not caller.may_change(session):
                caller.refuse(bseq, str(_moved(output.sid)))
                continue
            session.emit(output.item, delivery, now, size)
            if bseq <= caller.maybe_delivered:
                self.mark_delivered(session)
        self._journal.accept(caller.caller_key, caller.accepted)

    def broadcast(
        self,
        caller: Caller,
        number: int,
        group: str,
        item: Output,
        delivery: str = MUST,
        *,
        exclude: str = "",
    ) -> None:
        """Send `item` to every session in `group`, except the one with the id `exclude`."""

        def change() -> None:
            check_output(item, self.limits.output_bytes_max)
            check_delivery(delivery, self.limits.name_bytes_max)
            entry = shared(item, delivery, self._clock())
            for session in list(self._manager.groups.members(group)):
                if session.sid == exclude or session.backend is not self._backend:
                    continue
                if entry is None:
                    session.show(item)
                    continue
                session.emit_shared(entry)
                if number <= caller.maybe_delivered:
                    self.mark_delivered(session)

        self._once(caller, number, change)

    def update(
        self,
        caller: Caller,
        number: int,
        sid: str,
        *,
        user: str | None = None,
        profile: str | None = None,
        data: bytes | None = None,
        deselect: bool = False,
    ) -> None:
        """Change the kept fields of a session; `None` leaves a field unchanged.

        `deselect` sends the user back to the choice of a profile.
        """

        def change() -> None:
            session = self._needed(caller, sid)
            for name, text in (("user", user), ("profile", profile)):
                check_text(name, text or "", self.limits.name_bytes_max)
            if data is not None:
                self._manager.set_data(session, data)
            if profile is not None:
                session.row.profile = profile
            if user is not None and user != session.row.user:
                self._manager.set_user(session, user)
                self._host.user_changed(session)
            session.mark_row_dirty()
            if deselect and session.allows(SessionInput.DESELECTED):
                session.apply(SessionInput.DESELECTED)
                self._host.deselected(session)

        self._once(caller, number, change)

    def change_input_mode(self, caller: Caller, number: int, sid: str, mode: str) -> None:
        """How typing is to be taken: `line`, `key` or `secret`."""

        def change() -> None:
            check_choice("input_mode", mode, INPUT_MODES)
            self._needed(caller, sid).set_input_mode(mode)

        self._once(caller, number, change)

    def join(self, caller: Caller, number: int, group: str, sids: Sequence[str]) -> None:
        """Put sessions into a group."""

        def change() -> None:
            check_text("group", group, self.limits.name_bytes_max)
            for session in self._all_held(caller, sids):
                self._manager.groups.join(session, group)

        self._once(caller, number, change)

    def leave(self, caller: Caller, number: int, group: str, sids: Sequence[str]) -> None:
        """Take sessions out of a group."""

        def change() -> None:
            for session in self._all_held(caller, sids):
                self._manager.groups.leave(session, group)

        self._once(caller, number, change)

    def refuse(self, caller: Caller, number: int, fault: str) -> None:
        """Refuse the change of this number, which cannot be read. Raises `GapError`."""
        if self._is_new(caller, number):
            caller.refuse(number, fault)
            self._journal.accept(caller.caller_key, number)

    def held(self, caller: Caller, sid: str) -> Session | None:
        """The session, if it exists. Raises `SessionMovedError` if another caller has held it
        since."""
        session = self.find(sid)
        if session is not None and not caller.may_change(session):
            raise _moved(sid)
        return session

    def _needed(self, caller: Caller, sid: str) -> Session:
        """As `held`. Raises `UnknownSessionError` if there is none."""
        session = self.held(caller, sid)
        if session is None:
            raise _unknown(sid)
        return session

    def _all_held(self, caller: Caller, sids: Sequence[str]) -> Iterator[Session]:
        """Those of these sessions that there are. Raises `UnknownSessionError` if none is."""
        found = False
        for sid in sids:
            session = self.held(caller, sid)
            if session is not None:
                found = True
                yield session
        if sids and not found:
            raise _unknown(sids[0])

    def _is_new(self, caller: Caller, number: int) -> bool:
        """Account for the number of a change; false for a repeat."""
        if number <= caller.accepted:
            return False
        if number != caller.accepted + 1:
            raise GapError(f"output {number} came after {caller.accepted}: some are missing")
        caller.accepted = number
        return True

    def _once(self, caller: Caller, number: int, change: Callable[[], None]) -> None:
        """Make a change, if it is new; one that cannot be carried out is refused."""
        if not self._is_new(caller, number):
            return
        try:
            change()
        except UnknownSessionError as error:
            caller.refuse(number, str(error), unknown=True)
        except (SessionMovedError, UnsendableError, LimitExceededError) as error:
            caller.refuse(number, str(error))
        self._journal.accept(caller.caller_key, number)


def _moved(sid: str) -> SessionMovedError:
    return SessionMovedError(f"session {sid} has moved to another instance")


def _unknown(sid: str) -> UnknownSessionError:
    return UnknownSessionError(f"the application has no session {sid}")
