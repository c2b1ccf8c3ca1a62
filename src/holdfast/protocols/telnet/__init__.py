"""Telnet (RFC 854) without I/O, for servers that people play and talk on.

`TelnetServer` and `TelnetClient` take bytes and the time, and give events and
bytes. `events` is the whole vocabulary of what they tell.
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
    LineTooLong,
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
    "Mtts",
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
