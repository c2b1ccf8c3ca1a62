"""A session: the durable state that a client resumes. Hot path.

It numbers outputs and commands, knows what its client has received and its backend has applied,
and passes changes to the store. It knows its client's connection only as a `Consumer`, and
never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from holdfast.core.errors import Reason
from holdfast.core.ids import new_epoch
from holdfast.core.items import VOLATILE, Command, Output, Resized
from holdfast.core.limits import SessionLimits
from holdfast.core.states import Machine
from holdfast.sessions.eras import Eras
from holdfast.sessions.folding import news, repeated
from holdfast.sessions.inbox import ACCEPTED, FULL, REFUSED, Inbox, Queued, Verdict
from holdfast.sessions.outbox import Entry, Outbox, SharedEntry
from holdfast.sessions.records import HIDDEN, EpochEnd, Record, Row
from holdfast.sessions.room import Room
from holdfast.sessions.states import TABLE, Durability, SessionInput, SessionState

_ENDS_MAX = 8


class Consumer(Protocol):
    """The connection that a session writes to, as the session sees it."""

    def deliver(self) -> None:
        """There are outputs to take from the session's outbox."""

    def show(self, item: Output) -> None:
        """Write a volatile item now, or drop it."""

    def acknowledge(self, cin: int) -> None:
        """Every command up to `cin` is durable."""

    def make_room(self) -> None:
        """The queue of commands has space again."""

    def change_input_mode(self) -> None:
        """The row's `input_mode` is another one."""

    def close(self, reason: Reason) -> None:
        """Send a goodbye and close. The session is detached already."""

    def fail(self, error: Exception) -> None:
        """A method above has raised: log it, drop the connection and detach."""


class Backend(Protocol):
    """The backend as a session sees it."""

    def commanded(self, session: Session) -> None:
        """There are commands to forward. Hot path."""

    def detached(self, session: Session, reason: Reason) -> None:
        """The session has lost its connection and waits for its client."""

    def ended(self, session: Session, reason: Reason) -> None:
        """The session is closed for good."""

    def relieved(self, session: Session) -> None:
        """The output was written, for a session that was `lagging`."""

    def keeps(self, *, known: bool) -> bool:
        """Whether the session has data behind it that would be lost with it.

        `known` is its row's.
        """


class Owner(Protocol):
    """The owner of the sessions, which is notified of their needs."""

    @property
    def windows(self) -> Room:
        """What all windows together may take."""

    @property
    def queues(self) -> Room:
        """What all queues of commands together may take."""

    def starved(self, session: Session) -> None:
        """A command found no space. The consumer is to be notified when there is some."""

    def changed(self, session: Session) -> None:
        """There is something to persist. Called once until `Session.record`."""

    def ready(self, session: Session) -> None:
        """There is output to deliver. Called once until `Session.deliver`."""

    def detached(self, session: Session, reason: Reason) -> None:
        """The session has lost its connection; in a state that cannot wait, it is closed."""

    def close(self, session: Session, reason: Reason) -> None:
        """The session is to end."""


class ResetReason(Enum):
    """Why a client cannot continue where it was."""

    EPOCH = "epoch"
    TRIMMED = "trimmed"
    AHEAD = "ahead"
    FRESH = "fresh"
    """The client begins with an empty display: a page was loaded anew."""


class Position(Struct, frozen=True):
    """How much of which output log a client has."""

    epoch: str
    last: int


class Session:
    """One session. Its `row` is the part that is stored when it changes."""

    __slots__ = (
        "_clean",
        "_machine",
        "_n",
        "_owner",
        "_ready",
        "_row_saved",
        "_saved_cseq",
        "_saved_top",
        "_unsent_bytes_max",
        "backend",
        "consumer",
        "durable",
        "inbox",
        "lagging",
        "network",
        "out",
        "paced",
        "persistent",
        "route",
        "row",
        "unkept",
    )

    def __init__(self, row: Row, backend: Backend, limits: SessionLimits, owner: Owner) -> None:
        self.row = row
        self.backend = backend
        self.route: object = None
        """The backend's own: where it has sent this session."""
        self.network = ""
        """Of its client: what it counts for (`Population`)."""
        self.out = Outbox(limits, owner.windows)
        self._unsent_bytes_max = limits.unsent_bytes_max
        self.inbox = Inbox(limits, owner.queues)
        self.consumer: Consumer | None = None
        self.paced = 0.0
        """Its client's place in the rate of commands, as its last connection left it."""
        self.lagging = False
        """Whether the backend holds output back until earlier output is written."""
        self.persistent = row.durability != Durability.MEMORY.value
        self.durable = row.durability == Durability.DURABLE.value
        self.unkept = not self.persistent
        """Whether commands are acknowledged without being stored."""
        self._owner = owner
        self._machine = Machine(TABLE, SessionState(row.state))
        self._clean = self.persistent
        """Whether there is nothing to store that the owner does not know of. Never, if nothing is
        stored of it."""
        self._ready = False
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
    def detached(self) -> float:
        """Since when its client is away, or 0."""
        return self.row.detached

    @property
    def state(self) -> SessionState:
        return self._machine.state

    @property
    def lasting(self) -> bool:
        """Whether anybody would miss it: it has a user, or something was kept for it."""
        row = self.row
        kept = row.user or row.data or row.profile or row.groups
        return bool(kept) or self.backend.keeps(known=row.known)

    def apply(self, given: SessionInput) -> None:
        """Take a step of the session's life. Raises `UndefinedTransitionError`."""
        self._machine.apply(given)
        self.row.state = self._machine.state.value
        self.mark_row_dirty()

    def allows(self, given: SessionInput) -> bool:
        """Whether the session's state allows `given`."""
        return self._machine.allows(given)

    # --- OUT

    @property
    def deliverable(self) -> int:
        """Up to which number outputs may be written to the client."""
        if self.durable:
            return self._saved_top
        out = self.out
        return out.base + len(out.entries)  # `top`, without a call for every message

    def emit(self, item: Output, delivery: str, now: float) -> None:
        """Append `item` of the backend. `now` is the gateway's time."""
        consumer = self.consumer
        if delivery == VOLATILE:
            self.show(item)
            return
        out = self.out
        over = out.append(item, delivery, now)
        if self._clean:
            self.mark_dirty()
        if over and out.crowded():
            self._make_room(now)
        elif consumer is not None and not self._ready and not self.durable:
            self._ready = True  # as `_tell_ready` does
            self._owner.ready(self)

    def emit_shared(self, entry: SharedEntry) -> None:
        """Append `entry`, which the backend sends to many sessions at once."""
        out = self.out
        out.add(entry)
        if self._clean:
            self.mark_dirty()
        if out.over and out.crowded():
            self._make_room(entry.time)
        elif self.consumer is not None:
            self._tell_ready()

    def show(self, item: Output) -> None:
        """Show the client a volatile item now, if there is one."""
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guard`
                consumer.show(item)
            except Exception as error:
                consumer.fail(error)

    def _tell_ready(self) -> None:
        if not self._ready and not self.durable:
            self._ready = True
            self._owner.ready(self)

    def _make_room(self, now: float) -> None:
        """The window is full: sent output leaves it, and unsent output is sent first."""
        out = self.out
        consumer = self.consumer
        if consumer is None:
            out.shrink(out.top)
            return
        out.shrink(out.sent)
        if not out.over:
            self._tell_ready()
            return
        self.guard(consumer, consumer.deliver)
        out.shrink(out.sent)
        # What a durable session keeps back until it is stored is bounded by the link's window.
        # Who reads may still lag behind a burst; who takes nothing, the connection gives up.
        if out.sent < self.deliverable and out.size > self._unsent_bytes_max:
            self.detach(Reason.SLOW_CONSUMER, now)
            out.shrink(out.top)

    def deliver(self) -> None:
        """Pass new output to the consumer. Called by the owner after `ready`."""
        self._ready = False
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guard`
                consumer.deliver()
            except Exception as error:
                consumer.fail(error)

    @property
    def attached(self) -> bool:
        """Whether a client is connected to it."""
        return self.consumer is not None

    def fill(self) -> float:
        """How full the window is; while a client is attached, only of output that it was not
        given."""
        if self.consumer is None:
            return self.out.fill(0)
        self.deliver()
        return self.out.fill(self.out.sent)

    def is_delivered(self) -> bool:
        """Whether a client is attached that has been given everything, if it takes it."""
        if self.consumer is None:
            return False
        self.deliver()
        return self.out.sent >= self.out.top

    def fit(self) -> None:
        """Release the reserved size that neither log needs."""
        self.out.fit()
        self.inbox.fit()

    def forget_window(self) -> None:
        """Drop all kept output: the client is told when it resumes."""
        self.out.skip_to(self.out.top)
        self.out.fit()
        self.mark_dirty()

    def free(self) -> None:
        """The session has ended, and its logs are no longer needed."""
        self.out.skip_to(self.out.top)
        self.inbox.apply(self.inbox.top)
        self.fit()

    def relieve(self) -> None:
        """There may be room for what a lagging session's backend holds back."""
        if self.lagging:
            self.lagging = False
            self.backend.relieved(self)

    # --- IN

    def receive(self, item: Command) -> Verdict:
        """Take `item` of the client, unnumbered."""
        verdict = self.inbox.accept(item)
        if verdict is ACCEPTED:
            if self.row.input_mode == HIDDEN:
                self.inbox.hide(numbered=False)
            self.out.prompt = ""
            if self._clean:
                self.mark_dirty()
            self.backend.commanded(self)
        elif verdict is FULL:
            self._owner.starved(self)
        return verdict

    def receive_numbered(self, c: int, item: Command) -> Verdict:
        """Take `item` of the client as its command number `c`."""
        verdict = self.inbox.accept_numbered(c, item)
        if verdict is ACCEPTED:
            if self.row.input_mode == HIDDEN:
                self.inbox.hide(numbered=True)
            self.out.prompt = ""
            if self._clean:
                self.mark_dirty()
            self.backend.commanded(self)
            consumer = self.consumer
            if self.unkept and consumer is not None:
                try:  # as in `guard`
                    consumer.acknowledge(c)
                except Exception as error:
                    consumer.fail(error)
        elif verdict is FULL:
            self._owner.starved(self)
        elif verdict is REFUSED:
            self.mark_dirty()  # its number is used up, which is acknowledged
            if self.unkept:
                self._acknowledge(c)
        return verdict

    def skip_commands(self, c: int) -> bool:
        """Go on behind command `c`, which the client knows to be acknowledged; whether that is
        news (`Inbox.skip`)."""
        if not self.inbox.skip(c):
            return False
        self.mark_dirty()
        return True

    def applied(self, cseq: int) -> int:
        """The backend has applied every command up to `cseq`. Returns the bytes set free."""
        inbox = self.inbox
        was_full = inbox.full
        freed = inbox.apply(cseq)
        if self._clean:
            self.mark_dirty()
        if was_full:
            self.offer_room()
        return freed

    def offer_room(self) -> None:
        """Commands that found no room may come again, if there is room now."""
        consumer = self.consumer
        if consumer is not None and not self.inbox.full:
            self.guard(consumer, consumer.make_room)

    def resize(self, size: Resized) -> None:
        """The client's screen has another size."""
        row = self.row
        row.capabilities = replace(row.capabilities, width=size.width, height=size.height)
        self.mark_row_dirty()

    def set_input_mode(self, mode: str) -> None:
        """How typing is to be taken: `line`, `key` or `secret`."""
        self.row.input_mode = mode
        self.mark_row_dirty()
        consumer = self.consumer
        if consumer is not None:
            self.guard(consumer, consumer.change_input_mode)

    # --- attaching

    def open(self, consumer: Consumer, *, numbered: bool) -> None:
        """Attach a consumer, which says whether it numbers its commands."""
        self.row.gen += 1
        self.row.numbered = numbered
        self.row.detached = 0.0
        self.consumer = consumer
        self.mark_row_dirty()

    def attach(self, consumer: Consumer, *, numbered: bool) -> None:
        """Let `consumer` take the session over: it and no other is written to from now on.

        The older one is closed before anything can go out on the new one.
        Raises `UndefinedTransitionError` for a session that cannot be resumed.
        """
        self.apply(SessionInput.RESUMED)
        self._close_consumer(Reason.SUPERSEDED)
        self.open(consumer, numbered=numbered)

    def detach(self, reason: Reason, now: float) -> None:
        """Detach the consumer, which sends a goodbye and closes. `now` is the gateway's time."""
        if self.consumer is not None:
            self._close_consumer(reason)
            self._wait(reason, now)

    def lost(self, consumer: Consumer, reason: Reason, now: float) -> None:
        """The connection of `consumer` is lost; nothing happens if it was detached before."""
        if consumer is self.consumer:
            self.consumer = None
            self._wait(reason, now)

    def release(self, consumer: Consumer) -> None:
        """`consumer` wants another session; this one is about to be closed."""
        if consumer is self.consumer:
            self.consumer = None

    def close(self) -> None:
        """End the session: it cannot be resumed any more. `finish` follows."""
        self.apply(SessionInput.CLOSED)

    def finish(self, reason: Reason) -> None:
        """The end is as durable as promised; the consumer sends the output, and a goodbye."""
        self.durable = False  # nothing of it will be stored: there is nothing to wait for
        self.deliver()
        self._close_consumer(reason)

    def fail(self) -> None:
        """Something of the session cannot be stored: it ends."""
        self._owner.close(self, Reason.INTERNAL_ERROR)

    def judge(self, position: Position) -> ResetReason | None:
        """Why a client at `position` must be reset, or `None` if nothing it needs is lost."""
        if position.epoch != self.row.epoch:
            # The numbers of an older epoch are ours up to where it ended, if we know where.
            ends = {end.epoch: end.top for end in self.row.ends}
            if position.epoch not in ends or position.last > ends[position.epoch]:
                return ResetReason.EPOCH
        if position.last > self.deliverable:
            return ResetReason.AHEAD
        return ResetReason.TRIMMED if position.last < self.out.base else None

    def kept_after(self, position: Position | None, reason: ResetReason) -> int:
        """After which number the output goes on for a client at `position` that must be reset.

        What is kept follows, unless the client begins with an empty screen of its own will.
        """
        if position is None or reason is ResetReason.FRESH:
            return self.deliverable
        known = 0
        if reason is ResetReason.EPOCH:
            ends = {end.epoch: end.top for end in self.row.ends}
            known = ends.get(position.epoch, 0)  # up to there it has everything
        return min(max(self.out.base, known), self.deliverable)

    def _wait(self, reason: Reason, now: float) -> None:
        self.row.detached = now
        self.fit()
        self.apply(SessionInput.DROPPED)
        self._owner.detached(self, reason)

    def _close_consumer(self, reason: Reason) -> None:
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            self.guard(consumer, consumer.close, reason)

    # --- the border to the connection

    def _acknowledge(self, cin: int) -> None:
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guard`
                consumer.acknowledge(cin)
            except Exception as error:
                consumer.fail(error)

    def guard(self, consumer: Consumer, call: Callable[..., None], *args: object) -> None:
        """Call the session's connection, or a function for it: an exception ends that
        connection only.

        Calls for every message do the same in place, to save a call.
        """
        try:
            call(*args)
        except Exception as error:
            consumer.fail(error)

    # --- persistence

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
        row = None if self._row_saved else self.row.copy()
        self._row_saved = True
        self._n += 1
        return row, self._record(
            self.out.since(self._saved_top), self.inbox.since(self._saved_cseq)
        )

    def snapshot(self) -> Record:
        """All of both logs, up to the newest record."""
        return self._record(list(self.out.entries), self.inbox.since(0))

    def _record(self, outs: Sequence[Entry], ins: Sequence[Queued]) -> Record:
        out, inbox = self.out, self.inbox
        cin, offset = inbox.kept
        return Record(
            n=self._n,
            outs=outs,
            ins=ins,
            base=out.base,
            acked=out.acked,
            maybe_delivered=out.maybe_delivered,
            top=out.top,
            applied=inbox.applied,
            cin=cin,
            offset=offset,
            assumed=out.assumed,
            prompt=out.prompt,
        )

    def committed(self, record: Record) -> None:
        """`record` is durable."""
        self._saved_top = record.top
        self._saved_cseq = record.cin + record.offset
        if self.durable and record.top > self.out.sent:
            self.deliver()
        self._acknowledge(record.cin)
        self.relieve()

    def set_adrift(self, *, adrift: bool) -> None:
        """Whether the gateway continues without its store: then nothing waits for a commit."""
        self.durable = self.row.durability == Durability.DURABLE.value and not adrift
        self.unkept = adrift
        if adrift:
            self.deliver()
            self._acknowledge(self.inbox.cin)

    def failed(self, row: Row | None) -> None:
        """The commit of a record failed: all of it is still to be stored."""
        if row is not None:
            self._row_saved = False
        self.mark_dirty()

    @classmethod
    def restore(
        cls,
        row: Row,
        records: Sequence[Record],
        backend: Backend,
        limits: SessionLimits,
        owner: Owner,
        eras: Eras,
    ) -> Session:
        """Restore a session from the store.

        After an unclean stop, its output log may have lost a tail that a client received; then
        the log continues under a new epoch, and the end of the old one is remembered. Output of
        a durable session was never written before it was stored, so its epoch stays; unless the
        run did not wait for its store.
        """
        self = cls(row, backend, limits, owner)
        for record in records:
            self._restore(record)
        if self.out.over and self.out.crowded():
            self.out.shrink(self.out.top)
        self._row_saved = True
        if row.era == eras.now:
            return self
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
        return self

    def _restore(self, record: Record) -> None:
        out, inbox = self.out, self.inbox
        before = record.top - len(record.outs)
        if before > out.top:  # entries that were done with before their commit are not stored
            out.skip_to(before)
        for entry in record.outs[repeated(before, out.top) :]:
            if isinstance(entry, Entry):
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
        self.committed(record)
