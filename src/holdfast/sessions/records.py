"""What the store keeps of a session.

Two kinds: a `Row`, which changes rarely (who it is, where it stands, its
tokens), and `Record`s, one for each group commit in which its logs changed. A
record carries the new entries and all marks, so the newest record tells where
both logs stand; the older ones are deleted once their entries are done with.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import Entry
from holdfast.sessions.tokens import Tokens


class Capabilities(Struct, frozen=True, omit_defaults=True):
    """What the client at the other end can show and do."""

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


class EpochEnd(Struct, frozen=True, array_like=True):
    """Where an older output log ended: whoever saw no more of it has lost nothing."""

    epoch: str
    top: int


class Row(Struct):
    """The rarely changing part of a session, as it is stored."""

    sid: str
    epoch: str
    durability: str
    created: float
    """Wall clock, as all times here."""
    gen: int = 0
    state: str = "connecting"
    user: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    """The application's own, from the login."""
    profile: str = ""
    data: bytes = b""
    """The application's own, opaque."""
    groups: list[str] = field(default_factory=list)
    capabilities: Capabilities = field(default_factory=Capabilities)
    address: str = ""
    protocol: str = ""
    app: str = ""
    known: bool = False
    """Whether an application has been told of it."""
    input_mode: str = "line"
    """`line`, `key` or `secret`."""
    tokens: Tokens = field(default_factory=Tokens)
    code: bytes = b""
    """The hash of the resume code."""
    numbered: bool = False
    """Whether the client numbers its commands itself."""
    detached: float = 0.0
    """Since when, or 0."""
    ends: list[EpochEnd] = field(default_factory=list)


class Record(Struct, array_like=True, gc=False):
    """What one group commit adds to a session's logs, and where they stand after it."""

    n: int
    """Position among the session's records."""
    outs: Sequence[Entry]
    """The new entries of the OUT log; the last one's number is `top`."""
    ins: Sequence[Queued]
    base: int
    acked: int
    seen: int
    top: int
    applied: int
    cin: int
    offset: int


class Trim(Struct, array_like=True, gc=False):
    """Every record of a session up to number `n` is done with."""

    sid: str
    n: int


class Batch(Struct):
    """One group commit: all of it becomes durable, or none."""

    rows: list[Row] = field(default_factory=list)
    records: list[tuple[str, Record]] = field(default_factory=list)
    trims: list[Trim] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)
    """By application instance: the highest output number taken in."""
    forgotten: list[str] = field(default_factory=list)
    """Application instances that will not come back."""
    settings: dict[str, bytes] = field(default_factory=dict)
    sync: bool = False
    """Whether it must survive a loss of power, and not only the death of the process."""

    def __len__(self) -> int:
        return (
            len(self.rows)
            + len(self.records)
            + len(self.deleted)
            + len(self.accepted)
            + len(self.forgotten)
            + len(self.settings)
        )


class Stored(Struct):
    """Everything that a store knows when it is opened."""

    clean: bool
    """Whether the gateway before stopped in an orderly way."""
    sessions: list[tuple[Row, list[Record]]] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
