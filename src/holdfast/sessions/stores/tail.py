"""The journals of earlier runs, from which their sessions get their newest records."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from holdfast.core.ids import unpack_sid
from holdfast.core.limits import StoreLimits
from holdfast.sessions.cuts import Cuts
from holdfast.sessions.outbox import SharedEntry
from holdfast.sessions.records import Extension, Head, Record, SetAside, StoredSession
from holdfast.sessions.stores.commons import COMMONS_MAX, resolve
from holdfast.sessions.stores.decoding import UnreadableError, read

_encode: Final = msgspec.msgpack.Encoder().encode
_record: Final = msgspec.msgpack.Decoder(Record)
_extension: Final = msgspec.msgpack.Decoder(Extension)
_shared: Final = msgspec.msgpack.Decoder(list[SharedEntry])
_pairs: Final = msgspec.msgpack.Decoder(list[tuple[Any, msgspec.Raw]])
"""The first of each pair is text or bytes (`pack_sid`), a union that msgspec does not have."""
_NOTHING: Final = _encode([])
_PAIR_BYTES: Final = 1
"""The head of an array of two."""
_MEMBER_BYTES: Final = 16
"""What an extension has of one session, beside its outputs."""
_LIMITS: Final = StoreLimits()

_n: Final = attrgetter("n")
_number: Final = attrgetter("number")


Part = tuple[int, int, int]
"""A part of the journal: the number of the entry, where it begins there, and its size."""


class Piece(NamedTuple):
    """Where the journal has one record of a session."""

    number: int
    """Of the entry."""
    start: int
    """Where the record begins in the entry's body, in bytes."""
    size: int
    """In bytes."""
    member: int = 0
    """Of an extension: the place of the session, counted from 1. Otherwise 0."""

    @property
    def part(self) -> Part:
        """The part of the journal that is to be read. Sessions of one extension have the same."""
        return self[:3]

    @property
    def weight(self) -> int:
        """The bytes that are this session's."""
        return _MEMBER_BYTES if self.member else self.size


class Excerpts(NamedTuple):
    """Parts of the journal, as a store has read them."""

    records: dict[Part, bytes]
    shared: dict[int, bytes]
    """What the records of an entry share, by the entry's number."""

    def take(self, pieces: Iterable[Piece], body: bytes, shared: bytes) -> None:
        """Take these pieces of one entry, which has this content."""
        for part in {piece.part for piece in pieces}:
            number, start, size = part
            self.records[part] = body[start : start + size]
            self.shared[number] = shared


class Pieces:
    """The pieces of all sessions. There may be many: each has a place in arrays, and the place of
    the piece before it of the same session."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        """By session: the place of its newest piece."""
        self._numbers = array("Q")
        self._starts = array("I")
        self._sizes = array("I")
        self._members = array("H")
        self._before = array("I")
        """The place of the piece before it; its own, if it is the first one."""

    def __len__(self) -> int:
        """How many sessions have pieces."""
        return len(self._newest)

    def __contains__(self, sid: str) -> bool:
        return sid in self._newest

    def __iter__(self) -> Iterator[str]:
        return iter(self._newest)

    def add(self, sid: str, piece: Piece) -> None:
        """`piece` is the newest one of a session."""
        place = len(self._numbers)
        self._before.append(self._newest.get(sid, place))
        self._newest[sid] = place
        self._numbers.append(piece.number)
        self._starts.append(piece.start)
        self._sizes.append(piece.size)
        self._members.append(piece.member)

    def of(self, sid: str) -> list[Piece]:
        """The pieces of a session, oldest first."""
        found: list[Piece] = []
        before = self._newest.get(sid)
        place = None
        while before is not None and before != place:
            place = before
            found.append(
                Piece(
                    self._numbers[place],
                    self._starts[place],
                    self._sizes[place],
                    self._members[place],
                )
            )
            before = self._before[place]
        found.reverse()
        return found

    def forget(self, sid: str) -> None:
        """A session's pieces are no longer needed."""
        self._newest.pop(sid, None)
        if not self._newest:
            for each in (self._numbers, self._starts, self._sizes, self._members, self._before):
                del each[:]


class Tail:
    """The journal of the previous run: where in it the records of each session are.

    The store reads them when they are asked for. It drops the journal in slices of
    `dropped_bytes_max`, once nothing of it is needed any more.
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
        self._pieces = Pieces()
        self._common: dict[int, list[SharedEntry]] = {}
        """By number: what the records of some entries share. Equal items of many sessions are one
        object."""

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
            pairs = read(_pairs, body)
        except UnreadableError as error:
            self.complete = False
            fault = f"entry {number} of the journal cannot be read: {error}"
            self.set_aside.append(SetAside("", fault, body, number))
            return
        end = _head_bytes(len(pairs))
        for packed, record in pairs:
            start = end + _PAIR_BYTES + len(_encode(packed))
            end = start + len(record)
            several = isinstance(packed, list)
            for place, key in enumerate(packed if several else (packed,), 1):
                head = known.get(unpack_sid(key)) if isinstance(key, str | bytes) else None
                if head is not None:
                    piece = Piece(number, start, end - start, place if several else 0)
                    self._pieces.add(head.sid, piece)

    def sids(self, count: int) -> list[str]:
        """Up to `count` of the sessions that it has news of, with as much as one commit may have.

        If there are none any more, it can be dropped.
        """
        sids: list[str] = []
        size = 0
        for sid in self._pieces:
            if len(sids) >= count or size >= self._limits.snapshot_bytes_max:
                break
            sids.append(sid)
            size += sum(piece.weight for piece in self._pieces.of(sid))
        if not sids and self._slices is None and self.number:
            self._slices = self._cuts.take()
        return sids

    def forget(self, sids: Iterable[str]) -> None:
        """These sessions need nothing of it any more."""
        for sid in sids:
            self._pieces.forget(sid)
        if not self._pieces:
            self._common.clear()

    def pieces(self, sids: Iterable[str]) -> Mapping[int, Sequence[Piece]]:
        """What is to be read for these sessions, by the number of the entry."""
        pieces = sorted(piece for sid in sids for piece in self._pieces.of(sid))
        return {number: list(those) for number, those in groupby(pieces, _number)}

    def add_to(self, session: StoredSession, excerpts: Excerpts) -> None:
        """Give a session its records, which are in `excerpts`. Raises `PieceError`."""
        sid, records = session.row.sid, session.records
        first, newest = len(records), records[-1].n if records else 0
        extended: set[int] = set()
        """Which records are of extensions, by `n`."""
        for piece in self._pieces.of(sid):
            body = excerpts.records.get(piece.part, b"")
            try:
                record = _member(piece, body) if piece.member else read(_record, body)
                if any(type(entry) is int for entry in record.outs):
                    record.outs = resolve(record.outs, self._common_of(piece.number, excerpts))
            except UnreadableError as error:
                fault = f"its record in entry {piece.number} of the journal cannot be read: {error}"
                raise PieceError(fault, body) from error
            if record.n > newest:  # else the snapshot holds it
                records.append(record)
                if piece.member:
                    extended.add(record.n)
        # The entries of several runs need not be in this order.
        records[first:] = sorted(records[first:], key=_n)
        if extended:
            _complete(records, extended)

    def _common_of(self, number: int, excerpts: Excerpts) -> list[SharedEntry]:
        common = self._common.get(number)
        if common is None:
            common = read(_shared, excerpts.shared.get(number, _NOTHING))
            if len(self._common) >= COMMONS_MAX:
                del self._common[next(iter(self._common))]
            self._common[number] = common
        return common


def _member(piece: Piece, body: bytes) -> Record:
    """What an extension has of the record of one session. Raises `UnreadableError`."""
    extension = read(_extension, body)
    try:
        n, top = extension.position(piece.member - 1)
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    return Record(n, extension.outs, [], 0, 0, 0, top, 0, 0, 0)


def _complete(records: list[Record], extended: Set[int]) -> None:
    """Give the records of extensions what they have of the records before. Raises `PieceError`."""
    for place, record in enumerate(records):
        if record.n in extended:
            if not place:
                raise PieceError("the record that its first extension continues is not there", b"")
            before = records[place - 1]
            records[place] = replace(before, n=record.n, outs=record.outs, ins=[], top=record.top)


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

    def pieces(self, sids: Sequence[str]) -> Mapping[int, Sequence[Piece]]:
        """As `Tail.pieces`, of all."""
        return {
            number: pieces for tail in self._tails for number, pieces in tail.pieces(sids).items()
        }

    def add_to(self, session: StoredSession, excerpts: Excerpts) -> None:
        """As `Tail.add_to`. Raises `PieceError`."""
        for tail in self._tails:
            tail.add_to(session, excerpts)


def _head_bytes(count: int) -> int:
    """The size of the head of an array of so many, in MessagePack."""
    if count < 1 << 4:
        return 1
    return 3 if count < 1 << 16 else 5


class PieceError(Exception):
    """An unreadable part of a session: the fault and the part."""

    def __init__(self, fault: str, body: bytes) -> None:
        super().__init__(fault)
        self.body = body
