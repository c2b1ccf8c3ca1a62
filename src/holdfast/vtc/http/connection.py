"""One connection of a client or a server while its specification runs.

`expect` compares the data received last: the head of the last request and response, and the
body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.vtc.http.connection_state import ConnectionState
from holdfast.vtc.http.head import Head
from holdfast.vtc.io.stream_socket import Listener, StreamSocket
from holdfast.vtc.language.errors import Note
from holdfast.vtc.language.source import ENCODING

if TYPE_CHECKING:
    from holdfast.vtc.h2.connection import Http2Connection
    from holdfast.vtc.run.scope import Scope

MESSAGE_BYTES_MAX = 2048 * 1024
"""A whole message, head and body. The reference's receive buffer."""
_SHOWN_CHARS_MAX = 2000


class NonFatalError(Exception):
    """An I/O error that the specification has declared harmless (`non_fatal`)."""


class HttpConnection(ConnectionState):
    """The state of one connection."""

    def __init__(
        self,
        name: str,
        sock: StreamSocket,
        seconds_max: float,
        *,
        is_client: bool,
        listener: Listener | None,
    ) -> None:
        super().__init__(name, seconds_max, is_client=is_client)
        self.sock: StreamSocket | None = sock
        """`None` once the specification has closed it."""
        self.peer = sock.peer
        """Whom it was opened to."""
        self.listener = listener
        """Where a server's next connection comes from."""
        self.request: Head = []
        self.response: Head = []
        self.raw = bytearray()
        """The last head, as far as it was received."""
        self.body: bytearray | None = None
        self.chunk_length = ""
        self.head_method = False
        """The last request was a HEAD, so its response has no body."""
        self.h2: Http2Connection | None = None

    @property
    def fd(self) -> int:
        """For the log."""
        return self.sock.fd if self.sock else -1

    def open_socket(self, scope: Scope[HttpConnection]) -> StreamSocket:
        """The connection. Raises `Failure` if the specification has closed it."""
        if self.sock is None:
            raise scope.failure("the connection is closed")
        return self.sock

    def trouble(self, scope: Scope[HttpConnection], text: str) -> Exception:
        """Return the exception for an I/O error: a failure, or `NonFatalError` if errors are
        not fatal."""
        return scope.failure(text, None, *self.notes()) if self.fatal else NonFatalError(text)

    def notes(self) -> tuple[Note, ...]:
        """Return notes with the data received last, for a failure."""
        found = []
        if self.raw:
            found.append(Note("received", self.raw.decode(ENCODING)))
        if self.body:
            shown = bytes(self.body[:_SHOWN_CHARS_MAX]).decode(ENCODING)
            more = len(self.body) - len(shown)
            found.append(Note("body", shown + (f"\n… and {more} bytes more" if more else "")))
        return tuple(found)
