"""Taking room: connections, sessions, memory and disk."""

from __future__ import annotations

import itertools
import zlib
from typing import Final

import msgspec

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

_HOLDING_SECONDS: Final = 20.0


async def _silence(port: int, first: bytes, size: int) -> None:
    """Hold connections that have sent this, and send no more."""

    async def step() -> None:
        async with dialled(port) as peer:
            if first:
                await peer.send(first)
            await peer.gone(_HOLDING_SECONDS)

    await crowd(step, size)


async def silent_before_tls(target: Target) -> None:
    """Sockets that begin no TLS."""
    await _silence(target.tls, b"", 3000)


async def silent_before_proxy(target: Target) -> None:
    """Sockets that say nothing where a PROXY header is due."""
    await _silence(target.proxied, b"", 3000)


async def half_open(target: Target) -> None:
    """Half an opening handshake each."""
    await _silence(target.ws, request(target)[:60], 3000)


async def silent_strangers(target: Target) -> None:
    """Line clients that connect and say nothing: each is a session."""
    await _silence(target.tcp, b"", 3000)


async def sessions(target: Target) -> None:
    """One line a connection, each a session."""

    async def step() -> None:
        async with dialled(target.tcp) as peer:
            await peer.send(b"hello\n")
            await peer.read()

    await crowd(step, 50)


async def deflate_bomb(target: Target) -> None:
    """60 kB that become 64 MB, in messages that the gateway takes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    message = b'{"t":"cmd","c":1,"d":"' + b"x" * 60_000 + b'"}'
    packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
    bomb = frame(packed[:-4], 0xC1) * (60_000 // len(packed))

    async def step() -> None:
        async with websocket(target, V1, "Sec-WebSocket-Extensions: permessage-deflate") as peer:
            await peer.send(HELLO)
            await peer.read()
            await peer.send(bomb)
            await peer.gone(5)

    await crowd(step, 40)


async def never_reading(target: Target) -> None:
    """Commands for as long as they are taken, and no answer is read."""

    async def step() -> None:
        async with websocket(target, V1) as peer:
            await peer.send(HELLO)
            peer.writer.transport.pause_reading()
            for command in commands("x" * 8000):
                await peer.send(command, 10)

    await crowd(step, 200)


async def unread_output(target: Target) -> None:
    """The same on twice as many, whose own kernel takes little: the gateway keeps the answers."""

    async def step() -> None:
        async with websocket(target, V1, received_max=4096) as peer:
            await peer.send(HELLO)
            peer.writer.transport.pause_reading()
            for command in commands("x" * 30_000):
                await peer.send(command, _HOLDING_SECONDS)

    await crowd(step, 400)


async def unfinished_messages(target: Target) -> None:
    """Messages and lines of 60 kB whose last byte never comes."""
    ends = itertools.cycle([True, False])

    async def step() -> None:
        if next(ends):
            async with websocket(target, V1) as peer:
                await peer.send(HELLO + frame(b"x" * 60_000)[:-1])
                await peer.gone(_HOLDING_SECONDS)
        else:
            async with dialled(target.tcp) as peer:
                await peer.send(b"x" * 60_000)
                await peer.gone(_HOLDING_SECONDS)

    await crowd(step, 2000)


async def large_commands(target: Target) -> None:
    """60 kB a command, as many as are taken: they are kept, sent, and kept again."""

    async def step() -> None:
        async with websocket(target, V1) as peer:
            await peer.pour(itertools.chain([HELLO], commands("x" * 60_000)))

    await crowd(step, 10)


async def refused_requests(target: Target) -> None:
    """Requests and messages that leave a line in the log, with as much in it as they can."""
    junk = "\x1b[31m" + "x" * 4000

    async def step() -> None:
        async with dialled(target.ws) as peer:
            await peer.send(request(target, V1, f"Origin: http://{'x' * 4000}.example"))
            await peer.read()
        async with websocket(target, V1) as peer:
            await peer.send(frame(msgspec.json.encode({"t": junk})))
            await peer.read()

    await crowd(step, 20)


ATTACKS: Final[dict[str, Attack]] = {
    "silent before TLS": silent_before_tls,
    "silent before PROXY": silent_before_proxy,
    "half-open": half_open,
    "silent strangers": silent_strangers,
    "sessions": sessions,
    "deflate bombs": deflate_bomb,
    "never reading": never_reading,
    "unread output": unread_output,
    "unfinished messages": unfinished_messages,
    "large commands": large_commands,
    "log lines": refused_requests,
}
