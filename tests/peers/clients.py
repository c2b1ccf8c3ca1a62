"""The programs with which people come, in terminals."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.peers.gateways import url
from tests.peers.kildclient import kildclient
from tests.peers.screens import Screen
from tests.peers.tmux import Tmux
from tests.programs import need

TELNET_CLIENTS: Final = ("telnet", "tt++", "tf", "kildclient")
LINE_CLIENTS: Final = (*TELNET_CLIENTS, "nc")
"""Who can only type their resume code."""
OURS: Final = {"connect-ws": "ws", "connect-telnet": "telnet", "connect-tcp": "tcp"}
"""`holdfast connect`, by protocol: these come back by themselves."""
ALL: Final = (*LINE_CLIENTS, *OURS)
SCHEMES: Final = {**dict.fromkeys(TELNET_CLIENTS, "telnet"), "nc": "tcp", **OURS}
"""Which listener each comes to."""
STAYING: Final = ("tt++", "tf", "kildclient")
"""Who does not end when its connection does."""


async def start(tmux: Tmux, name: str, ports: Mapping[str, int], home: Path) -> Screen:
    """Start the client `name`. `home` is a folder without settings of anybody."""
    port = ports[SCHEMES[name]]
    where = ("127.0.0.1", str(port))
    in_home = (need("env"), f"HOME={home}")
    match name:
        case "telnet" | "nc":
            return await tmux.open(need(name), *where)
        case "tt++":
            # Without its banner, whose text is another each time.
            session = f"#session x {' '.join(where)}"
            return await tmux.open(*in_home, need("tt++"), "-G", "-e", session)
        case "tf":
            # -n: no automatic login; -v: lines that scroll, and no window for the input.
            return await tmux.open(*in_home, need("tf"), "-n", "-v", *where)
        case "kildclient":
            client = await kildclient(await tmux.display(), port, home)
            tmux.stack.push_async_callback(client.kill)
            return client
        case _:
            place = url(SCHEMES[name], port)
            return await tmux.open(sys.executable, "-m", "holdfast", "connect", place)


def person(name: str) -> str:
    """The name that the person at the client `name` goes by."""
    return "at-" + name.replace("++", "pp")


async def come(
    tmux: Tmux, names: tuple[str, ...], ports: Mapping[str, int], home: Path
) -> dict[str, Screen]:
    """Everybody comes to the chat's lobby; returns their terminals by client."""
    panes = {name: await start(tmux, name, ports, home) for name in names}
    for name, pane in panes.items():
        await pane.sees("Your name:")
        await pane.types(person(name))
        await pane.sees("You are in lobby.")
        await pane.sees("[lobby]")
    return panes


def typed(name: str, line: str) -> str:
    """What one types in the client `name` to say `line`: tf takes a slash for its own commands."""
    return f"/send {line}" if name == "tf" and line.startswith("/") else line
