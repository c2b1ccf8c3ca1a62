"""The snapshot of a connection, to restore it elsewhere, for instance in another process.

Two things are not part of it. The window of a compressor: later messages do not refer to
earlier ones, as after `rest`. And a compressed message that is incomplete, which zlib
cannot serialize: `NotBetweenMessagesError`; try again once it is complete.
"""

from __future__ import annotations

from msgspec import Struct

from holdfast.core.errors import SnapshotError
from holdfast.protocols.websocket.head import Request
from holdfast.protocols.websocket.states import State


class NotBetweenMessagesError(SnapshotError):
    """A compressed message is incomplete: there can be no snapshot."""

    retryable = True


class MessageSnapshot(Struct, frozen=True):
    """A message whose frames are still arriving."""

    text: bool
    so_far: bytes
    """Of a text, without the beginning of a character."""
    size: int
    """Its bytes so far."""
    fragments: int
    undecoded: bytes = b""


class FrameSnapshot(Struct, frozen=True):
    """A frame whose payload is still arriving."""

    fin: bool
    key: bytes | None
    left: int
    offset: int


class DecoderSnapshot(Struct, frozen=True):
    """The receiving half."""

    tail: bytes
    begun: int
    done: bool
    message: MessageSnapshot | None
    frame: FrameSnapshot | None


class DeflateSnapshot(Struct, frozen=True):
    """What was agreed on compression, and what the peer's next message may refer to."""

    compressor_bits: int
    compressor_keeps_context: bool
    bits: int
    fresh: bool
    window: bytes | None


class ConnectionSnapshot(Struct, frozen=True):
    """One side of a connection. `restore` of the same role takes it."""

    state: State
    head: bytes | None
    out: bytes
    """What was queued and not fetched."""
    subprotocol: str | None
    decoder: DecoderSnapshot
    deflate: DeflateSnapshot | None
    request: Request | None = None
    """A server's: the request that is not answered yet."""
    nonce: bytes = b""
    """A client's."""
