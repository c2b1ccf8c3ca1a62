"""What a browser gets that asks a WebSocket listener for a page."""

from __future__ import annotations

import asyncio
import json
import socket
from importlib import resources
from pathlib import Path

import pytest
import structlog
from msgspec import structs
from tests.gateway.clients import V1
from tests.gateway.running import SECONDS, WS, configured, eventually, port, serving, staged
from tests.gateway.test_bad_input import raw
from tests.gateway.test_store_failures import IMPATIENT, fails
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway


class Answer:
    """An HTTP answer."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *fields = head.decode().split("\r\n")
        self.status = int(line.split()[1])
        self.headers = dict(field.split(": ", 1) for field in fields if field)
        self.body = body


async def read(reader: asyncio.StreamReader, *, has_body: bool = True) -> Answer:
    async with asyncio.timeout(SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        answer = Answer(head, b"")
        length = int(answer.headers.get("Content-Length", "0")) if has_body else 0
        answer.body = await reader.readexactly(length)
        return answer


async def ask(gateway: Gateway, target: str, method: str = "GET") -> Answer:
    """Ask for one thing."""
    async with raw(gateway, "ws") as (reader, writer):
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return await read(reader, has_body=method != "HEAD")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of pages, beside one that is nobody's business."""
    folder = tmp_path / "site"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>hello</h1>")
    (folder / "deep" / "style.css").write_text("h1 {}")
    (tmp_path / "secret.txt").write_text("s3cret")
    (folder / "way-out").symlink_to(tmp_path / "secret.txt")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("s3cret")
    (folder / "deep" / ".htpasswd").write_text("s3cret")
    (folder / ".well-known").mkdir()
    (folder / ".well-known" / "security.txt").write_text("Contact: a@example.org")
    return folder


def paged(tmp_path: Path, site: Path | str = "") -> Config:
    return configured(tmp_path, [WS], pages=str(site))


FOUND: dict[str, tuple[str, str, bytes]] = {
    "index": ("/", "text/html", b"<h1>hello</h1>"),
    "index-by-name": ("/index.html", "text/html", b"<h1>hello</h1>"),
    "with-a-query": ("/?a=b", "text/html", b"<h1>hello</h1>"),
    "deeper": ("/deep/style.css", "text/css", b"h1 {}"),
    "well-known": ("/.well-known/security.txt", "text/plain", b"Contact: a@example.org"),
}


@pytest.mark.parametrize(("target", "kind", "body"), FOUND.values(), ids=FOUND)
async def test_pages(tmp_path: Path, site: Path, target: str, kind: str, body: bytes) -> None:
    async with serving(paged(tmp_path, site)) as gateway:
        answer = await ask(gateway, target)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["Content-Type"].partition(";")[0] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Server"] == "holdfast"


MISSING: dict[str, tuple[str, int]] = {
    "nothing-there": ("/nothing.html", 404),
    "out-of-the-folder": ("/../secret.txt", 404),
    "out-of-the-folder-in-disguise": ("/%2e%2e/secret.txt", 404),
    "out-of-the-folder-twice-in-disguise": ("/..%2fsecret.txt", 404),
    "by-a-link": ("/way-out", 404),
    "a-folder": ("/deep/", 403),
    "a-name-that-is-too-long": ("/" + "x" * 5_000, 404),
    "a-null": ("/%00", 404),
    "an-absolute-name": ("//etc/passwd", 404),
    "a-file-as-a-folder": ("/index.html/x", 404),
    "a-link-to-itself": ("/loop", 404),
    "a-dotfile": ("/.git/config", 404),
    "a-dotfile-in-disguise": ("/%2egit/config", 404),
    "a-dotfile-in-a-folder": ("/deep/.htpasswd", 404),
    "a-folder-with-a-dot": ("/.git/", 404),
}


@pytest.mark.parametrize(("target", "status"), MISSING.values(), ids=MISSING)
async def test_what_is_not_to_be_had(tmp_path: Path, site: Path, target: str, status: int) -> None:
    async with serving(paged(tmp_path, site)) as gateway:
        answer = await ask(gateway, target)
        assert answer.status == status
        assert b"s3cret" not in answer.body


SAFE = {
    "Content-Security-Policy": (
        "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "holdfast",
    "X-Content-Type-Options": "nosniff",
}
ANSWERS: dict[str, tuple[str, bytes, int]] = {
    "page": ("/", b"", 200),
    "client": ("/holdfast.js", b"", 200),
    "health": ("/healthz", b"", 200),
    "missing": ("/nothing", b"", 404),
    "hidden": ("/.git/config", b"", 404),
    "malformed": ("/", b"Content-Length: x\r\n", 400),
    "malformed-chunks": ("/", b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
}


@pytest.mark.parametrize(("target", "fields", "status"), ANSWERS.values(), ids=ANSWERS)
async def test_every_answer_has_the_headers_that_keep_browsers_safe(
    tmp_path: Path, site: Path, target: str, fields: bytes, status: int
) -> None:
    async with (
        serving(paged(tmp_path, site)) as gateway,
        raw(gateway, "ws") as (reader, writer),
    ):
        writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (target.encode(), fields))
        answer = await read(reader)
        assert answer.status == status
        assert {name: answer.headers.get(name) for name in SAFE} == SAFE
        assert b"aiohttp" not in answer.body
        assert b"Python" not in answer.body


async def test_the_configuration_has_the_last_word_on_headers(tmp_path: Path, site: Path) -> None:
    config = paged(tmp_path, site)
    headers = {
        "Strict-Transport-Security": "max-age=60",
        "Content-Security-Policy": "default-src 'self'",
        "Referrer-Policy": "",
    }
    listener = structs.replace(config.listener[0], page_headers=headers)
    async with serving(structs.replace(config, listener=(listener,))) as gateway:
        found = (await ask(gateway, "/")).headers
        assert found["Strict-Transport-Security"] == "max-age=60"
        assert found["Content-Security-Policy"] == "default-src 'self'"
        assert "Referrer-Policy" not in found


async def test_what_is_not_there_has_a_page_of_its_own(tmp_path: Path, site: Path) -> None:
    async with serving(paged(tmp_path, site)) as gateway:
        answer = await ask(gateway, "/<script>")
        assert (answer.status, answer.body) == (404, b"404 Not Found\n")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        (site / "404.html").write_text("<h1>lost?</h1>")
        answer = await ask(gateway, "/nothing")
        assert (answer.status, answer.body) == (404, b"<h1>lost?</h1>")
        assert answer.headers["Content-Type"].startswith("text/html")


FAULTS = {
    "no-method": b"\x16\x03\x01 / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-length": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "a-long-line": b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_client_s_fault_is_one_short_line_without_a_traceback(
    tmp_path: Path, site: Path, fault: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with (
            serving(paged(tmp_path, site)) as gateway,
            raw(gateway, "ws") as (reader, writer),
        ):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await read(reader)).status == 200
            writer.write(fault)
            assert (await read(reader)).status in (400, 414, 431)
            assert await reader.read() == b""
    (line,) = [log for log in logs if log["event"] == "protocol error of a client"]
    assert line["log_level"] == "info"
    assert line["peer"].startswith("127.0.0.1:")
    assert len(line["fault"]) < 300
    assert not any("traceback" in log for log in logs)
    assert caplog.records == []


async def test_without_pages_there_are_none(tmp_path: Path) -> None:
    async with serving(paged(tmp_path)) as gateway:
        assert (await ask(gateway, "/")).status == 404


async def test_the_client_is_served_everywhere(tmp_path: Path) -> None:
    async with serving(paged(tmp_path)) as gateway:
        answer = await ask(gateway, "/holdfast.js")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        shipped = resources.files("holdfast.web").joinpath("holdfast.js").read_text()
        assert answer.body.decode() == shipped


async def test_other_methods(tmp_path: Path, site: Path) -> None:
    async with serving(paged(tmp_path, site)) as gateway:
        head = await ask(gateway, "/", "HEAD")
        assert (head.status, head.headers["Content-Length"]) == (200, "14")
        assert (await ask(gateway, "/", "POST")).status == 405
        assert (await ask(gateway, "/", "DELETE")).status == 405


async def test_health(tmp_path: Path) -> None:
    config = configured(tmp_path, [WS], limits=IMPATIENT)
    async with staged(config) as (gateway, _):
        answer = await ask(gateway, "/healthz")
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})
        await fails(gateway, now=True)
        gateway.journal.keep("x", b"y")
        await eventually(lambda: gateway.journal.broken is not None)
        answer = await ask(gateway, "/healthz")
        assert answer.status == 503
        assert json.loads(answer.body) == {"status": "the store cannot be written to"}
        await fails(gateway, now=False)


async def test_one_connection_serves_many_requests_also_in_pieces(
    tmp_path: Path, site: Path
) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(paged(tmp_path, site)) as gateway:
        async with raw(gateway, "ws") as (reader, writer):
            for byte in request:
                writer.write(bytes((byte,)))
                await writer.drain()
            assert (await read(reader)).status == 200
            writer.write(request * 3)
            for _ in range(3):
                assert (await read(reader)).body == b"<h1>hello</h1>"
            assert len(gateway.listeners.clients.connections) == 1
        await eventually(lambda: not gateway.listeners.clients.connections)


async def test_a_browser_that_keeps_its_connection_does_not_hold_up_the_end(
    tmp_path: Path, site: Path
) -> None:
    async with (
        serving(paged(tmp_path, site)) as gateway,
        raw(gateway, "ws") as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read(reader)
        gateway.stop()
        async with asyncio.timeout(SECONDS):
            assert await reader.read() == b""


async def test_a_request_with_a_body_and_one_that_is_malformed(tmp_path: Path, site: Path) -> None:
    async with serving(paged(tmp_path, site)) as gateway:
        async with raw(gateway, "ws") as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            assert (await read(reader)).status == 405
        async with raw(gateway, "ws") as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
            assert (await read(reader)).status == 400


async def test_pages_beside_a_websocket_with_a_path(tmp_path: Path, site: Path) -> None:
    config = configured(tmp_path, ["ws://127.0.0.1:0/chat"], pages=str(site))
    async with serving(config) as gateway:
        assert (await ask(gateway, "/")).status == 200
        assert (await ask(gateway, "/chat")).status == 404
        assert port(gateway, "ws")


async def read_status(sock: socket.socket) -> int:
    """Of one answer, which is read to its end."""
    data = b""
    while True:
        data += await asyncio.get_running_loop().sock_recv(sock, 65536)
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            answer = Answer(head, body)
            if len(body) == int(answer.headers["Content-Length"]):
                return answer.status


@pytest.mark.parametrize("host", ["", "other.example"], ids=["same-host", "another-host"])
async def test_an_upgrade_may_follow_pages_on_one_connection(
    tmp_path: Path, site: Path, host: str
) -> None:
    """A proxy sends many clients' requests on one connection (RFC 9112 section 9.3)."""
    async with serving(paged(tmp_path, site)) as gateway:
        where = port(gateway, "ws")
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", where))
        for target, status in (("/", 200), ("/nothing.html", 404), ("/healthz", 200)):
            request = f"GET {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{where}'}\r\n\r\n"
            await loop.sock_sendall(sock, request.encode())
            async with asyncio.timeout(SECONDS):
                assert await read_status(sock) == status
        url = f"ws://127.0.0.1:{where}/"
        async with connect(url, sock=sock, subprotocols=[Subprotocol("holdfast.v1")]) as ws:
            client = V1(ws)
            await client.say("hello")
            await client.expect("welcome")
