"""Programs that tests of the shell talk to."""

from __future__ import annotations

import asyncio
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.net.helpers import patience
from tests.programs import need

HERE = Path(__file__).parent


@cache
def built(name: str, folder: Path) -> str:
    """A Go program of this folder, built once into `folder`."""
    to = folder / name
    subprocess.run(
        [need("go"), "build", "-o", str(to), str(HERE / f"{name}.go")],
        check=True,
        env={**os.environ, "GO111MODULE": "off"},
    )
    return str(to)


class Done(NamedTuple):
    """A program that has ended."""

    code: int
    out: str
    err: str


async def run(*command: str, given: bytes | None = None) -> Done:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if given is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with patience():
            out, err = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Done(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
