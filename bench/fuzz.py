"""Fuzz the engines: generated inputs over WebSocket's decoder, handshake and deflate, and Telnet.

Every input must end in events or an orderly refusal: nothing may be raised but
`HandshakeError`, no more may be kept than the limits say, and time must grow
with the bytes. Prints a line a part, and where an input broke a rule, the input.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence

from tests.protocols.telnet.fuzzing import PARTS as TELNET
from tests.protocols.websocket.fuzzing import PARTS as WEBSOCKET
from tests.protocols.websocket.fuzzing import Broken, Tally

from bench import harness

_BLOCK = 20_000
_TELL = 10 * _BLOCK
"""Inputs between two lines of progress."""
PARTS = {**WEBSOCKET, **TELNET}


def _work(job: tuple[str, int, int]) -> Tally | str:
    part, seed, count = job
    try:
        return PARTS[part](seed, count)
    except Broken as broken:
        return f"{part}, seed {seed}: {broken}"


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--inputs", type=int, default=10_000_000, help="in all")
    parser.add_argument("--only", default="", help="parts whose name begins so")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(arguments)
    parts = [part for part in PARTS if part.startswith(options.only)]
    if not parts:
        parser.error(f"--only: expected the beginning of one of {', '.join(PARTS)}")
    rows = []
    failed = False
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for part in parts:
            begun = time.process_time(), time.monotonic()
            blocks = -(-options.inputs // len(parts) // _BLOCK)
            jobs = [(part, options.seed * 1_000_000 + n, _BLOCK) for n in range(blocks)]
            total = Tally()
            for found in pool.imap_unordered(_work, jobs):
                if isinstance(found, str):
                    print(found)
                    failed = True
                else:
                    total = total + found
                    if total.inputs % _TELL == 0:
                        print(f"{part}: {total.inputs:,} inputs", file=sys.stderr, flush=True)
            rows.append({"part": part, **total._asdict(), "seconds": time.monotonic() - begun[1]})
            print(rows[-1], file=sys.stderr)
    harness.show("Fuzzing", rows, as_json=options.json)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"\nthe largest process had {peak} MiB")
    return 1 if failed else 0
