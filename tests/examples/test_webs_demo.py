"""The demonstration of WEBS runs, and shows what seed 001 asks for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "webs_demo.py"


def test_the_demonstration_runs_to_its_end() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], check=True, capture_output=True, text=True, timeout=60
    )
    said = done.stdout
    sessions = re.findall(r"Client \d connected: session-(\w+)", said)
    assert len(set(sessions)) == 2
    for line in (
        "Pool size: 2 connections",
        "Client 1: Message sent: hello",
        "Client 2: Message received: hello",
        "Client 2: Message sent: hello, too",
        "Client 1: Message received: hello, too",
        "Pool size: 1 connection",
        "Active sessions: 1",
        "Sessions in all: 2",
        "Total connections: 2",
        "Failed handshakes: 1",
        "Demo completed successfully!",
    ):
        assert f"{line}\n" in said, said
