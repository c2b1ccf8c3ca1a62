"""Queued output, and where in it compression begins and ends."""

from __future__ import annotations

from holdfast.protocols.telnet.options.mccp import Deflater


class Output(list[bytes]):
    """What is to be sent, in order. The list itself holds what is not compressed yet."""

    __slots__ = ("_deflater", "_ready")

    def __init__(self) -> None:
        super().__init__()
        self._ready = b""
        """What was queued before compression began or ended, as it goes on the wire."""
        self._deflater: Deflater | None = None

    @property
    def compressed(self) -> bool:
        """Whether what is queued now will be compressed."""
        return self._deflater is not None

    @property
    def checksum(self) -> int | None:
        """Of what the compressed stream contains so far; `None` without one, or while it is
        empty."""
        return None if self._deflater is None else self._deflater.checksum

    @property
    def history(self) -> bytes:
        """The newest part of the compressed stream's contents."""
        return b"" if self._deflater is None else self._deflater.history

    def take(self) -> bytes:
        """Everything queued, once; where it is compressed, flushed once."""
        data = b"".join(self)
        self.clear()
        if self._deflater is not None and data:
            data = self._deflater.compress(data)
        if self._ready:
            data, self._ready = self._ready + data, b""
        return data

    def encode(self) -> bytes:
        """Everything queued as `take` would return it; it stays queued."""
        self._ready = self.take()
        return self._ready

    def compress(self) -> None:
        """What is queued later is compressed."""
        self.encode()
        self._deflater = Deflater()

    def end_compression(self) -> None:
        """What is queued later is plain."""
        if self._deflater is not None:
            self._ready = self.take() + self._deflater.finish()
            self._deflater = None

    def restore(self, unsent: bytes, deflater: Deflater | None) -> None:
        """Go on where another process was, which had not sent `unsent` yet; `deflater` continues
        its compressed stream."""
        self.clear()
        self._ready = unsent
        self._deflater = deflater
