"""Connections that end leave nothing to the garbage collector, which stops the event loop.

A hundred thousand objects in cycles take it 100 ms and more, and whoever connects and leaves
again makes as many as the gateway lets them.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import structs
from tests.gateway.admin.asking import administered
from tests.gateway.certificates import certificate
from tests.gateway.running import SECONDS, TCP, TELNET, WS, configured, port, serving

from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway

VISITS: Final = 8
OBJECTS_MAX: Final = 10
"""Left by one visit. An HTTP request that aiohttp's router refuses leaves 6."""

_TLS: Final = "tls://127.0.0.1:0"
_UPGRADE: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
_V1: Final = "Sec-WebSocket-Protocol: holdfast.v1"


class Visit(NamedTuple):
    """What a client sends, each piece after something has come in answer to the one before."""

    at: str
    pieces: Sequence[bytes] = ()
    tls: bool = False


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def frame(payload: bytes, first: int = 0x81) -> bytes:
    assert len(payload) < 126
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


def link_frame(secret: str) -> bytes:
    hello = {"protocol": 1, "app": "a", "instance": "i", "window": 1, "secret": secret}
    body = msgspec.msgpack.encode([0, 1, "hello", hello])
    return len(body).to_bytes(4, "big") + body


OPEN: Final = get("/", *_UPGRADE, _V1)
CLOSE: Final = frame(b"\x03\xe8", 0x88)
VISITORS: Final[Mapping[str, Visit]] = {
    "lines": Visit("tcp", [b"good day\n"]),
    "a code": Visit("tcp", [b"resume 2222-2222-2222\n"]),
    "Telnet": Visit("telnet", [b"\xff\xfb\xc9\xff\xfd\xc9\xff\xfb\x18good day\r\n"]),
    "silence": Visit("ws"),
    "no upgrade": Visit("ws", [b"GET / HTTP/1.1\r\n\r\n"]),
    "a page": Visit("ws", [get("/")]),
    "no page": Visit("ws", [get("/nothing")]),
    "no method": Visit("ws", [get("/").replace(b"GET", b"PUT")]),
    "another origin": Visit("ws", [get("/", *_UPGRADE, "Origin: http://elsewhere.example")]),
    "a session": Visit("ws", [OPEN, frame(b'{"t":"hello"}'), CLOSE]),
    "a token": Visit("ws", [OPEN, frame(b'{"t":"hello","token":"%s"}' % (b"a" * 64)), CLOSE]),
    "no message": Visit("ws", [OPEN, frame(b'{"t":"nothing"}')]),
    "no frame": Visit("ws", [OPEN, b"\x83\x80abcd"]),
    "TLS": Visit("tls", [b"good day\n"], tls=True),
    "no TLS": Visit("tls", [b"good day, and no TLS at all\n"]),
    "a silent link": Visit("link"),
    "a link's secret": Visit("link", [link_frame("wrong")]),
    "no link": Visit("link", [b"\xff" * 8]),
    "the admin's token": Visit("admin", [get("/api/sessions", "Authorization: Bearer x")]),
    "no admin's page": Visit("admin", [get("/api/nothing")]),
}


def configuration(folder: Path) -> Config:
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html>")
    config = configured(folder, (WS, TELNET, TCP, _TLS), backend="echo", pages=str(site))
    *clear, secure = config.listener
    listeners = (*clear, structs.replace(secure, certificate=certificate(folder)))
    link = structs.replace(config.link, listen="tcp://127.0.0.1:0", secret="s" * 40)
    return administered(structs.replace(config, listener=listeners, link=link))


def ports(gateway: Gateway) -> dict[str, int]:
    """The ports of all listeners, by name."""
    assert gateway.link_address is not None
    assert gateway.admin_address is not None
    clients = {scheme: port(gateway, scheme) for scheme in ("ws", "telnet", "tcp", "tls")}
    return clients | {"link": gateway.link_address.port, "admin": gateway.admin_address.port}


def visit(at: int, visitor: Visit, context: ssl.SSLContext) -> None:
    """Say it all, and leave; the gateway has closed its end, too."""
    with socket.create_connection(("127.0.0.1", at), timeout=SECONDS) as sock:
        end = context.wrap_socket(sock) if visitor.tls else sock
        try:
            for piece in visitor.pieces:
                end.sendall(piece)
                end.recv(65536)
            if isinstance(end, ssl.SSLSocket):
                end = end.unwrap()
            end.shutdown(socket.SHUT_WR)
            while end.recv(65536):
                pass
        except OSError:
            pass  # it was reset
        finally:
            end.close()


async def test_connections_that_end_leave_no_garbage(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    left = {}
    async with serving(configuration(tmp_path)) as gateway:
        at = ports(gateway)
        for name, visitor in VISITORS.items():
            await asyncio.to_thread(visit, at[visitor.at], visitor, context)  # imports what it must
            gc.collect()
            gc.disable()
            try:
                for _ in range(VISITS):
                    await asyncio.to_thread(visit, at[visitor.at], visitor, context)
                left[name] = gc.collect() / VISITS
            finally:
                gc.enable()
    assert {name: count for name, count in left.items() if count > OBJECTS_MAX} == {}
