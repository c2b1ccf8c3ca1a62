"""A protocol of one's own: devices report in frames with a length, and each report is answered.

    python examples/tcp/devices.py tcp://127.0.0.1:7001

A report is a 4-byte length and `NAME VALUE`; the answer is `ok COUNT`, or `error WHY`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from holdfast.tcp import LengthPrefixed, Stream, serve_forever

reports: Counter[str] = Counter()


def process(report: bytes) -> str:
    name, _, value = report.decode("utf-8", "replace").partition(" ")
    try:
        float(value)
    except ValueError:
        return f"error expected NAME VALUE, found {report[:40]!r}"
    reports[name] += 1
    return f"ok {reports[name]}"


async def device(stream: Stream) -> None:
    framing = LengthPrefixed(frame_bytes_max=1_000)
    async for report in stream.frames(framing):
        await stream.write(framing.encode(process(report).encode()))


if __name__ == "__main__":
    asyncio.run(serve_forever(device, *sys.argv[1:], started=lambda at: print(*at, flush=True)))
