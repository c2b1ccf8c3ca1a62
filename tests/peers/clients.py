"""The programs with which people come, in terminals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.peers.houses import url
from tests.peers.tmux import Pane, Tmux
from tests.programs import need

TELNET_CLIENTS: Final = ("telnet", "tt++", "tf")
LINE_CLIENTS: Final = (*TELNET_CLIENTS, "nc")
"""Who can only type their resume code."""
PORTS: Final = {"telnet": "telnet", "tt++": "telnet", "tf": "telnet", "nc": "tcp"}
"""Which listener each comes to."""


async def start(tmux: Tmux, name: str, port: int, home: Path) -> Pane:
    """Start the client `name` at a port of this machine. `home` has no settings of anybody."""
    where = ("127.0.0.1", str(port))
    in_home = (need("env"), f"HOME={home}")
    command: tuple[str, ...]
    match name:
        case "tt++":
            # Without its banner, whose text is another each time.
            command = (*in_home, need("tt++"), "-G", "-e", f"#session x {' '.join(where)}")
        case "tf":
            # -n: no automatic login; -v: lines that scroll, and no window for the input.
            command = (*in_home, need("tf"), "-n", "-v", *where)
        case _:
            command = (*in_home, need(name), *where)
    return await tmux.open(*command)


async def connect(tmux: Tmux, scheme: str, port: int) -> Pane:
    """Start `holdfast connect`."""
    return await tmux.open(sys.executable, "-m", "holdfast", "connect", url(scheme, port))


def typed(name: str, line: str) -> str:
    """What one types in the client `name` to say `line`: tf takes a slash for its own commands."""
    return f"/send {line}" if name == "tf" and line.startswith("/") else line
