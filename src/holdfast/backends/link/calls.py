"""What an application may call, bound to one linked instance of it. Hot path.

What changes a session is numbered by the instance (`bseq`), so that a repeat
after a broken link is known. A call that cannot be carried out is answered with
`refused`; one that breaks the numbering ends the link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from holdfast.backends.link.instance import Instance
from holdfast.core.errors import REASONS, LimitExceededError, Reason
from holdfast.core.items import MUST
from holdfast.core.validation import (
    UnsendableError,
    check_choice,
    check_delivery,
    check_output,
    check_text,
)
from holdfast.link import messages as m
from holdfast.link.codec import UNREADABLE, LinkProtocolError
from holdfast.link.peer import Dispatch, RequestError
from holdfast.sessions.outbox import shared
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput

if TYPE_CHECKING:
    from holdfast.backends.link.backend import LinkBackend

T = TypeVar("T")


_NUMBERED: Final = (m.BROADCAST, m.UPDATE, m.INPUT_MODE, m.JOIN, m.LEAVE)


class _Numbered(msgspec.Struct, frozen=True, array_like=True):
    """What every numbered call begins with, whatever follows."""

    about: msgspec.Raw
    bseq: int


_read_list: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_emit: Final = msgspec.msgpack.Decoder(m.Emit).decode
_read_number: Final = msgspec.msgpack.Decoder(_Numbered).decode


class Host(Protocol):
    """Who acts on what an application changes: the gateway."""

    def policy_known(self) -> None:
        """Sessions that waited to hear whether to log in can go on."""

    def user_changed(self, session: Session) -> None:
        """The application says who the user is."""

    def deselected(self, session: Session) -> None:
        """The application sends the user back to the choice of a profile."""


class Calls:
    """The calls of one instance."""

    def __init__(self, instance: Instance, backend: LinkBackend) -> None:
        self.dispatch = Dispatch(
            {
                m.EMIT: (list[m.Emit], self._emit),
                m.BROADCAST: (m.Broadcast, self._numbered(self._broadcast)),
                m.APPLIED: (list[m.Applied], self._applied),
                m.UPDATE: (m.Update, self._numbered(self._update)),
                m.INPUT_MODE: (m.InputMode, self._numbered(self._input_mode)),
                m.JOIN: (m.Membership, self._numbered(self._join)),
                m.LEAVE: (m.Membership, self._numbered(self._leave)),
                m.CLOSE: (m.Close, self._close),
                m.LEAVING: (m.Leaving, self._leaving),
                m.RELEASE: (list[str], self._release),
                m.LIST: (m.Filter, self._list),
            },
            unreadable={
                m.EMIT: self._emit_readable,
                **dict.fromkeys(_NUMBERED, self._refuse_unreadable),
            },
        )
        self._instance = instance
        self._key = backend.runs.key(instance.name)
        self._backend = backend
        self._manager = backend.manager
        self._limits = backend.manager.limits
        self._journal = backend.journal
        self._host = backend.host
        self._clock = backend.clock

    def _emit(self, outputs: list[m.Emit]) -> None:
        now = self._clock()
        instance = self._instance
        sessions = self._manager.sessions
        bytes_max = self._limits.output_bytes_max
        for output in outputs:
            bseq = output.bseq
            if bseq == instance.accepted + 1:  # the rule, without a call for every output
                instance.accepted = bseq
            elif not self._take(bseq):
                continue
            delivery = output.delivery
            try:
                check_output(output.item, bytes_max)
                if delivery != MUST:
                    check_delivery(delivery, self._limits.name_bytes_max)
            except UnsendableError as error:
                self._refuse(bseq, str(error))
                continue
            session = sessions.get(output.sid)
            if session is None or session.backend is not self._backend:
                continue
            if session.route is not instance and not instance.may_speak_for(session):
                self._refuse(bseq, str(_moved(output.sid)))
                continue
            session.emit(output.item, delivery, now)
            if bseq <= instance.doubtful:
                session.out.maybe_delivered = session.out.top
        self._journal.accept(self._key, instance.accepted)

    def _broadcast(self, cast: m.Broadcast) -> None:
        check_output(cast.item, self._limits.output_bytes_max)
        check_delivery(cast.delivery, self._limits.name_bytes_max)
        said = shared(cast.item, cast.delivery, self._clock())
        for session in list(self._manager.members(cast.group)):
            if session.sid != cast.but and session.backend is self._backend:
                if said is None:
                    session.show(cast.item)
                    continue
                session.emit_shared(said)
                if cast.bseq <= self._instance.doubtful:
                    session.out.maybe_delivered = session.out.top

    def _applied(self, marks: list[m.Applied]) -> None:
        instance = self._instance
        sessions = self._manager.sessions
        for mark in marks:
            session = sessions.get(mark.sid)
            if session is not None and session.route is instance:
                instance.applied(session, mark.cseq)
                if session.inbox.entries or session.row.suspect:  # seldom: most apply what they get
                    self._backend.progressed(session)

    def _update(self, update: m.Update) -> None:
        session = self._own(update.sid)
        if session is None:
            return
        for name, text in (("user", update.user), ("profile", update.profile)):
            check_text(name, text or "", self._limits.name_bytes_max)
        row = session.row
        if update.data is not None:
            self._manager.set_data(session, update.data)
        if update.profile is not None:
            row.profile = update.profile
        if update.user is not None and update.user != row.user:
            self._manager.set_user(session, update.user)
            self._host.user_changed(session)
        session.mark_row_dirty()
        if update.selected is False and session.allows(SessionInput.DESELECTED):
            session.apply(SessionInput.DESELECTED)
            self._host.deselected(session)

    def _input_mode(self, change: m.InputMode) -> None:
        check_choice(m.INPUT_MODE, change.mode, m.INPUT_MODES)
        session = self._own(change.sid)
        if session is not None:
            session.set_input_mode(change.mode)

    def _join(self, membership: m.Membership) -> None:
        check_text("group", membership.group, self._limits.name_bytes_max)
        for session in filter(None, map(self._own, membership.sids)):
            self._manager.join(session, membership.group)

    def _leave(self, membership: m.Membership) -> None:
        for session in filter(None, map(self._own, membership.sids)):
            self._manager.leave(session, membership.group)

    def _close(self, request: m.Close) -> bool:
        session = self._own(request.sid)
        if session is None:
            return False
        try:
            check_choice(m.CLOSE, request.reason, REASONS)
        except UnsendableError as error:
            raise RequestError("bad_params", str(error)) from error
        self._manager.close(session, Reason(request.reason))
        return True

    def _list(self, wanted: m.Filter) -> list[m.SessionInfo]:
        return [
            info_of(session)
            for session in self._manager.sessions.values()
            if session.backend is self._backend
            and wanted.user in ("", session.row.user)
            and wanted.state in ("", session.state.value)
        ]

    def _leaving(self, _: m.Leaving) -> m.Leaving:
        self._backend.leaving(self._instance)
        return m.Leaving()

    def _release(self, sids: list[str]) -> None:
        self._backend.released(self._instance, sids)

    def _own(self, sid: str) -> Session | None:
        """The session, if it is there. Raises `RequestError` if this instance held it in a time
        that is over."""
        session = self._manager.sessions.get(sid)
        if session is None or session.backend is not self._backend:
            return None
        if not self._instance.may_speak_for(session):
            raise _moved(sid)
        return session

    # --- numbering

    def _take(self, bseq: int) -> bool:
        """Account for the number of an output; false for a repeat after a broken link."""
        accepted = self._instance.accepted
        if bseq <= accepted:
            return False
        if bseq != accepted + 1:
            raise LinkProtocolError(f"output {bseq} came after {accepted}: some are missing")
        self._instance.accepted = bseq
        return True

    def _numbered(self, handler: Callable[[T], None]) -> Callable[[T], None]:
        """`handler`, for what is new only; what it cannot do is refused."""

        def handle(params: T) -> None:
            bseq: int = params.bseq  # type: ignore[attr-defined]
            if not self._take(bseq):
                return
            try:
                handler(params)
            except (RequestError, UnsendableError, LimitExceededError) as error:
                self._refuse(bseq, str(error))
            self._journal.accept(self._key, bseq)

        return handle

    def _emit_readable(self, params: msgspec.Raw, error: Exception) -> None:
        """Some of these outputs cannot be read: they are refused, and the others said."""
        try:
            outputs = _read_list(params)
        except UNREADABLE:
            raise LinkProtocolError(f"{m.EMIT}: {error}") from error
        for raw in outputs:
            try:
                output = _read_emit(raw)
            except UNREADABLE as fault:
                self._refuse_unreadable(raw, fault)
            else:
                self._emit([output])

    def _refuse_unreadable(self, params: msgspec.Raw, error: Exception) -> None:
        """Refuse a call that cannot be read, if its number can."""
        try:
            bseq = _read_number(params).bseq
        except UNREADABLE:
            raise LinkProtocolError(f"a call without its number: {error}") from error
        if self._take(bseq):
            self._refuse(bseq, str(error))
            self._journal.accept(self._key, bseq)

    def _refuse(self, bseq: int, fault: str) -> None:
        self._instance.peer.notify(m.REFUSED, m.Refused(bseq, fault))


def _moved(sid: str) -> RequestError:
    return RequestError("moved", f"session {sid} has moved to another instance")


def info_of(session: Session) -> m.SessionInfo:
    row = session.row
    return m.SessionInfo(
        sid=row.sid,
        state=row.state,
        user=row.user,
        properties=row.properties,
        profile=row.profile,
        data=row.data,
        groups=list(row.groups),
        capabilities=row.capabilities,
        address=row.address,
        protocol=row.protocol,
        applied=session.inbox.applied,
        resync=row.resync,
    )
