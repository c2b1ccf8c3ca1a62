"""Peer programs: skipped where they are missing, and ended with what they have started."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests import programs
from tests.gateway.running import eventually
from tests.ports import free_port
from tests.programs import listens, need, started


def test_what_is_missing_is_skipped_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not .* \(./dev peers\)"):
        need("no-such-program")


def test_what_only_root_looks_for_is_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "no-such-program"
    program.touch(0o755)
    monkeypatch.setattr(programs, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", os.environ["PATH"])  # as it is now, it is given back
    programs.look_everywhere()
    assert need("no-such-program") == str(program)


def test_on_a_build_server_it_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        need("no-such-program")


def runs(pid: int) -> bool:
    """Whether a process has not ended yet; who was not waited for has, too."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("last", ["wait", "exit"])
async def test_what_a_program_has_started_ends_with_it(last: str) -> None:
    # Not at the pipe: asyncio waits for the end of whoever writes to it, too.
    command = ("sh", "-c", f"sleep 600 >/dev/null & echo $!; {last}")
    async with started(*command, stdout=asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(await process.stdout.readline())
        if last == "exit":
            assert await process.wait() == 0
        assert runs(child)
    assert process.returncode == (-9 if last == "wait" else 0)
    await eventually(lambda: not runs(child))


async def test_a_program_that_ends_will_never_listen() -> None:
    async with started("true") as process:
        with pytest.raises(AssertionError, match="it has ended: 0"):
            await listens(free_port(), process)
