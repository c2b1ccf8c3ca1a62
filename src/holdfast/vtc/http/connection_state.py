"""The state of a client's or server's connection that HTTP/1 and HTTP/2 share."""

from __future__ import annotations


class ConnectionState:
    """The side, the limits and the body of a connection."""

    def __init__(self, name: str, seconds_max: float, *, is_client: bool) -> None:
        self.name = name
        self.is_client = is_client
        self.seconds_max = seconds_max
        """The time to wait for the peer."""
        self.fatal = True
        """Whether an I/O error ends the test."""
        self.body_length = ""
        """The body's length for `expect`: `<undef>` until the body is read to its end."""
        self.gzip_level = 0
