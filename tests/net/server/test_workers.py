"""The parent of worker processes: which worker it starts again, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import Address, parse_address
from holdfast.net.server import workers

QUICK = workers._QUICK_DEATH_SECONDS


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[workers._Workers]:
    """Its two workers, 7 and 8, were started at 100.0."""
    parent = workers._Workers(2, [], lambda *_: None, lambda _: None)  # type: ignore[arg-type]
    parent._born = {7: 100.0, 8: 100.0}
    yield parent
    os.close(parent._lifeline)
    os.close(parent._life)


class Killed:
    """What was sent to whom, in place of the kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", lambda pid, number: self.sent.append((pid, number)))


@pytest.mark.parametrize(
    ("lived", "again"), [(0.0, False), (QUICK - 0.001, False), (QUICK, True), (60.0, True)]
)
def test_a_worker_that_lived_is_replaced_and_a_quick_death_ends_them_all(
    parent: workers._Workers, monkeypatch: pytest.MonkeyPatch, lived: float, again: bool
) -> None:
    killed, forks = Killed(monkeypatch), list[int]()

    def fork(_: object) -> int:
        reader, writer = os.pipe()
        os.close(writer)
        forks.append(reader)
        return reader

    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + lived)
    monkeypatch.setattr(workers._Workers, "_fork", fork)
    parent._bury(7, 256)  # exit code 1
    assert bool(forks) is again
    assert parent._stopping is not again
    assert killed.sent == ([] if again else [(8, signal.SIGTERM)])
    assert parent._code == (0 if again else 1)


def test_a_child_of_somebody_else_is_none_of_its_workers(parent: workers._Workers) -> None:
    parent._bury(9, 256)
    assert parent._born.keys() == {7, 8}
    assert not parent._stopping


@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (256, 1), (signal.SIGTERM, 0), (signal.SIGKILL, 9)]
)
def test_the_worst_end_of_a_worker_is_the_parent_s(
    parent: workers._Workers, status: int, code: int
) -> None:
    parent._stopping = True
    parent._bury(7, status)
    parent._bury(8, 0)
    assert parent._code == code


PROGRAM = """
import asyncio, os, sys
from holdfast.net.server import workers
from holdfast.tcp import parse_address, run_workers

workers._QUICK_DEATH_SECONDS = 60.0  # as quick on a busy machine

async def main(addresses, ready):
    ready()
    if os.fork() == 0:
        os._exit(0)  # a child of its own is nobody's business
    await asyncio.sleep(0.05)
    raise RuntimeError("it breaks")

sys.exit(run_workers(2, [parse_address("tcp://127.0.0.1:0")], main, lambda _: None))
"""


def test_workers_that_break_at_once_end_the_parent_with_code_1() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    text = (done.stdout + done.stderr).decode()
    assert text.count("worker exited") == 1, "it is started again and again"


def test_ports_are_taken_before_the_first_worker_and_held() -> None:
    addresses = [parse_address("tcp://127.0.0.1:0"), parse_address("ws://127.0.0.1:0/x")]
    held, taken = workers._hold(addresses)
    try:
        assert len(held) == 2
        ports = [sock.getsockname()[1] for sock in held]
        assert [address.port for address in taken] == ports
        assert 0 not in ports
        assert [address.scheme for address in taken] == ["tcp", "ws"]
        assert taken[1].path == "/x"
    finally:
        for sock in held:
            sock.close()


def test_nothing_is_held_when_an_address_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sock:
        closed = False

        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", 7

        def close(self) -> None:
            self.closed = True

    sock = Sock()
    asked: list[Address] = []

    def bind(address: Address, _: object) -> list[Sock]:
        asked.append(address)
        return [sock]

    monkeypatch.setattr(workers, "bind", bind)
    addresses = [parse_address("tcp://127.0.0.1:0"), parse_address("unix:x")]
    with pytest.raises(ConfigurationError, match="workers: expected addresses of TCP, found unix:"):
        workers._hold(addresses)
    assert asked == addresses[:1]
    assert sock.closed


@pytest.mark.parametrize("count", [0, -1, workers.WORKERS_MAX + 1])
def test_the_number_of_workers_has_bounds(count: int) -> None:
    with pytest.raises(ConfigurationError, match=f"expected 1 to .* found {count}"):
        workers.run_workers(count, [], lambda *_: None, lambda _: None)  # type: ignore[arg-type]
