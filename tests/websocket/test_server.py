"""`serve`: handshakes, handlers, ends, and what stands beside the WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.net.certificates import write_pems
from tests.protocols.websocket.wire import frame
from tests.websocket.helpers import (
    BOUNDARY,
    REQUEST,
    close_frame,
    echo,
    opened,
    patience,
    raw,
    until,
    url,
    with_headers,
)

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.net.tls.contexts import client_context, server_context
from holdfast.websocket import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    Refusal,
    Request,
    Server,
    ServerWebSocket,
    State,
    connect,
    serve,
)


async def test_messages_of_either_kind_and_any_size_come_back() -> None:
    async with serve(echo) as server, connect(url(server)) as ws, patience():
        for message in ("", "grüß", b"", b"\0" * 200, "x" * 70_000, bytes(1_048_576)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(bytearray(b"a"))
        await ws.send(memoryview(b"b"))
        assert [await ws.recv(), await ws.recv()] == [b"a", b"b"]


async def test_a_message_in_fragments_is_one_message() -> None:
    async def parts() -> Any:
        for part in ("a", "b", "c"):
            yield part

    async with serve(echo) as server, connect(url(server)) as ws, patience():
        await ws.send(["the ", "whole", ""])
        await ws.send(parts())
        await ws.send([b"1", bytearray(b"2")])
        assert [await ws.recv() for _ in range(3)] == ["the whole", "abc", b"12"]
        await ws.send([])  # nothing at all
        await ws.send("next")
        assert await ws.recv() == "next"


@pytest.mark.parametrize("bad", [["a", b"b"], 5, {"a": 1}, [1]])
async def test_what_is_no_message_is_a_type_error(bad: Any) -> None:
    async with serve(echo) as server, connect(url(server)) as ws:
        with pytest.raises(TypeError):
            await ws.send(bad)


async def test_half_a_message_cannot_be_taken_back() -> None:
    async def broken() -> Any:
        yield "a"
        raise ZeroDivisionError

    async with serve(echo) as server, connect(url(server)) as ws, patience():
        with pytest.raises(ZeroDivisionError):
            await ws.send(broken())
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011


async def test_the_handler_s_end_closes_with_1000() -> None:
    async def greet(ws: ServerWebSocket) -> None:
        await ws.send("hello")

    async with serve(greet) as server, connect(url(server)) as ws, patience():
        assert [message async for message in ws] == ["hello"]
        await ws.wait_closed()
        assert (ws.close_code, ws.state) == (1000, State.CLOSED)
        with pytest.raises(ConnectionClosedOK):
            await ws.send("too late")


async def test_a_handler_that_fails_closes_its_own_connection_with_1011() -> None:
    async def fail(ws: ServerWebSocket) -> None:
        if await ws.recv() == "fail":
            raise ZeroDivisionError
        await ws.send("fine")

    async with (
        serve(fail) as server,
        connect(url(server)) as one,
        connect(url(server)) as other,
        patience(),
    ):
        await one.send("fail")
        with pytest.raises(ConnectionClosedError) as caught:
            await one.recv()
        assert (caught.value.code, caught.value.reason) == (1011, "internal error")
        await other.send("work")
        assert await other.recv() == "fine"


async def test_a_handler_hears_how_the_client_left() -> None:
    ends: list[tuple[int | None, str | None]] = []
    done = asyncio.Event()

    async def note(ws: ServerWebSocket) -> None:
        try:
            await ws.recv()
        finally:
            await ws.wait_closed()
            ends.append((ws.close_code, ws.close_reason))
            done.set()

    async with serve(note) as server, patience():
        async with connect(url(server)) as ws:
            await ws.close(4001, "bye")
        await done.wait()
        done.clear()
        async with opened(server) as caller:
            caller.reset()
        await done.wait()
    assert ends == [(4001, "bye"), (1006, "")]


async def test_the_end_of_the_block_closes_with_1001_or_what_was_asked_for() -> None:
    for code in (None, 1012):
        async with serve(echo) as server:
            ws = await connect(url(server))
            if code is not None:
                server.close(code, "back soon")
                await server.serve_forever()
        await ws.wait_closed()
        assert ws.close_code == (code or 1001)


async def test_a_cancelled_server_leaves_nothing_behind() -> None:
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with serve(echo) as server:
            started.set_result(server)
            await server.serve_forever()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run())
        server = await started
        ws = await connect(url(server))
        task.cancel()
        async with patience():
            await ws.wait_closed()
    assert ws.close_code == 1001
    assert server.connections == set()


async def test_what_came_before_a_violation_is_answered_before_the_close() -> None:
    async with serve(echo) as server, opened(server) as caller, patience():
        await caller.write(frame(1, b"one") + frame(1, b"two") + frame(3))
        assert (await caller.read_all()).startswith(
            frame(1, b"one", key=None) + frame(1, b"two", key=None) + b"\x88"
        )


async def test_what_comes_with_the_handshake_is_not_lost() -> None:
    async with serve(echo) as server, opened(server, request=REQUEST + frame(1, b"a")) as caller:
        assert await caller.read(3) == frame(1, b"a", key=None)


# --- the handshake


async def test_subprotocols_and_headers() -> None:
    def judge(ws: ServerWebSocket, request: Request) -> None:
        ws.response_headers.append(("X-Path", request.path))

    async with (
        serve(echo, subprotocols=["b", "a"], process_request=judge) as server,
        connect(
            url(server, "/room?x=1"),
            subprotocols=["z", "a", "b"],
            additional_headers=[("Authorization", "Bearer t")],
        ) as ws,
    ):
        assert ws.subprotocol == "a"
        assert ws.response is not None
        assert ws.response.headers.get("x-path") == "/room"
        (socket,) = server.connections
        assert socket.subprotocol == "a"
        assert socket.request is not None
        assert socket.request.headers.get("authorization") == "Bearer t"
        assert socket.remote_address[1] == ws.local_address[1]


async def test_a_subprotocol_may_be_selected_by_a_function() -> None:
    async with (
        serve(echo, select_subprotocol=lambda ws, offered: offered[-1]) as server,
        connect(url(server), subprotocols=["x", "y"]) as ws,
    ):
        assert ws.subprotocol == "y"


@pytest.mark.parametrize("later", [False, True])
async def test_process_request_may_refuse(later: bool) -> None:
    def judge(ws: ServerWebSocket, request: Request) -> Refusal | None:
        if request.path == "/in":
            return None
        return ws.respond(401, "who are you?", [("WWW-Authenticate", "Basic")])

    async def judge_later(ws: ServerWebSocket, request: Request) -> Refusal | None:
        await asyncio.sleep(0)
        return judge(ws, request)

    async with serve(echo, process_request=judge_later if later else judge) as server:
        async with connect(url(server, "/in")) as ws, patience():
            await ws.send("a")
            assert await ws.recv() == "a"
        with pytest.raises(HandshakeError) as caught:
            await connect(url(server))
        assert caught.value.status == 401
        assert caught.value.headers.get("www-authenticate") == "Basic"
        assert server.failed_handshakes == 1


async def test_a_process_request_that_fails_answers_500() -> None:
    async def judge(ws: ServerWebSocket, request: Request) -> None:
        raise ZeroDivisionError

    async with serve(echo, process_request=judge) as server:
        with pytest.raises(HandshakeError) as caught:
            await connect(url(server))
        assert caught.value.status == 500


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (None, "https://evil.example", 101),
        ((), "https://evil.example", 403),
        (("https://good.example",), "https://good.example", 101),
        ((), None, 101),
    ],
)
async def test_origins(origins: Any, origin: str | None, status: int) -> None:
    lines = [b"Origin: " + origin.encode()] if origin else []
    request = with_headers(*lines)
    async with serve(echo, origins=origins) as server, raw(server, request=request) as caller:
        answer = await caller.read(12)
        assert answer == b"HTTP/1.1 %d" % status
        if status == 403:
            assert b"pages of https://evil.example may not" in await caller.read_all()


@pytest.mark.parametrize(
    ("options", "host", "status"),
    [
        ({"origins": ()}, "localhost:PORT", 101),
        ({"origins": ()}, "evil.example:PORT", 421),
        ({"origins": ()}, "chat.example", 101),  # as a proxy on this machine passes on
        ({"origins": ("*",), "hosts": ("chat.example",)}, "chat.example:PORT", 101),
        ({"hosts": ("chat.example",)}, "evil.example", 421),
        ({}, "evil.example:PORT", 101),  # no browser is meant to come
    ],
)
async def test_hosts(options: Any, host: str, status: int) -> None:
    """A page whose own name was made to point here is turned away."""
    async with serve(echo, **options) as server:
        name = host.replace("PORT", str(server.port))
        origin = b"Origin: http://" + name.encode()
        request = with_headers(origin).replace(b"Host: a", b"Host: " + name.encode(), 1)
        assert name.encode() in request.partition(b"Origin")[0]
        async with raw(server, request=request) as caller:
            assert await caller.read(12) == b"HTTP/1.1 %d" % status


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a host name without a port"):
        serve(echo, hosts=["a.example:80"])


async def test_a_request_that_is_no_upgrade_is_told_so() -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serve(echo) as server, raw(server, request=request) as caller:
        answer = await caller.read_all()
        assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
        assert b"\r\nUpgrade: websocket\r\n" in answer


async def test_other_requests_are_served_by_an_aiohttp_application() -> None:
    async def health(request: web.Request) -> web.Response:
        return web.Response(text=f"fine: {await request.text()}")

    app = web.Application()
    app.router.add_post("/healthz", health)
    body = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    async with serve(echo, http=app) as server:
        async with raw(server, request=body) as caller, patience():
            for _ in range(2):  # kept alive
                head = await caller.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert await caller.read(9) == b"fine: abc"
                await caller.write(body)
        async with connect(url(server)) as ws:
            await ws.send("both")
            assert await ws.recv() == "both"


async def test_an_upgrade_may_follow_a_page_on_one_connection() -> None:
    """RFC 9110 section 7.8; a proxy sends many clients' requests on one connection."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="a page")

    app = web.Application()
    app.router.add_get("/", page)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serve(echo, http=app) as server:
        for between in (b"", None):
            async with raw(server, request=request) as caller, patience():
                head = await caller.reader.readuntil(BOUNDARY)
                assert head.startswith(b"HTTP/1.1 200 OK")
                assert await caller.read(6) == b"a page"
                await caller.write(REQUEST + (frame(1, b"hello") if between is None else b""))
                head = await caller.reader.readuntil(BOUNDARY)
                assert head.startswith(b"HTTP/1.1 101 ")
                if between is not None:
                    await caller.write(frame(1, b"hello"))
                assert await caller.read(7) == frame(1, b"hello", key=None)
                assert len(server.connections) == 1
            await until(lambda: not server.connections)


async def test_a_slow_handshake_is_answered_408() -> None:
    async with (
        serve(echo, open_timeout=0.1) as server,
        raw(server, request=b"GET / HTTP/1.1\r\n") as caller,
    ):
        assert (await caller.read_all()).startswith(b"HTTP/1.1 408 ")
        assert server.failed_handshakes == 1


async def test_a_connection_without_a_request_is_closed_without_an_answer() -> None:
    async with serve(echo, open_timeout=0.1) as server, raw(server, request=b"") as caller:
        assert await caller.read_all() == b""
        assert server.failed_handshakes == 1


async def test_a_malformed_handshake_is_counted() -> None:
    async with serve(echo) as server, raw(server, request=b"\x16\x03\x01\r\n\r\n") as caller:
        assert (await caller.read_all()).startswith(b"HTTP/1.1 400 ")
        assert server.failed_handshakes == 1


# --- where it listens


async def test_tls(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    tls = server_context(pems.certificate)
    trusting = client_context(pems.authority)
    async with (
        serve(echo, ssl=tls) as server,
        connect(url(server), ssl=trusting) as ws,
        patience(),
    ):
        await ws.send("secret" * 20_000)
        assert await ws.recv() == "secret" * 20_000


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with serve(echo, None, unix=str(tmp_path / "s")) as server:
        assert (tmp_path / "s").exists()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(REQUEST + frame(1, b"a"))
        async with patience():
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(3) == frame(1, b"a", key=None)
        writer.close()
        assert server.addresses[0].scheme == "unix"
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert not (tmp_path / "s").exists()


def test_nowhere_to_listen_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a host or a Unix socket"):
        serve(echo, None)


def test_a_limit_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="frame_bytes_max: expected a number above 0"):
        serve(echo, max_size=0)


# --- limits


@pytest.mark.parametrize(
    ("limits", "data", "code"),
    [
        ({"message_bytes_max": 9}, frame(1, b"0123456789"), 1009),
        ({"frame_bytes_max": 9}, frame(1, b"0123456789"), 1009),
        ({"fragments_max": 2}, frame(1, fin=False) + frame(0, fin=False) + frame(0), 1009),
        ({"message_burst_max": 2, "messages_per_second_max": 0.1}, frame(1, b"a") * 3, 1008),
        ({"bytes_burst_max": 20, "bytes_per_second_max": 0.1}, frame(1, b"0" * 60), 1008),
    ],
)
async def test_a_limit_closes_with_its_code(
    limits: dict[str, float], data: bytes, code: int
) -> None:
    if "bytes_burst_max" in limits:
        limits = {**limits, "bytes_burst_max": len(REQUEST) + 20}
    made = Limits().but(websocket=limits)
    async with serve(echo, limits=made) as server, opened(server) as caller, patience():
        await caller.write(data)
        if code == 1008:
            await caller.write(frame(8, b"\x03\xf0"))
        answer = await caller.read_all()
        assert answer[answer.index(b"\x88") :][2:4] == code.to_bytes(2, "big")


@pytest.mark.parametrize(("options", "most"), [({"max_size": 1000}, 1000), ({}, 1_048_576)])
async def test_max_size_is_of_the_message_decompressed(options: Any, most: int) -> None:
    async with serve(echo, **options) as server, connect(url(server)) as ws, patience():
        await ws.send("x" * most)
        assert await ws.recv() == "x" * most
        await ws.send("x" * (most + 1))
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1009


async def test_connections_of_one_address_are_limited() -> None:
    made = Limits().but(connection={"connections_per_address_max": 1})
    async with serve(echo, limits=made) as server, connect(url(server)) as ws:
        with pytest.raises(HandshakeError, match="429 Too Many Requests") as caught:
            await connect(url(server))
        assert caught.value.status == 429
        assert caught.value.headers.get("retry-after") == "5"
        assert server.accepted == 1
        assert {why.value: count for why, count in server.refusals.items()} == {
            "too_many_from_address": 1
        }
        assert server.failed_handshakes == 0
        await ws.send("still here")
        assert await ws.recv() == "still here"


async def test_a_full_server_says_so_and_keeps_few_of_those_it_told() -> None:
    small = {"connections_max": 1, "refusals_max": 2, "linger_seconds_max": 0.3}
    made = Limits().but(connection=small)
    async with serve(echo, limits=made) as server, connect(url(server)):
        async with contextlib.AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(raw(server)) for _ in range(4)]
            for caller in callers:
                answer = await caller.read_all()
                assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"\r\nRetry-After: 5\r\n" in answer
            await until(lambda: server.refusals.total() == 4)
            kept = [sock for _, sock in server._net.answered._waiting]
            assert len(kept) == 2
        await until(lambda: {sock.fileno() for sock in kept} == {-1})


async def test_a_websocket_is_kicked() -> None:
    async with serve(echo) as server, connect(url(server)) as ws:
        (socket,) = server.connections
        server.kick(socket)
        with pytest.raises(ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.code == 1001
        await until(lambda: not server.connections)


async def test_a_close_that_is_not_answered_ends_at_its_limit() -> None:
    async def leave(ws: ServerWebSocket) -> None:
        await ws.close(1000, "done")

    async with serve(leave, close_timeout=0.1) as server, opened(server) as caller, patience():
        assert await caller.read(8) == close_frame(1000, b"done")
        with contextlib.suppress(ConnectionResetError):
            assert await caller.reader.read() == b""
