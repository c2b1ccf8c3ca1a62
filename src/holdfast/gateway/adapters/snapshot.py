"""An adapter as it can be written down: another process restores it and goes on.

Times are seconds from the moment of the snapshot. Names stand for states, because the other
process may be of another version. The listener's limits and settings are not part of it.
"""

from __future__ import annotations

from msgspec import Struct

from holdfast.core.errors import SnapshotError
from holdfast.core.identity import ClientFacts
from holdfast.core.items import Data
from holdfast.gateway.adapters.events import Enter
from holdfast.protocols.framing import LinesSnapshot
from holdfast.protocols.telnet.snapshot import CoreSnapshot
from holdfast.protocols.websocket import ConnectionSnapshot, Request


class HeadingsSnapshot(Struct, frozen=True):
    """What stands under which heading (`headings.Headings`)."""

    missed: int
    maybe_delivered: int
    now: str


class TypedSnapshot(Struct, frozen=True):
    """What typed lines mean (`typed.Typed`)."""

    early: list[str] | None
    ahead: list[str] | None
    ahead_bytes: int
    first: bool
    offered: bool
    asking: str
    username: str
    profiles: list[str]


class TerminalSnapshot(Struct, frozen=True):
    """A person at a terminal (`terminal.TerminalAdapter`)."""

    prompted: str
    headings: HeadingsSnapshot | None
    encoded: int
    typed: TypedSnapshot
    code: str
    secret: bool
    lines: int


class LineAdapterSnapshot(Struct, frozen=True, tag="lines"):
    """A client of lines (`lines.LineAdapter`)."""

    terminal: TerminalSnapshot
    lines: LinesSnapshot
    newcomer: bool
    first_bytes: bytes | None
    enter_seconds: float | None
    """When it enters a session, if it has not."""
    unsent: bytes


class PackageSnapshot(Struct, frozen=True):
    """GMCP's package `Holdfast` (`gmcp_package.HoldfastPackage`)."""

    entry: Enter
    token: str


class TelnetAdapterSnapshot(Struct, frozen=True, tag="telnet"):
    """A Telnet client (`telnet.TelnetAdapter`)."""

    terminal: TerminalSnapshot
    core: CoreSnapshot
    probed: int
    settled: bool
    package: PackageSnapshot | None
    said_early: list[Data]


class WebSocketAdapterSnapshot(Struct, frozen=True, tag="websocket"):
    """A WebSocket client (`websocket.WebSocketAdapter`)."""

    core: ConnectionSnapshot
    unfinished: bytes | None
    """The part of a message that the dialect has not read yet; `None` after an error."""
    accepted: bool
    maybe_delivered: int
    message: int
    message_seconds: float | None
    """When the message that arrives must be whole."""
    flow_seconds: tuple[float, float]
    tokens: int
    facts: ClientFacts
    forwarded: list[str]
    credential: str
    """The token in the request of a client that has not entered a session."""


class EventStreamAdapterSnapshot(Struct, frozen=True, tag="event_stream"):
    """A client with an event stream (`event_stream.EventStreamAdapter`)."""

    request: Request
    stream: str
    accepted: bool
    epoch: str
    line: bytes
    """The part of a message that was read."""
    expected: int
    """Bytes of a request that wait behind it."""
    beat_seconds: float | None
    """When the client is to hear that the connection is alive."""
    flow_seconds: tuple[float, float]
    tokens: int
    unsent: bytes
    forwarded: list[str]
    credential: str
    """The token in the request of a client that has not entered a session."""


AdapterSnapshot = (
    LineAdapterSnapshot
    | TelnetAdapterSnapshot
    | WebSocketAdapterSnapshot
    | EventStreamAdapterSnapshot
)


def other_kind(found: AdapterSnapshot, expected: type[Struct]) -> SnapshotError:
    """The error for a snapshot of another kind of client."""
    return SnapshotError(f"expected a {expected.__name__}, found a {type(found).__name__}")
