"""Sessions put together from what a store has of them.

What cannot be read costs its own session and no other: it is set aside, with the
reason, and the rest is taken up.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import Final, TypeVar

import msgspec

from holdfast.sessions.outbox import Entry, SharedEntry
from holdfast.sessions.records import Capabilities, Record, Row, SetAside, StoredSession

T = TypeVar("T")

_encode: Final = msgspec.msgpack.Encoder().encode
_row: Final = msgspec.msgpack.Decoder(Row)
_record: Final = msgspec.msgpack.Decoder(Record)
_entry: Final = msgspec.msgpack.Decoder(list[tuple[str, Record]])
_shared: Final = msgspec.msgpack.Decoder(list[SharedEntry])
_pieces: Final = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]])
_NOTHING: Final = _encode([])


class UnreadableError(Exception):
    """Bytes that are not what they should be."""


class Reader:
    """Is given the rows, then the snapshots, then the journal in order."""

    def __init__(self) -> None:
        self.sessions: dict[str, StoredSession] = {}
        self.set_aside: list[SetAside] = []
        self._capabilities: dict[Capabilities, Capabilities] = {}
        self.complete = True
        """Whether every entry of the journal could be read."""

    def row(self, sid: str, body: bytes) -> None:
        """The row of one session."""
        try:
            row = _read(_row, body)
            if row.sid != sid:
                raise UnreadableError(f"it is the row of {row.sid}")
        except UnreadableError as error:
            self._spoil(sid, f"its row cannot be read: {error}", body)
        else:
            self._intern(row)
            self.sessions[sid] = StoredSession(row, [], journaled=False)

    def snapshot(self, sid: str, body: bytes) -> None:
        """The snapshot of one session."""
        session = self.sessions.get(sid)
        if session is None:
            self._spoil(sid, "a snapshot without a session that can be read", body)
            return
        try:
            session.records.append(_read(_record, body))
        except UnreadableError as error:
            self._spoil(sid, f"its snapshot cannot be read: {error}", body)

    def entry(self, number: int, body: bytes, shared: bytes = _NOTHING) -> None:
        """One entry of the journal, and what its records share."""
        common: list[SharedEntry] = []
        try:
            common = _read(_shared, shared)
            for sid, record in _read(_entry, body):
                self._add(sid, record, common)
        except UnreadableError:
            self._entry_in_pieces(number, body, common)

    def _intern(self, row: Row) -> None:
        """What many rows have alike is in memory once."""
        row.durability, row.state = intern(row.durability), intern(row.state)
        row.app, row.protocol = intern(row.app), intern(row.protocol)
        row.input_mode = intern(row.input_mode)
        known = self._capabilities.setdefault(row.capabilities, row.capabilities)
        row.capabilities = known

    def _entry_in_pieces(self, number: int, body: bytes, common: list[SharedEntry]) -> None:
        try:
            pieces = _read(_pieces, body)
        except UnreadableError as error:
            self.complete = False
            fault = f"entry {number} of the journal cannot be read: {error}"
            self.set_aside.append(SetAside("", fault, body, number))
            return
        for sid, piece in pieces:
            try:
                self._add(sid, _read(_record, piece), common)
            except UnreadableError as error:
                fault = f"its record in entry {number} of the journal cannot be read: {error}"
                if sid in self.sessions:
                    self._spoil(sid, fault, bytes(piece))

    def _add(self, sid: str, record: Record, common: list[SharedEntry]) -> None:
        session = self.sessions.get(sid)
        if session is None:  # deleted since
            return
        if any(type(entry) is int for entry in record.outs):
            record.outs = _resolve(record.outs, common)
        records = session.records
        if not records or record.n > records[-1].n:  # else the snapshot holds it
            records.append(record)
            session.journaled = True

    def _spoil(self, sid: str, fault: str, body: bytes) -> None:
        """Set aside these bytes, and with them what is known of their session."""
        self.set_aside.append(SetAside(sid, fault, body))
        session = self.sessions.pop(sid, None)
        if session is not None:
            self.set_aside.append(set_aside(session, fault))


def set_aside(session: StoredSession, fault: str) -> SetAside:
    """A session as it was read, to be kept for an operator."""
    return SetAside(session.row.sid, fault, _encode(session))


def _resolve(outs: Sequence[Entry | int], common: list[SharedEntry]) -> list[Entry | int]:
    try:
        return [common[entry] if isinstance(entry, int) else entry for entry in outs]
    except IndexError:
        raise UnreadableError("it holds an output that is not there") from None


def _read(decoder: msgspec.msgpack.Decoder[T], body: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise UnreadableError(str(error)) from error
