"""What the installed package must be able to do: the demo, from its first page to its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Final

from tests.package.build import Environment
from tests.ports import free_port

SECONDS: Final = 60.0
_IMPORTS: Final = (
    "import holdfast.app, holdfast.client, holdfast.tcp, holdfast.telnet, holdfast.websocket"
)


def smoke(environment: Environment, folder: Path) -> None:
    """Import the public modules, and run the demo in `folder`. Fails with what it has said."""
    environment.output("python", "-c", _IMPORTS, folder=folder)
    version = environment.output("holdfast", "--version", "--verbose", folder=folder)
    assert "websocket codec: compiled" in version, version
    assert "sockets: compiled" in version, version
    assert "core: compiled" in version, version
    telnet, tcp, web = free_port(), free_port(), free_port()
    where = {
        "telnet": f"telnet://127.0.0.1:{telnet}",
        "tcp": f"tcp://127.0.0.1:{tcp}",
        "web": f"ws://127.0.0.1:{web}/",
        "data": str(folder / "data"),
    }
    demo = subprocess.Popen(
        [environment.bin / "holdfast", "demo", *(f"--{key}={at}" for key, at in where.items())],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with demo:
        try:
            assert demo.stdout is not None
            page = f"http://127.0.0.1:{web}/"
            said = ""
            while page not in said:
                line = demo.stdout.readline()
                assert line, said
                said += line
            for path, part in (("", "<html"), ("holdfast.js", "class Session")):
                with urllib.request.urlopen(f"{page}{path}", timeout=60) as answer:
                    assert part in answer.read().decode()
            assert "Welcome to the chat." in _first_words(tcp)
        finally:
            demo.send_signal(signal.SIGTERM)
            rest, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, rest


def _first_words(port: int) -> str:
    """What a client at a plain TCP port is told until the chat is there."""
    said = ""
    until = time.monotonic() + SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        while "Welcome" not in said and time.monotonic() < until:
            said += client.recv(4096).decode()
        return said
