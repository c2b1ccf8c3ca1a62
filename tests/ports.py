"""Ports for programs that must be told theirs."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

_LOWEST: Final = 10_000
_RANGE: Final = 2_000
"""Ports of one process of the suite. All are below those that the system gives to whoever
connects (32,768 and more), so no client takes one between its choice and its use."""
_RANGES: Final = (32_768 - _LOWEST) // _RANGE


def _ports() -> tuple[int, ...]:
    """The range of this process, from a place that differs from run to run."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")
    lowest = _LOWEST + (int(worker) + 1) % _RANGES * _RANGE
    start = os.getpid() * 31 % _RANGE
    return tuple(lowest + (start + number) % _RANGE for number in range(_RANGE))


_PORTS: Final = itertools.cycle(_ports())


def free_port() -> int:
    """A port of this machine that nobody listens at, and that is given away once."""
    for port in itertools.islice(_PORTS, _RANGE):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
