"""Where a command can stand."""

from __future__ import annotations

from enum import Enum


class Context(Enum):
    """Where a command can stand. The value is the name of its package in `commands`."""

    ANYWHERE = "anywhere"
    TOP = "top"
    HTTP = "http"
    """The specification of a client or a server."""
    STREAM = "stream"
    """The specification of an HTTP/2 stream."""
    TUNNEL = "tunnel"
    SYSLOG = "syslog"
    CLI = "cli"
    """HAProxy's command line, `haproxy -cli` and `-mcli`."""
    WS = "ws"
    """The specification of a `ws`: a WebSocket."""
    LINES = "lines"
    """The specification of a `telnet` or a `lines`."""
    SESSION = "session"
    """The specification of a `session`: a gateway's client."""
    SAME = ""
    """For a specification only: it runs where its command stands."""

    def within(self, outer: Context) -> Context:
        """The context itself; for `SAME` the one around it."""
        return outer if self is Context.SAME else self
