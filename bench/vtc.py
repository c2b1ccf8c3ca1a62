"""How soon the test language answers, beside VTest2's program, idle and beside busy processes.

A peer of the test, at real-time priority where that is allowed, takes the times,
in milliseconds: from its accepting a connection to the client's first byte;
from its connecting to the server's first byte; between the first and the last of
ten writes in a row; from a request to its answer; from a syslog line to what the
script does next.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from bench import harness
from bench.harness import PYTHON, Row

OURS = Path(sys.executable).parent / "holdfast-vtest"
TURNS = 100
SECONDS_MAX = 120.0
BUSY = 2
_PRIORITY = 50
_WRITES = 10


def main(arguments: list[str]) -> int:
    """Measure and print; 0."""
    options = _parser().parse_args(arguments)
    runners = {"holdfast": OURS}
    if options.reference:
        runners["VTest2"] = options.reference
    rows = []
    with _real_time():
        for busy in (0, BUSY):
            with _busy_processes(busy):
                for name, measure in MEASURES.items():
                    rows += [
                        _row(name, busy, runner, _times(measure, path, options.rounds))
                        for runner, path in runners.items()
                    ]
    harness.show("how soon the test language answers", rows, as_json=options.json)
    return 0


def _parser() -> ArgumentParser:
    parser = harness.parser(__doc__)
    parser.add_argument("--reference", type=Path, help="VTest2's program, to compare with")
    return parser


def _row(name: str, busy: int, runner: str, seconds: list[float]) -> Row:
    cuts = quantiles(seconds, n=100)
    return {
        "measure": name,
        "busy": busy,
        "runner": runner,
        "median_ms": round(1000 * median(seconds), 3),
        "p99_ms": round(1000 * cuts[98], 3),
        "worst_ms": round(1000 * max(seconds), 3),
    }


Measure = Callable[[Path], list[float]]


def _times(measure: Measure, runner: Path, rounds: int) -> list[float]:
    return [found for _ in range(rounds) for found in measure(runner)]


# --- what is measured


def connect_to_first_byte(runner: Path) -> list[float]:
    """A client that connects and sends."""

    def serve(connection: socket.socket) -> float:
        accepted = time.perf_counter()
        _receive(connection, 1)
        return time.perf_counter() - accepted

    return _clients(runner, 'send "x"\n    recv 1', serve)


def send_to_send(runner: Path) -> list[float]:
    """A client that writes several times in a row."""

    def serve(connection: socket.socket) -> float:
        _receive(connection, 1)
        first = time.perf_counter()
        _receive(connection, 3 * _WRITES - 1)
        return time.perf_counter() - first

    return _clients(runner, 'sendhex "78 79 7a"\n    ' * _WRITES + "recv 1", serve)


def accept_to_first_byte(runner: Path) -> list[float]:
    """A server that accepts and sends."""

    def ask(port: int) -> float:
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            _receive(connection, 1)
            return time.perf_counter() - started

    return _server(runner, 'send "x"', ask)


def request_to_answer(runner: Path) -> list[float]:
    """A server that reads a request and answers."""

    def ask(port: int) -> float:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            time.sleep(0.005)  # it waits for the request then, and has nothing else to do
            started = time.perf_counter()
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _receive(connection, 1)
            return time.perf_counter() - started

    return _server(runner, "rxreq\n    txresp", ask)


def syslog_to_next(runner: Path) -> list[float]:
    """A syslog server that reads and checks a line, and a client that connects then."""
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as folder:
        script = (
            'vtest "syslog"\nsyslog S1 -level info -repeat 1 {\n    recv\n'
            '    expect ~ "a line"\n} -start\n'
            f"client c1 -connect 127.0.0.1:{server.getsockname()[1]} {{\n"
            '    send "${S1_port}\\n"\n    recv 1\n} -run\n'
            "syslog S1 -wait\n"
            f"client c2 -connect 127.0.0.1:{server.getsockname()[1]} {{\n    recv 1\n}} -run\n"
        )
        return [_syslog_turn(runner, server, script, Path(folder)) for _ in range(TURNS // 5)]


def _syslog_turn(runner: Path, server: socket.socket, script: str, folder: Path) -> float:
    with _running(runner, script, folder):
        first, _ = server.accept()
        with first, socket.socket(type=socket.SOCK_DGRAM) as sender:
            port = int(first.makefile().readline())
            first.sendall(b".")
            time.sleep(0.02)  # it waits for the line then
            started = time.perf_counter()
            sender.sendto(b"<6>Jan 1 00:00:00 x: a line", ("127.0.0.1", port))
            second, _ = server.accept()
            took = time.perf_counter() - started
        with second:
            second.sendall(b".")
    return took


MEASURES: dict[str, Measure] = {
    "connect to first byte": connect_to_first_byte,
    "accept to first byte": accept_to_first_byte,
    "ten writes in a row": send_to_send,
    "request to answer": request_to_answer,
    "syslog to next": syslog_to_next,
}


# --- the scripts' peers


def _clients(runner: Path, spec: str, serve: Callable[[socket.socket], float]) -> list[float]:
    """The times of a client that runs `spec` again and again."""
    times: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as folder:
        script = (
            f'vtest "a client"\nclient c1 -repeat {TURNS} '
            f"-connect 127.0.0.1:{server.getsockname()[1]} {{\n    {spec}\n}} -run\n"
        )
        with _running(runner, script, Path(folder)):
            for _ in range(TURNS):
                connection, _ = server.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    times.append(serve(connection))
                    connection.sendall(b".")
    return times[1:]


def _server(runner: Path, spec: str, ask: Callable[[int], float]) -> list[float]:
    """The times of a server that runs `spec` again and again."""
    times: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as told, tempfile.TemporaryDirectory() as folder:
        script = (
            f'vtest "a server"\nserver s1 -repeat {TURNS} {{\n    {spec}\n}} -start\n'
            f"client c1 -connect 127.0.0.1:{told.getsockname()[1]} {{\n"
            '    send "${s1_port}\\n"\n} -run\nserver s1 -wait\n'
        )
        with _running(runner, script, Path(folder)):
            first, _ = told.accept()
            with first:
                port = int(first.makefile().readline())
            for _ in range(TURNS):
                times.append(ask(port))
                time.sleep(0.002)  # it is at its next accept then
    return times


def _receive(connection: socket.socket, count: int) -> None:
    while count > 0:
        count -= len(connection.recv(count)) or count


@contextmanager
def _running(runner: Path, script: str, folder: Path) -> Iterator[None]:
    path = folder / "script.vtc"
    path.write_text(script)
    command = [str(runner), "-q", "-t", "60", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        watch = threading.Timer(SECONDS_MAX, program.kill)
        watch.start()
        try:
            yield
            program.wait(SECONDS_MAX)
        finally:
            watch.cancel()
            program.kill()
    if program.returncode:
        raise SystemExit(f"{runner}: ended with {program.returncode}")


@contextmanager
def _real_time() -> Iterator[None]:
    """This process, the peer, comes before the runner and the busy ones."""
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK  # not for the programs that it starts
    with suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(_PRIORITY))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def _busy_processes(count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            program = subprocess.Popen([PYTHON, "-c", "while True: pass"])
            stack.callback(program.wait)
            stack.callback(program.kill)
        yield
