"""Which process a run is: another one of the same machine sees whether it has ended."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from msgspec import Struct

_PROC: Final = Path("/proc")
_ENDED: Final = frozenset("ZX")
"""States of a process that runs no more (proc(5))."""


class Process(Struct, frozen=True):
    """A process of a machine. Without `/proc`, nothing can be said of it."""

    host: str
    """The name of the machine; the machine since it booted, and its namespace of process ids."""
    number: str
    """The process id, and when the process began."""

    @classmethod
    def own(cls) -> Process:
        try:
            boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
            space = os.readlink(_PROC / "self/ns/pid")
        except OSError:
            return cls(socket.gethostname(), "")
        pid = os.getpid()
        return cls(f"{socket.gethostname()} {boot} {space}", f"{pid} {_began(pid)}")

    @property
    def machine(self) -> str:
        """The name of its machine, for people."""
        return self.host.partition(" ")[0]

    @property
    def _numbering(self) -> str:
        """Where its number means a process; empty if that is not known."""
        return self.host.partition(" ")[2]

    def ended(self, seen_from: Process) -> bool | None:
        """Whether it has ended; `None` if that cannot be seen from there."""
        if not self._numbering or self._numbering != seen_from._numbering:
            return None
        pid, _, began = self.number.partition(" ")
        return _began(int(pid)) != began


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine booted; empty if it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in _ENDED else fields[19]
