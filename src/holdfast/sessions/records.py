"""The records that the store keeps of a session.

There are three kinds. A `Row` changes rarely: identity, state, tokens. A `Record` is the
addition of one group commit to the session's logs; all records of a commit are one entry of the
store's journal. A snapshot is a record of the whole logs: from time to time each session in the
older part of the journal gets one, and that part is dropped. A session is therefore its row,
its snapshot, and the later records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import pack
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry
from holdfast.sessions.tokens import Tokens

JournalKey = str | bytes
"""The id of a session, as the journal has it."""


class Capabilities(Struct, frozen=True, omit_defaults=True):
    """The capabilities of the connected client."""

    client: str = ""
    terminal: str = ""
    width: int = 0
    height: int = 0
    utf8: bool = True
    colors: int = 0
    """How many: 0, 8, 256 or 16,777,216."""
    data: bool = False
    """Whether `Data` items reach it (GMCP, or a WebSocket sub-protocol)."""
    binary: bool = False
    screen_reader: bool = False
    """Whether the client says that its output is read out (MTTS)."""
    mxp: bool = False
    """Whether it shows elements in text (MXP)."""


@lru_cache(maxsize=256)
def shared_capabilities(capabilities: Capabilities) -> Capabilities:
    """The same capabilities as one object for all sessions: most clients are of a few kinds."""
    return capabilities


HIDDEN = "secret"
"""The input mode in which nothing that is typed is shown or stored."""


_NO_PROPERTIES: Final[Mapping[str, str]] = {}
"""One for all sessions that have none."""


class EpochEnd(Struct, frozen=True, array_like=True):
    """The end of an older output log. A client whose position is not beyond it has lost nothing."""

    epoch: str
    top: int


class Row(Struct, omit_defaults=True):
    """The rarely changing part of a session, as it is stored.

    Fields with their defaults are not stored: a default may never become another one.
    """

    sid: str
    epoch: str
    durability: str
    created: float
    """The gateway's time (`core.clock.SteadyClock`), as all times here."""
    gen: int = 0
    state: str = "connecting"
    user: str = ""
    properties: Mapping[str, str] = field(default_factory=lambda: _NO_PROPERTIES)
    """The application's own, from the login."""
    proven: bool = False
    """Whether a credential of the listener has proved the user: only its holder may resume."""
    profile: str = ""
    data: bytes = b""
    """The application's own, opaque."""
    groups: tuple[str, ...] = ()
    capabilities: Capabilities = Capabilities()
    address: str = ""
    protocol: str = ""
    app: str = ""
    known: bool = False
    """Whether an application knows it, or a server got input of its client."""
    instance: str = ""
    """The instance of the application that held it last."""
    resync: str = ""
    """Why its client may have missed output, until the application is known to have heard it."""
    suspect: int = 0
    """The command that was under way when a run of the application died, or 0."""
    suspect_runs: int = 0
    """How many runs died so."""
    input_mode: str = "line"
    """`line`, `key` or `secret`."""
    tokens: Tokens = field(default_factory=Tokens)
    code: bytes = b""
    """The hash of the resume code."""
    code_expires: float = 0.0
    """When it is good no more; 0: as long as the session."""
    code_before: bytes = b""
    """The hash of the token that the client resumed with: valid until the client is known to
    have the new one."""
    numbered: bool = False
    """Whether the client numbers its commands itself."""
    attempt: int = 0
    """The client's own count of its connections, as of the newest that attached."""
    detached: float = 0.0
    """Since when, or 0."""
    ends: tuple[EpochEnd, ...] = ()
    era: int = 0
    """The era of its logs (`Eras`)."""
    notes: bytes = b""
    """The backend's own, opaque."""

    def copy(self) -> Row:
        """The row as it is now, whatever becomes of it."""
        return replace(
            self,
            tokens=replace(self.tokens),
        )


class Record(Struct, array_like=True, gc=False):
    """News of a session's logs, and where both stand after it."""

    n: int
    """Position among the session's records. A snapshot has that of the newest it holds."""
    outs: Sequence[OutputEntry | int]
    """The new entries of the OUT log; the last one's number is `top`. An `int` is the place of
    one in its batch's `shared`."""
    ins: Sequence[Queued]
    base: int
    acked: int
    maybe_delivered: int
    top: int
    applied: int
    cin: int
    offset: int
    assumed: int = 0
    prompt: str = ""


_POSITION_BYTES: Final = 8


class Extension(Struct, array_like=True, gc=False):
    """The same outputs, added to the logs of several sessions of which nothing else has changed.

    It stands for a record of each. What it does not have is as in the session's record before.
    """

    outs: Sequence[OutputEntry | int]
    """As in a record."""
    positions: bytes
    """`n` of the record of each session, and then `top` of each: 8 bytes, little-endian."""

    @classmethod
    def of(
        cls, outs: Sequence[OutputEntry | int], ns: Sequence[int], tops: Sequence[int]
    ) -> Extension:
        """The extension of sessions with these `n` and `top`."""
        return cls(outs, pack(f"<{2 * len(ns)}Q", *ns, *tops))

    def position(self, place: int) -> tuple[int, int]:
        """`n` and `top` of the session at a place, counted from 0. Raises `ValueError`."""
        count = len(self.positions) // (2 * _POSITION_BYTES)
        if not 0 <= place < count:
            raise ValueError(f"it has {count} sessions, and none at place {place}")
        found = memoryview(self.positions)
        return _number_at(found, place), _number_at(found, count + place)


def _number_at(numbers: memoryview, place: int) -> int:
    start = place * _POSITION_BYTES
    return int.from_bytes(numbers[start : start + _POSITION_BYTES], "little")


class SetAside(Struct):
    """An unreadable part of the store, kept for operators."""

    sid: str
    """Empty if it is not one session's."""
    fault: str
    """Why not."""
    body: bytes
    """As the store had it."""
    entry: int = 0
    """The number of the journal's entry that goes with it, if any."""


class Batch(Struct):
    """One group commit: all of it becomes durable, or none."""

    number: int = 0
    """Its place in the journal; each is above the one before."""
    rows: list[Row] = field(default_factory=list)
    records: Sequence[tuple[JournalKey, Record]] = field(default_factory=list)
    """By `sid`, as `pack_sid` packs it; one for each session."""
    extensions: Sequence[tuple[list[JournalKey], Extension]] = field(default_factory=list)
    """Of other sessions, by those of several."""
    shared: list[OutputEntry] = field(default_factory=list)
    """What several records hold: it is stored once."""
    snapshots: list[tuple[str, Record]] = field(default_factory=list)
    snapshots_shared: list[OutputEntry] = field(default_factory=list)
    """What several snapshots hold: it is stored once, as long as any of them is there."""
    journal_from: int = 0
    """If above 0: the journal before this number is done with."""
    deleted: list[str] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)
    """By application instance: the highest output number taken in."""
    forgotten: list[str] = field(default_factory=list)
    """Application instances that will not come back."""
    settings: dict[str, bytes] = field(default_factory=dict)
    """An empty value forgets a setting."""
    set_aside: list[SetAside] = field(default_factory=list)
    """Their sessions are also among the deleted ones."""
    sync: bool = False
    """Whether it must survive a loss of power, and not only the death of the process."""
    whole: bool = False
    """Whether it has all of every session that is loaded: earlier commits are lost."""

    @property
    def brief(self) -> bool:
        """Whether there is nothing beside news of sessions' logs."""
        return not (
            self.rows
            or self.snapshots
            or self.journal_from
            or self.deleted
            or self.accepted
            or self.forgotten
            or self.settings
            or self.set_aside
        )

    @property
    def news(self) -> Sequence[tuple[JournalKey, Record] | tuple[list[JournalKey], Extension]]:
        """What the journal's entry for this batch has."""
        return [*self.records, *self.extensions] if self.extensions else self.records


class Head(Struct, gc=False):
    """The fields of a `Row` to find, count and end a stored session without loading it."""

    sid: str
    created: float
    state: str = "connecting"
    user: str = ""
    profile: str = ""
    data: bytes = b""
    groups: tuple[str, ...] = ()
    address: str = ""
    protocol: str = ""
    app: str = ""
    known: bool = False
    instance: str = ""
    code: bytes = b""
    code_before: bytes = b""
    detached: float = 0.0
    era: int = 0
    kept: bool = False
    """Whether something was kept for it: a user, data, a profile or groups. The latter three are
    empty from then on: they may be large."""

    def note_kept(self) -> None:
        """Set `kept`."""
        if self.data or self.profile or self.groups:
            self.kept = True
            self.data, self.profile, self.groups = b"", "", ()
        elif self.user:
            self.kept = True


def head_of(row: Row) -> Head:
    """The head of a row."""
    head = Head(**{name: getattr(row, name) for name in Head.__struct_fields__ if name != "kept"})
    head.note_kept()
    return head


class StoredSession(Struct):
    """One session as the store has it."""

    row: Row
    records: list[Record]
    """The snapshot, if there is one, and the records after it, in order."""
    generation: int = 0
    """How many nodes of the store have had it; 0 on a single node."""


class Found(Struct):
    """Sessions that were asked for. Those that the store does not have are missing."""

    sessions: list[StoredSession] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    """What cannot be read. It stays where it is until a commit sets it aside."""


class Recovered(Struct):
    """One step of `Store.recover`."""

    left: int
    """How many sessions there are still to do."""
    set_aside: list[SetAside] = field(default_factory=list)
    """What could not be read. It is set aside already."""


ENDED_RUNS_MAX: Final = 100
"""Runs that have ended, of which applications are told that link later."""


class EndedRun(Struct, frozen=True):
    """A run of a gateway that has ended, whose sessions another one has adopted."""

    number: int
    node: str
    heard: dict[str, int]
    """By key of an instance: the newest output that it had stored."""


class Stored(Struct):
    """The result of opening a store. The sessions themselves are loaded on demand."""

    clean: bool
    """Whether the gateway before stopped in an orderly way."""
    number: int = 0
    """Of the newest commit."""
    journal_bytes: int = 0
    """Size of the journal of the run before, which `Store.recover` folds."""
    newest: float = 0.0
    """The latest time that any session names."""
    heads: list[Head] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)
    """What cannot be read. It stays where it is until a commit sets it aside."""
    ended: list[EndedRun] = field(default_factory=list)
    """The runs whose sessions were adopted. At the start, `accepted` has what earlier runs of the
    same node have heard."""
