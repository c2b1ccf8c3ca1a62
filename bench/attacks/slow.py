"""Taking time: what is slow to read, and what is cheap to send."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Final

from bench.attacks.wire import (
    HELLO,
    V1,
    Attack,
    Target,
    commands,
    crowd,
    dialled,
    frame,
    request,
    websocket,
)

_IAC: Final = b"\xff"
_GMCP: Final = _IAC + b"\xfa\xc9"
_SE: Final = _IAC + b"\xf0"


async def _pour(port: int, data: bytes, size: int) -> None:
    """Send this for as long as it is taken; the answers are read."""

    async def step() -> None:
        async with dialled(port) as peer:
            await peer.pour(itertools.repeat(data))

    await crowd(step, size)


async def telnet_marks(target: Target) -> None:
    """GA and EOR, which end nothing."""
    await _pour(target.telnet, (_IAC + b"\xf9" + _IAC + b"\xef") * 4000, 5)


async def telnet_negotiations(target: Target) -> None:
    """Offers of options that nobody knows."""
    offers = b"".join(_IAC + b"\xfb" + bytes([option]) for option in range(100, 200))
    await _pour(target.telnet, offers * 20, 5)


async def gmcp(target: Target) -> None:
    """Messages of GMCP that mean nothing, or acknowledge a number of 4,000 digits."""
    agreed = _IAC + b"\xfd\xc9"
    ack = _GMCP + b'Holdfast.Ack {"n":' + b"9" * 4000 + b"}" + _SE
    await _pour(target.telnet, agreed + (ack + (_GMCP + b"X.Y 1" + _SE) * 100) * 2, 5)


async def resume_and_spaces(target: Target) -> None:
    """What a pattern for `resume CODE` would look at again and again."""
    await _pour(target.tcp, b"resume" + b" " * 15_000 + b"\n", 10)


async def resume_and_spaces_over_telnet(target: Target) -> None:
    """The same with Telnet's limit of a line."""
    await _pour(target.telnet, b"resume" + b" " * 5_900 + b"\r\n", 10)


async def empty_lines(target: Target) -> None:
    """Lines with nothing in them."""
    await _pour(target.tcp, b"\n" * 16_000, 10)


async def pings(target: Target) -> None:
    """WebSocket pings, and pings of the sub-protocol."""
    poured = (frame(b"", 0x89) + frame(b'{"t":"ping"}')) * 1000

    async def step() -> None:
        async with websocket(target, V1) as peer:
            await peer.pour(itertools.chain([HELLO], itertools.repeat(poured)))

    await crowd(step, 5)


async def fragments(target: Target) -> None:
    """Messages in as many frames as may be, most of them empty."""
    pieces = frame(b"x", 0x01) + frame(b"", 0x00) * 16_000

    async def step() -> None:
        async with websocket(target) as peer:
            await peer.send(pieces)
            await peer.gone(5)

    await crowd(step, 10)


async def heads(target: Target) -> None:
    """Opening handshakes with 15 kB of cookies that are odd, and numbers of many digits."""
    cookie = "Cookie: " + 'a="' + "\\" * 12_000
    many = "Cookie: " + "; ".join(f"holdfast={n}" for n in range(1000))
    length = "Content-Length: " + "9" * 5000
    version = "Sec-WebSocket-Version: " + "1" * 5000
    fields = (cookie, many, length, version)

    async def step() -> None:
        for field in fields:
            async with dialled(target.ws) as peer:
                await peer.send(request(target, field))
                await peer.read()

    await crowd(step, 20)


async def dripping_heads(target: Target) -> None:
    """A byte of a request each half second, after a page that was served."""
    page = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{target.ws}\r\n\r\n".encode()

    async def step() -> None:
        async with dialled(target.ws) as peer:
            await peer.send(page)
            await peer.read()
            for byte in page * 4:
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.5)

    await crowd(step, 1000)


async def dripping_frames(target: Target) -> None:
    """A message of 60 kB, a byte each half second."""

    async def step() -> None:
        async with websocket(target, V1) as peer:
            await peer.send(HELLO)
            for byte in frame(b"x" * 60_000):
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.5)

    await crowd(step, 1000)


async def pages(target: Target) -> None:
    """Pages, one connection each, none of which is read."""
    page = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{target.ws}\r\n\r\n".encode()

    async def step() -> None:
        async with dialled(target.ws) as peer:
            peer.writer.transport.pause_reading()
            with contextlib.suppress(TimeoutError):
                for _ in range(1000):
                    await peer.send(page * 10, 1)

    await crowd(step, 50)


async def deep_values(target: Target) -> None:
    """Structured commands of many levels, and of numbers that no language has."""
    values = ("[" * 20_000 + "]" * 20_000, "9" * 60_000, "[" + "{}," * 20_000 + "{}]")

    async def step() -> None:
        for value in values:
            async with websocket(target, V1) as peer:
                await peer.send(HELLO)
                await peer.read()
                command = b'{"t":"data","c":1,"p":"x","d":' + value.encode() + b"}"
                await peer.send(frame(command))
                await peer.read()

    await crowd(step, 10)


async def counts(target: Target) -> None:
    """Commands out of order, each of which could ask for a repeat."""

    async def step() -> None:
        async with websocket(target, V1) as peer:
            hello = frame(b'{"t":"hello","acked":9007199254740991}')
            await peer.pour(itertools.chain([hello], commands("", 2)))

    await crowd(step, 10)


ATTACKS: Final[dict[str, Attack]] = {
    "Telnet marks": telnet_marks,
    "Telnet negotiations": telnet_negotiations,
    "GMCP": gmcp,
    "resume and spaces": resume_and_spaces,
    "resume and spaces, Telnet": resume_and_spaces_over_telnet,
    "empty lines": empty_lines,
    "pings": pings,
    "fragments": fragments,
    "odd heads": heads,
    "dripping heads": dripping_heads,
    "dripping frames": dripping_frames,
    "pages": pages,
    "deep values": deep_values,
    "numbers out of order": counts,
}
