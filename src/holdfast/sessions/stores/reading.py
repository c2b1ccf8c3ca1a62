"""Assembles sessions from the content of a store.

An unreadable part costs its own session only: it is set aside, with the reason, and the others
are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from sys import intern
from typing import Final, NamedTuple

import msgspec

from holdfast.sessions.folding import fold
from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.records import (
    Found,
    Head,
    Record,
    Row,
    SetAside,
    StoredSession,
    shared_capabilities,
)
from holdfast.sessions.sharing import Sharing
from holdfast.sessions.states import SessionState
from holdfast.sessions.stores.commons import resolve
from holdfast.sessions.stores.decoding import UNREADABLE, UnreadableError, read
from holdfast.sessions.stores.tail import Excerpts, PieceError, Tail, Tails

_encode: Final = msgspec.msgpack.Encoder().encode
_head: Final = msgspec.msgpack.Decoder(Head)
_row: Final = msgspec.msgpack.Decoder(Row)
_record: Final = msgspec.msgpack.Decoder(Record)
_STATES: Final = frozenset(state.value for state in SessionState)


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
        except (UnreadableError, *UNREADABLE) as error:
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


class Snapshot(NamedTuple):
    """A snapshot, as a store has it."""

    body: bytes
    shared: list[SharedEntry]
    """What it may share with others."""


class Reader:
    """Makes sessions of their rows, their snapshots and the tail of the journal."""

    def __init__(self, tail: Tail | Tails) -> None:
        self._tail = tail

    def read(
        self,
        rows: Iterable[tuple[str, bytes]],
        snapshots: Mapping[str, Snapshot],
        excerpts: Excerpts,
    ) -> Found:
        """The sessions with these rows. What cannot be read is set aside.

        `excerpts` has the pieces that the tail has of them.
        """
        found = Found()
        for sid, body in rows:
            try:
                row = read(_row, body)
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
                self._add_records(session, snapshots.get(sid), excerpts)
            except PieceError as error:
                found.set_aside.append(SetAside(sid, str(error), error.body))
                found.set_aside.append(set_aside(session, str(error)))
            else:
                found.sessions.append(session)
        return found

    def _add_records(
        self, session: StoredSession, snapshot: Snapshot | None, excerpts: Excerpts
    ) -> None:
        if snapshot is not None:
            try:
                record = read(_record, snapshot.body)
                if any(type(entry) is int for entry in record.outs):
                    record.outs = resolve(record.outs, snapshot.shared)
            except UnreadableError as error:
                raise PieceError(f"its snapshot cannot be read: {error}", snapshot.body) from error
            session.records.append(record)
        self._tail.add_to(session, excerpts)

    def _intern(self, row: Row) -> None:
        """What many rows have alike is in memory once."""
        row.durability, row.state = intern(row.durability), intern(row.state)
        row.app, row.protocol = intern(row.app), intern(row.protocol)
        row.input_mode = intern(row.input_mode)
        row.capabilities = shared_capabilities(row.capabilities)


def read_rows(rows: Iterable[tuple[str, bytes]]) -> list[Row]:
    """The rows that can be read."""
    found = []
    for sid, body in rows:
        with suppress(UnreadableError):
            row = read(_row, body)
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


def _check_sid(found: str, sid: str) -> None:
    if found != sid:
        raise UnreadableError(f"it is the row of {found}")
