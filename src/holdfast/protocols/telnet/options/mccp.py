"""MCCP, the MUD Client Compression Protocol: one zlib stream (RFC 1950) in one direction.

Version 2 compresses the server's output, version 3 the client's. In both, the compressing side
sends `IAC SB option IAC SE`; its later output is compressed, negotiations included, until the
stream ends.

https://tintin.mudhalla.net/protocols/mccp/
"""

from __future__ import annotations

import zlib
from typing import Final

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet.codes import MCCP2, MCCP3
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option

_EMPTY: Final = zlib.adler32(b"")
_LEVEL: Final = 6
_WINDOW_BITS: Final = 12
_MEMORY_LEVEL: Final = 5
_HISTORY_BYTES: Final = (1 << _WINDOW_BITS) - 262
"""How far back zlib refers in a window of this size: all but its look-ahead."""
_HEADER: Final = zlib.compress(b"", _LEVEL, _WINDOW_BITS)[:2]


class Deflater:
    """The output, as one zlib stream.

    After a flush the stream is byte-aligned, and zlib's compressor knows nothing that is not in
    the newest output. So between two flushes there is no compressor, only that output: a new
    compressor continues the stream with it as its dictionary, also in another process. This costs
    4 kB for each connection instead of 25 kB, and some microseconds for each flush. Only the
    checksum at the end needs all of the input.
    """

    __slots__ = ("checksum", "history")

    def __init__(self, checksum: int | None = None, history: bytes = b"") -> None:
        self.checksum = checksum
        """Of what went in; `None` before anything did."""
        self.history = history
        """The newest output, to which what follows may refer."""

    def compress(self, data: bytes) -> bytes:
        """`data`, so that the peer can read all of it at once."""
        stream = _compressor(self.history)
        packed = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        checksum = self.checksum
        if checksum is None:
            packed, checksum = _HEADER + packed, _EMPTY
        self.checksum = zlib.adler32(data, checksum)
        self.history = (self.history + data[-_HISTORY_BYTES:])[-_HISTORY_BYTES:]
        return packed

    def finish(self) -> bytes:
        """The end of the stream."""
        end = _compressor(b"").flush(zlib.Z_FINISH)
        if self.checksum is None:
            return _HEADER + end + _EMPTY.to_bytes(4, "big")
        return end + self.checksum.to_bytes(4, "big")


def _compressor(history: bytes) -> zlib._Compress:
    """A compressor without a header of its own."""
    return zlib.compressobj(
        _LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, history
    )


class InflateError(Exception):
    """The input is no zlib stream."""


class Inflation:
    """How much compressed input one connection has sent, and what came out of it.

    A peer may end a stream and begin another as often as it likes: this is about all of them.
    """

    __slots__ = ("_limits", "_paid_until", "made", "read")

    def __init__(self, limits: TelnetLimits) -> None:
        self._limits = limits
        self._paid_until = 0.0
        self.read = 0
        """How many bytes have gone in."""
        self.made = 0
        """How many bytes have come out."""

    def exceeds(self, ratio: int) -> bool:
        """Whether the output is more than `ratio` times the input (a "zip bomb")."""
        return self.made > self._limits.inflate_bytes_max + ratio * self.read

    def is_too_fast(self, size: int, now: float) -> bool:
        """Account for `size` bytes that have come out; whether they are more than a client may
        send in this time, compressed or not (GCRA)."""
        limits = self._limits
        self._paid_until = max(self._paid_until, now) + size / limits.bytes_per_second_max
        return self._paid_until - now > limits.bytes_burst_max / limits.bytes_per_second_max


class Inflater:
    """The decompressed input of one zlib stream, in bounded steps."""

    __slots__ = ("_bytes_max", "_stream", "inflation")

    def __init__(self, bytes_max: int, inflation: Inflation) -> None:
        self.inflation = inflation
        self._bytes_max = bytes_max
        self._stream = zlib.decompressobj()

    @property
    def ended(self) -> bool:
        """Whether the stream is over."""
        return self._stream.eof

    def inflate(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the decompressed `data`, at most `inflate_bytes_max`, and the rest of `data`:
        the bytes after the end of the stream, or input for another call. Raises `InflateError`.

        If the result has the maximum size, call again, even with no input: there may be more.
        """
        stream = self._stream
        try:
            out = stream.decompress(data, self._bytes_max)
        except zlib.error as error:
            raise InflateError(str(error)) from error
        rest = stream.unused_data if stream.eof else stream.unconsumed_tail
        self.inflation.read += len(data) - len(rest)
        self.inflation.made += len(out)
        return out, rest


class OutputCompressed(Option):
    """MCCP2 at the server: it compresses once the opening is over, since a client may not
    expect that the answers to its terminal's type come compressed."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        if host.is_settled:
            host.start_compressing(MCCP2)

    def settle(self, host: Host) -> None:
        host.start_compressing(MCCP2)

    def disabled(self, host: Host, side: Side) -> None:
        host.stop_compressing()


class OutputCompressedAtOnce(Option):
    """MCCP3 at the client: it compresses as soon as it has agreed."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.start_compressing(MCCP3)

    def disabled(self, host: Host, side: Side) -> None:
        host.stop_compressing()


class InputCompressed(Option):
    """MCCP3 at the server and MCCP2 at the client: the peer announces the beginning.

    Disabling the option changes nothing: the stream ends by itself.
    """

    __slots__ = ()

    def subnegotiation(self, host: Host, payload: bytes, now: float) -> None:
        host.start_inflating()
