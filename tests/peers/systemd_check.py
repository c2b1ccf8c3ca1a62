"""Runs inside a systemd of its own, as root: a client finds the application behind the gateway.

The gateway and the application are restarted meanwhile. What it finds goes to its output.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

LINK = "/run/holdfast/link.sock"
SECONDS = 25.0


def hears(client: socket.socket, text: str) -> None:
    """Read until `text` has come."""
    said = b""
    while text.encode() not in said:
        data = client.recv(4096)
        if not data:
            raise EOFError(f"{text!r} did not come: {said!r}")
        said += data


def talk() -> None:
    """A Telnet client, from the greeting to the answer of the application."""
    with socket.create_connection(("127.0.0.1", 4000), timeout=SECONDS) as client:
        hears(client, "Say something.")
        client.sendall(b"hello\r\n")
        hears(client, "You said: hello")


def nobody_may_connect() -> bool:
    """Whether a user outside the group is refused at the link."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            socket.socket(socket.AF_UNIX).connect(LINK)
        except PermissionError:
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    talk()
    sys.stdout.write("greeted\n")
    for unit in ("holdfast-application", "holdfast"):
        subprocess.run(["systemctl", "restart", unit], check=True, timeout=SECONDS)
        talk()
        sys.stdout.write(f"greeted after a restart of {unit}\n")
    sys.stdout.write(f"others are refused: {nobody_may_connect()}\n")
    status = os.stat(LINK)
    sys.stdout.write(f"mode {status.st_mode & 0o777:o}\n")


main()
