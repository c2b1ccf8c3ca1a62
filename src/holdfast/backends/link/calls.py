"""The methods that a linked instance may call. Hot path.

Calls that change a session are numbered by the instance (`bseq`), so repeats after a broken
link are detected. A call that cannot be executed is answered with `refused`; one that breaks
the numbering ends the link (`sessions.port`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from holdfast.backends.link.instance import Instance, info_of
from holdfast.backends.link.publications import Publications
from holdfast.core.errors import REASONS, Reason
from holdfast.core.validation import UnsendableError, check_choice
from holdfast.link import messages as m
from holdfast.link.codec import UNREADABLE, LinkProtocolError
from holdfast.link.peer import Dispatch, RequestError
from holdfast.sessions.port import SessionMovedError, SessionPort
from holdfast.sessions.publishing import Publication
from holdfast.sessions.session import Session
from holdfast.sessions.stores.base import StoreError

_NUMBERED: Final = (m.BROADCAST, m.UPDATE, m.INPUT_MODE, m.JOIN, m.LEAVE)


class _Numbered(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of every numbered call."""

    about: msgspec.Raw
    bseq: int


_read_list: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_emit: Final = msgspec.msgpack.Decoder(m.Emit).decode
_read_number: Final = msgspec.msgpack.Decoder(_Numbered).decode


class Instances(Protocol):
    """Moves sessions from one instance to another: the link backend."""

    def progressed(self, session: Session) -> None:
        """The application has applied commands of the session. Hot path."""

    def forget_commands(self, session: Session) -> int:
        """Drop the commands of the session that wait."""

    def leaving(self, instance: Instance) -> None:
        """An instance begins no further command."""

    def released(self, instance: Instance, sids: Iterable[str]) -> None:
        """An instance that is leaving gives sessions back."""


class Calls:
    """The calls of one instance."""

    __slots__ = ("_instance", "_instances", "_port", "dispatch")

    def __init__(
        self,
        instance: Instance,
        port: SessionPort,
        instances: Instances,
        publications: Publications,
    ) -> None:
        self.dispatch = Dispatch(
            {
                m.EMIT: (list[m.Emit], self._emit),
                m.BROADCAST: (m.Broadcast, self._broadcast),
                m.APPLIED: (list[m.Applied], self._applied),
                m.UPDATE: (m.Update, self._update),
                m.INPUT_MODE: (m.InputMode, self._input_mode),
                m.JOIN: (m.Membership, self._join),
                m.LEAVE: (m.Membership, self._leave),
                m.CLOSE: (m.Close, self._close),
                m.FORGET: (m.Forget, self._forget),
                m.LEAVING: (m.Leaving, self._leaving),
                m.RELEASE: (list[str], self._release),
                m.LIST: (m.Filter, self._list),
                m.MEMBERS: (m.MembersWanted, self._members),
                m.PUBLISH: (Publication, publications.carry_out),
            },
            unreadable={
                m.EMIT: self._emit_readable,
                **dict.fromkeys(_NUMBERED, self._refuse_unreadable),
            },
        )
        self._instance = instance
        self._port = port
        self._instances = instances

    def _emit(self, outputs: list[m.Emit]) -> None:
        self._port.emit_numbered(self._instance, outputs)

    def _broadcast(self, it: m.Broadcast) -> None:
        self._port.broadcast(
            self._instance, it.bseq, it.group, it.item, it.delivery, exclude=it.but
        )

    def _applied(self, marks: list[m.Applied]) -> None:
        instance = self._instance
        sessions = self._port.by_sid
        for mark in marks:
            session = sessions.get(mark.sid)
            if session is not None and session.route is instance:
                instance.applied(session, mark.cseq)
                # Rare: most instances apply what they get.
                if session.inbox.entries or session.row.suspect:
                    self._instances.progressed(session)

    def _update(self, it: m.Update) -> None:
        self._port.update(
            self._instance,
            it.bseq,
            it.sid,
            user=it.user,
            profile=it.profile,
            data=it.data,
            deselect=it.selected is False,
        )

    def _input_mode(self, it: m.InputMode) -> None:
        self._port.change_input_mode(self._instance, it.bseq, it.sid, it.mode)

    def _join(self, it: m.Membership) -> None:
        self._port.join(self._instance, it.bseq, it.group, it.sids)

    def _leave(self, it: m.Membership) -> None:
        self._port.leave(self._instance, it.bseq, it.group, it.sids)

    def _close(self, request: m.Close) -> bool:
        try:
            session = self._port.held(self._instance, request.sid)
            if session is None:
                return False
            check_choice(m.CLOSE, request.reason, REASONS)
        except SessionMovedError as error:
            raise RequestError("moved", str(error)) from error
        except UnsendableError as error:
            raise RequestError("bad_params", str(error)) from error
        self._port.close(session, Reason(request.reason))
        return True

    def _forget(self, request: m.Forget) -> int:
        try:
            session = self._port.held(self._instance, request.sid)
        except SessionMovedError as error:
            raise RequestError("moved", str(error)) from error
        if session is None:
            raise RequestError(m.UNKNOWN_SESSION, f"the application has no session {request.sid}")
        return self._instances.forget_commands(session)

    async def _list(self, wanted: m.Filter) -> list[m.SessionInfo]:
        if wanted.user:
            await self._load([one.sid for one in self._port.of_user(wanted.user)])
        else:
            await self._load()
        return [
            info_of(session)
            for session in self._port.sessions
            if wanted.user in ("", session.row.user) and wanted.state in ("", session.state.value)
        ]

    async def _load(self, sids: Iterable[str] | None = None) -> None:
        """Load these sessions, or all: a gateway that has taken over those of another one has
        sessions that are not loaded. Raises `RequestError`."""
        try:
            await self._port.load(sids)
        except StoreError as error:
            raise RequestError("unavailable", str(error), retry_s=1.0) from error

    async def _members(self, wanted: m.MembersWanted) -> m.Members:
        await self._load()
        found = self._port.members(wanted.group)
        limit = max(0, min(wanted.limit, m.MEMBERS_MAX))
        after = [session for session in found if session.sid > wanted.after] if limit else []
        after.sort(key=lambda session: session.sid)
        return m.Members(
            len(found),
            sum([session.attached for session in found]),
            [info_of(session) for session in after[:limit]],
            len(after) > limit,
        )

    def _leaving(self, _: m.Leaving) -> m.Leaving:
        self._instances.leaving(self._instance)
        return m.Leaving()

    def _release(self, sids: list[str]) -> None:
        self._instances.released(self._instance, sids)

    # --- malformed calls

    def _emit_readable(self, params: msgspec.Raw, error: Exception) -> None:
        """Some of these outputs are malformed: they are refused, and the others delivered."""
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
        self._port.refuse(self._instance, bseq, str(error))
