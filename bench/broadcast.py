"""One speaker and many members that are away: what is written, and kept, for what is said."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.written import written_bytes

from bench import harness
from bench.harness import PYTHON, Row
from holdfast.backends.base import BaseBackend
from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.sessions.journal import Journal
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.outbox import shared
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.sqlite import SQLiteFile

ALONE, TOGETHER = "to each alone", "to the group"


def say(sessions: Sequence[Session], text: Text, how: str) -> None:
    """Say it to everybody."""
    said = shared(text, MUST, 0.0) if how == TOGETHER else None
    for session in sessions:
        if said is None:
            session.emit(text, MUST, 0.0)
        else:
            session.emit_shared(said)


def run(how: str, members: int, lines: int, size: int) -> None:
    """Say so many lines, with a commit after each; writes a row as tab-separated values."""
    limits = Limits()
    journal = Journal(limits.store, lambda marks: None)
    manager = SessionManager(limits.session, journal, lambda action: None)
    backend = BaseBackend()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        file = SQLiteFile(Path(folder) / "sessions.db", limits.store)
        file.open()
        sessions = [
            manager.create(backend, Durability.FAST, 0.0, f"network {number}")
            for number in range(members)
        ]
        written, began = written_bytes(), time.process_time()
        for number in range(lines):
            say(sessions, Text(f"{number} ".ljust(size, "x")), how)
            commit = journal.collect()
            journal.committed(commit, file.commit(commit.batch))
        written, used = written_bytes() - written, time.process_time() - began
        file.close(clean=True)
    print(written, used, manager.windows.used, sep="\t")


def measured(how: str, members: int, lines: int, size: int) -> Row:
    """One run in a process of its own."""
    command = [PYTHON, "-m", "bench.broadcast", how, str(members), str(lines), str(size)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    written, used, kept = map(float, answer.split("\t"))
    return {
        "said": how,
        "members": members,
        "bytes a line": size,
        "written / said": round(written / (lines * size), 1),
        "CPU ms a line": round(1e3 * used / lines, 2),
        "windows MB": round(kept / 1e6, 1),
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--members", type=int, default=500)
    parser.add_argument("--lines", type=int, default=300)
    options = parser.parse_args(arguments)
    rows = [
        measured(how, options.members, options.lines, size)
        for size in (200, 20_000)
        for how in (ALONE, TOGETHER)
    ]
    harness.show("A broadcast to members that are away", rows, as_json=options.json)
    return 0


if __name__ == "__main__":
    run(sys.argv[1], *map(int, sys.argv[2:]))
