"""The snapshot of a core, for a process that takes over a connection from another.

Times are relative to the snapshot. States are stored by name: the other process may be of another
version.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from holdfast.protocols.telnet.capabilities import Capabilities


class ParserSnapshot(Struct, frozen=True):
    """Where in a token the input has been cut."""

    state: str
    verb: int
    option: int
    payload: bytes | None
    open_seconds: float | None


class LinesSnapshot(Struct, frozen=True):
    """The line so far."""

    partial: bytes | None
    too_long: bool
    after_cr: bool
    heard: str
    undecodable: int


class OptionSnapshot(Struct, frozen=True):
    """One option: the state of both sides, and what its handler knows."""

    us: str
    him: str
    watched: bool
    handler: tuple[Any, ...]


class CoreSnapshot(Struct, frozen=True):
    """One end of a connection."""

    phase: str
    parser: ParserSnapshot
    lines: LinesSnapshot
    options: dict[int, OptionSnapshot]
    capabilities: Capabilities
    timers: tuple[tuple[float, int], ...]
    settle_seconds: float | None
    paid_seconds: float
    echoing: bool
    malformed: int
    overflows: int
    tokens: int
    inflated: int
    unsent: bytes
    """What is to be sent first, as it goes on the wire."""
    compressed: bool
    """Whether output is compressed behind that."""
    checksum: int | None
    """Of what the compressed stream contains so far; `None` without one, or while it is empty:
    then its header is not written either."""
    history: bytes = b""
    """The newest part of the compressed stream's contents."""
