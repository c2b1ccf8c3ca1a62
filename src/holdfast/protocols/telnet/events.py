"""The events of a Telnet core: a closed union.

A complete line is a plain `str`, because lines are frequent; all other events are frozen
values.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct

from holdfast.core.items import value_in
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.negotiation import Side


class LineTooLong(Struct, frozen=True, gc=False):
    """A line exceeded the limit and was discarded whole: half a command must not be run."""


class Prompt(Struct, frozen=True, gc=False):
    """Client: text without a line end that the server closed with EOR or GA (RFC 885, 854)."""

    text: str


class InputHidden(Struct, frozen=True, gc=False):
    """Client: the server took over (or gave back) the echo, as for a password (RFC 857)."""

    hidden: bool


class WindowSize(Struct, frozen=True, gc=False):
    """The peer's window in characters, held to usable values; 0 is unknown (RFC 1073)."""

    width: int
    height: int


class CapabilitiesChanged(Struct, frozen=True, gc=False):
    """More is known of the peer, its window's size excepted: that is `WindowSize`."""

    capabilities: Capabilities


class CharsetHeard(Struct, frozen=True, gc=False):
    """The last line was beyond ASCII and showed the character set of a peer that named none."""

    charset: str


class Gmcp(Struct, frozen=True, gc=False):
    """A GMCP message: a package's name, and one JSON text, bare words or nothing."""

    package: str
    json: str

    @property
    def value(self) -> Any:
        """The value of the JSON text, the words as they are, or `None` for nothing.

        Raises `ValueError` for a number with more digits than Python reads.
        """
        return value_in(self.json) if self.json else None


class Msdp(Struct, frozen=True, gc=False):
    """An MSDP variable and its value: one JSON text of strings, arrays and objects."""

    variable: str
    json: str


class Mssp(Struct, frozen=True):
    """Client: what the server says of itself, by MSSP's names; several values are a list."""

    values: dict[str, str | list[str]]


class Interrupt(Struct, frozen=True, gc=False):
    """IP, BRK or ABORT: the user asks to stop the running command (RFC 854, 1184)."""


class OutputAborted(Struct, frozen=True, gc=False):
    """AO: the caller discards the output that it has not written yet (RFC 854)."""


class OptionChanged(Struct, frozen=True, gc=False):
    """The peer has agreed to an option, or refused or ended it, after the caller requested it."""

    option: int
    side: Side
    on: bool


class LinemodeChanged(Struct, frozen=True, gc=False):
    """LINEMODE: who edits lines and turns keys into signals from now on (RFC 1184)."""

    edit: bool
    """Whether the client edits lines."""
    trapsig: bool
    """Whether the client sends signals (`Interrupt`) instead of keys."""


class ProbeAnswered(Struct, frozen=True, gc=False):
    """All that was sent before the probe has reached the client's program."""

    seconds: float
    """From the probe to its answer."""


class Settled(Struct, frozen=True, gc=False):
    """The opening negotiation is over: options that the peer did not answer are off."""


class Fault(Enum):
    """An error of the peer that ends its connection; the value is a message for users."""

    NEGOTIATION_FLOOD = "too many commands and negotiations"
    SUBNEGOTIATION_OVERFLOW = "too many overlong subnegotiations"
    HTTP = "speaks HTTP, not Telnet"
    SSH = "speaks SSH, not Telnet"
    TLS = "speaks TLS on a plain port"
    NOT_COMPRESSED = "sent as compressed what is not"
    ZIP_BOMB = "compressed input that becomes far too much"


class Violation(Struct, frozen=True, gc=False):
    """The last event: the caller writes the queued output and closes. Later input is ignored."""

    reason: Fault


Event = (
    str
    | LineTooLong
    | Prompt
    | InputHidden
    | WindowSize
    | CapabilitiesChanged
    | CharsetHeard
    | Gmcp
    | Msdp
    | Mssp
    | Interrupt
    | LinemodeChanged
    | OptionChanged
    | OutputAborted
    | ProbeAnswered
    | Settled
    | Violation
)
"""What `receive_data`, `receive_eof` and `handle_timer` return."""
