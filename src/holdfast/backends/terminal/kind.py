"""What the terminals of a kind are made of: a plan, and the channel that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from holdfast.backends.terminal.dialogue import Dialogue
from holdfast.core.errors import HoldfastError, Source
from holdfast.net.security_log import SecurityEvent


class TerminalError(HoldfastError):
    """A terminal cannot be had, or has ended. The text is for the user.

    `code` names the fault for programs; `security` is what the security log says, with `fields`.
    """

    source = Source.REMOTE

    def __init__(
        self,
        code: str,
        text: str,
        security: SecurityEvent | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.security = security
        self.fields = dict(fields or {})


class Plan(Struct):
    """Where a terminal is to be. A kind has a subclass with what it needs."""

    target: str
    """Its name in messages and limits."""
    user: str


class Exit(Struct, frozen=True):
    """How what ran in a terminal has ended."""

    status: int | None = None
    signal: str = ""
    error: str = ""
    """Why it was cut off, if it was."""


class Sink(Protocol):
    """The receiver of a channel's events."""

    def received(self, data: bytes) -> None:
        """Output. Hot path."""

    def writable(self) -> None:
        """More input is taken again."""

    def ended(self, exit: Exit, *, broken: bool = False) -> None:
        """There is no more output. Called once. `broken` is whether the other end has broken its
        protocol."""


class Channel(Protocol):
    """A terminal as its bridge uses it."""

    @property
    def full(self) -> bool:
        """Whether input is to wait."""

    def write(self, data: bytes) -> None:
        """Send input. Hot path."""

    def pause_reading(self) -> None:
        """Stop the output; the sender is held up."""

    def resume_reading(self) -> None:
        """Go on."""

    def resize(self, columns: int, rows: int) -> None:
        """The screen has this size."""

    def signal(self, name: str) -> None:
        """Send a signal (`INT`) to what runs."""

    def round_trip(self) -> float | None:
        """Seconds to the other end and back, if that is known."""

    async def close(self) -> None:
        """Release everything, in order. May be called again. Raises nothing."""


class Screen(Struct, frozen=True):
    """The terminal of a client."""

    term: str
    columns: int
    rows: int
    echo: bool
    """Whether the other end shows what is typed: a client that types lines shows it itself."""


class Opener(Protocol):
    """Makes the terminals of one backend."""

    async def plan(self, dialogue: Dialogue) -> Plan:
        """Ask what must be known. Raises `TerminalError`."""

    async def connect(self, plan: Any, dialogue: Dialogue, screen: Screen, sink: Sink) -> Channel:
        """Connect and log in. Raises `TerminalError`. When cancelled, it leaves nothing behind."""
