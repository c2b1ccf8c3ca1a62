"""One message for many connections, encoded and compressed once.

A compressed message normally refers to earlier ones on its connection. A broadcast refers to
nothing, so it is the same for all connections with one window size. A connection with context
takeover then resets its compression context, because its compressor has not seen the broadcast
that is in the receiver's window.
"""

from __future__ import annotations

from holdfast.protocols.websocket import codec
from holdfast.protocols.websocket.connection import DEFLATED, FIN, ServerConnection
from holdfast.protocols.websocket.deflate import PerMessageDeflate
from holdfast.protocols.websocket.frames import Opcode


class Broadcast:
    """A message to be sent on any number of a server's connections."""

    __slots__ = ("_first", "_frames", "_payload")

    def __init__(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._first, self._payload = FIN | Opcode.TEXT, message.encode()
        else:
            self._first, self._payload = FIN | Opcode.BINARY, message
        self._frames: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return len(self._payload)

    def frame(self, connection: ServerConnection) -> bytes:
        """The frame for `connection`, for the caller to write as `encode_text`'s."""
        deflate = connection.deflate
        if deflate is not None and len(self._payload) >= deflate.threshold:
            packed = self._frames.get(deflate.compressor.bits)
            if packed is None:
                packed = self._frames[deflate.compressor.bits] = self._compress(deflate)
            if packed:
                deflate.rest()
                return packed
        plain = self._frames.get(0)
        if plain is None:
            plain = self._frames[0] = codec.encode(self._first, self._payload, None)
        return plain

    def _compress(self, deflate: PerMessageDeflate) -> bytes:
        """The compressed frame; empty if it would not be shorter."""
        packed = deflate.owner.shared(deflate.compressor.bits).compress(self._payload)
        return codec.encode(self._first | DEFLATED, packed, None) if packed else b""
