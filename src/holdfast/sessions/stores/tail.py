"""The journals of earlier runs, from which their sessions get their newest records."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Any, Final

import msgspec

from holdfast.core.ids import unpack_sid
from holdfast.core.limits import StoreLimits
from holdfast.sessions.cuts import Cuts
from holdfast.sessions.outbox import SharedEntry
from holdfast.sessions.records import Head, Record, SetAside, StoredSession
from holdfast.sessions.stores.commons import resolve
from holdfast.sessions.stores.decoding import UnreadableError, read

_encode: Final = msgspec.msgpack.Encoder().encode
_record: Final = msgspec.msgpack.Decoder(Record)
_shared: Final = msgspec.msgpack.Decoder(list[SharedEntry])
_pieces: Final = msgspec.msgpack.Decoder(list[tuple[Any, msgspec.Raw]])
"""The first of each pair is text or bytes (`pack_sid`), a union that msgspec does not have."""
_numbered: Final = msgspec.msgpack.Decoder(list[tuple[int, msgspec.Raw]])
_NOTHING: Final = _encode([])
_PAIR: Final = b"\x92"
"""The head of an array of two."""
_ARRAY: Final = b"\xdd"
"""The head of an array of any length, which follows in four bytes."""
_LIMITS: Final = StoreLimits()

_n: Final = attrgetter("n")


class Tail:
    """The journal of the previous run, split by session, still encoded.

    It is dropped in slices of `dropped_bytes_max`, once it is no longer needed.
    """

    def __init__(self, limits: StoreLimits = _LIMITS) -> None:
        self.number = 0
        """Of its newest entry."""
        self.size = 0
        """Its bytes."""
        self.complete = True
        """Whether every entry could be read."""
        self.set_aside: list[SetAside] = []
        self._limits = limits
        self._cuts = Cuts(limits.dropped_bytes_max)
        self._slices: list[int] | None = None
        """What is to be dropped, the last slice first, once nothing of it is needed."""
        self._pieces: dict[str, bytearray] = {}
        """By session: how many there are, in four bytes, and the pieces, each with its number."""
        self._shared: dict[int, bytes] = {}
        """By number: what the entry's records share."""
        self._common: dict[int, list[SharedEntry]] = {}
        """The same, once it was asked for: equal items of many sessions are one object."""

    @property
    def left(self) -> int:
        """How many sessions and slices there are still to do."""
        slices = self._slices
        return len(self._pieces) + (bool(self.number) if slices is None else len(slices))

    def __contains__(self, sid: str) -> bool:
        """Whether it has news of a session."""
        return sid in self._pieces

    @property
    def slice(self) -> int:
        """Up to which entry, and without it, the journal can be dropped now; or 0."""
        if self._slices is None:
            return 0
        return self._slices[-1] if self._slices else 0

    def dropped(self) -> None:
        """The `slice` is dropped."""
        if self._slices:
            self._slices.pop()

    def entry(self, number: int, body: bytes, shared: bytes, known: dict[str, Head]) -> None:
        """One entry of the journal. Entries come in order; others than `known` were deleted."""
        self.number = number
        size = len(body) + len(shared)
        self.size += size
        self._cuts.add(number, size)
        try:
            pieces = read(_pieces, body)
        except UnreadableError as error:
            self.complete = False
            fault = f"entry {number} of the journal cannot be read: {error}"
            self.set_aside.append(SetAside("", fault, body, number))
            return
        start = _PAIR + _encode(number)
        for packed, piece in pieces:
            head = known.get(unpack_sid(packed)) if isinstance(packed, str | bytes) else None
            if head is None:
                continue
            kept = self._pieces.get(head.sid)
            if kept is None:
                kept = self._pieces[head.sid] = bytearray(4)
            kept[:4] = (int.from_bytes(kept[:4], "big") + 1).to_bytes(4, "big")
            kept += start
            kept += piece
        if shared != _NOTHING:
            self._shared[number] = shared

    def sids(self, count: int) -> list[str]:
        """Up to `count` of the sessions that it has news of, with as much as one commit may have.

        If there are none any more, it can be dropped.
        """
        sids: list[str] = []
        size = 0
        for sid, pieces in self._pieces.items():
            if len(sids) >= count or size >= self._limits.snapshot_bytes_max:
                break
            sids.append(sid)
            size += len(pieces)
        if not sids and self._slices is None and self.number:
            self._slices = self._cuts.take()
        return sids

    def forget(self, sids: Iterable[str]) -> None:
        """These sessions need nothing of it any more."""
        for sid in sids:
            self._pieces.pop(sid, None)
        if not self._pieces:
            self._shared.clear()
            self._common.clear()

    def add_to(self, session: StoredSession) -> None:
        """Give a session its records. Raises `PieceError`."""
        sid, records = session.row.sid, session.records
        kept, first = self._pieces.get(sid), len(records)
        newest = records[-1].n if records else 0
        for number, piece in read(_numbered, _ARRAY + kept) if kept is not None else ():
            try:
                record = read(_record, piece)
                if any(type(entry) is int for entry in record.outs):
                    record.outs = resolve(record.outs, self._common_of(number))
            except UnreadableError as error:
                fault = f"its record in entry {number} of the journal cannot be read: {error}"
                raise PieceError(fault, bytes(piece)) from error
            if record.n > newest:  # else the snapshot holds it
                records.append(record)
        # The entries of several runs need not be in this order.
        records[first:] = sorted(records[first:], key=_n)

    def _common_of(self, number: int) -> list[SharedEntry]:
        common = self._common.get(number)
        if common is None:
            common = self._common[number] = read(_shared, self._shared.get(number, _NOTHING))
        return common


class Tails:
    """The journals of several runs. News of one session are in one of them at most."""

    def __init__(self) -> None:
        self._tails: list[Tail] = []

    @property
    def left(self) -> int:
        """As `Tail.left`, of all."""
        return sum(tail.left for tail in self._tails)

    @property
    def first(self) -> Tail:
        """The one that is folded and dropped first; an empty one, if there is none."""
        return self._tails[0] if self._tails else Tail()

    def add(self, tail: Tail) -> None:
        self._tails.append(tail)

    def remove(self, tail: Tail) -> None:
        """It is folded and dropped."""
        if tail in self._tails:
            self._tails.remove(tail)

    def of(self, sids: Iterable[str]) -> list[str]:
        """Those of these sessions that they have news of."""
        return [sid for sid in sids if any(sid in tail for tail in self._tails)]

    def forget(self, sids: Collection[str]) -> None:
        """These sessions need nothing of them any more."""
        for tail in self._tails:
            tail.forget(sids)

    def add_to(self, session: StoredSession) -> None:
        """Give a session its records. Raises `PieceError`."""
        for tail in self._tails:
            tail.add_to(session)


class PieceError(Exception):
    """An unreadable part of a session: the fault and the part."""

    def __init__(self, fault: str, body: bytes) -> None:
        super().__init__(fault)
        self.body = body
