"""Assembles sessions from the content of a store.

An unreadable part costs its own session only: it is set aside, with the reason, and the others
are loaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from sys import intern
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from holdfast.core.ids import unpack_sid
from holdfast.core.limits import StoreLimits
from holdfast.sessions.cuts import Cuts
from holdfast.sessions.folding import fold
from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.records import (
    Capabilities,
    Found,
    Head,
    Record,
    Row,
    SetAside,
    StoredSession,
)
from holdfast.sessions.sharing import Sharing
from holdfast.sessions.states import SessionState

T = TypeVar("T")


_encode: Final = msgspec.msgpack.Encoder().encode
_head: Final = msgspec.msgpack.Decoder(Head)
_row: Final = msgspec.msgpack.Decoder(Row)
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
_COMMONS_MAX: Final = 64
"""Of what snapshots share: how many are remembered."""
_STATES: Final = frozenset(state.value for state in SessionState)


_n: Final = attrgetter("n")
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError)
"""What msgspec raises."""


class UnreadableError(Exception):
    """Bytes that are not what they should be."""


class Heads:
    """The heads of all sessions, from their rows."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self.set_aside: list[SetAside] = []
        self.newest = 0.0
        """The latest time in any of them."""

    def row(self, sid: str, body: bytes) -> None:
        """The row of one session."""
        try:
            head = _head.decode(body)
            if head.sid != sid or head.state not in _STATES:
                _check_sid(head.sid, sid)
                raise UnreadableError(f"{head.state!r} is not a valid SessionState")
        except (UnreadableError, *_UNREADABLE) as error:
            self.set_aside.append(SetAside(sid, f"its row cannot be read: {error}", body))
            return
        newest = head.detached if head.detached > head.created else head.created
        if newest > self.newest:
            self.newest = newest
        head.note_kept()
        head.sid, head.app, head.protocol = sid, intern(head.app), intern(head.protocol)
        head.instance = intern(head.instance)
        self.heads[sid] = head

    def orphan(self, sid: str, body: bytes) -> None:
        """A snapshot without a row, or with one that cannot be read."""
        self.set_aside.append(SetAside(sid, "a snapshot without a session that can be read", body))


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
            pieces = _read(_pieces, body)
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
        """Give a session its records. Raises `_PieceError`."""
        sid, records = session.row.sid, session.records
        kept, first = self._pieces.get(sid), len(records)
        newest = records[-1].n if records else 0
        for number, piece in _read(_numbered, _ARRAY + kept) if kept is not None else ():
            try:
                record = _read(_record, piece)
                if any(type(entry) is int for entry in record.outs):
                    record.outs = _resolve(record.outs, self._common_of(number))
            except UnreadableError as error:
                fault = f"its record in entry {number} of the journal cannot be read: {error}"
                raise _PieceError(fault, bytes(piece)) from error
            if record.n > newest:  # else the snapshot holds it
                records.append(record)
        # The entries of several runs need not be in this order.
        records[first:] = sorted(records[first:], key=_n)

    def _common_of(self, number: int) -> list[SharedEntry]:
        common = self._common.get(number)
        if common is None:
            common = self._common[number] = _read(_shared, self._shared.get(number, _NOTHING))
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
        """Give a session its records. Raises `_PieceError`."""
        for tail in self._tails:
            tail.add_to(session)


class _PieceError(Exception):
    """An unreadable part of a session: the fault and the part."""

    def __init__(self, fault: str, body: bytes) -> None:
        super().__init__(fault)
        self.body = body


class Snapshot(NamedTuple):
    """A snapshot, as a store has it."""

    body: bytes
    shared: list[SharedEntry]
    """What it may share with others."""


class Reader:
    """Makes sessions of their rows, their snapshots and the tail of the journal."""

    def __init__(self, tail: Tail | Tails) -> None:
        self._tail = tail
        self._capabilities: dict[Capabilities, Capabilities] = {}

    def read(self, rows: Iterable[tuple[str, bytes]], snapshots: Mapping[str, Snapshot]) -> Found:
        """The sessions with these rows. What cannot be read is set aside."""
        found = Found()
        for sid, body in rows:
            try:
                row = _read(_row, body)
                _check_sid(row.sid, sid)
            except UnreadableError as error:
                fault = f"its row cannot be read: {error}"
                found.set_aside.append(SetAside(sid, fault, body))
                if sid in snapshots:
                    found.set_aside.append(SetAside(sid, fault, snapshots[sid].body))
                continue
            self._intern(row)
            session = StoredSession(row, [])
            try:
                self._add_records(session, snapshots.get(sid))
            except _PieceError as error:
                found.set_aside.append(SetAside(sid, str(error), error.body))
                found.set_aside.append(set_aside(session, str(error)))
            else:
                found.sessions.append(session)
        return found

    def _add_records(self, session: StoredSession, snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            try:
                record = _read(_record, snapshot.body)
                if any(type(entry) is int for entry in record.outs):
                    record.outs = _resolve(record.outs, snapshot.shared)
            except UnreadableError as error:
                raise _PieceError(f"its snapshot cannot be read: {error}", snapshot.body) from error
            session.records.append(record)
        self._tail.add_to(session)

    def _intern(self, row: Row) -> None:
        """What many rows have alike is in memory once."""
        row.durability, row.state = intern(row.durability), intern(row.state)
        row.app, row.protocol = intern(row.app), intern(row.protocol)
        row.input_mode = intern(row.input_mode)
        known = self._capabilities.setdefault(row.capabilities, row.capabilities)
        row.capabilities = known


def read_rows(rows: Iterable[tuple[str, bytes]]) -> list[Row]:
    """The rows that can be read."""
    found = []
    for sid, body in rows:
        with suppress(UnreadableError):
            row = _read(_row, body)
            _check_sid(row.sid, sid)
            found.append(row)
    return found


def set_aside(session: StoredSession, fault: str) -> SetAside:
    """A session as it was read, to be kept for an operator."""
    return SetAside(session.row.sid, fault, _encode(session))


def snapshots_of(found: Found) -> tuple[list[tuple[str, Record]], list[OutputEntry]]:
    """A snapshot of each of these sessions, and what these share."""
    sharing, snapshots = Sharing(), []
    for session in found.sessions:
        if session.records:
            snapshot = fold(session.records)
            snapshot.outs = sharing.share(snapshot.outs)
            snapshots.append((session.row.sid, snapshot))
    return snapshots, sharing.entries


class Commons:
    """What snapshots share, as it was read: equal items of many sessions are one object."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._bodies = read
        self._read: OrderedDict[int, list[SharedEntry]] = OrderedDict()

    def knows(self, number: int) -> bool:
        """Whether `of` needs not to read."""
        return number in self._read

    def of(self, number: int) -> list[SharedEntry]:
        """What the snapshots with this number share; nothing if it cannot be read."""
        known = self._read.get(number)
        if known is None:
            try:
                known = _read(_shared, self._bodies(number)) if number else []
            except UnreadableError:
                known = []  # what refers to it cannot be read either, and is set aside
            self._read[number] = known
            if len(self._read) > _COMMONS_MAX:
                self._read.popitem(last=False)
        return known

    def forget(self) -> None:
        """Numbers may mean something else from now on."""
        self._read.clear()


def _check_sid(found: str, sid: str) -> None:
    if found != sid:
        raise UnreadableError(f"it is the row of {found}")


def _resolve(
    outs: Sequence[OutputEntry | int], common: list[SharedEntry]
) -> list[OutputEntry | int]:
    try:
        return [common[entry] if isinstance(entry, int) else entry for entry in outs]
    except IndexError:
        raise UnreadableError("it holds an output that is not there") from None


def _read(decoder: msgspec.msgpack.Decoder[T], body: bytes | bytearray | msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise UnreadableError(str(error)) from error
