"""Pages on our connections: aiohttp answers, an upgrade may follow, and every wait has a limit."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.net.certificates import write_pems
from tests.net.helpers import Caller, Serving, Stand, call, patience, serving, unix, until

from holdfast.core.limits import ConnectionLimits, PageLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, Phase
from holdfast.net.http.handover import HttpHost
from holdfast.net.runtime.turns import PASS_COST_MAX
from holdfast.net.tls.contexts import client_context, server_context

REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
)
ANYWHERE = "tcp://127.0.0.1:0"


class Pages:
    """An aiohttp application that takes over what is not for us."""

    def __init__(self, limits: PageLimits) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/", self._page)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/file", self._file)
        app.router.add_get("/failing", self._fail)
        app.router.add_post("/count", self._count)
        app.router.add_post("/unread", self._page)
        self.file = Path()
        self.host = HttpHost(app, limits=limits)
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()
        self.upgraded: list[Stand] = []
        self.answers: list[web.Response] = []

    async def _page(self, request: web.Request) -> web.Response:
        self.answers.append(web.Response(text="a page"))
        return self.answers[-1]

    async def _slow(self, request: web.Request) -> web.Response:
        self.waiting.set()
        await self.go_on.wait()
        return web.Response(text="a slow page")

    async def _file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.file)

    async def _fail(self, request: web.Request) -> web.Response:
        raise web.HTTPNotFound

    async def _count(self, request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    def anew(self, connection: Connection) -> Handler:
        self.upgraded.append(Upgraded(connection))
        return self.upgraded[-1]


class Upgraded(Stand):
    """What an upgrade is given to."""

    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.write(b"upgraded")


@contextlib.asynccontextmanager
async def serving_pages(
    limits: ConnectionLimits | None = None, **pages_limits: Any
) -> AsyncIterator[tuple[Serving, Pages]]:
    pages = Pages(PageLimits(**pages_limits))

    class Switch(Stand):
        def received(self, data: bytes) -> None:
            super().received(data)
            pages.host.take_over(self.connection, data, self, pages.anew)

    await pages.host.start()
    try:
        async with serving(limits, make=Switch) as server:
            yield server, pages
    finally:
        pages.go_on.set()
        await pages.host.stop()


async def read_page(caller: Caller, status: bytes = b"200 OK") -> bytes:
    async with patience():
        head = await caller.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status), head
    length = next(
        int(line.split(b":")[1]) for line in head.splitlines() if line.startswith(b"Content-Length")
    )
    return await caller.read(length)


# --- pages


async def test_a_connection_is_served_pages_and_counted(tmp_path: Path) -> None:
    async with serving_pages() as (server, _):
        for number, url in enumerate((ANYWHERE, unix(tmp_path))):
            async with call(await server.listen(url)) as caller:
                stand = await server.stand(number)
                for _ in range(3):  # on one connection, as HTTP/1.1 keeps it
                    await caller.write(REQUEST % b"/")
                    assert await read_page(caller) == b"a page"
                assert len(server.server.connections) == 1
            await stand.until_lost()
            assert stand.calls == ["connected", "received", "lost"]
            assert server.server.connections == set()


async def test_a_connection_keeps_no_page_that_it_was_served() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        await caller.write(REQUEST % b"/")
        assert await read_page(caller) == b"a page"
        await until(lambda: pages.answers[0].body is None)


async def test_a_request_waits_for_its_turn_when_a_pass_of_the_loop_is_full() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        stand = await server.stand()
        turns = stand.connection.turns
        turns.spent = PASS_COST_MAX
        pages.host.take_over(stand.connection, REQUEST % b"/", stand, pages.anew)
        assert turns.spent == PASS_COST_MAX, "the request was passed on at once"
        assert await read_page(caller) == b"a page"


@pytest.mark.parametrize("scheme", ["tcp", "tls", "unix"])
async def test_files_are_served_on_our_transports(tmp_path: Path, scheme: str) -> None:
    """An event loop's `sendfile` knows its own transports only."""
    async with serving_pages() as (server, pages):
        pages.file = tmp_path / "file"
        pages.file.write_bytes(bytes(range(256)) * 8_000)
        tls: dict[str, ssl.SSLContext] = {}
        if scheme == "tls":
            pems = write_pems(tmp_path)
            tls = {"ssl": client_context(pems.authority)}
            address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        else:
            address = await server.listen(ANYWHERE if scheme == "tcp" else unix(tmp_path))
        async with call(address, **tls) as caller:
            for _ in range(2):
                await caller.write(REQUEST % b"/file")
                assert await read_page(caller) == pages.file.read_bytes()


BODIES = {
    "sized": b"Content-Length: %d\r\n\r\n" % 300_000 + bytes(300_000),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x;a=b\r\n%s\r\n" % (size, bytes(size)) for size in (1, 99_999, 200_000))
    + b"0\r\nTrailer: a\r\n\r\n",
}


@pytest.mark.parametrize("path", [b"/count", b"/unread"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_bodies_are_passed_on_and_requests_follow_them(body: bytes, path: bytes) -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        for _ in range(2):
            await caller.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\n" % path + body)
            assert await read_page(caller) == (b"300000" if path == b"/count" else b"a page")
        await caller.write(UPGRADE)
        assert await caller.read(8) == b"upgraded"
        assert pages.upgraded[0].data == UPGRADE


async def test_requests_in_one_piece_are_answered_in_their_order() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        requests = REQUEST % b"/slow" + REQUEST % b"/" + REQUEST % b"/failing" + REQUEST % b"/"
        await caller.write(requests + UPGRADE + b"behind it")
        await pages.waiting.wait()
        pages.go_on.set()
        assert await read_page(caller) == b"a slow page"
        assert await read_page(caller) == b"a page"
        await read_page(caller, b"404 Not Found")
        assert await read_page(caller) == b"a page"
        assert await caller.read(8) == b"upgraded"
        assert pages.upgraded[0].data == UPGRADE + b"behind it"


async def test_byte_by_byte_is_no_different() -> None:
    async with serving_pages() as (server, _), call(await server.listen(ANYWHERE)) as caller:
        body = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        for byte in b"\r\n" + body + REQUEST % b"/" + UPGRADE:
            await caller.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await read_page(caller) == b"3"
        assert await read_page(caller) == b"a page"
        assert await caller.read(8) == b"upgraded"


# --- an upgrade


async def test_an_upgrade_begins_as_on_a_new_connection() -> None:
    async with (
        serving_pages(ConnectionLimits(handshake_seconds_max=0.3)) as (server, pages),
        call(await server.listen(ANYWHERE)) as caller,
    ):
        stand = await server.stand()
        await caller.write(REQUEST % b"/" + UPGRADE)
        assert await read_page(caller) == b"a page"
        assert await caller.read(8) == b"upgraded"
        (upgraded,) = pages.upgraded
        assert upgraded.calls == ["connected", "received"]
        assert stand.calls == ["connected", "received", "lost"]
        assert upgraded.connection.phase is Phase.HANDSHAKE
        assert await caller.read_all() == b""  # its handshake has a limit of time
        await upgraded.until_lost()
        assert upgraded.calls == ["connected", "received", "overdue", "lost"]
        assert server.server.connections == set()


async def test_a_request_for_another_host_is_judged_as_a_first_one() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        other = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"
        await caller.write(REQUEST % b"/" + other)
        assert await read_page(caller) == b"a page"
        assert await caller.read(8) == b"upgraded"
        assert pages.upgraded[0].data == other


# --- what cannot be served


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
    ],
)
async def test_what_is_ambiguous_is_refused(request_: bytes, status: bytes) -> None:
    async with serving_pages() as (server, _), call(await server.listen(ANYWHERE)) as caller:
        await caller.write(REQUEST % b"/")
        assert await read_page(caller) == b"a page"
        await caller.write(request_)
        assert (await caller.read_all()).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("size", [b"", b"x", b"-1", b"1" * 17, b"0x1", b"1_0", b"1" * 300])
async def test_a_chunk_without_a_size_ends_the_connection(size: bytes) -> None:
    async with serving_pages() as (server, _), call(await server.listen(ANYWHERE)) as caller:
        head = b"POST /count HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        await caller.write(head + size + b"\r\n")
        await caller.dropped()


# --- the end


async def test_a_client_that_has_said_its_last_request_hears_the_answer() -> None:
    async with serving_pages() as (server, _), call(await server.listen(ANYWHERE)) as caller:
        await caller.write(REQUEST % b"/")
        caller.writer.write_eof()
        assert await read_page(caller) == b"a page"
        assert await caller.read_all() == b""


async def test_all_requests_before_a_half_close_are_answered() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        stand = await server.stand()
        stand.connection.turns.spent = PASS_COST_MAX  # the first one waits for its turn
        pages.host.take_over(stand.connection, REQUEST % b"/" * 3, stand, pages.anew)
        caller.writer.write_eof()
        stand.connection.handler.ended()
        for _ in range(3):
            assert await read_page(caller) == b"a page"
        assert await caller.read_all() == b""


async def test_an_upgrade_before_a_half_close_hears_of_it() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        stand = await server.stand()
        stand.connection.turns.spent = PASS_COST_MAX  # the first request waits for its turn
        pages.host.take_over(stand.connection, REQUEST % b"/" + UPGRADE, stand, pages.anew)
        stand.connection.handler.ended()
        assert await read_page(caller) == b"a page"
        await until(lambda: pages.upgraded)
        await pages.upgraded[0].until(lambda stand: "ended" in stand.calls)


async def test_half_a_request_before_a_half_close_ends_the_connection() -> None:
    async with serving_pages() as (server, _), call(await server.listen(ANYWHERE)) as caller:
        body = b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        await caller.write(body)
        caller.writer.write_eof()
        assert await caller.read_all() == b""
        await until(lambda: not server.server.connections)


async def test_close_is_kept_to() -> None:
    async with serving_pages() as (server, pages), call(await server.listen(ANYWHERE)) as caller:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        await caller.write(request + UPGRADE)
        assert await read_page(caller) == b"a page"
        assert await caller.read_all() == b""
        assert pages.upgraded == []


async def test_a_drain_waits_for_the_present_answer() -> None:
    async with serving_pages() as (server, pages):
        address = await server.listen(ANYWHERE)
        async with call(address) as caller, call(address) as idle, asyncio.TaskGroup() as tasks:
            stand = await server.stand()
            await idle.write(REQUEST % b"/")
            assert await read_page(idle) == b"a page"
            await caller.write(REQUEST % b"/slow")
            async with patience():
                await pages.waiting.wait()
            tasks.create_task(server.server.drain(60))
            assert await idle.read_all() == b""
            pages.go_on.set()
            assert await read_page(caller) == b"a slow page"
            assert await caller.read_all() == b""
            await stand.until_lost()
            assert stand.calls == ["connected", "received", "lost"]


async def test_a_client_that_leaves_while_aiohttp_works_is_counted_out() -> None:
    async with (
        serving_pages() as (server, pages),
        call(await server.listen(ANYWHERE)) as caller,
    ):
        stand = await server.stand()
        await caller.write(REQUEST % b"/slow")
        async with patience():
            await pages.waiting.wait()
        caller.reset()
        await stand.until_lost()
        assert server.server.connections == set()


# --- time


@pytest.mark.parametrize(
    ("begun", "limit"),
    [
        pytest.param(b"", "idle_seconds_max", id="idle"),
        pytest.param(b"GET / HT", "head_seconds_max", id="half-a-head"),
        pytest.param(
            b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
            "body_seconds_max",
            id="half-a-body",
        ),
    ],
)
async def test_every_wait_for_a_client_has_a_limit(begun: bytes, limit: str) -> None:
    async with (
        serving_pages(None, **{limit: 0.2}) as (server, _),
        call(await server.listen(ANYWHERE)) as caller,
    ):
        await caller.write(REQUEST % b"/")
        assert await read_page(caller) == b"a page"
        await caller.write(begun)
        answer = await caller.read_all()
        assert answer.startswith(b"HTTP/1.1 408 ") if limit == "head_seconds_max" else not answer


@pytest.mark.parametrize("head", [True, False], ids=["head", "body"])
async def test_a_request_that_drips_is_cut_off(head: bool) -> None:
    limits = ConnectionLimits(close_seconds_max=0.3)  # a lingering close reads as long
    async with (
        serving_pages(limits, head_seconds_max=0.3, body_seconds_max=0.3) as (server, _),
        call(await server.listen(ANYWHERE)) as caller,
    ):
        stand = await server.stand()
        start = b"GET / HTTP/1.1\r\nX: "
        if not head:
            start = b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"
        await caller.write(start)
        with contextlib.suppress(ConnectionError):
            async with patience():
                while "lost" not in stand.calls:
                    await caller.write(b"x")
                    await asyncio.sleep(0.01)
        assert "lost" in stand.calls


async def test_an_answer_may_take_its_time() -> None:
    limits = ConnectionLimits(idle_seconds_max=0.2)
    pages_limits = {"idle_seconds_max": 0.2, "head_seconds_max": 0.2, "body_seconds_max": 0.2}
    async with (
        serving_pages(limits, **pages_limits) as (server, pages),
        call(await server.listen(ANYWHERE)) as caller,
    ):
        await caller.write(REQUEST % b"/slow")
        await asyncio.sleep(0.6)
        pages.go_on.set()
        assert await read_page(caller) == b"a slow page"
        assert await caller.read_all() == b""


async def test_a_client_that_never_reads_its_page_is_dropped(tmp_path: Path) -> None:
    async with serving_pages(ConnectionLimits(stalled_seconds_max=0.3)) as (server, pages):
        pages.file = tmp_path / "file"
        pages.file.write_bytes(bytes(32 << 20))
        async with call(await server.listen(ANYWHERE), limit=1024) as caller:
            stand = await server.stand()
            caller.reader._transport.pause_reading()  # type: ignore[attr-defined]
            await caller.write(REQUEST % b"/file")
            await stand.until_lost()
            await until(lambda: not server.server.connections)
            assert stand.connection.bytes_out < 32 << 20
