"""Telnet (RFC 854) without I/O.

`TelnetServer` and `TelnetClient` take bytes and the time, and return events and bytes. `events`
lists all events.
"""

from __future__ import annotations

from holdfast.protocols.telnet.capabilities import Capabilities, Mtts
from holdfast.protocols.telnet.client import TelnetClient
from holdfast.protocols.telnet.events import (
    CapabilitiesChanged,
    CharsetHeard,
    Event,
    Fault,
    Gmcp,
    InputHidden,
    Interrupt,
    LinemodeChanged,
    LineTooLong,
    Msdp,
    Mssp,
    OptionChanged,
    OutputAborted,
    ProbeAnswered,
    Prompt,
    Settled,
    Violation,
    WindowSize,
)
from holdfast.protocols.telnet.server import TelnetServer
from holdfast.protocols.telnet.terminal import Terminal

__all__ = [
    "Capabilities",
    "CapabilitiesChanged",
    "CharsetHeard",
    "Event",
    "Fault",
    "Gmcp",
    "InputHidden",
    "Interrupt",
    "LineTooLong",
    "LinemodeChanged",
    "Msdp",
    "Mssp",
    "Mtts",
    "OptionChanged",
    "OutputAborted",
    "ProbeAnswered",
    "Prompt",
    "Settled",
    "TelnetClient",
    "TelnetServer",
    "Terminal",
    "Violation",
    "WindowSize",
]
