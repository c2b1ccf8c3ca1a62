"""TLS of one connection without I/O: `ssl.SSLObject` between two memory buffers.

The transports of `net`, the sockets of the test language and the proof of a certificate use it;
each moves the bytes in its own way.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any


class TlsCore:
    """One end. Write received bytes to `incoming`; send what is in `outgoing` after each call."""

    __slots__ = ("incoming", "object", "outgoing", "records")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side, server_hostname)
        self.records: Any = getattr(self.object, "_sslobj", self.object)
        """What reads and writes records: `ssl.SSLObject` is a Python frame around each call."""

    def shake_hands(self) -> bool:
        """Go on with the handshake. Returns whether it is over; if not, it needs more input.

        Raises `ssl.SSLError` and `OSError`; then an alert for the peer is in `outgoing`.
        """
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def notify_close(self) -> None:
        """End our direction: queue close_notify, if the connection can still send one."""
        # unwrap() also reads, to find the peer's close_notify, and takes data for an error.
        waiting = self.incoming.read()
        with contextlib.suppress(ssl.SSLError, OSError, ValueError):
            self.object.unwrap()
        if waiting:
            self.incoming.write(waiting)
