"""A session: the durable state that a client resumes, between its client and its backend. Hot path.

It takes outputs of the backend and commands of the client, and says when there is something to
write, to forward or to store. It knows its client's connection only as a `Consumer`, and never
waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from holdfast.core.errors import Reason
from holdfast.core.identity import NO_FACTS
from holdfast.core.items import VOLATILE, Command, Data, Output, is_secret
from holdfast.core.limits import SessionLimits
from holdfast.sessions.consumer import Consumer, guarded
from holdfast.sessions.durable_state import DurableState, StateOwner
from holdfast.sessions.inbox import ACCEPTED, FULL, REFUSED, Verdict
from holdfast.sessions.outbox import SharedEntry
from holdfast.sessions.records import HIDDEN, Record, Row
from holdfast.sessions.states import Durability, SessionInput
from holdfast.sessions.viewers import Viewers


class SessionBackend(Protocol):
    """The backend as a session sees it."""

    def commanded(self, session: Session) -> None:
        """There are commands to forward. Hot path."""

    def detached(self, session: Session, reason: Reason) -> None:
        """The session has lost its connection and waits for its client."""

    def ending(self, session: Session, reason: Reason) -> None:
        """The session is being closed: what is kept now is stored in the commit that deletes it."""

    def ended(self, session: Session, reason: Reason) -> None:
        """The session is closed for good, as durably as its mode requires."""

    def relieved(self, session: Session) -> None:
        """The output was written, for a session that was `lagging`."""

    def forget_commands(self, session: Session) -> int:
        """Drop the commands that wait; a command that runs goes on. Returns the newest number."""

    def keeps(self, *, known: bool) -> bool:
        """Whether the session has data behind it that would be lost with it.

        `known` is its row's.
        """


class SessionOwner(StateOwner, Protocol):
    """The owner of the sessions, which is notified of their needs."""

    def starved(self, session: Session) -> None:
        """A command found no space. The consumer is to be notified when there is some."""

    def ready(self, session: Session) -> None:
        """There is output to deliver. Called once until `Session.deliver`."""

    def detached(self, session: Session, reason: Reason) -> None:
        """The session has lost its connection; in a state that cannot wait, it is closed."""

    def close(self, session: Session, reason: Reason) -> None:
        """The session is to end."""


class Session(DurableState):
    """One session: what passes between its client and its backend."""

    __slots__ = (
        "_ready",
        "_unsent_bytes_max",
        "backend",
        "connection",
        "consumer",
        "facts",
        "generation",
        "hides",
        "lagging",
        "network",
        "paced",
        "resumable",
        "route",
        "viewers",
    )

    _owner: SessionOwner

    def __init__(
        self, row: Row, backend: SessionBackend, limits: SessionLimits, owner: SessionOwner
    ) -> None:
        super().__init__(row, limits, owner)
        self.backend = backend
        self.route: object = None
        """The backend's own: where it has sent this session."""
        self.network = ""
        """The network of its client (`Population`)."""
        self.connection = 0
        """The id of its client's connection, or of the one before. Never stored."""
        self.consumer: Consumer | None = None
        self.facts = NO_FACTS
        """What is known of the connection of its client, or of the one before. Never stored."""
        self.generation = 0
        """How many nodes of its store have had it; 0 on a single node."""
        self.hides = False
        """Whether input comes that was held back while the input mode changed: it may have been
        typed while input was hidden."""
        self.paced = 0.0
        """Its client's place in the rate of commands, as its last connection left it."""
        self.resumable = True
        """Whether it waits for its client when that is gone; otherwise it ends then. One that does
        not is never stored."""
        self.lagging = False
        """Whether the backend holds output back until earlier output is written."""
        self.viewers: Viewers | None = None
        """Who watches it, once somebody was invited."""
        self._unsent_bytes_max = limits.unsent_bytes_max
        self._ready = False

    @property
    def attached(self) -> bool:
        """Whether a client is connected to it."""
        return self.consumer is not None

    @property
    def lasting(self) -> bool:
        """Whether it has a user, or something was kept for it: then it is not evicted first."""
        row = self.row
        kept = row.user or row.data or row.profile or row.groups
        return bool(kept) or self.backend.keeps(known=row.known)

    # --- OUT

    def deliverable(self) -> int:
        """Return up to which number outputs may be written to the client."""
        if self.durable:
            return self._saved_top
        out = self.out
        return out.base + len(out.entries)  # `top`, without a call for every message

    def emit(self, item: Output, delivery: str, now: float, size: int = 0) -> None:
        """Append `item` of the backend. `now` is the gateway's time; `size` that of the item, if
        it is known."""
        consumer = self.consumer
        if delivery == VOLATILE:
            self.show(item)
            return
        out = self.out
        over = out.append(item, delivery, now, size)
        if self._clean:  # as `mark_dirty` does
            self._clean = False
            self._owner.changed(self)
        if over and out.crowded():
            self._make_room(now)
        elif (
            (consumer is not None or self.viewers is not None)
            and not self._ready
            and not self.durable
        ):
            self._ready = True  # as `_tell_ready` does
            self._owner.ready(self)

    def emit_shared(self, entry: SharedEntry) -> None:
        """Append `entry`, which the backend sends to many sessions at once."""
        over = self.out.add_shared(entry)
        if self._clean:
            if entry.key:  # the newest prompt may be another one now
                self.mark_dirty()
            elif not self._extended:
                self._extended = True
                self._owner.extended(self)
        if over and self.out.crowded():
            self._make_room(entry.time)
        elif (
            (self.consumer is not None or self.viewers is not None)
            and not self._ready
            and not self.durable
        ):
            self._ready = True  # as `_tell_ready` does
            self._owner.ready(self)

    def show(self, item: Output, *, always: bool = False) -> None:
        """Show the client a volatile item now, if there is one. A client that lags gets it with
        `always` alone, and then before earlier output."""
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guarded`
                consumer.show(item, always=always)
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
        if self.viewers is not None:
            self._tell_ready()
        if consumer is None:
            out.shrink(out.top)
            return
        out.shrink(out.sent)
        if not out.over:
            self._tell_ready()
            return
        guarded(consumer, consumer.deliver)
        out.shrink(out.sent)
        # What a durable session keeps back until it is stored is bounded by the link's window.
        # A client that reads may lag behind a burst; one that reads nothing is detached by the
        # limit of progress.
        if out.sent < self.deliverable() and out.size > self._unsent_bytes_max:
            self.detach(Reason.SLOW_CONSUMER, now)
            out.shrink(out.top)

    def deliver(self) -> None:
        """Pass new output to the consumer. Called by the owner after `ready`."""
        self._ready = False
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guarded`
                consumer.deliver()
            except Exception as error:
                consumer.fail(error)
        if self.viewers is not None:
            self.viewers.deliver()

    def relieve(self) -> None:
        """Tell the backend of a lagging session that there may be room for more output."""
        if self.lagging:
            self.lagging = False
            self.backend.relieved(self)

    # --- IN

    def receive(self, item: Command) -> Verdict:
        """Take `item` of the client, unnumbered."""
        verdict = self.inbox.accept(item)
        if verdict is ACCEPTED:
            if (
                self.row.input_mode == HIDDEN
                or self.hides
                or (type(item) is Data and is_secret(item))
            ):
                self.inbox.hide(numbered=False)
            self.out.prompt = ""
            if self._clean:  # as `mark_dirty` does
                self._clean = False
                self._owner.changed(self)
            self.backend.commanded(self)
        elif verdict is FULL:
            self._owner.starved(self)
        return verdict

    def receive_numbered(self, c: int, item: Command) -> Verdict:
        """Take `item` of the client as its command number `c`."""
        verdict = self.inbox.accept_numbered(c, item)
        if verdict is ACCEPTED:
            if (
                self.row.input_mode == HIDDEN
                or self.hides
                or (type(item) is Data and is_secret(item))
            ):
                self.inbox.hide(numbered=True)
            self.out.prompt = ""
            if self._clean:  # as `mark_dirty` does
                self._clean = False
                self._owner.changed(self)
            self.backend.commanded(self)
            consumer = self.consumer
            if self.unkept and consumer is not None:
                try:  # as in `guarded`
                    consumer.acknowledge(c)
                except Exception as error:
                    consumer.fail(error)
        elif verdict is FULL:
            self._owner.starved(self)
        elif verdict is REFUSED:
            self.mark_dirty()  # its number is used up, which is acknowledged
            consumer = self.consumer
            if self.unkept and consumer is not None:
                guarded(consumer, consumer.acknowledge, c)
        return verdict

    def applied(self, cseq: int) -> int:
        """The backend has applied every command up to `cseq`. Returns the bytes set free."""
        inbox = self.inbox
        was_full = inbox.is_full()
        freed = inbox.apply(cseq)
        if self._clean:  # as `mark_dirty` does
            self._clean = False
            self._owner.changed(self)
        if was_full:
            self.offer_room()
        return freed

    def offer_room(self) -> None:
        """Ask the client for commands that were refused, if there is room now."""
        consumer = self.consumer
        if consumer is not None and not self.inbox.is_full():
            guarded(consumer, consumer.make_room)

    def set_input_mode(self, mode: str) -> None:
        """Set how typed input is read: `line`, `key` or `secret`."""
        self.row.input_mode = mode
        self.mark_row_dirty()
        consumer = self.consumer
        if consumer is not None:
            guarded(consumer, consumer.change_input_mode)

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

    def finish(self, reason: Reason) -> None:
        """The end is as durable as promised; the consumer sends the output, and a goodbye."""
        self.durable = False  # nothing of it will be stored: there is nothing to wait for
        self.deliver()
        self._close_consumer(reason)
        if self.viewers is not None:
            self.viewers.close()

    def fail(self) -> None:
        """Something of the session cannot be stored: it ends."""
        self._owner.close(self, Reason.INTERNAL_ERROR)

    def _wait(self, reason: Reason, now: float) -> None:
        self.row.detached = now
        self.fit()
        self.apply(SessionInput.DROPPED)
        self._owner.detached(self, reason)

    def _close_consumer(self, reason: Reason) -> None:
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            guarded(consumer, consumer.close, reason)

    # --- durability

    def committed(self, record: Record) -> None:
        """`record` is durable."""
        self._saved_top = record.top
        self._saved_cseq = record.cin + record.offset
        if self.durable and record.top > self.out.sent:
            self.deliver()
        consumer = self.consumer
        if consumer is not None:
            try:  # as in `guarded`
                consumer.acknowledge(record.cin)
            except Exception as error:
                consumer.fail(error)
        if self.lagging:
            self.relieve()

    def set_degraded(self, *, degraded: bool) -> None:
        """Whether the gateway continues without its store: then nothing waits for a commit."""
        self.durable = self.row.durability == Durability.DURABLE.value and not degraded
        self.unkept = degraded
        if degraded:
            self.deliver()
            if self.consumer is not None:
                guarded(self.consumer, self.consumer.acknowledge, self.inbox.cin)


NewSession = Callable[[Row, SessionBackend, SessionLimits, SessionOwner], Session]
"""What makes a session of some kind."""
