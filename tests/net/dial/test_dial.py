from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.net.certificates import write_pems
from tests.net.helpers import Stand, has_ipv6, patience, serving, unix

from holdfast.core.errors import Source
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.tls.contexts import client_context, server_context

LIMITS = ConnectionLimits()


@contextlib.asynccontextmanager
async def dialled(
    url: str, tls: ssl.SSLContext | None = None, limits: ConnectionLimits = LIMITS
) -> AsyncIterator[Stand]:
    """The handler of a connection that we dialled, open while the block runs."""
    runtime = Runtime(asyncio.get_running_loop())
    runtime.timers.start()
    stands: list[Stand] = []

    def stand(connection: Connection) -> Stand:
        stands.append(Stand(connection))
        return stands[-1]

    try:
        async with patience():
            connection = await dial(
                parse_address(url), stand, clockwork=runtime, limits=limits, tls=tls
            )
        assert connection is stands[-1].connection
        yield stands[-1]
        connection.abort()
        await stands[-1].until_lost()
    finally:
        runtime.timers.stop()


async def check_conversation(ours: Stand, theirs: Stand) -> None:
    assert ours.calls == ["connected"]
    assert ours.connection.phase is Phase.HANDSHAKE
    ours.connection.write(b"ping")
    await theirs.until(lambda stand: stand.data == b"ping")
    theirs.connection.write(b"pong")
    await ours.until(lambda stand: stand.data == b"pong")


@pytest.mark.parametrize(
    "url",
    [
        "tcp://127.0.0.1:0",
        "tcp://localhost:0",
        pytest.param("tcp://[::1]:0", marks=pytest.mark.skipif(not has_ipv6(), reason="no ::1")),
        "unix:PATH",
        pytest.param(
            f"unix:@holdfast-dial-{os.getpid()}",
            id="unix:@abstract",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only"),
        ),
    ],
)
async def test_a_dialled_connection_has_the_same_shell_as_an_accepted_one(
    url: str, tmp_path: Path
) -> None:
    async with serving() as server:
        address = await server.listen(url.replace("PATH", str(tmp_path / "s")))
        async with dialled(str(address)) as ours:
            peers = {"unix", f"127.0.0.1:{address.port}", f"[::1]:{address.port}"}
            assert ours.connection.peer in peers
            assert (ours.connection.peer == "unix") is (address.scheme == "unix")
            await check_conversation(ours, await server.stand())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_is_checked_against_the_name_that_was_dialled(host: str, tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen(f"tls://{host}:0", server_context(pems.certificate))
        async with dialled(str(address), client_context(pems.authority)) as ours:
            assert ours.connection.secure
            await check_conversation(ours, await server.stand())


async def test_a_certificate_that_is_not_trusted_is_refused(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://127.0.0.1:0", server_context(pems.certificate))
        for tls in (client_context(), None):  # the system's authorities, said or not
            with pytest.raises(DialError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                async with dialled(str(address), tls):
                    pass
            assert str(caught.value).startswith(f"{address}: ")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://127.0.0.2:0", server_context(pems.certificate))
        with pytest.raises(DialError, match=r"IP address mismatch|127\.0\.0\.2"):
            async with dialled(str(address), client_context(pems.authority)):
                pass


async def test_a_server_that_speaks_no_tls_is_named(tmp_path: Path) -> None:
    class Plain(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transport.write(b"220 plain text here\r\n")

    server = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DialError, match=rf"^tls://127\.0\.0\.1:{port}: .*SSL"):
            async with dialled(f"tls://127.0.0.1:{port}", client_context(verify=False)):
                pass


async def test_a_server_that_closes_at_once_is_named_with_a_cause() -> None:
    class Closing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transport.abort()

    server = await asyncio.get_running_loop().create_server(Closing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DialError, match=rf"^tls://127\.0\.0\.1:{port}: .*\w"):
            async with dialled(f"tls://127.0.0.1:{port}", client_context(verify=False)):
                pass


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("unix:/nowhere/at/all", "No such file or directory"),
        ("tcp://nowhere.invalid:1", r"\w+"),
        ("unix:@holdfast-nobody-listens", "Connection refused"),
    ],
)
async def test_a_dead_end_is_named_with_its_cause(url: str, cause: str) -> None:
    with pytest.raises(DialError, match=f"^{url}: .*{cause}") as caught:
        async with dialled(url):
            pass
    assert caught.value.source is Source.REMOTE
    assert caught.value.retryable
    assert caught.value.__cause__ is not None


async def test_a_port_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    with pytest.raises(DialError, match=f"^{url}: .*(refused|Connect call failed)"):
        async with dialled(url):
            pass


async def test_a_server_that_does_not_answer_is_given_up_after_the_handshake_s_limit() -> None:
    limits = ConnectionLimits(handshake_seconds_max=0.05)
    with socket.create_server(("127.0.0.1", 0)) as sock:  # accepts for us, says nothing
        port = sock.getsockname()[1]
        url = f"tls://127.0.0.1:{port}"
        with pytest.raises(DialError, match=f"^{url}: no answer within 0.05 s$"):
            async with dialled(url, client_context(verify=False), limits):
                pass


async def test_an_end_that_comes_before_any_word_is_told_to_the_handler() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with dialled(str(address)) as ours:
            theirs = await server.stand()
            theirs.connection.close()
            await ours.until_lost()
            assert ours.calls == ["connected", "ended", "lost"]
            assert ours.cause is None


@pytest.mark.asyncio(loop_factories=["asyncio"])  # uvloop asks its own resolver
async def test_the_addresses_of_a_name_are_tried_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")

        async def resolve(*_: object, **__: object) -> list[object]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, address.port))
                for host in ("127.0.0.2", "127.0.0.1")
            ]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        async with dialled(f"tcp://two.example:{address.port}") as ours:
            await check_conversation(ours, await server.stand())


async def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    """At whatever step the dialling is cancelled: an open socket would be a ResourceWarning."""
    runtime = Runtime(asyncio.get_running_loop())
    async with serving() as server:
        addresses = [
            await server.listen(url)
            for url in ("tcp://127.0.0.1:0", unix(tmp_path), f"unix:@holdfast-c{os.getpid()}")
        ]
        for address in addresses:
            for step in range(8):
                async with asyncio.TaskGroup() as tasks:
                    dialling = tasks.create_task(
                        dial(address, Stand, clockwork=runtime, limits=LIMITS)
                    )
                    for _ in range(step):
                        await asyncio.sleep(0)
                    dialling.cancel()
                if not dialling.cancelled():
                    dialling.result().abort()
        for stand in server.stands:  # whatever was accepted, ends
            if "connected" in stand.calls:
                await stand.until_lost()
