"""Fuzz the engines: generated inputs over WebSocket's decoder, handshake and deflate, and Telnet.

Every input must end in events or an orderly refusal: nothing may be raised but
`HandshakeError`, no more may be kept than the limits say, and time must grow
with the bytes. Prints a line a part, and where an input broke a rule, the input.

A run can be in slices: with `--done FILE`, the blocks that FILE lists are counted
and not run again, and each finished block is added to it.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from tests.protocols.telnet.fuzzing import PARTS as TELNET
from tests.protocols.websocket.fuzzing import PARTS as WEBSOCKET
from tests.protocols.websocket.fuzzing import Broken, Tally

from bench import harness

_BLOCK: Final = 20_000
"""Inputs with one seed."""
_TELL: Final = 10
"""Blocks between two lines of progress."""
PARTS: Final = {**WEBSOCKET, **TELNET}

Job = tuple[str, int, int]
"""A part, a seed, and the number of a block."""


class Done(Struct, frozen=True):
    """A block whose inputs broke no rule."""

    part: str
    seed: int
    block: int
    tally: Tally
    cpu_seconds: float
    mib: int
    """The most that its process has had."""

    @property
    def job(self) -> Job:
        return self.part, self.seed, self.block


def _work(job: Job) -> Done | str:
    part, seed, block = job
    begun = time.process_time()
    try:
        tally = PARTS[part](seed * 1_000_000 + block, _BLOCK)
    except Broken as broken:
        return f"{part}, seed {seed}, block {block}: {broken}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Done(part, seed, block, tally, time.process_time() - begun, peak)


def _read(path: Path | None) -> list[Done]:
    if path is None or not path.exists():
        return []
    return [msgspec.json.decode(line, type=Done) for line in path.read_bytes().splitlines()]


def _results(jobs: Sequence[Job], processes: int, path: Path | None) -> Iterator[Done | str]:
    """What comes of the jobs; of those that break no rule, a line in the file."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for result in pool.imap_unordered(_work, jobs):
            if path is not None and isinstance(result, Done):
                with path.open("ab") as file:
                    file.write(msgspec.json.encode(result) + b"\n")
            yield result


def _row(part: str, blocks: Sequence[Done]) -> harness.Row:
    total = sum((one.tally for one in blocks), Tally())
    cpu = sum(one.cpu_seconds for one in blocks)
    return {
        "part": part,
        **total._asdict(),
        "cpu_s": round(cpu),
        "inputs_per_cpu_s": round(total.inputs / cpu) if cpu else 0,
        "peak_mib": max((one.mib for one in blocks), default=0),
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--inputs", type=int, default=10_000_000, help="in all")
    parser.add_argument("--only", default="", help="parts whose name begins so")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--done", type=Path, help="where finished blocks are listed")
    options = parser.parse_args(arguments)
    parts = [part for part in PARTS if part.startswith(options.only)]
    if not parts:
        parser.error(f"--only: expected the beginning of one of {', '.join(PARTS)}")
    blocks = -(-options.inputs // len(parts) // _BLOCK)
    wanted = [(part, options.seed, block) for block in range(blocks) for part in parts]
    done = {one.job: one for one in _read(options.done)}
    jobs = [job for job in wanted if job not in done]
    found = [done[job] for job in wanted if job in done]
    broken, begun, inputs = 0, time.monotonic(), 0
    for result in _results(jobs, options.jobs, options.done):
        if isinstance(result, str):
            print(result, flush=True)
            broken += 1
            continue
        found.append(result)
        inputs += result.tally.inputs
        if len(found) % _TELL == 0:
            rate = inputs / (time.monotonic() - begun)
            total = len(found) * _BLOCK
            print(f"{total:,} inputs, {rate:,.0f} a second now", file=sys.stderr, flush=True)
    rows = [_row(part, [one for one in found if one.part == part]) for part in parts]
    harness.show("Fuzzing", rows, as_json=options.json)
    print(f"\n{len(found) * _BLOCK:,} inputs broke no rule; {broken} blocks have one that did")
    return 1 if broken else 0
