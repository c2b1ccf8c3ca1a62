"""Telnet for programs: `serve` and `connect`, a coroutine for each client. See docs/telnet.md.

```python
import asyncio
from holdfast.telnet import ServerTelnet, serve

async def greet(telnet: ServerTelnet) -> None:
    name = await telnet.ask("Name: ")
    async for line in telnet:
        await telnet.send(f"{name}: {line}\\n")

async def main() -> None:
    async with serve(greet, "127.0.0.1", 4000) as server:
        await server.serve_forever()

asyncio.run(main())
```
"""

from __future__ import annotations

from holdfast.net.dial.dial import DialError
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.capabilities import Capabilities, Mtts
from holdfast.protocols.telnet.events import (
    CapabilitiesChanged,
    CharsetHeard,
    Event,
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
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.mxp import escape, secure_line
from holdfast.protocols.telnet.terminal import Terminal
from holdfast.telnet.client import ClientTelnet, StartTlsRefusedError, connect
from holdfast.telnet.closed import TelnetClosed
from holdfast.telnet.connection import Telnet
from holdfast.telnet.server import Server, ServerTelnet, serve

__all__ = [
    "Capabilities",
    "CapabilitiesChanged",
    "CharsetHeard",
    "ClientTelnet",
    "DialError",
    "Event",
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
    "Server",
    "ServerTelnet",
    "Settled",
    "Side",
    "StartTlsRefusedError",
    "Telnet",
    "TelnetClosed",
    "Terminal",
    "Violation",
    "WindowSize",
    "codes",
    "connect",
    "escape",
    "secure_line",
    "serve",
]
