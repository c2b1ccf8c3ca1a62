"""Terminals on an SSH server, beside `ssh` and webssh, and of this machine, beside ttyd: output,
keys, CPU time, memory.

The SSH server and the load have one core, the gateway (or the client `ssh`) the other. `MB_s` is
`cat` of a file through a pseudo-terminal; `key_ms` is from a key to its echo, the median;
`cpu_ms_MB` is the gateway's CPU time for each megabyte of output.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from statistics import median

from bench import harness
from bench.harness import Missing, Options, Row
from bench.terminals import (
    HoldfastTerminal,
    SshServer,
    Terminal,
    holdfast,
    holdfast_pty,
    holdfast_terminal,
    plain_ssh,
    ssh_server,
    ttyd,
    ttyd_terminal,
    webssh,
    webssh_terminal,
)

_MEGABYTE = 1e6
_KEYS = 300
_BURSTS = 250
_BURST_BYTES = 50_000
_BURST_SECONDS = 0.02
"""Of the source that is slower than the way to the client: 2.5 MB/s at most."""
_KEY_PAUSE_SECONDS = 0.005
"""Between two keys: nobody types while the last echo is under way."""


async def output_of(terminal: Terminal, command: str) -> tuple[int, float]:
    """Type a command; how many bytes it has put out, in how many seconds."""
    start = time.monotonic()
    await terminal.write(f"{command}; echo FINI''SHED\r".encode())
    count = await _reads_until(terminal, b"FINISHED")
    return count, time.monotonic() - start


async def _reads_until(terminal: Terminal, mark: bytes) -> int:
    """Read up to `mark`; how many bytes that were."""
    count, tail = 0, b""
    while mark not in tail:
        data = await terminal.read()
        if not data:
            raise Missing("a terminal has ended")
        count += len(data)
        tail = (tail + data)[-100:]
    return count


async def _key_seconds(terminal: Terminal) -> float:
    """The median time from a key to its echo."""
    await terminal.write(b"echo REA''DY; cat >/dev/null\r")
    await _reads_until(terminal, b"READY")
    times = []
    for _ in range(_KEYS):
        await asyncio.sleep(_KEY_PAUSE_SECONDS)
        start = time.monotonic()
        await terminal.write(b"x")
        await _reads_until(terminal, b"x")
        times.append(time.monotonic() - start)
    await terminal.write(b"\x03")
    return median(times)


async def measured(terminal: Terminal, pid: int, file: Path) -> Row:
    """One round of one program."""
    await output_of(terminal, "true")
    cpu = harness.cpu_seconds(pid)
    size, seconds = await output_of(terminal, f"cat {file}")
    cpu = harness.cpu_seconds(pid) - cpu
    return {
        "MB_s": size / _MEGABYTE / seconds,
        "key_ms": await _key_seconds(terminal) * 1e3,
        "cpu_ms_MB": cpu * 1e3 / (size / _MEGABYTE),
    }


async def _beside_peers(server: SshServer, file: Path, options: Options) -> list[Row]:
    rows: dict[str, list[Row]] = {"ssh": [], "holdfast": [], "webssh": []}
    with holdfast(server) as (port, pid), webssh(server) as (peer_port, peer_pid):
        for _ in range(options.rounds):
            async with plain_ssh(server) as (terminal, client):
                rows["ssh"].append(await measured(terminal, client, file))
            async with holdfast_terminal(port) as mine:
                rows["holdfast"].append(await measured(mine, pid, file))
            async with webssh_terminal(server, peer_port) as terminal:
                rows["webssh"].append(await measured(terminal, peer_pid, file))
    return [{"terminal": name, **harness.medians(found)} for name, found in rows.items()]


async def _of_this_machine(folder: Path, file: Path, options: Options) -> list[Row]:
    rows: dict[str, list[Row]] = {"holdfast": [], "ttyd": []}
    with ExitStack() as running:
        port, pid = running.enter_context(holdfast_pty(folder))
        try:
            peer: tuple[int, int] | None = running.enter_context(ttyd())
        except Missing as missing:
            peer = None
            print(missing, file=sys.stderr)
        for _ in range(options.rounds):
            async with holdfast_terminal(port) as mine:
                rows["holdfast"].append(await measured(mine, pid, file))
            if peer is not None:
                async with ttyd_terminal(peer[0]) as terminal:
                    rows["ttyd"].append(await measured(terminal, peer[1], file))
    return [{"shell": name, **harness.medians(found)} for name, found in rows.items() if found]


async def _watched(server: SshServer, file: Path, options: Options) -> list[Row]:
    """What three viewers, of whom one has stalled, cost the owner: with a source that is slower
    than the way, and with one that is faster."""
    paced = (
        f"for i in $(seq {_BURSTS}); do head -c {_BURST_BYTES} {file}; sleep {_BURST_SECONDS}; done"
    )
    rows: list[Row] = []
    with holdfast(server) as (port, pid):
        for source, command in (("paced", paced), ("unlimited", f"cat {file}")):
            found: dict[str, list[Row]] = {"alone": [], "watched": []}
            for _ in range(options.rounds):
                async with AsyncExitStack() as stack:
                    owner = await stack.enter_async_context(holdfast_terminal(port))
                    await output_of(owner, "true")
                    found["alone"].append(await _costs(owner, pid, command))
                    await _have_watched(stack, port, owner)
                    found["watched"].append(await _costs(owner, pid, command))
            alone, watched = (harness.medians(found[name]) for name in ("alone", "watched"))
            rows += [{"source": source, "owner": "alone", **alone},
                     {"source": source, "owner": "three viewers, one stalled", **watched},
                     {"source": source, "owner": "ratio",
                      **{key: round(watched[key] / alone[key], 2) for key in alone}}]  # fmt: skip
    return rows


async def _costs(owner: Terminal, pid: int, command: str) -> Row:
    cpu = harness.cpu_seconds(pid)
    size, seconds = await output_of(owner, command)
    cpu = harness.cpu_seconds(pid) - cpu
    megabytes = size / _MEGABYTE
    return {"MB_s": megabytes / seconds, "cpu_ms_MB": cpu * 1e3 / megabytes}


async def _have_watched(stack: AsyncExitStack, port: int, owner: HoldfastTerminal) -> None:
    """Three viewers of the owner's terminal, up to the end of `stack`; one does not read."""
    await owner.say("invite")
    token = (await owner.told("invitation"))["token"]
    viewers = [
        await stack.enter_async_context(holdfast_terminal(port, token=token)) for _ in range(3)
    ]
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    for task in [tasks.create_task(_reads_on(one)) for one in viewers[1:]]:
        stack.callback(task.cancel)


async def _reads_on(terminal: Terminal) -> None:
    while True:
        await terminal.read()


async def _opens(stack: AsyncExitStack, port: int, count: int) -> None:
    for _ in range(count):
        terminal = await stack.enter_async_context(holdfast_terminal(port))
        await terminal.told("opened")


async def _held(server: SshServer, count: int) -> list[Row]:
    """How much memory each of `count` idle terminals takes."""
    with holdfast(server) as (port, pid):
        async with AsyncExitStack() as stack:
            await _opens(stack, port, 20)  # what the first ones take is the program's own
            await asyncio.sleep(1.0)
            before = harness.rss_bytes(pid)
            await _opens(stack, port, count)
            await asyncio.sleep(2.0)
            grown = harness.rss_bytes(pid) - before
    return [{"idle terminals": count, "kB each": round(grown / count / 1e3, 1)}]


async def _stalled(server: SshServer, seconds: float) -> list[Row]:
    """`yes` with a client that reads nothing: how much memory it costs, and how long Ctrl-C takes
    under it once it reads."""
    with holdfast(server) as (port, pid):
        async with holdfast_terminal(port) as terminal:
            await output_of(terminal, "true")
            await terminal.write(b"yes\r")
            await asyncio.sleep(2.0)
            early = harness.rss_bytes(pid)
            await asyncio.sleep(seconds)
            grown = harness.rss_bytes(pid) - early
        async with holdfast_terminal(port) as terminal:
            await output_of(terminal, "true")
            await terminal.write(b"yes\r")
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                await terminal.read()
            start = time.monotonic()
            await terminal.write(b"\x03echo BA''CK\r")
            await _reads_until(terminal, b"BACK")
            back = time.monotonic() - start
    return [{"seconds": seconds, "grown_kB": round(grown / 1e3), "ctrl_c_ms": round(back * 1e3)}]


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--megabytes", type=int, default=32, help="of the file")
    parser.add_argument("--count", type=int, default=200, help="idle terminals")
    parser.add_argument("--stalled", type=float, default=60.0, help="seconds without reading")
    options = parser.parse_args(arguments)
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder,
        ssh_server(Path(folder)) as server,
    ):
        file = Path(folder) / "file"
        line = b"The quick brown fox jumps over the lazy dog, and the dog sleeps on. 0123456789\n"
        file.write_bytes(line * (options.megabytes * 1_000_000 // len(line)))

        async def run() -> None:
            for title, measure in (
                ("Beside peers", _beside_peers(server, file, options)),
                ("Of this machine", _of_this_machine(Path(folder), file, options)),
                ("Viewers", _watched(server, file, options)),
                ("Memory", _held(server, options.count)),
                ("A client that does not read", _stalled(server, options.stalled)),
            ):
                harness.show(title, await measure, as_json=options.json)
                sys.stdout.flush()

        asyncio.run(run())
    return 0
