"""The admin listener of a running gateway, asked over bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.gateway.admin.asking import ANYWHERE, TOKEN, administered, ask, opened, read, told
from tests.gateway.clients import person, v1
from tests.gateway.running import SECONDS, TCP, WS, acting, configured, eventually, serving
from tests.gateway.test_store_failures import IMPATIENT, fails
from tests.net.certificates import write_pems

from holdfast.app import App, Session
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent


def echoing(tmp_path: Path, *urls: str, limits: Limits | None = None) -> Config:
    config = configured(tmp_path, urls or (TCP,), backend="echo", limits=limits)
    return administered(config)


def guarded(tmp_path: Path, limits: Limits | None = None) -> Config:
    """With a token."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    admin = structs.replace(ANYWHERE, token_file=str(path))
    return structs.replace(echoing(tmp_path, limits=limits), admin=admin)


# --- health


async def test_a_defect_is_an_answer_without_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a defect")

    async with serving(echoing(tmp_path)) as gateway:
        monkeypatch.setattr("holdfast.gateway.admin.pages.list_sessions", fail)
        answer = await ask(gateway, "/api/sessions")
        assert (answer.status, json.loads(answer.body)) == (500, {"error": "internal error"})


async def test_health_and_readiness(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path, limits=IMPATIENT)) as gateway:
        assert await told(gateway, "/healthz") == {"status": "ok"}
        assert await told(gateway, "/readyz") == {"status": "ready"}
        await fails(gateway, now=True)
        gateway.journal.keep("x", b"y")
        await eventually(lambda: gateway.journal.broken is not None)
        for path in ("/healthz", "/readyz"):
            answer = await ask(gateway, path)
            assert answer.status == 503
            assert json.loads(answer.body) == {"status": "the store cannot be written to"}
        await fails(gateway, now=False)


async def test_a_drain_can_be_watched_to_its_end(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path, WS)) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        client.ws.transport.pause_reading()  # does not answer the Close: the drain takes its time
        answer = await ask(gateway, "/api/drain", "POST")
        assert (answer.status, json.loads(answer.body)) == (202, {"status": "draining"})
        answer = await ask(gateway, "/readyz")
        assert (answer.status, json.loads(answer.body)) == (
            503,
            {"status": "the gateway is stopping"},
        )
        assert (await ask(gateway, "/healthz")).status == 200
        client.ws.transport.resume_reading()
        assert (await client.closed())[0] == 1012
        await eventually(lambda: not gateway.listeners.clients.connections)


async def test_a_drain_at_once(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path, WS)) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        client.ws.transport.pause_reading()
        answer = await ask(gateway, "/api/drain", "POST", b'{"now": true}')
        assert answer.status == 202
        await eventually(lambda: not gateway.listeners.clients.connections)


# --- sessions and connections


async def test_sessions_are_listed_without_their_secrets(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway, person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        someone.types("hello")
        await someone.sees("hello")
        answer = await ask(gateway, "/api/sessions")
        page = json.loads(answer.body)
        (session,) = gateway.manager.sessions.values()
        (item,) = page["items"]
        assert (page["next"], page["total"]) == (None, 1)
        (connection,) = gateway.listeners.clients.connections
        expected = {
            "sid": session.sid,
            "state": "active",
            "app": "echo",
            "protocol": "tcp",
            "durability": "fast",
            "detached": 0.0,
            "connection": connection.id,
            "outputs": 1,
            "queue_messages": 0,
        }
        assert {key: item[key] for key in expected} == expected
        assert item["address"] == connection.peer
        assert code.replace("-", "").encode() not in answer.body
        assert not {"tokens", "code", "data", "properties"} & item.keys()
        assert await told(gateway, f"/api/sessions/{session.sid}") == item


async def test_connections_are_listed_with_their_sessions(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        someone.types("hello")
        await someone.sees("hello\n")
        (item,) = (await told(gateway, "/api/connections"))["items"]
        (connection,) = gateway.listeners.clients.connections
        (session,) = gateway.manager.sessions.values()
        assert item == {
            "id": connection.id,
            "peer": connection.peer,
            "listener": str(gateway.addresses[0]),
            "protocol": "tcp",
            "phase": "established",
            "secure": False,
            "sid": session.sid,
            "received_bytes": len("hello\r\n"),
            "sent_bytes": connection.bytes_out,
            "silent_seconds": item["silent_seconds"],
            "rtt_ms": item["rtt_ms"],
            "pinged_seconds": None,
        }
        connection.heard = connection.now - 50.0
        (item,) = (await told(gateway, "/api/connections"))["items"]
        assert 50.0 <= item["silent_seconds"] < 50.0 + SECONDS


@pytest.fixture
async def crowd(tmp_path: Path) -> Any:
    """A gateway with five sessions: two of `ada`, the fourth without its client."""
    limits = Limits().but(connection={"linger_seconds_max": 0.1})  # none hangs up by itself
    config = echoing(tmp_path, TCP, WS, limits=limits)
    async with serving(config) as gateway, asyncio.timeout(SECONDS):
        sessions = []
        for number in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
            await reader.readline()
            session = list(gateway.manager.sessions.values())[-1]
            gateway.manager.set_user(session, "ada" if number in (1, 3) else "")
            sessions.append((session, writer))
        sessions[3][1].transport.abort()
        await eventually(lambda: sessions[3][0].state.detached)
        yield gateway, [session.sid for session, _ in sessions]
        for _, writer in sessions:
            writer.transport.abort()


FILTERS: dict[str, tuple[str, list[int]]] = {
    "all": ("", [0, 1, 2, 3, 4]),
    "by-user": ("user=ada", [1, 3]),
    "by-state": ("state=detached_active", [3]),
    "by-both": ("user=ada&state=active", [1]),
    "by-protocol": ("protocol=tcp", [0, 1, 2, 3, 4]),
    "by-another-protocol": ("protocol=telnet", []),
    "by-app": ("app=echo", [0, 1, 2, 3, 4]),
    "by-address": ("address=127.0.0.1", [0, 1, 2, 3, 4]),
    "by-another-address": ("address=192.0.2.1", []),
    "nobody": ("user=eve", []),
    "searched": ("search=AD", [1, 3]),
    "searched-and-filtered": ("search=127.0.0&state=detached_active", [3]),
    "searched-in-vain": ("search=no+such", []),
}


async def test_filters(crowd: Any) -> None:
    gateway, sids = crowd
    for query, expected in FILTERS.values():
        page = await told(gateway, f"/api/sessions?{query}")
        assert [item["sid"] for item in page["items"]] == [sids[i] for i in expected], query
    for part in (sids[2].upper(), sids[2][-12:]):
        (found,) = (await told(gateway, f"/api/sessions?search={part}"))["items"]
        assert found["sid"] == sids[2]
    (first, *_) = (await told(gateway, "/api/connections"))["items"]
    (found,) = (await told(gateway, f"/api/connections?search={first['peer']}"))["items"]
    assert found["id"] == first["id"]
    assert (await told(gateway, "/api/connections?search=no+such"))["items"] == []


@pytest.mark.parametrize(
    ("kind", "count", "key"), [("sessions", 5, "sid"), ("connections", 4, "id")]
)
async def test_pages(crowd: Any, kind: str, count: int, key: str) -> None:
    gateway, _ = crowd
    whole = [item[key] for item in (await told(gateway, f"/api/{kind}"))["items"]]
    assert len(whole) == count
    for limit in (1, 2, 3, count):
        found, after, pages = [], "", 0
        while pages == 0 or after:
            page = await told(gateway, f"/api/{kind}?limit={limit}&after={after}")
            found += [item[key] for item in page["items"]]
            after, pages = page["next"] or "", pages + 1
        assert found == whole
        assert pages == -(-count // limit)


async def test_a_page_below_the_default_is_the_longest_and_the_default(tmp_path: Path) -> None:
    config = echoing(tmp_path, limits=Limits().but(admin={"page_max": 2}))
    async with serving(config) as gateway, contextlib.AsyncExitStack() as people:
        for _ in range(3):
            await people.enter_async_context(person(gateway, "tcp"))
        await eventually(lambda: len(gateway.manager.sessions) == 3)
        for query in ("", "?limit=2"):
            page = await told(gateway, f"/api/sessions{query}")
            assert len(page["items"]) == 2
            assert page["next"] == page["items"][-1]["sid"]
        answer = await ask(gateway, "/api/sessions?limit=3")
        assert answer.status == HTTPStatus.BAD_REQUEST
        assert json.loads(answer.body)["error"] == "limit: expected 1 to 2, found '3'"


async def test_kicking(crowd: Any) -> None:
    gateway, sids = crowd
    assert await told(gateway, f"/api/sessions/{sids[0]}", method="DELETE") == {"kicked": sids[0]}
    assert sids[0] not in gateway.manager.sessions
    (item, *_) = (await told(gateway, "/api/connections"))["items"]
    await eventually(lambda: len(gateway.listeners.clients.connections) == 3)
    sid = item["sid"] or sids[1]
    connections = (await told(gateway, "/api/connections"))["items"]
    (number,) = [one["id"] for one in connections if one["sid"] == sid]
    assert await told(gateway, f"/api/connections/{number}", method="DELETE") == {"kicked": number}
    await eventually(lambda: gateway.manager.sessions[sid].state.detached)  # it waits


# --- requests that are refused


NO_CONNECTION = "there is no such connection"
NO_DRAIN = 'expected nothing or {"now": true}: '

REFUSED: dict[str, tuple[str, str, bytes | None, int, str]] = {
    "no-such-path": ("GET", "/nope", None, 404, "Not Found"),
    "no-such-session": ("DELETE", "/api/sessions/x", None, 404, "there is no such session"),
    "no-such-session-to-see": ("GET", "/api/sessions/x", None, 404, "there is no such session"),
    "no-such-connection": (
        "DELETE",
        "/api/connections/9",
        None,
        404,
        NO_CONNECTION,
    ),
    "no-id": ("DELETE", "/api/connections/x", None, 404, NO_CONNECTION),
    "id-of-other-digits": (
        "DELETE",
        "/api/connections/%D9%A1",
        None,
        404,
        NO_CONNECTION,
    ),
    "another-method": ("POST", "/api/sessions", None, 405, "Method Not Allowed"),
    "drain-by-get": ("GET", "/api/drain", None, 405, "Method Not Allowed"),
    "limit-of-nothing": (
        "GET",
        "/api/sessions?limit=0",
        None,
        400,
        "limit: expected 1 to 1000, found '0'",
    ),
    "limit-too-high": (
        "GET",
        "/api/sessions?limit=1001",
        None,
        400,
        "limit: expected 1 to 1000, found '1001'",
    ),
    "no-limit": ("GET", "/api/sessions?limit=x", None, 400, "limit: expected 1 to 1000, found 'x'"),
    "unknown-key": (
        "GET",
        "/api/connections?user=ada",
        None,
        400,
        "expected one of protocol, listener, address, search, limit, after; found 'user'",
    ),
    "after-no-id": (
        "GET",
        "/api/connections?after=x",
        None,
        400,
        "after: expected the id of a connection, found 'x'",
    ),
    "after-of-many-digits": (
        "GET",
        f"/api/connections?after={'1' * 5_000}",
        None,
        400,
        f"after: expected the id of a connection, found '{'1' * 5_000}'",
    ),
    "no-json": ("POST", "/api/drain", b"now", 400, NO_DRAIN),
    "wrong-type": ("POST", "/api/drain", b'{"now": 1}', 400, NO_DRAIN),
    "unknown-field": (
        "POST",
        "/api/drain",
        b'{"x": 1}',
        400,
        NO_DRAIN,
    ),
    "not-utf-8": ("POST", "/api/drain", b'{"\xff": 1}', 400, NO_DRAIN),
    "big-body": ("POST", "/api/drain", b" " * 17 * KIB, 413, HTTPStatus(413).phrase),
}


async def test_what_is_refused_and_why(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway:
        for name, (method, target, body, status, why) in REFUSED.items():
            answer = await ask(gateway, target, method, body)
            assert answer.status == status, name
            assert json.loads(answer.body)["error"].startswith(why), name
            assert answer.headers["Connection"] == "close"
            assert answer.headers["Server"] == "holdfast"
        assert not gateway._stop.is_set()
        assert (await ask(gateway, "/healthz")).status == 200


MALFORMED: dict[str, tuple[bytes, bytes]] = {
    "no-http": (b"hello\r\n\r\n", b"400 "),
    "bytes": (bytes(range(256)) + b"\r\n\r\n", b"400 "),
    "no-host-but-http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505 "),
    "length-that-is-none": (
        b"POST /api/drain HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"400 ",
    ),
    "two-lengths": (
        b"POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400 ",
    ),
    "endless-head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 20 * KIB, b"431 "),
}


async def test_malformed_requests(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway:
        for name, (data, start) in MALFORMED.items():
            async with opened(gateway) as (reader, writer):
                writer.write(data)
                async with asyncio.timeout(SECONDS):
                    version, _, rest = (await reader.read()).partition(b" ")
                assert version.startswith(b"HTTP/1."), name
                assert rest.startswith(start), (name, rest)
        assert not gateway._stop.is_set()
        assert (await ask(gateway, "/healthz")).status == 200


# --- tokens


async def test_a_token_protects_all_but_health(tmp_path: Path) -> None:
    async with serving(guarded(tmp_path)) as gateway:
        for path in ("/healthz", "/readyz"):
            assert (await ask(gateway, path)).status == 200
        for method, path in (
            ("GET", "/metrics"),
            ("GET", "/api/sessions"),
            ("GET", "/api/connections"),
            ("DELETE", "/api/sessions/x"),
            ("POST", "/api/drain"),
            ("GET", "/nope"),
            ("GET", "/healthz/"),
        ):
            answer = await ask(gateway, path, method)
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="holdfast"'
            assert (await ask(gateway, path, method, token="x" * 20)).status == 401
        assert (await ask(gateway, "/metrics", token=TOKEN)).status == 200
        assert not gateway._stop.is_set()


async def test_wrong_tokens_are_limited(tmp_path: Path) -> None:
    limits = Limits().but(admin={"wrong_token_burst_max": 3})
    async with serving(guarded(tmp_path, limits)) as gateway:
        found = [(await ask(gateway, "/metrics", token="x" * 20)).status for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        # Prometheus, behind the same address, has the right one.
        assert (await ask(gateway, "/metrics", token=TOKEN)).status == 200
        assert (await ask(gateway, "/healthz")).status == 200


async def test_pages_of_other_hosts_are_refused(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway:
        headers = {"Origin": "https://evil.example"}
        answer = await ask(gateway, "/api/drain", "POST", headers=headers)
        assert answer.status == 403
        answer = await ask(gateway, "/api/sessions", headers={"Host": "evil.example"})
        assert answer.status == 403
        assert not gateway._stop.is_set()


# --- slow clients


SLOW = Limits().but(admin={"request_seconds_max": 0.3, "connections_max": 4})


SLOWLY: dict[str, bytes] = {
    "nothing": b"",
    "half-a-head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half-a-body": b"POST /api/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
}


@pytest.mark.parametrize("data", SLOWLY.values(), ids=SLOWLY)
async def test_who_is_slow_is_cut_off_and_holds_up_nobody(tmp_path: Path, data: bytes) -> None:
    async with (
        serving(echoing(tmp_path, limits=SLOW)) as gateway,
        opened(gateway) as (reader, writer),
    ):
        writer.write(data)
        assert (await ask(gateway, "/healthz")).status == 200
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionResetError):
                assert (await reader.read())[:12] in (b"", b"HTTP/1.1 408")
        assert not gateway._stop.is_set()


async def test_drops_of_a_head_do_not_stretch_the_time(tmp_path: Path) -> None:
    async with (
        serving(echoing(tmp_path, limits=SLOW)) as gateway,
        opened(gateway) as (reader, writer),
    ):
        async with asyncio.timeout(SECONDS):
            while not reader.at_eof() and not writer.transport.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.02)


async def test_a_request_in_pieces_is_answered(tmp_path: Path) -> None:
    async with serving(echoing(tmp_path)) as gateway, opened(gateway) as (reader, writer):
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await read(reader)).status == 200


async def test_too_many_at_once_are_turned_away(tmp_path: Path) -> None:
    limits = Limits().but(admin={"connections_max": 2})
    async with serving(echoing(tmp_path, limits=limits)) as gateway:
        async with opened(gateway), opened(gateway) as (_, writer):
            writer.write(b"GET /")
            await asyncio.sleep(0.05)
            async with opened(gateway) as (third, _), asyncio.timeout(SECONDS):
                with contextlib.suppress(ConnectionResetError):
                    assert await third.read() == b""
        await eventually(lambda: not gateway.listeners._admin._server.connections)  # type: ignore[union-attr]
        assert (await ask(gateway, "/healthz")).status == 200


# --- other addresses


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    admin = AdminConfig(listen=f"unix:{tmp_path / 'admin'}")
    config = structs.replace(echoing(tmp_path), admin=admin)
    async with serving(config):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "admin")
        writer.write(b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await read(reader)).status == 200
        writer.close()
    assert "admin" not in os.listdir(tmp_path)


async def test_over_tls(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    admin = AdminConfig(listen="tls://127.0.0.1:0", certificate=pems.certificate)
    config = structs.replace(echoing(tmp_path), admin=admin)
    async with serving(config) as gateway:
        assert gateway.admin_address is not None
        context = ssl.create_default_context(cafile=pems.authority)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gateway.admin_address.port, ssl=context
        )
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await read(reader)).status == 200
        writer.close()


# --- notices and commands


def notice(**fields: str) -> bytes:
    return json.dumps(fields).encode()


async def shown(gateway: Gateway, **fields: str) -> int:
    said = await told(gateway, "/api/notices", method="POST", body=notice(**fields))
    return int(said["shown"])


async def test_an_operator_speaks_to_all_to_some_and_to_one(tmp_path: Path) -> None:
    async with (
        serving(echoing(tmp_path, TCP, WS)) as gateway,
        person(gateway, "tcp") as someone,
        v1(gateway) as page,
    ):
        await someone.shown_code()
        sid = (await page.expect("welcome"))["sid"]
        (at,) = [str(one) for one in gateway.addresses if one.scheme == "ws"]
        (first,) = [s for s in gateway.manager.sessions.values() if s.sid != sid]
        gateway.manager.set_user(first, "ada")
        assert await shown(gateway, text="to all") == 2
        assert await shown(gateway, text="to pages", protocol="websocket") == 1
        assert await shown(gateway, text="to one", session=sid) == 1
        assert await shown(gateway, text="here", listener=at) == 1
        assert await shown(gateway, text="to Ada", user="ada") == 1
        assert await shown(gateway, text="x", user="ada", protocol="websocket") == 0
        assert await shown(gateway, text="x", session=sid, protocol="tcp") == 0
        for text in ("to all", "to pages", "to one", "here"):
            said = await page.expect("notice")
            assert (said["d"], "n" in said) == (text, False)
        assert await someone.sees("*** to Ada\n") == "*** to all\n*** to Ada\n"
        assert gateway.context.security.counts[SecurityEvent.OPERATOR_ACTED] == 7


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b"", 400, "expected {"),
        (b'{"txt": "x"}', 400, "unknown field"),
        (notice(text=" "), 400, "text: expected a line"),
        (notice(text="x" * 15_000), 400, "text: "),
        (notice(text="x", session="nobody"), 404, "no such session"),
    ],
)
async def test_what_is_no_notice_is_refused(
    body: bytes, status: int, fault: str, tmp_path: Path
) -> None:
    small = Limits().but(session={"output_bytes_max": 10_000})
    async with serving(echoing(tmp_path, limits=small)) as gateway:
        answer = await ask(gateway, "/api/notices", "POST", body)
        assert answer.status == status
        assert fault in json.loads(answer.body)["error"]


async def test_an_operator_drops_waiting_commands(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [TCP]))
    may = asyncio.Event()
    begun: list[str] = []

    async def hang(session: Session, text: str) -> None:
        begun.append(text)
        await may.wait()

    app = App("stage")
    app.on_text(hang)
    async with (
        serving(config) as gateway,
        acting(app, str(gateway.link_address)),
        person(gateway, "tcp") as someone,
    ):
        someone.types("one", "two", "three")
        await eventually(lambda: begun == ["one"])
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: session.inbox.top == 3)
        path = f"/api/sessions/{session.sid}/commands"
        assert await told(gateway, path, method="DELETE") == {"forgotten": 3}
        assert not session.inbox.entries
        assert await told(gateway, path, method="DELETE") == {"forgotten": 0}
        assert (await ask(gateway, "/api/sessions/x/commands", "DELETE")).status == 404
        may.set()
        someone.types("four")
        await eventually(lambda: begun[-1] == "four")
        await eventually(lambda: not session.inbox.entries)


async def test_the_end_of_a_session_is_foretold(tmp_path: Path) -> None:
    limits = Limits().but(session={"unclaimed_seconds_max": 60.0, "detached_seconds_max": 600.0})
    async with serving(echoing(tmp_path, limits=limits)) as gateway:
        async with person(gateway, "tcp") as someone:
            await someone.shown_code()
            (item,) = (await told(gateway, "/api/sessions"))["items"]
            assert item["expires"] == 0
            (connection,) = (await told(gateway, "/api/connections"))["items"]
            assert 0 < connection["rtt_ms"] < 10_000
            assert connection["pinged_seconds"] is None
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: session.detached > 0)
        (item,) = (await told(gateway, "/api/sessions"))["items"]
        assert item["expires"] == pytest.approx(item["detached"] + 60.0)
        gateway.manager.set_user(session, "ada")
        (item,) = (await told(gateway, "/api/sessions"))["items"]
        assert item["expires"] == pytest.approx(item["detached"] + 600.0)


async def test_a_ping_is_shown(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"heartbeat_seconds_max": 0.05})
    async with serving(echoing(tmp_path, WS, limits=limits)) as gateway, v1(gateway) as page:
        await page.expect("welcome")

        async def pinged() -> bool:
            (one,) = (await told(gateway, "/api/connections"))["items"]
            return one["pinged_seconds"] is not None

        async with asyncio.timeout(SECONDS):
            while not await pinged():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        (one,) = (await told(gateway, "/api/connections"))["items"]
        (connection,) = gateway.listeners.clients.connections
        assert one["id"] == connection.id
        assert 0.0 <= one["pinged_seconds"] < SECONDS
