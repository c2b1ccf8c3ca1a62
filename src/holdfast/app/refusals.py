"""Tells the application of its calls that are not carried out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from holdfast.app.failures import ErrorHandler, RefusedError, report
from holdfast.app.node import Node
from holdfast.app.outgoing import Kept
from holdfast.app.session import Session
from holdfast.link import messages as m
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.app")

_MOVED_MAX: Final = 1_000
"""Sessions of which is remembered that another instance has got them."""


class Owner(Protocol):
    """The dispatcher, as far as refusals need it."""

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The sessions of this instance."""

    @property
    def spawn(self) -> Callable[[Coroutine[Any, Any, None]], object]:
        """Runs a coroutine in a task."""


class Refusals:
    """Calls that a node has refused, or that no node gets."""

    def __init__(self, app: ErrorHandler, owner: Owner) -> None:
        self._app = app
        self._owner = owner
        self._moved: dict[str, None] = {}
        """The newest sessions that other instances have got."""

    def refused(self, refused: m.Refused, node: Node) -> None:
        """A node does not carry out a call. One for a session that has ended is no fault."""
        call = node.outgoing.find(refused.bseq)
        sid = call.sid if call is not None else ""
        session = self._owner.sessions.get(sid)
        known = sid in self._moved or (session is not None and not session.ended)
        if refused.code == m.UNKNOWN_SESSION and not known:
            _log.info("output for a session that there is not", fault=refused.message)
        else:
            self._tell(session, refused.message, [call] if call is not None else [])

    def moved(self, session: Session, left: Sequence[Kept]) -> None:
        """Another instance has the session, and no node gets the calls that are `left` for it."""
        self._moved[session.sid] = None
        if len(self._moved) > _MOVED_MAX:
            del self._moved[next(iter(self._moved))]
        if left:
            self._tell(session, "another instance has the session", left)

    def returned(self, session: Session) -> None:
        """The session is this instance's."""
        self._moved.pop(session.sid, None)

    def _tell(self, session: Session | None, fault: str, calls: Sequence[Kept]) -> None:
        sid = session.sid if session is not None else ""
        _log.error("output refused by the gateway", session=sid, calls=len(calls), fault=fault)
        self._owner.spawn(report(self._app, session, RefusedError(fault, calls)))
