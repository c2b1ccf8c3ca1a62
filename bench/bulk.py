"""Pumps bytes through a proxy: `python -m bench.bulk PORT SINK_PORT PID STREAMS SECONDS`.

Sends on STREAMS connections to PORT, takes what arrives at SINK_PORT, and writes
one JSON object: megabytes, and the CPU seconds that process PID took for them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

_PIECE = b"x" * (256 * 1024)


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    port, sink_port, pid, streams = map(int, sys.argv[1:5])
    seconds = float(sys.argv[5])
    received = [0] * streams

    def sink(number: int, taken: socket.socket) -> None:
        buffer = bytearray(1 << 20)
        while count := taken.recv_into(buffer):
            received[number] += count

    def source(pipe: socket.socket, end: float) -> None:
        while time.monotonic() < end:
            pipe.sendall(_PIECE)
        pipe.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", sink_port)) as server:
        server.settimeout(10)
        pipes = [socket.create_connection(("127.0.0.1", port)) for _ in range(streams)]
        before, began = cpu_seconds(pid), time.monotonic()
        threads = [threading.Thread(target=source, args=(pipe, began + seconds)) for pipe in pipes]
        for thread in threads:
            thread.start()
        sinks = []
        for number in range(streams):
            taken, _ = server.accept()
            sinks.append(threading.Thread(target=sink, args=(number, taken)))
            sinks[-1].start()
        for thread in threads + sinks:
            thread.join(seconds + 30)
        used, passed = cpu_seconds(pid) - before, time.monotonic() - began
    megabytes = sum(received) / 1e6
    print(json.dumps({"MB": megabytes, "cpu_s": used, "wall_s": passed}))


if __name__ == "__main__":
    main()
