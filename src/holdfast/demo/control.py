"""What the demo's page may ask for: to kill parts of the demo, and that its robot talks.

Only `holdfast demo` gives the application a token. The page reads it from a header of its own
site, which pages of other sites cannot read, and the gateway accepts no WebSocket of theirs.
"""

from __future__ import annotations

import hmac
import os
from typing import Any, Final

TOKEN_VARIABLE: Final = "HOLDFAST_DEMO_TOKEN"
TELNET_VARIABLE: Final = "HOLDFAST_DEMO_TELNET"
TERMINAL_VARIABLE: Final = "HOLDFAST_DEMO_TERMINAL"
"""The commands that connect to this demo."""
TOKEN_HEADER: Final = "Holdfast-Demo-Token"

ROBOT: Final = "Demo.Robot"
"""The robot says who it is: `{"token"}`."""
DO: Final = "Demo.Do"
"""A page asks for something, and the robot is told: `{"token", "what"}`."""
KILL_APPLICATION: Final = "kill the application"
KILL_GATEWAY: Final = "kill the gateway"
TALK: Final = "talk"
STOP_TALKING: Final = "stop talking"
ACTS: Final = (KILL_APPLICATION, KILL_GATEWAY, TALK, STOP_TALKING)


def is_proven(value: Any) -> bool:
    """Whether a message has this demo's token."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    given = value.get("token") if isinstance(value, dict) else None
    return (
        token != ""
        and isinstance(given, str)
        and hmac.compare_digest(given.encode(errors="replace"), token.encode())
    )


def ways() -> dict[str, str]:
    """By kind of client: the command that connects to this demo."""
    found = {
        "telnet": os.environ.get(TELNET_VARIABLE, ""),
        "terminal": os.environ.get(TERMINAL_VARIABLE, ""),
    }
    return {kind: command for kind, command in found.items() if command}
