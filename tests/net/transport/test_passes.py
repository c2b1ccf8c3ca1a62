"""What many sockets have at once is handled in several passes of the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.net.helpers import until
from tests.net.transports import Heard, Peer, adopted, by_us

from holdfast.net.runtime.loop import new_event_loop
from holdfast.net.transport.transports import COMPILED

pytestmark = pytest.mark.skipif(not COMPILED, reason="the loop's own sockets do as the loop does")

COUNT = 60
LONG_SECONDS = 0.003
"""More than what a pass has for ends, and many of them more than what it has for all else."""


class Slow(Heard):
    """Takes its time for all that it hears, and writes down what that was; and the next pass."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def _note(self, what: str) -> None:
        time.sleep(LONG_SECONDS)
        if not self.log:
            asyncio.get_running_loop().call_soon(self.log.append, "next pass")
        self.log.append(what)

    def data_received(self, data: bytes) -> None:
        self._note("data")

    def eof_received(self) -> bool:
        self._note("end")
        return False


async def ready(log: list[str], say: Callable[[list[Peer]], None]) -> None:
    """Let connections be ready together, and wait until all of it is handled."""
    crowd, peers = list[Slow](), list[Peer]()
    for _ in range(COUNT):
        crowd.append(Slow(log))
        peers.append(await adopted(by_us, "unix", crowd[-1]))
    await until(lambda: all(heard.calls for heard in crowd))
    say(peers)
    await until(lambda: len(log) == COUNT + 1)
    for heard, peer in zip(crowd, peers, strict=True):
        heard.transport.abort()
        peer.close()
    await until(lambda: all(heard.lost for heard in crowd))


def played(say: Callable[[list[Peer]], None]) -> list[str]:
    log: list[str] = []
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(ready(log, say))
    return log


def test_what_takes_long_is_handled_in_several_passes() -> None:
    def say(peers: list[Peer]) -> None:
        for peer in peers:
            peer.send(b"x")

    log = played(say)
    assert log.count("data") == COUNT
    assert 0 < log.index("next pass") < COUNT


def test_who_stays_is_heard_before_those_who_have_left() -> None:
    def say(peers: list[Peer]) -> None:
        for peer in peers[:-1]:
            peer.close()
        peers[-1].send(b"x")

    log = played(say)
    log.remove("next pass")
    assert log == ["data"] + ["end"] * (COUNT - 1)


def test_those_who_leave_together_end_in_several_passes() -> None:
    def say(peers: list[Peer]) -> None:
        for peer in peers:
            peer.close()

    log = played(say)
    assert log.count("end") == COUNT
    assert log.index("next pass") == 1
