"""Connections made of two lists of bytes. Nothing moves unless it is told to."""

from __future__ import annotations

import asyncio
from typing import Any


class End(asyncio.Transport):
    """One end of a pipe: what a protocol believes to be its socket."""

    def __init__(self, pipe: Pipe, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.peer: End
        self.outgoing = bytearray()
        self.seal: bytearray | None = None
        """What is written from now on, if anybody cares."""
        self.protocol: Any = None
        self.gone = False
        self._pipe = pipe
        self._loop = loop
        self._closing = False
        self._paused = False
        self._eof_told = False

    # --- what a protocol does

    def write(self, data: Any) -> None:
        if not self._closing and not self.gone and not self._pipe.cut:
            self.outgoing += data
            if self.seal is not None:
                self.seal += data

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self.lose, None)

    def abort(self) -> None:
        self._closing = True
        self.outgoing.clear()
        self._loop.call_soon(self.lose, None)

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False

    # --- what the network does

    def lose(self, cause: Exception | None) -> None:
        """This end learns that the connection is gone."""
        if not self.gone:
            self.gone = True
            self._closing = True
            self.protocol.connection_lost(cause)

    def arrive(self, count: int | None = None) -> bool:
        """Bytes that the other end wrote arrive here, at most `count`. Whether any did."""
        if self.gone or self._closing or self._pipe.cut or self._paused:
            return False
        waiting = self.peer.outgoing
        part = bytes(waiting[:count])
        del waiting[: len(part)]
        if part:
            self.protocol.data_received(part)
            return True
        if (self.peer.gone or self.peer.is_closing()) and not self._eof_told:
            self._eof_told = True
            if not self.protocol.eof_received():
                self.close()
            return True
        return False


class Pipe:
    """A connection between two protocols."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.near = End(self, loop)
        self.far = End(self, loop)
        self.near.peer, self.far.peer = self.far, self.near
        self.cut = False

    def connect(self, near: Any, far: Any) -> None:
        """Both protocols learn of their transport."""
        self.near.protocol, self.far.protocol = near, far
        far.connection_made(self.far)
        near.connection_made(self.near)

    def break_(self) -> None:
        """The network fails: what is under way is lost. Each end notices when it is told."""
        self.cut = True
        self.near.outgoing.clear()
        self.far.outgoing.clear()
