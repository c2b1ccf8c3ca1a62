"""Queued output, and where in it compression begins and ends."""

from __future__ import annotations

from holdfast.protocols.telnet.options.mccp import Deflater


class Output:
    """What is to be sent, in order."""

    __slots__ = ("_deflater", "_ready", "queue")

    def __init__(self) -> None:
        self.queue: list[bytes] = []
        """What is not compressed yet. It is always the same list."""
        self._ready = b""
        """What was queued before compression began or ended, as it goes on the wire."""
        self._deflater: Deflater | None = None

    @property
    def compressed(self) -> bool:
        """Whether what is queued now will be compressed."""
        return self._deflater is not None

    @property
    def checksum(self) -> int | None:
        """Of what the compressed stream contains so far; `None` without one."""
        return None if self._deflater is None else self._deflater.checksum

    def take(self) -> bytes:
        """Everything queued, once; where it is compressed, flushed once."""
        data = b"".join(self.queue)
        self.queue.clear()
        if self._deflater is not None and data:
            data = self._deflater.compress(data)
        if self._ready:
            data, self._ready = self._ready + data, b""
        return data

    def compress(self) -> None:
        """What is queued later is compressed."""
        self._ready = self.take()
        self._deflater = Deflater()

    def end_compression(self) -> None:
        """What is queued later is plain."""
        if self._deflater is not None:
            self._ready = self.take() + self._deflater.finish()
            self._deflater = None

    def load(self, unsent: bytes, checksum: int | None) -> None:
        """Go on where another process was, whose last words are `unsent`."""
        self.queue.clear()
        self._ready = unsent
        self._deflater = None if checksum is None else Deflater(checksum)
