"""Fetches sessions from the other nodes of a store, whose clients have come to this one.

All that clients want at the same time is one request to the store. The owner of a session gives
it away (`sessions.giving`); one that has died is fenced after its lease, and then whoever has
adopted its sessions is asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from itertools import islice
from typing import Final

from holdfast.core.clock import Clock
from holdfast.core.limits import StoreLimits
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.timed_event import TimedEvent
from holdfast.sessions.loading import Loader
from holdfast.sessions.records import Found, Head, Row, head_of
from holdfast.sessions.session import SessionBackend
from holdfast.sessions.stores.base import Neighbours, StoreError, Whereabouts
from holdfast.sessions.tokens import TokenStatus

_log: Final = RateLimitedLogger("holdfast.sessions")


_BATCHES: Final = 4
"""That are asked for at a time: the owner gives one, while the one before is read."""
_Waiting = tuple[bytes | None, "asyncio.Future[Fetched]"]
"""Who waits, with the secret of the token that must be right; `None` if there is none."""


class Fetched(Enum):
    """What became of a wish."""

    HERE = auto()
    """The session is this node's."""
    UNKNOWN = auto()
    """No node has such a session, or the client has no right to it."""
    KEPT = auto()
    """It stays at another node, or can be served there only."""
    LATER = auto()
    """Nothing is known in time: the client is to come again."""


class _Wish:
    """Those who wait for one session."""

    __slots__ = ("asked", "due", "futures", "gen", "left", "new")

    def __init__(self, due: float) -> None:
        self.due = due
        """Until when its clients wait."""
        self.asked = False
        """Whether it is known to exist, and wanted from its owner."""
        self.gen = 0
        """The `Row.gen` when the newest of its clients was looked up; 0 if it has none."""
        self.left = False
        """Whether it was leaving this node when its client came."""
        self.new: list[_Waiting] = []
        """Those whose right is still to be checked."""
        self.futures: list[asyncio.Future[Fetched]] = []
        """Those who have a right to the session."""

    def leaves(self) -> None:
        """It goes to another node for somebody who came before, and attaches it there once."""
        if self.gen and not self.left:
            self.left = True
            self.gen += 1

    def settle(self, fetched: Fetched) -> None:
        """Tell all who wait."""
        for future in (*self.futures, *(future for _, future in self.new)):
            _tell(future, fetched)


class Fetching:
    """Fetches sessions, while `run` runs.

    `has` says whether this node has a session, `leaves` whether it is giving it away just now.
    """

    def __init__(
        self,
        neighbours: Neighbours,
        limits: StoreLimits,
        loader: Loader,
        has: Callable[[str], bool],
        leaves: Callable[[str], bool],
        backend_of: Callable[[Head], SessionBackend],
        clock: Clock,
        on_arrived: Callable[[Sequence[Head]], Awaitable[None]],
        can_serve: Callable[[Row], bool] = lambda row: True,
    ) -> None:
        self._neighbours = neighbours
        self._limits = limits
        self._loader = loader
        self._has = has
        self._leaves = leaves
        self._backend_of = backend_of
        self._clock = clock
        self._on_arrived = on_arrived
        self._can_serve = can_serve
        self._wishes: dict[str, _Wish] = {}
        self._wake = TimedEvent()
        self._ended = False
        self.counts = Counter[Fetched]()
        """What became of the wishes of clients."""
        self.adopting = False
        """Whether sessions become this node's that are not registered yet: they are waited for."""

    async def of_code(self, code: bytes) -> str | None:
        """The session of any node with this hash of a resume code. Raises `StoreError`."""
        return await self._neighbours.of_code(code)

    async def fetch(self, sid: str, secret: bytes | None) -> Fetched:
        """Get a session from the node that has it, for a client with a token of this secret.

        `None`: the client's right is proven otherwise.
        """
        if self._ended:
            return self._counted(Fetched.LATER)
        future: asyncio.Future[Fetched] = asyncio.get_running_loop().create_future()
        self._wish(sid).new.append((secret, future))
        self._wake.set()
        return self._counted(await future)

    def _counted(self, fetched: Fetched) -> Fetched:
        self.counts[fetched] += 1
        return fetched

    async def accept(self) -> None:
        """Get sessions that others offer. Raises `StoreError`."""
        self.expect(await self._neighbours.accept(self._limits.moved_sessions_max * _BATCHES))

    def expect(self, sids: Iterable[str]) -> None:
        """These sessions come to this node, or are its own and not known here."""
        for sid in sids:
            self._wish(sid).asked = True
            self._wake.set()

    def _wish(self, sid: str) -> _Wish:
        wish = self._wishes.get(sid)
        if wish is None:
            due = asyncio.get_running_loop().time() + self._limits.claim_seconds_max
            wish = self._wishes[sid] = _Wish(due)
        return wish

    async def run(self) -> None:
        """Fetch what is wanted, until cancelled. Then nobody waits any more."""
        try:
            await self._run()
        finally:
            self._ended = True
            for sid in list(self._wishes):
                self._settle(sid, Fetched.LATER)

    async def _run(self) -> None:
        while True:
            await self._wake.within(self._limits.check_seconds_max)
            self._wake.clear()
            while self._wishes:
                try:
                    await self._step()
                except StoreError as error:
                    _log.warning("no session fetched from other nodes", error=str(error))
                except Exception as error:  # those who wait are told when their time is over
                    log_failure(_log, "a look for sessions of other nodes failed", error)
                await self._end_late()
                if self._wishes:
                    await self._wake.within(self._limits.move_seconds_max)
                    self._wake.clear()

    async def _step(self) -> None:
        for sid in [sid for sid in self._wishes if self._has(sid)]:
            self._settle(sid, Fetched.HERE)
        await self._look_up({sid: list(wish.new) for sid, wish in self._wishes.items() if wish.new})
        wanted = ((sid, wish.gen) for sid, wish in self._wishes.items() if wish.asked)
        asked = dict(islice(wanted, self._limits.moved_sessions_max * _BATCHES))
        if not asked:
            return
        found = await self._neighbours.ask(asked)
        await self._take([sid for sid, where in found.items() if where is Whereabouts.HERE])
        refused = [sid for sid, where in found.items() if where is Whereabouts.REFUSED]
        if refused:
            await self._neighbours.withdraw(refused)  # it may be asked for again
        for sid in asked:
            if sid not in found:
                self._settle(sid, Fetched.UNKNOWN)
            elif found[sid] is Whereabouts.REFUSED:
                self._settle(sid, Fetched.KEPT)

    async def _look_up(self, new: Mapping[str, list[_Waiting]]) -> None:
        """Ask only for sessions whose clients have a right to them: others stay undisturbed."""
        if not new:
            return
        rows = {row.sid: row for row in await self._neighbours.rows(list(new))}
        for sid, waiting in new.items():
            wish, row = self._wishes[sid], rows.get(sid)
            del wish.new[: len(waiting)]
            able = _with_right(waiting, row)
            if row is not None and able:
                wish.futures += able
                wish.asked, wish.gen, wish.left = True, row.gen, False
                if not self._can_serve(row):
                    self._settle(sid, Fetched.KEPT)
            elif not wish.asked and not wish.new:
                del self._wishes[sid]

    async def _take(self, sids: list[str]) -> None:
        """These sessions are this node's now. One that leaves it still is, and not for long."""
        if self.adopting:
            return
        for sid in filter(self._leaves, sids):
            self._wishes[sid].leaves()
        sids = [sid for sid in sids if not self._leaves(sid)]
        new = [sid for sid in sids if not self._has(sid)]
        found = await self._neighbours.arrived(new) if new else Found()
        self._loader.arrived(found, self._backend_of, self._clock())
        for sid in filter(self._has, sids):
            self._settle(sid, Fetched.HERE)
        # What is found and cannot be loaded is nowhere. What is not found has moved on meanwhile.
        nowhere = [each.row.sid for each in found.sessions]
        for sid in nowhere + [each.sid for each in found.set_aside]:
            self._settle(sid, Fetched.UNKNOWN)
        if found.sessions:
            await self._on_arrived([head_of(session.row) for session in found.sessions])

    async def _end_late(self) -> None:
        """Their clients have waited for long enough."""
        now = asyncio.get_running_loop().time()
        late = [sid for sid, wish in self._wishes.items() if wish.due <= now]
        if not late:
            return
        try:
            await self._take(await self._neighbours.withdraw(late))
        except StoreError as error:
            _log.warning("sessions of other nodes are still wanted", error=str(error))
        for sid in late:
            self._settle(sid, Fetched.LATER)

    def _settle(self, sid: str, fetched: Fetched) -> None:
        wish = self._wishes.pop(sid, None)
        if wish is not None:
            wish.settle(fetched)


def _with_right(waiting: Iterable[_Waiting], row: Row | None) -> list[asyncio.Future[Fetched]]:
    """Those whose token is that of the session, or was. The others are told."""
    able = []
    for secret, future in waiting:
        if row is None or (secret is not None and row.tokens.judge(secret) is TokenStatus.UNKNOWN):
            _tell(future, Fetched.UNKNOWN)
        else:
            able.append(future)
    return able


def _tell(future: asyncio.Future[Fetched], fetched: Fetched) -> None:
    if not future.done():  # who waited was cancelled
        future.set_result(fetched)
