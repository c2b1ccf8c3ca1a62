"""Guessing what gives a session: tokens, codes, the link's secret, the admin's token."""

from __future__ import annotations

import random
from typing import Final

import msgspec

from bench.attacks.wire import (
    HELLO,
    V1,
    Attack,
    Peer,
    Target,
    crowd,
    dialled,
    frame,
    hexadecimal,
    websocket,
)

_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


async def wrong_tokens(target: Target) -> None:
    """Token after token on each WebSocket."""

    async def step() -> None:
        async with websocket(target, V1) as peer:
            for _ in range(100):
                hello = {"t": "hello", "token": hexadecimal(32)}
                await peer.send(frame(msgspec.json.encode(hello)))
                await peer.read()

    await crowd(step, 20)


def _code() -> str:
    digits = "".join(random.choices(_ALPHABET, k=12))
    return f"resume {digits[:4]}-{digits[4:8]}-{digits[8:]}\n"


async def _guess(peer: Peer, address: str) -> None:
    await peer.send(f"PROXY TCP6 {address} 2001:db8::1 40000 4000\r\n{_code()}".encode())
    for _ in range(5):
        await peer.read()
        await peer.send(_code().encode())


async def codes_of_one_network(target: Target) -> None:
    """Resume codes, from as many addresses of one IPv6 /64 as it has."""

    async def step() -> None:
        host = ":".join(f"{random.getrandbits(16):x}" for _ in range(4))
        async with dialled(target.proxied) as peer:
            await _guess(peer, f"2001:db8:0:1:{host}")

    await crowd(step, 40)


async def codes_of_many_networks(target: Target) -> None:
    """Resume codes, each from another IPv6 network."""

    async def step() -> None:
        network = ":".join(f"{random.getrandbits(16):x}" for _ in range(2))
        async with dialled(target.proxied) as peer:
            await _guess(peer, f"2001:db8:{network}::1")

    await crowd(step, 40)


async def logins(target: Target) -> None:
    """Passwords, as many as one connection is let, of one user and of many."""

    async def step() -> None:
        async with websocket(target, V1, port=target.login) as peer:
            await peer.send(HELLO)
            for name in ("ann", hexadecimal(4), "ann", hexadecimal(4), "ann", "ann"):
                claim = {"t": "login", "username": name, "password": hexadecimal(8)}
                await peer.send(frame(msgspec.json.encode(claim)))
                await peer.read()

    await crowd(step, 40)


def _link_frame(secret: str) -> bytes:
    fields = {"protocol": 1, "app": "bench", "instance": "i", "window": 1, "secret": secret}
    body = msgspec.msgpack.encode([0, 1, "hello", fields])
    return len(body).to_bytes(4, "big") + body


async def link_secrets(target: Target) -> None:
    """The link's secret, as often as one connection is let, and frames of 16 MiB before that."""

    async def step() -> None:
        async with dialled(target.link) as peer:
            for _ in range(100):
                await peer.send(_link_frame(hexadecimal(8)))
            await peer.send((16 << 20).to_bytes(4, "big") + bytes(1 << 20))
            await peer.gone()

    await crowd(step, 20)


async def silent_links(target: Target) -> None:
    """Connections to the link that say nothing."""

    async def step() -> None:
        async with dialled(target.link) as peer:
            await peer.gone()

    await crowd(step, 200)


async def admin_tokens(target: Target) -> None:
    """The admin listener's token."""

    async def step() -> None:
        async with dialled(target.admin) as peer:
            fields = f"Host: 127.0.0.1:{target.admin}\r\nAuthorization: Bearer {hexadecimal(16)}"
            await peer.send(f"GET /v1/sessions HTTP/1.1\r\n{fields}\r\n\r\n".encode())
            await peer.read()

    await crowd(step, 10)


ATTACKS: Final[dict[str, Attack]] = {
    "wrong tokens": wrong_tokens,
    "codes, one /64": codes_of_one_network,
    "codes, many networks": codes_of_many_networks,
    "logins": logins,
    "link secrets": link_secrets,
    "silent links": silent_links,
    "admin tokens": admin_tokens,
}
