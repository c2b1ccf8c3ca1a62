"""Servers as services: signals, draining, socket activation, notifications, workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.cli.process import SECONDS, Program, program
from tests.net.certificates import AUTHORITY, issue
from tests.ports import free_port
from tests.programs import need


async def port_of(echo: Program) -> int:
    return int((await echo.says("listening at ")).rpartition(":")[2].strip("/"))


# --- draining


class Busy:
    """A client that always has something under way, and remembers all of it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.came = bytearray()
        self.rounds = 0
        self.reset = False

    async def run(self, port: int, began: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await self._talk(reader, writer, began)
        except ConnectionError:
            self.reset = True
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: asyncio.Event
    ) -> None:
        number = 0
        while True:
            message = b"%08d" % number
            number += 1
            writer.write(message)
            self.sent += message
            data = await reader.read(64)
            if not data:
                return
            self.came += data
            self.rounds += 1
            if self.rounds == 2:
                began.set()


async def test_a_drain_under_a_thousand_busy_connections_loses_nothing() -> None:
    """Each gets back all that was taken from it, in order, and then the end: no reset, no gap."""
    async with program("echo", "tcp://127.0.0.1:0") as echo:
        port = await port_of(echo)
        clients = [Busy() for _ in range(1_000)]
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            began = [asyncio.Event() for _ in clients]
            for client, event in zip(clients, began, strict=True):
                tasks.create_task(client.run(port, event))
            for event in began:
                await event.wait()
            echo.send(signal.SIGTERM)
        assert await echo.ends() == 0, echo.err
        assert echo.err == ""
    assert [client for client in clients if client.reset] == []
    for client in clients:
        assert client.sent.startswith(client.came)
        assert len(client.sent) - len(client.came) <= 8  # the one that the end has answered


async def test_a_second_sigterm_closes_at_once() -> None:
    async with program("echo", "tcp://127.0.0.1:0") as echo:
        port = await port_of(echo)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        loop = asyncio.get_running_loop()
        echo.send(signal.SIGTERM)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            assert await reader.read() == b""  # told; but it does not go
            going_on = tasks.create_task(goes_on_sending(writer))
            before = loop.time()
            echo.send(signal.SIGTERM)
            assert await echo.ends() == 0, echo.err
            assert loop.time() - before < 4  # without it, five seconds and more
            going_on.cancel()
        writer.close()


async def goes_on_sending(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.1)


# --- no more files


async def test_a_process_without_free_files_sends_away_and_goes_on() -> None:
    files = 64

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    async with program("echo", "tcp://127.0.0.1:0", before=few) as echo:
        port = await port_of(echo)
        async with asyncio.timeout(SECONDS):
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            served = gone = 0
            for reader, writer in clients:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"x")
                    if await reader.read(1) == b"x":
                        served += 1
                        continue
                gone += 1
            assert served + gone == 100
            assert 30 < served < files
            (line, *more) = await echo.logged("cannot accept")
            assert line["fault"] == "Too many open files"
            assert len(more) <= 2
            for reader, writer in clients[:10]:  # they are still served
                writer.write(b"y")
                assert await reader.readexactly(1) == b"y"
            for _, writer in clients:
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"z")
            assert await reader.readexactly(1) == b"z"
            writer.close()
        echo.send(signal.SIGTERM)
        assert await echo.ends() == 0, echo.err


# --- socket activation and notifications


async def test_systemd_s_sockets_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "s"
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        need("systemd-socket-activate"),
        *("-l", f"127.0.0.1:{port}", "-l", str(path)),
        *(sys.executable, "-m", "holdfast", "echo"),
        *(f"tcp://127.0.0.1:{port}", f"unix:{path}"),
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not path.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            # The first client is there before the server is.
            for reader, writer in (
                await asyncio.open_connection("127.0.0.1", port),
                await asyncio.open_unix_connection(path),
            ):
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.close()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        assert path.exists()  # it is systemd's, for the next start
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_socket_that_no_listener_takes_is_an_error(tmp_path: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        need("systemd-socket-activate"),
        *("-l", f"127.0.0.1:{port}"),
        *(sys.executable, "-m", "holdfast", "echo", "tcp://127.0.0.1:0"),
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        assert b"Listening" in await process.stderr.readline()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        err = (await process.stderr.read()).decode()
        assert await process.wait() == 2
        writer.close()
    assert f"expected a listener for each, found none at 127.0.0.1:{port}" in err


@pytest.mark.parametrize("kind", ["file", "abstract"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_the_service_manager_is_told(kind: str, workers: int, tmp_path: Path) -> None:
    where = str(tmp_path / "n") if kind == "file" else f"@holdfast-test-{os.getpid()}-{workers}"
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.bind(where.replace("@", "\0", 1))

        async def told() -> list[str]:
            async with asyncio.timeout(SECONDS):
                return (await loop.sock_recv(manager, 4096)).decode().splitlines()

        command = ["echo", "tcp://127.0.0.1:0", "--workers", str(workers)]
        async with program(*command, environment={"NOTIFY_SOCKET": where}) as echo:
            assert await told() == ["READY=1"]
            await port_of(echo)
            if workers == 1:
                echo.send(signal.SIGHUP)
                reloading, since = await told()
                assert reloading == "RELOADING=1"
                assert since.startswith("MONOTONIC_USEC=")
                assert await told() == ["READY=1"]
            echo.send(signal.SIGTERM)
            assert await told() == ["STOPPING=1"]
            assert await echo.ends() == 0, echo.err


# --- certificates


async def serial(port: int, context: ssl.SSLContext) -> str:
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    found: str = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return found


@pytest.mark.parametrize("how", ["sighup", "files"])
async def test_certificates_are_replaced_without_a_restart(how: str, tmp_path: Path) -> None:
    made = issue(tmp_path, "localhost", name="pair")
    context = ssl.create_default_context(cadata=AUTHORITY)
    command = ["echo", "tls://127.0.0.1:0", "--cert", made.cert, "--key", made.key]
    async with program(*command) as echo, asyncio.timeout(SECONDS):
        port = await port_of(echo)
        first = await serial(port, context)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        if how == "sighup":  # what is wrong is told, and changes nothing
            key = Path(made.key).read_text()  # noqa: ASYNC240
            Path(made.key).write_text("nonsense")  # noqa: ASYNC240
            echo.send(signal.SIGHUP)
            (line,) = await echo.logged("certificates not replaced")
            assert f"{made.cert} and {made.key}: expected a certificate chain" in line["fault"]
            assert await serial(port, context) == first
            Path(made.key).write_text(key)  # noqa: ASYNC240
        issue(tmp_path, "localhost", name="pair")
        if how == "sighup":
            echo.send(signal.SIGHUP)
        while await serial(port, context) == first:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()


# --- workers


async def workers_of(pid: int) -> list[int]:
    text = await asyncio.to_thread(Path(f"/proc/{pid}/task/{pid}/children").read_text)
    return [int(word) for word in text.split()]


async def test_workers_share_a_port_and_stop_together() -> None:
    async with program("echo", "tcp://127.0.0.1:0", "--workers", "2") as echo:
        port = await port_of(echo)
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        for reader, writer in clients:
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
        spread = await asyncio.to_thread(connections_of, await workers_of(echo.pid))
        assert sum(spread.values()) == 200
        assert len(spread) == 2
        assert min(spread.values()) > 50  # far from chance: 200 coins, 50 heads
        echo.send(signal.SIGTERM)
        for reader, writer in clients:
            assert await reader.read() == b""
            writer.close()
        assert await echo.ends() == 0, echo.err


async def test_a_worker_that_dies_is_started_again() -> None:
    async with program("echo", "tcp://127.0.0.1:0", "--workers", "2") as echo:
        port = await port_of(echo)
        before = await workers_of(echo.pid)
        await asyncio.sleep(1.0)  # a worker that dies as soon as it is born is not
        os.kill(before[0], signal.SIGKILL)
        (line,) = await echo.logged("worker exited")
        assert line["code"] == -signal.SIGKILL
        async with asyncio.timeout(SECONDS):
            while await asyncio.to_thread(listeners_at, port) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for _ in range(50):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
            (after,) = set(await workers_of(echo.pid)) - set(before)
            assert after
        echo.send(signal.SIGTERM)
        assert await echo.ends() == 0, echo.err
        assert len(await echo.logged("worker exited")) == 1


async def test_workers_stop_when_their_parent_is_gone() -> None:
    async with program("echo", "tcp://127.0.0.1:0", "--workers", "2") as echo:
        await port_of(echo)
        workers = await workers_of(echo.pid)
        assert len(workers) == 2
        echo.send(signal.SIGKILL)
        await echo.ends()
        async with asyncio.timeout(SECONDS):
            while any(Path(f"/proc/{pid}").exists() for pid in workers):  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["unix:s", "--workers", "2"], "workers: expected addresses of TCP, found unix:s"),
        (["tcp://127.0.0.1:0", "--workers", "0"], "workers: expected 1 to 256, found 0"),
        (["tcp://192.0.2.1:1", "--workers", "2"], "tcp://192.0.2.1:1: cannot listen there"),
    ],
)
async def test_workers_that_cannot_be_are_refused(arguments: list[str], fault: str) -> None:
    async with program("echo", *arguments) as echo:
        assert await echo.ends() == 2
    assert fault in echo.err


def listeners_at(port: int) -> int:
    """How many sockets listen at a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines
    )


def connections_of(pids: list[int]) -> Counter[int]:
    """How many accepted TCP sockets each process has."""
    found: Counter[int] = Counter()
    established = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "01":
            established.add(words[9])
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(file)
                if target.startswith("socket:[") and target[8:-1] in established:
                    found[pid] += 1
    return found
