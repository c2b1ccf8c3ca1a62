"""The calls of an application that the gateway has not accepted. Hot path; no I/O.

Each call that changes a session is numbered 1, 2, 3 … over the whole run of the application. It
is kept until the gateway has made it durable, and sent again to a gateway that has received
less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from holdfast.core.items import MUST, Output
from holdfast.core.validation import check_delivery, check_output
from holdfast.link.messages import EMIT, Bounds, Broadcast, Emit, Membership

_OVERHEAD_BYTES: Final = 64


class Kept(NamedTuple):
    """A call that is kept, without its number."""

    method: str
    params: Any
    size: int

    @property
    def sid(self) -> str:
        """The session that it is for; empty if it is for others, too, or for none."""
        match self.params:
            case Broadcast():
                return ""
            case Membership(sids=sids):
                return sids[0] if len(sids) == 1 else ""
            case params:
                return str(params.sid)

    def concerns(self, sid: str) -> bool:
        """Whether it is for this session alone."""
        match self.params:
            case Broadcast():
                return False
            case Membership(sids=sids):
                return sid in sids
            case params:
                return bool(params.sid == sid)


def _without(params: Any, sid: str) -> Any:
    """The same call, but not for this session."""
    if isinstance(params, Membership):
        left = [each for each in params.sids if each != sid]
        return msgspec.structs.replace(params, sids=left)
    return msgspec.structs.replace(params, sid="")


class Outgoing:
    """The numbered outputs of one run for one node, behind `number`. `window` is in bytes."""

    __slots__ = (
        "_kept",
        "_size",
        "_unsent",
        "behind",
        "bounds",
        "ended",
        "number",
        "sent",
        "window",
    )

    def __init__(self, window: int, number: int = 0) -> None:
        self.window = window
        self.bounds = Bounds()
        """The bounds that the gateway reported."""
        self.number = number
        """The number of the newest output."""
        self._kept: deque[tuple[int, str, Any, int]] = deque()
        """(number, method, params, size), not accepted yet, oldest first."""
        self._unsent = 0
        """How many at the end of `_kept` were not sent on this link."""
        self._size = 0
        self.sent = number
        """The newest output that was sent, on this link or an earlier one."""
        self.behind: Outgoing | None = None
        """If set: these follow others, and are not sent before it is known what became of those."""
        self.ended = False
        """Whether the node has ended for good: what is still kept was not stored."""

    @property
    def oldest(self) -> int:
        """The oldest output that can still be sent."""
        return self._kept[0][0] if self._kept else self.number + 1

    @property
    def full(self) -> bool:
        """Whether the window is used up: then the application waits."""
        return self._size >= self.window

    def emit(self, sid: str, delivery: str, item: Output) -> None:
        """Queue `item` for the client of one session.

        Raises `TypeError`, `UnsendableError` for what cannot be sent; it takes no number then.
        """
        size = check_output(item, self.bounds.output_bytes_max)
        if delivery != MUST:
            check_delivery(delivery, self.bounds.name_bytes_max)
        if type(sid) is not str:
            raise TypeError(f"sid: expected str; found {type(sid).__name__}")
        number = self.number = self.number + 1
        self._keep(number, EMIT, Emit(sid, number, delivery, item), size)

    def call(self, method: str, make: Callable[[int], Any], size: int) -> None:
        """Queue any other numbered call. `make` returns its params, which were checked, for a
        number."""
        number = self.number + 1
        params = make(number)
        self.number = number
        self._keep(number, method, params, size + _OVERHEAD_BYTES)

    def take(self) -> list[tuple[str, Any]]:
        """Return the calls that were not sent on this link, as notifications; runs of `emit`
        are one."""
        calls: list[tuple[str, Any]] = []
        batch: list[Emit] | None = None
        for _, method, params, _ in islice(self._kept, len(self._kept) - self._unsent, None):
            if method != EMIT:
                batch = None
                calls.append((method, params))
            elif batch is None:
                batch = [params]
                calls.append((EMIT, batch))
            else:
                batch.append(params)
        self._unsent = 0
        self.sent = self.number
        return calls

    def about(self, sid: str) -> list[Kept]:
        """The calls for one session alone that are not accepted, oldest first."""
        found = [Kept(*rest) for _, *rest in self._kept]
        return [kept for kept in found if kept.concerns(sid)]

    def find(self, number: int) -> Kept | None:
        """The call with this number, if it is not accepted."""
        return next((Kept(*rest) for each, *rest in self._kept if each == number), None)

    def withdraw(self, sid: str) -> list[Kept]:
        """As `about`. They are another node's now: this one gets their numbers without them, for
        no session, and refuses that, also if it has the session again meanwhile."""
        found = []
        for place, (number, method, params, size) in enumerate(self._kept):
            kept = Kept(method, params, size)
            if kept.concerns(sid):
                found.append(kept)
                self._kept[place] = number, method, _without(params, sid), size
        return found

    def again(self, calls: Iterable[Kept]) -> None:
        """Queue calls that were kept for another node, with numbers of this one."""
        for method, params, size in calls:
            self.number += 1
            params = msgspec.structs.replace(params, bseq=self.number)
            self._keep(self.number, method, params, size)

    def accepted(self, number: int) -> None:
        """The gateway has everything up to `number`, durably."""
        kept = self._kept
        while kept and kept[0][0] <= number:
            self._size -= kept.popleft()[3]
        self._unsent = min(self._unsent, len(kept))

    def relink(self, accepted: int, window: int) -> None:
        """A new link: the rest after `accepted` is sent again."""
        self.accepted(accepted)
        self.window = window
        self._unsent = len(self._kept)

    @property
    def idle(self) -> bool:
        """Whether all calls were accepted."""
        return not self._kept

    def _keep(self, number: int, method: str, params: Any, size: int) -> None:
        self._kept.append((number, method, params, size))
        self._unsent += 1
        self._size += size
