"""A connection as it can be written down, to go on elsewhere: in another process, say.

Everything is there but two things. A compressor's memory: what is sent from then on
refers to nothing before, as after `rest`. And a compressed message that has come in
part, which zlib cannot write down: `NotBetweenMessagesError`, try again once it is whole.
"""

from __future__ import annotations

from msgspec import Struct

from holdfast.core.errors import SnapshotError
from holdfast.protocols.websocket.head import Request
from holdfast.protocols.websocket.states import State


class NotBetweenMessagesError(SnapshotError):
    """A compressed message has come in part: it cannot be written down."""

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
