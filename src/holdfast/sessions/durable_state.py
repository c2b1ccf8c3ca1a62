"""What of a session is stored: its row, its two logs, and how much of them the store has. Hot path.

`DurableState` is the base class of `Session`, and all that the journal knows of one. It is a
base class and not a part, so that a message reads its fields without a step in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from holdfast.core.ids import new_epoch, pack_sid
from holdfast.core.items import Resized
from holdfast.core.limits import SessionLimits
from holdfast.sessions.eras import Eras
from holdfast.sessions.folding import news, repeated
from holdfast.sessions.inbox import Inbox, Queued
from holdfast.sessions.outbox import Outbox, OutputEntry
from holdfast.sessions.records import EpochEnd, Record, Row
from holdfast.sessions.room import Room
from holdfast.sessions.states import TABLE, Durability, SessionInput, SessionState

_ENDS_MAX = 8


class StateOwner(Protocol):
    """The owner of the sessions, as far as it stores them."""

    @property
    def windows(self) -> Room:
        """What all windows together may take."""

    @property
    def queues(self) -> Room:
        """What all queues of commands together may take."""

    def changed(self, state: DurableState) -> None:
        """There is something to store. Called once until `DurableState.record`."""

    def extended(self, state: DurableState) -> None:
        """There are shared outputs to store, and nothing else. Called once until
        `DurableState.extension`; `changed` may follow."""


class DurableState:
    """The durable state of one session. Its `row` is the part that is stored when it changes."""

    __slots__ = (
        "_clean",
        "_extended",
        "_n",
        "_owner",
        "_row_saved",
        "_saved_cseq",
        "_saved_top",
        "durable",
        "inbox",
        "journal_key",
        "out",
        "persistent",
        "row",
        "state",
        "unkept",
    )

    def __init__(self, row: Row, limits: SessionLimits, owner: StateOwner) -> None:
        self.row = row
        self.journal_key = pack_sid(row.sid)
        """What its records in the journal are found by."""
        self.state = SessionState(row.state)
        self.out = Outbox(limits, owner.windows)
        self.inbox = Inbox(limits, owner.queues)
        self.persistent = row.durability != Durability.MEMORY.value
        self.durable = row.durability == Durability.DURABLE.value
        self.unkept = not self.persistent
        """Whether commands are acknowledged without being stored."""
        self._owner = owner
        self._clean = self.persistent
        """Whether there is nothing to store that the owner does not know of. Never, if nothing is
        stored of it."""
        self._extended = False
        """Whether outputs that others have got, too, are all that is to be stored, and the owner
        knows. Of no meaning unless it is clean."""
        self._row_saved = False
        self._saved_top = 0
        self._saved_cseq = 0
        self._n = 0

    @property
    def sid(self) -> str:
        return self.row.sid

    @property
    def user(self) -> str:
        return self.row.user

    @property
    def address(self) -> str:
        return self.row.address

    @property
    def protocol(self) -> str:
        return self.row.protocol

    @property
    def detached(self) -> float:
        """Since when its client is away, or 0."""
        return self.row.detached

    @property
    def code(self) -> bytes:
        """The hash of the resume code, if there is one."""
        return self.row.code

    @property
    def code_before(self) -> bytes:
        """The hash of the code before, as long as it is valid."""
        return self.row.code_before

    def apply(self, given: SessionInput) -> None:
        """Take a step of the session's life. Raises `UndefinedTransitionError`."""
        self.state = TABLE.step(self.state, given).state
        self.row.state = self.state.value
        self.mark_row_dirty()

    def allows(self, given: SessionInput) -> bool:
        """Whether the session's state allows `given`."""
        return TABLE.allows(self.state, given)

    # --- the logs

    def fit(self) -> None:
        """Release the reserved size that neither log needs."""
        self.out.fit()
        self.inbox.fit()

    def forget_window(self) -> None:
        """Drop all kept output. The client gets a `reset` when it resumes."""
        self.out.skip_to(self.out.top)
        self.out.fit()
        self.mark_dirty()

    def free(self) -> None:
        """The session has ended, and its logs are no longer needed."""
        self.out.skip_to(self.out.top)
        self.inbox.apply(self.inbox.top)
        self.fit()

    def skip_commands(self, c: int) -> bool:
        """Go on behind command `c`, which the client knows to be acknowledged; whether that is
        news (`Inbox.skip`)."""
        if not self.inbox.skip(c):
            return False
        self.mark_dirty()
        return True

    def resize(self, size: Resized) -> None:
        """The client's screen has another size."""
        row = self.row
        row.capabilities = replace(row.capabilities, width=size.width, height=size.height)
        self.mark_row_dirty()

    # --- what the store does not have

    def mark_dirty(self) -> None:
        """Something in the logs changed: it belongs into the next group commit."""
        if self._clean:
            self._clean = False
            self._owner.changed(self)

    def mark_row_dirty(self) -> None:
        """Something in the row changed: it belongs into the next group commit."""
        self._row_saved = False
        self.mark_dirty()

    def record(self) -> tuple[Row | None, Record]:
        """Return the changes that are not stored: the row if it changed, and the new records of
        both logs."""
        self._clean = True
        self._extended = False
        row = None
        if not self._row_saved:
            row = self.row.copy()
            self._row_saved = True
        self._n += 1
        return row, self._record(
            self.out.since(self._saved_top), self.inbox.since(self._saved_cseq)
        )

    def extension(self) -> tuple[Sequence[OutputEntry], int, int] | None:
        """The new outputs, if they are all that is not stored, and `n` and `top` of a record of
        them. `None` if there is more, or nothing: then the owner knows by `changed`."""
        if not self._extended:
            return None
        self._extended = False
        if not self._clean or not self.persistent:
            return None
        self._n += 1
        out = self.out
        return out.since(self._saved_top), self._n, out.base + len(out.entries)

    def snapshot(self) -> Record:
        """All of both logs, up to the newest record."""
        return self._record(list(self.out.entries), self.inbox.since(0))

    def _record(self, outs: Sequence[OutputEntry], ins: Sequence[Queued]) -> Record:
        out, inbox = self.out, self.inbox
        cin, offset = inbox.kept()
        base = out.base
        return Record(  # in the order of its fields: names would take as long as all the rest
            self._n,
            outs,
            ins,
            base,
            out.acked,
            out.maybe_delivered,
            base + len(out.entries),
            inbox.applied,
            cin,
            offset,
            out.assumed,
            out.prompt,
        )

    def failed(self, row: Row | None) -> None:
        """The commit of a record failed: all of it is still to be stored."""
        if row is not None:
            self._row_saved = False
        self.mark_dirty()

    def stored_again(self) -> None:
        """For a while nothing was stored; all that has changed since is still to be."""
        self.persistent = self._clean = True
        self.mark_row_dirty()

    # --- what the store has

    def committed(self, record: Record) -> None:
        """`record` is durable."""
        raise NotImplementedError

    def extended(self, top: int) -> None:
        """An extension that has its outputs up to `top` is durable."""
        self._saved_top = top
        if self.durable:
            self.deliver()
        self.relieve()

    def deliver(self) -> None:
        """There may be output that the client can have now."""
        raise NotImplementedError

    def relieve(self) -> None:
        """There may be room for more output."""
        raise NotImplementedError

    def fail(self) -> None:
        """Something of the session cannot be stored: it ends."""
        raise NotImplementedError

    def restore(self, records: Sequence[Record], eras: Eras) -> None:
        """Take what the store has of the logs. The row is there already.

        After an unclean stop, the output log may have lost a tail that a client received; then
        the log continues under a new epoch, and the end of the old one is remembered. Output of
        a durable session was never written before it was stored, so its epoch stays; unless the
        run did not wait for its store.
        """
        row = self.row
        for record in records:
            self._restore(record)
        if self.out.over and self.out.crowded():
            self.out.shrink(self.out.top)
        self._row_saved = True
        if row.era == eras.now:
            return
        if not self.durable or row.era < eras.broken:
            row.ends = (*row.ends, EpochEnd(row.epoch, self.out.top))[-_ENDS_MAX:]
            row.epoch = new_epoch()
        if not row.numbered:
            self.inbox.jump()
        if not self.state.detached:
            # Nobody was there to see how far the lost connection got.
            self.out.maybe_delivered = self.out.top
        row.era = eras.now
        self.mark_row_dirty()

    def _restore(self, record: Record) -> None:
        out, inbox = self.out, self.inbox
        before = record.top - len(record.outs)
        if before > out.top:  # entries that were done with before their commit are not stored
            out.skip_to(before)
        for entry in record.outs[repeated(before, out.top) :]:
            if isinstance(entry, OutputEntry):
                out.add(entry)
        out.skip_to(record.base)
        out.acked, out.maybe_delivered, out.assumed = (
            record.acked,
            record.maybe_delivered,
            record.assumed,
        )
        out.prompt = record.prompt
        for command in news(inbox.entries, record.ins):
            inbox.restore(command)
        inbox.cin, inbox.offset = record.cin, record.offset
        inbox.apply(record.applied)
        self._n = record.n
        self._saved_top, self._saved_cseq = record.top, record.cin + record.offset
