"""What a connection's client has proved of itself, on a listener with `auth`."""

from __future__ import annotations

from typing import Final

from holdfast.core.identity import Identity
from holdfast.gateway.adapters.events import Enter, ResumeOwn, Watch
from holdfast.sessions.records import Row

_NEVER: Final = float("inf")

Wanted = Enter | ResumeOwn | Watch
"""What a client asks for that must prove who it is before."""


class Proof:
    """The identity of one connection's client. Times are the runtime's."""

    __slots__ = ("asked", "due", "expires", "failures", "identity", "judged", "waiting")

    def __init__(self) -> None:
        self.identity: Identity | None = None
        """`None` for an anonymous client, and until the client is judged."""
        self.judged = False
        """Whether it is known who the client is, or that it is anonymous."""
        self.waiting: Wanted | None = None
        """The session that the client wants, while a token is awaited."""
        self.failures = 0
        """Credentials that were refused on this connection."""
        self.asked = False
        """Whether the client was asked for a newer token."""
        self.due = _NEVER
        """When it is to be asked, or to be disconnected because the identity has expired."""
        self.expires = _NEVER

    def accept(self, identity: Identity | None, left: float, renew: float, now: float) -> None:
        """The client has this identity, for `left` seconds; `renew` seconds before that it is
        asked for a newer token."""
        self.identity, self.judged, self.waiting = identity, True, None
        self.asked = False
        self.expires = self.due = _NEVER
        if identity is not None and identity.expires:
            self.expires = now + left
            self.due = max(now, self.expires - renew)

    def may_resume(self, row: Row) -> bool:
        """Whether the client may resume the session of this row, whose token it has.

        A client with an identity resumes its user's sessions. One without resumes any but those
        whose user was proved by a credential.
        """
        return row.user == self.identity.user if self.identity is not None else not row.proven
