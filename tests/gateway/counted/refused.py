"""What those change who are turned away, or get no further than their first bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs
from tests.gateway.clients import v1
from tests.gateway.counted.table import (
    CAME_AND_WENT,
    Configuration,
    Deed,
    Found,
    Scene,
    echoing,
    ends_by_itself,
    exchange,
    secured,
)
from tests.gateway.running import (
    TCP,
    WS,
    eventually,
)

import holdfast.gateway.listeners as gateway_listeners
from holdfast.gateway.config import Config
from holdfast.gateway.conversation.driver import Driver
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.transport import transports as sockets


def _refused(reason: str, admitted: int = 0) -> Found:
    found: Found = {
        f"connections_refused_total{{{reason}}}": 1,
        "listener_refused_total{listener}": 1,
    }
    if admitted:
        found |= dict.fromkeys(
            ("listener_accepted_total{listener}", "listener_connections{listener}"), admitted
        )
    return found


def _comes_after(count: int) -> Deed:
    async def comes_after(scene: Scene) -> AsyncIterator[Found | None]:
        where = ("127.0.0.1", scene.gateway.addresses[0].port)
        held = [await asyncio.open_connection(*where) for _ in range(count)]
        await eventually(lambda: scene.gateway.listeners.clients.accepted == count)
        await ends_by_itself(scene.gateway)
        yield None
        for _, writer in held:
            writer.transport.abort()

    return comes_after


_TOO_FAST: Final[dict[str, float]] = {
    "accept_burst_per_address_max": 20,  # the scrapes come from the same address
    "accepts_per_address_per_second_max": 0.001,
}
_FULL: Final[tuple[tuple[str, int, dict[str, float]], ...]] = (
    ("too_many", 2, {"connections_max": 2}),
    ("too_many_from_address", 2, {"connections_per_address_max": 2}),
    ("too_fast_from_address", 20, _TOO_FAST),
)
for _why, _count, _limits in _FULL:
    exchange(_refused(_why, admitted=_count), echoing(connection=_limits), name=f"comes_{_why}")(
        _comes_after(_count)
    )


@exchange(_refused("too_many", admitted=1), echoing(connection={"connections_max": 1}))
async def comes_with_another_in_one_go(scene: Scene) -> AsyncIterator[Found | None]:
    """Both are accepted in one pass, before the first of them counts."""
    where = ("127.0.0.1", scene.gateway.addresses[0].port)
    both = [socket.create_connection(where) for _ in range(2)]
    yield None
    for one in both:
        one.close()


@exchange(
    {
        **_refused("not_running"),
        **CAME_AND_WENT,
        "listener_connections{listener}": 1,
        "sessions{detached_active}": 1,
        "connections_closed_total{shutdown}": 1,
        "draining": 1,
    }
)
async def comes_as_the_gateway_stops(scene: Scene) -> AsyncIterator[Found | None]:
    gateway = scene.gateway

    def stops(*arguments: Any) -> Driver:
        gateway.stop()  # it has been accepted, and is no connection yet
        return Driver(*arguments)

    async with v1(gateway) as stays:
        await stays.expect("welcome")
        stays.ws.transport.pause_reading()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gateway_listeners, "Driver", stops)
            patch.setattr(sockets, "COMPILED", False)  # ours are connections once accepted
            await ends_by_itself(gateway)
        yield None
        stays.ws.transport.resume_reading()
        await stays.closed()


def _behind(trust: str) -> Configuration:
    """A gateway that expects a PROXY header."""

    def config(folder: Path) -> Config:
        made = echoing(TCP)(folder)
        proxy = ProxyOptions(trust=(trust,))
        return structs.replace(made, listener=(structs.replace(made.listener[0], proxy=proxy),))

    return config


@exchange(_refused("untrusted"), _behind("192.0.2.0/24"))
async def is_not_the_proxy(scene: Scene) -> AsyncIterator[Found | None]:
    await ends_by_itself(scene.gateway)
    yield None


async def says_what_is_no_handshake(scene: Scene) -> AsyncIterator[Found | None]:
    await ends_by_itself(scene.gateway, b"GET / HTTP/1.1\r\n\r\n")
    yield None


for _name, _config in {"tls": secured, "proxy": _behind("127.0.0.0/8")}.items():
    exchange(
        {"listener_handshake_failures_total{listener}": 1}, _config, name=f"speaks_no_{_name}"
    )(says_what_is_no_handshake)


_UPGRADE: Final = (
    b"GET %s HTTP/1.%d\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %d\r\n%s\r\n"
)
_REFUSED_IN_HTTP: Final[dict[int, tuple[bytes, str]]] = {
    400: (_UPGRADE % (b"/", 1, 13, b"Content-Length: 5\r\n"), "protocol_error"),
    404: (_UPGRADE % (b"/elsewhere", 1, 13, b""), "refused"),
    426: (_UPGRADE % (b"/", 1, 12, b""), "protocol_error"),
    505: (_UPGRADE % (b"/", 0, 13, b""), "protocol_error"),
}


def _asks(request: bytes, status: int) -> Deed:
    async def asks(scene: Scene) -> AsyncIterator[Found | None]:
        where = ("127.0.0.1", scene.gateway.addresses[0].port)
        reader, writer = await asyncio.open_connection(*where)
        writer.write(request)
        assert (await reader.read()).startswith(b"HTTP/1.1 %d " % status)
        writer.transport.abort()
        yield None

    return asks


for _status, (_request, _reason) in _REFUSED_IN_HTTP.items():
    _told: Found = {"security_events_total{malformed}": 1} if _reason != "refused" else {}
    exchange(
        {
            **_told,
            "listener_accepted_total{listener}": 1,
            "listener_handshake_failures_total{listener}": 1,
            f"connections_closed_total{{{_reason}}}": 1,
        },
        echoing("ws://127.0.0.1:0/live" if _status == 404 else WS),
        name=f"asks_for_no_websocket_{_status}",
    )(_asks(_request, _status))
