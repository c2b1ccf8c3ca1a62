"""Invites viewers to the sessions of a node, and finds the session of an invitation."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from holdfast.core.limits import SessionLimits
from holdfast.sessions.consumer import guarded
from holdfast.sessions.session import Session
from holdfast.sessions.tokens import join_token, split_token
from holdfast.sessions.viewers import Invitation, Viewers


class Invited(Struct, frozen=True):
    """The right to watch a session, proven."""

    session: Session
    viewers: Viewers
    invitation: Invitation


class Invitations:
    """All invitations of a node. `now` is the gateway's time."""

    def __init__(self, limits: SessionLimits, sessions: Mapping[str, Session]) -> None:
        self._limits = limits
        self._sessions = sessions

    def invite(self, session: Session, seconds: float, now: float) -> tuple[Invitation, str]:
        """An invitation to a session, and its token. Raises `LimitExceededError`."""
        if session.viewers is None:
            session.viewers = Viewers(self._limits, lambda: _tell_client(session))
        invitation, secret = session.viewers.invite(seconds, now)
        return invitation, join_token(session.sid, secret)

    def find(self, token: str, now: float) -> Invited | None:
        """Whom a token invites to what, if it is still valid."""
        parts = split_token(token)
        session = self._sessions.get(parts[0]) if parts is not None else None
        if parts is None or session is None or session.viewers is None:
            return None
        invitation = session.viewers.find(parts[1], now)
        return Invited(session, session.viewers, invitation) if invitation is not None else None


def _tell_client(session: Session) -> None:
    consumer = session.consumer
    if consumer is not None:
        guarded(consumer, consumer.change_viewers)
