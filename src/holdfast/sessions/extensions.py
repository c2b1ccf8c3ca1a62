"""Outputs that many sessions get at once, on their way into the journal. Hot path.

A session of which nothing has changed but that it has got such outputs needs no record of its
own: one extension stands for all that have got the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.sessions.durable_state import DurableState
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.records import Extension, JournalKey
from holdfast.sessions.sharing import Sharing

_log: Final = RateLimitedLogger("holdfast.store")

MEMBERS_MAX: Final = 256
"""Sessions of one extension. Who reads the part of one session reads all of it."""


class Extended(Struct):
    """Sessions that have got the same outputs, and what their records would have."""

    outs: Sequence[OutputEntry]
    sessions: list[DurableState]
    ns: list[int]
    tops: list[int]

    @property
    def durable(self) -> bool:
        """Whether one of them is durable."""
        return any(session.durable for session in self.sessions)

    def pairs(self, sharing: Sharing) -> Iterator[tuple[list[JournalKey], Extension]]:
        """What the journal gets: keys of sessions, and their extension."""
        outs = sharing.share(self.outs)
        for start in range(0, len(self.sessions), MEMBERS_MAX):
            some = slice(start, start + MEMBERS_MAX)
            keys = [session.journal_key for session in self.sessions[some]]
            yield keys, Extension.of(outs, self.ns[some], self.tops[some])

    def committed(self) -> None:
        """The extension is durable."""
        for session, top in zip(self.sessions, self.tops, strict=True):
            try:
                session.extended(top)
            except Exception as error:  # one session is one failure domain
                log_failure(_log, "a session failed", error, session=session.sid)


def gather(sessions: Iterable[DurableState]) -> list[Extended]:
    """Those of these sessions that need no record, by the outputs that they have got."""
    groups: dict[tuple[int, ...], Extended] = {}
    newest: Sequence[OutputEntry] | None = None
    group = Extended((), [], [], [])
    for session in sessions:
        found = session.extension()
        if found is None:
            continue
        outs, n, top = found
        if outs != newest:  # most have got the same as the one before
            newest = outs
            key = tuple([id(entry) for entry in outs])
            known = groups.get(key)
            if known is None:
                known = groups[key] = Extended(outs, [], [], [])
            group = known
        group.sessions.append(session)
        group.ns.append(n)
        group.tops.append(top)
    return list(groups.values())
