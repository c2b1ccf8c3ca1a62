"""ECHO (RFC 857), used to hide passwords.

While the server echoes, the client shows no input, not even line ends. The server echoes the
line ends only.
"""

from __future__ import annotations

from typing import Any

from holdfast.protocols.telnet.events import InputHidden
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.base import Host, Option


class EchoForHiding(Option):
    """The server's side."""

    __slots__ = ("hidden",)

    def __init__(self) -> None:
        self.hidden = False
        """Whether input is to be hidden now."""

    def snapshot(self, now: float) -> tuple[Any, ...]:
        return (self.hidden,)

    def restore(self, taken: tuple[Any, ...], now: float) -> None:
        (self.hidden,) = taken

    def acceptable(self) -> bool:
        """A client that asks for our echo would get none, unless we hide its input."""
        return self.hidden

    def enabled(self, host: Host, side: Side) -> None:
        host.echo_line_ends(True)

    def disabled(self, host: Host, side: Side) -> None:
        host.echo_line_ends(False)


class EchoObeyed(Option):
    """The client's side."""

    __slots__ = ()

    def enabled(self, host: Host, side: Side) -> None:
        host.emit(InputHidden(True))

    def disabled(self, host: Host, side: Side) -> None:
        host.emit(InputHidden(False))
