"""Publishing: outputs for sessions, users and groups, from outside of their application.

`Publishing` carries out the publications for the sessions of one application, through its
`SessionPort`. Each is one synchronous step: the outputs, and the id by which a repeat is known,
are part of the same commit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from holdfast.core.clock import Clock
from holdfast.core.items import MUST, Output
from holdfast.core.limits import ApiLimits
from holdfast.core.validation import UnsendableError, check_delivery, check_output, check_text
from holdfast.sessions.journal import Journal
from holdfast.sessions.outbox import shared
from holdfast.sessions.port import SessionPort, UnknownSessionError
from holdfast.sessions.publication_ids import PublicationIds, digest_of
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from holdfast.sessions.waiters import Settled, StoreUnavailableError

_MEMORY: Final = Durability.MEMORY
_FAST: Final = Durability.FAST
_DURABLE: Final = Durability.DURABLE
"""Looked up once: before Python 3.12 an enum's members are dear to reach."""


class Targets(Struct, frozen=True, omit_defaults=True, gc=False):
    """The sessions that a publication is for. One that is named twice gets it once."""

    sessions: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """All sessions of these users."""
    groups: tuple[str, ...] = ()
    """All sessions in these groups."""


NOBODY: Final = Targets()


class Publication(Struct, frozen=True, gc=False):
    """Outputs for some sessions."""

    to: Targets
    items: tuple[Output, ...]
    delivery: str = MUST
    id: str = ""
    """If not empty: it is carried out once, however often it comes."""


class Published(Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of a publication."""

    reached: int
    """Sessions that have got it, or get it when their clients come back."""
    attached: int = 0
    """Those of them whose clients are connected."""
    unknown: Targets = NOBODY
    """The sessions that there are not, the users without a session, the groups without one."""
    repeated: bool = False
    """Whether it was carried out before: the counts are of then, and the unknown are not named."""


class Publishing:
    """The publications for the sessions behind `port`, those of the backend `name`."""

    def __init__(
        self, name: str, port: SessionPort, journal: Journal, limits: ApiLimits, clock: Clock
    ) -> None:
        self.port = self._port = port
        self._name = name
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._loaded = False
        """Whether all sessions are loaded; from then on they stay so."""

    def check(self, it: Publication) -> None:
        """Raise `UnsendableError` for what cannot be carried out, whatever sessions there are."""
        limits, bounds = self._limits, self._port.limits
        to = it.to
        count = len(to.sessions) + len(to.users) + len(to.groups)
        if not 0 < count <= limits.targets_max:
            raise UnsendableError(
                f"to: expected 1 to {limits.targets_max} sessions, users and groups; found {count}"
            )
        if not 0 < len(it.items) <= limits.items_max:
            raise UnsendableError(f"items: expected 1 to {limits.items_max}; found {len(it.items)}")
        for item in it.items:
            check_output(item, bounds.output_bytes_max)
        if it.delivery != MUST:
            check_delivery(it.delivery, bounds.name_bytes_max)
        if it.id:
            check_text("id", it.id, limits.id_bytes_max)

    async def load(self, it: Publication) -> None:
        """Load the sessions that a publication is for. Raises `StoreError`."""
        if it.to.groups:
            await self._port.load()
            self._loaded = True
            return
        members = [one for user in it.to.users for one in self._port.of_user(user)]
        await self._port.load([*it.to.sessions, *(one.sid for one in members)])

    def is_loaded(self, it: Publication) -> bool:
        """Whether `load` would find nothing to do."""
        if not self._loaded:
            self._loaded = not any(True for _ in self._port.dormant)
        return self._loaded

    def publish(self, it: Publication, ids: PublicationIds) -> Published:
        """Carry out a publication that was checked, and whose sessions are loaded.

        Raises `UnknownSessionError` for sessions alone, none of which there is, `IdReusedError`,
        and `StoreUnavailableError`; then nothing was sent.
        """
        if self._journal.broken is not None and not self._journal.degraded:
            raise StoreUnavailableError(str(self._journal.broken))
        digest = b""
        if it.id:
            digest = digest_of(self._name, it.to, it.items, it.delivery)
            before = ids.find(it.id, digest)
            if before is not None:
                return Published(before.reached, before.attached, repeated=True)
        found, unknown = self._resolve(it.to)
        if not found and unknown.sessions and not (it.to.users or it.to.groups):
            names = ", ".join(unknown.sessions[:3])
            raise UnknownSessionError(f"to: the application has no session {names}")
        self._emit(found, it.items, it.delivery)
        attached = 0
        for session in found:
            if session.consumer is not None:
                attached += 1
        if it.id:
            ids.add(it.id, digest, len(found), attached)
        return Published(len(found), attached, unknown)

    def when_settled(self, durability: Durability, call: Settled) -> bool:
        """Have `call` called once all publications so far are as durable as that, or cannot be.

        False if they are already: then it is not called. Raises `StoreUnavailableError`.
        """
        journal = self._journal
        if durability is _MEMORY or journal.degraded:
            return False
        if durability is _FAST and journal.stored:
            return False  # of sessions that are in memory only
        journal.when_settled(call, sync=durability is _DURABLE)
        return True

    async def carry_out(self, it: Publication, ids: PublicationIds) -> Published:
        """Check and carry out a publication, and wait until it is stored.

        Raises as `check`, `load` and `publish` do.
        """
        self.check(it)
        if not self.is_loaded(it):
            await self.load(it)
        published = self.publish(it, ids)
        if not self._journal.degraded:
            await self._journal.settled()
        return published

    def _resolve(self, to: Targets) -> tuple[Collection[Session], Targets]:
        """The sessions of some targets, in their order, and the targets without one."""
        if not to.sessions and len(to.users) + len(to.groups) == 1:
            alone = self._of_user(to.users[0]) if to.users else self._port.members(to.groups[0])
            return alone, NOBODY if alone else to
        found: dict[Session, None] = {}
        unknown: tuple[list[str], list[str], list[str]] = ([], [], [])
        for sid in to.sessions:
            session = self._port.find(sid)
            if session is None:
                unknown[0].append(sid)
            else:
                found[session] = None
        for names, sessions_of, missing in (
            (to.users, self._of_user, unknown[1]),
            (to.groups, self._port.members, unknown[2]),
        ):
            for name in names:
                members = sessions_of(name)
                if not members:
                    missing.append(name)
                found.update(dict.fromkeys(members))
        if not any(unknown):
            return found, NOBODY
        return found, Targets(*map(tuple, unknown))

    def _of_user(self, user: str) -> list[Session]:
        find = self._port.find
        members = self._port.of_user(user)
        return [found for one in members if (found := find(one.sid)) is not None]

    def _emit(self, sessions: Collection[Session], items: Sequence[Output], delivery: str) -> None:
        now, port = self._clock(), self._port
        for item in items:
            if len(sessions) == 1:
                (session,) = sessions
                port.emit(session, item, delivery, now)
                continue
            entry = shared(item, delivery, now)
            for session in sessions:
                if entry is None:
                    port.show(session, item)
                else:
                    port.emit_shared(session, entry)
