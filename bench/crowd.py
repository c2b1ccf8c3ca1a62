"""Very many clients of `holdfast.v1` on bare sockets, and a probe of the server's pauses.

`python -m bench.crowd PORT PID` is the probe: it pings a WebSocket every millisecond, and answers
each line of its input with the longest time to a pong since the line before, and the most CPU time
that the server took while one ping waited, both in seconds.
"""

from __future__ import annotations

import base64
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from bench import harness
from bench.harness import PYTHON
from bench.publishers import opened

MARK: bytes = b"~"
"""In each text that is counted."""
RETRY_SECONDS = 0.5
_TOKEN = re.compile(rb'"token":"([^"]+)"')
_IN = (b'"t":"welcome"', b'"t":"resumed"', b'"t":"reset"')


def masked(message: dict[str, object]) -> bytes:
    """A text frame of a client, with a mask of zeros."""
    payload = json.dumps(message).encode()
    size = (
        bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    )
    return b"\x81" + size + bytes(4) + payload


class Member:
    """One client."""

    __slots__ = ("buffer", "inside", "sock", "texts", "token", "upgraded")

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.token = ""
        self.texts = 0
        self.upgraded = self.inside = False
        self.buffer = b""


class Crowd:
    """Clients that come, read, leave and come again, all in one thread."""

    def __init__(self, port: int, count: int) -> None:
        self.members = [Member() for _ in range(count)]
        self.marks = 0
        self.refused = 0
        self._port = port
        self._poll = select.epoll()
        self._by_number: dict[int, Member] = {}
        self._waiting: list[tuple[float, Member]] = []
        key = base64.b64encode(os.urandom(16)).decode()
        self._request = (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: holdfast.v1\r\n\r\n"
        ).encode()

    @property
    def inside(self) -> int:
        """How many have a session, and are connected."""
        return sum(member.inside for member in self.members)

    def come(self, seconds: float = 120.0) -> None:
        """All that are away come, until each has a session."""
        for member in self.members:
            if not member.inside:
                self._connect(member)
                self._read_some(0.0)
        self.read_until(lambda: all(member.inside for member in self.members), seconds)

    def leave(self, count: int) -> None:
        """The last `count` of them go away without a word."""
        for member in self.members[len(self.members) - count :]:
            self._drop(member)

    def say(self, count: int, text: str) -> None:
        """The first of them lets the application say something to all, `count` times."""
        member = self.members[0]
        member.texts += 1
        command = {"t": "cmd", "c": member.texts, "d": f"say {count} {text}{MARK.decode()}"}
        assert member.sock is not None
        member.sock.send(masked(command))

    def read(self, seconds: float) -> None:
        """Read for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read_some(left)

    def read_until(self, reached: Callable[[], bool], seconds: float = 60.0) -> None:
        """Read until something is so."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > end:
                raise TimeoutError(f"not reached within {seconds:g} s: {self.inside} inside")
            self._read_some(0.05)

    def close(self) -> None:
        for member in self.members:
            self._drop(member)
        self._poll.close()

    def _connect(self, member: Member) -> None:
        self._drop(member)
        try:
            member.sock = socket.create_connection(("127.0.0.1", self._port))
            member.sock.sendall(self._request)
        except OSError:
            self._refuse(member)
            return
        member.sock.setblocking(False)
        self._by_number[member.sock.fileno()] = member
        self._poll.register(member.sock, select.EPOLLIN)

    def _drop(self, member: Member) -> None:
        if member.sock is not None:
            self._by_number.pop(member.sock.fileno(), None)
            member.sock.close()
            member.sock = None
        member.upgraded = member.inside = False
        member.buffer = b""

    def _refuse(self, member: Member) -> None:
        self._drop(member)
        self.refused += 1
        self._waiting.append((time.monotonic() + RETRY_SECONDS, member))

    def _read_some(self, seconds: float) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            self._connect(self._waiting.pop(0)[1])
        for number, _ in self._poll.poll(seconds):
            member = self._by_number.get(number)
            if member is not None and member.sock is not None:
                self._read(member, member.sock)

    def _read(self, member: Member, sock: socket.socket) -> None:
        data = b""
        with suppress(ConnectionError):
            data = sock.recv(1 << 18)
        if not data:
            self._refuse(member)
            return
        self.marks += data.count(MARK)
        if member.inside and b'"token"' not in data:
            return
        member.buffer += data
        if not member.upgraded:
            if b"\r\n\r\n" not in member.buffer:
                return
            member.upgraded = True
            hello: dict[str, object] = {"t": "hello"}
            if member.token:
                hello["token"] = member.token
            sock.send(masked(hello))
            return
        tokens = _TOKEN.findall(member.buffer)
        if tokens:
            member.token = tokens[-1].decode()
            member.inside = member.inside or any(word in member.buffer for word in _IN)
            member.buffer = b""


# --- the probe


class Pause(NamedTuple):
    """How long the server did nothing for anybody, in seconds."""

    lasted: float
    """Until the pong: on a busy machine, also while other processes had the server's core."""
    worked: float
    """The CPU time that the server took until the pong, in another pause perhaps."""


class Probe:
    """How long the server does nothing for anybody."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def worst(self) -> Pause:
        """The longest pauses since the last call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        lasted, worked = map(float, self._process.stdout.readline().split())
        return Pause(lasted, worked)


@contextmanager
def probing(port: int, pid: int) -> Iterator[Probe]:
    """A probe of the server at `port`, in a process beside the load's."""
    process = subprocess.Popen(
        harness.pinned(1, [PYTHON, "-m", "bench.crowd", str(port), str(pid)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        probe = Probe(process)
        probe.worst()
        yield probe
    finally:
        process.kill()
        process.wait()


def _cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time (clock_getcpuclockid(3), which Python does not have)."""
    return (~pid << 3) | 2


def _probe(port: int, pid: int) -> None:
    with suppress(PermissionError):  # else the load's turns on their core count, too
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    sock = opened(port)
    sock.setblocking(True)
    clock = _cpu_clock(pid)
    lasted = worked = 0.0
    while True:
        sent, used = time.monotonic(), time.clock_gettime(clock)
        sock.send(b"\x89\x80\x00\x00\x00\x00")
        got = b""
        while len(got) < 2:
            got += sock.recv(2 - len(got))
        lasted = max(lasted, time.monotonic() - sent)
        worked = max(worked, time.clock_gettime(clock) - used)
        if select.select([sys.stdin], [], [], 0.001)[0]:
            if not sys.stdin.readline():
                return
            print(lasted, worked, flush=True)
            lasted = worked = 0.0


if __name__ == "__main__":
    _probe(int(sys.argv[1]), int(sys.argv[2]))
