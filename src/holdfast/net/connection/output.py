"""The output of a connection: writes are coalesced, and counted. Hot path.

The transport says when it has much unsent. Only from then on is there a look at what is unsent
after each write.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

from holdfast.net.runtime.runtime import Runtime
from holdfast.net.transport.reset import reset_on_close
from holdfast.net.transport.tcp_info import Delivery, output_held, tcp_info, through_tls

_LARGE_BYTES: Final = 64 * 1024


def _discard(data: bytes) -> None:
    """Write where nobody reads."""


class Output:
    """A transport and its unsent output: the writes of one tick leave in one piece."""

    __slots__ = ("_deliver", "_flushed", "_looking", "_out", "_runtime", "_taken", "_transport")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._transport: asyncio.Transport | None = None
        self._deliver: Callable[[bytes], None] = _discard
        """The transport's `write`, while it is there to be written to."""
        # One write a tick is the rule, and takes no list. All counters that a message moves
        # are as few as can be: with a thousand connections each costs a cache miss.
        self._out: bytes | list[bytes] | None = None
        self._flushed = self._taken = 0
        self._looking = False
        """Whether each write is followed by a look at what is unsent."""

    def _begin_output(self, transport: asyncio.Transport) -> None:
        """The transport is there: what is written goes to it."""
        self._transport = transport
        self._deliver = transport.write

    def _discard_output(self) -> None:
        """Discard later output; the transport sends what it has."""
        self._deliver = _discard

    def _end_output(self) -> None:
        """The transport is gone."""
        self._transport = None
        self._deliver = _discard

    def _begin_looking(self) -> None:
        """The transport has much unsent."""
        self._looking = True
        if self._transport is not None and self._deliver is not _discard:
            self._deliver = self._deliver_and_look
        self._look_at_unsent()

    def _end_looking(self) -> None:
        """The transport has little unsent again."""
        self._looking = False
        if self._transport is not None and self._deliver is not _discard:
            self._deliver = self._transport.write

    def _deliver_and_look(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
        self._look_at_unsent()

    def _look_at_unsent(self) -> None:
        """The transport has much unsent, and something was written."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Write `data` at the end of this tick, after earlier output."""
        out = self._out
        if out is None:
            self._out = data
            self._runtime.coalescer.flush_later(self)
        elif isinstance(out, list):
            out.append(data)
        else:
            self._out = [out, data]

    def flush(self) -> None:
        """Give the transport what this tick has written."""
        out = self._out
        if out is None:
            return
        self._out = None
        if isinstance(out, list):
            if max(map(len, out)) >= _LARGE_BYTES:
                self._flush_large(out)
                return
            out = b"".join(out)
        self._flushed += len(out)
        # A transport that has lost its peer takes this and throws it away, or says so.
        deliver = self._deliver  # called at once, it would be sought for as a method first
        try:  # noqa: SIM105 - costs nothing where nothing is raised
            deliver(out)
        except RuntimeError:
            pass

    def _flush_large(self, out: list[bytes]) -> None:
        """As `flush`, for pieces that are not worth the copy that joining them is."""
        self._flushed += sum(map(len, out))
        transport = self._transport
        if transport is None or transport.is_closing() or self._deliver is _discard:
            return
        with contextlib.suppress(RuntimeError):
            # asyncio's transports send an empty last piece again and again (Python 3.12).
            transport.writelines([piece for piece in out if piece])
        if self._looking:
            self._look_at_unsent()

    def send(self, data: bytes) -> None:
        """Write at once, so that `full` is accurate: for streams that are forwarded."""
        if self._out is not None:
            self.write(data)
            self.flush()
            return
        self._flushed += len(data)
        deliver = self._deliver
        try:  # noqa: SIM105 - as in `flush`
            deliver(data)
        except RuntimeError:
            pass

    def abort(self) -> None:
        """Drop the connection at once, with its unsent output."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Drop the connection at once, with a reset where it is TCP: its peer must not take what
        has come for everything."""
        reset_on_close(self.extra("socket"))
        self.abort()

    # --- what is known of it

    @property
    def broken(self) -> bool:
        """Whether output is discarded; `lost` follows."""
        return self._transport is None or self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        buffered = self._transport.get_write_buffer_size() if self._transport is not None else 0
        return buffered + self._pending

    @property
    def bytes_out(self) -> int:
        """Bytes written, this tick's too."""
        out = self._out
        if isinstance(out, bytes):  # the usual case, without `_pending`'s call
            return self._flushed + len(out)
        return self._flushed + self._pending

    @property
    def _pending(self) -> int:
        out = self._out
        if isinstance(out, list):
            return sum(map(len, out))
        return len(out) if out is not None else 0

    @property
    def secure(self) -> bool:
        """Whether TLS protects this connection."""
        return self.extra("ssl_object") is not None

    def extra(self, name: str) -> Any:
        """The transport's `get_extra_info(name)`."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    def delivery(self) -> Delivery | None:
        """How far `bytes_out` has come.

        Exact on accepted TCP sockets, also after a reset, when called from
        `lost`. Through TLS, of what is still on its way `acked` is the least that it can
        be. `None` where it cannot be known: not TCP, not Linux.
        """
        info = tcp_info(self.extra("socket"))
        if info is None:
            return None
        if not self.secure:
            return Delivery(info.acked, info.sent)
        counts = self.extra("tls_bytes")
        return through_tls(info, *counts) if counts is not None else None

    def _takes_output(self) -> bool:
        """Whether the peer has taken output since the last call."""
        sock = self.extra("socket")
        info = tcp_info(sock)
        if info is not None:
            taken = info.acked
        elif sock is not None and sock.family == socket.AF_UNIX:
            taken = self.bytes_out - self.unsent - output_held(sock)
        else:
            return False
        before, self._taken = self._taken, max(taken, self._taken)
        return taken > before
