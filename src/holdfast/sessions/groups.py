"""Groups of sessions, to which a backend sends an output at once."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.core.errors import LimitExceededError
from holdfast.sessions.session import Session


class Groups:
    """The loaded sessions in each group. The row of a session names its groups."""

    def __init__(self, groups_max: int) -> None:
        self._groups_max = groups_max
        self._members: dict[str, dict[Session, None]] = {}

    def __len__(self) -> int:
        """How many groups have members."""
        return len(self._members)

    def members(self, group: str) -> Iterable[Session]:
        """The sessions in a group, in the order in which they joined."""
        return self._members.get(group, ())

    def add(self, session: Session) -> None:
        """A session is loaded: it is in the groups that its row names."""
        for group in session.row.groups:
            self._members.setdefault(group, {})[session] = None

    def forget(self, session: Session) -> None:
        """The session has ended: take it out of its groups."""
        for group in session.row.groups:
            self.leave(session, group)

    def drop(self, session: Session) -> None:
        """Another node has the session now, with the groups that its row names."""
        for group in session.row.groups:
            self._drop(session, group)

    def join(self, session: Session, group: str) -> None:
        """Put the session into a group. Raises `LimitExceededError`."""
        groups = session.row.groups
        if group in groups:
            return
        if len(groups) >= self._groups_max:
            raise LimitExceededError(
                f"the session is in {len(groups)} groups; it cannot join {group!r}"
            )
        session.row.groups = (*groups, group)
        self._members.setdefault(group, {})[session] = None
        session.mark_row_dirty()

    def leave(self, session: Session, group: str) -> None:
        """Take the session out of a group."""
        if group not in session.row.groups:
            return
        session.row.groups = tuple(it for it in session.row.groups if it != group)
        session.mark_row_dirty()
        self._drop(session, group)

    def _drop(self, session: Session, group: str) -> None:
        members = self._members[group]
        del members[session]
        if not members:
            del self._members[group]
