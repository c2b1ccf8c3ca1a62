"""Sessions of clients whose network lets no WebSocket through: event streams and requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import structlog
from tests.gateway.auth.issuer import token
from tests.gateway.clients import v1
from tests.gateway.running import WS, configured, eventually, serving, staged
from tests.gateway.streams import STREAM, hello, lines, post, requests, streamed
from tests.gateway.test_identity import guarded

from holdfast.backends import pty
from holdfast.backends.pty.config import PtyOptions
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.event_streams import StreamDriver
from holdfast.net.security_log import SecurityEvent


async def test_a_conversation(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        hello(gateway) as client,
        requests(gateway) as at,
    ):
        assert client.head.fields["content-type"] == STREAM
        welcome = await client.expect("welcome")
        await stage.noted("open")
        answer = await post(at, client, {"t": "cmd", "c": 1, "d": "look"})
        assert (answer.status, answer.body) == (200, b"{}")
        await stage.has_heard(1)
        await stage.session.text("A room.")
        assert await client.texts("A room.") == [(1, "A room.")]
        await post(at, client, {"t": "ack", "n": 1}, {"t": "ping", "n": 1})
        await client.expect("pong")
        session = gateway.manager.sessions[welcome["sid"]]
        assert session.row.protocol == "sse"
        assert session.out.acked == 1
        if {"t": "ack", "c": 1} not in client.got:
            await client.expect("ack")


async def test_a_session_goes_on_where_its_client_was_on_either_transport(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, [WS], durability="durable")) as (gateway, stage):
        async with hello(gateway, **{"try": 1}) as client, requests(gateway) as at:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            await stage.count(1, 3)
            await client.texts("3")
            assert (await post(at, client, {"t": "cmd", "c": 1, "d": "a"})).status == 200
            await client.expect("ack")
            await stage.noted("text", "a")
            client.drop()
            await stage.noted("detach", "network_error")
        await stage.count(4, 5)
        back = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 3}
        async with v1(gateway, **back, **{"try": 2}) as other:
            resumed = await other.expect("resumed")
            assert (resumed["from"], resumed["to"], resumed["cin"]) == (4, 5, 1)
            assert await other.texts("5") == [(4, "4"), (5, "5")]
            await stage.session.text("6")
            await other.texts("6")
            back = {"token": resumed["token"], "epoch": resumed["epoch"], "last": 5}
        async with hello(gateway, **back, **{"try": 3}) as client:
            assert (await client.expect("resumed"))["from"] == 6
            assert await client.texts("6") == [(6, "6")]


async def test_a_bare_event_source_comes_back_to_where_it_was(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, [WS])) as (gateway, stage):
        async with streamed(gateway, "GET") as client:
            welcome = await client.expect("welcome")
            assert welcome["token"] == ""  # the cookie has it, which no script can read
            assert client.last_id == f"{welcome['epoch']}:0"
            cookie = client.head.fields["set-cookie"]
            assert "HttpOnly" in cookie
            await stage.noted("open")
            await stage.count(1, 2)
            await stage.session.data("State", {"a": 1}, latest=True)
            await client.expect("data")
            assert client.last_id == f"{welcome['epoch']}:3"
        await stage.noted("detach", "client_left")
        for value in (2, 3):
            await stage.session.data("State", {"a": value}, latest=True)
        await stage.session.text("six")
        shown = {"Cookie": cookie.partition(";")[0], "Last_Event_ID": client.last_id}
        async with streamed(gateway, "GET", **shown) as client:
            resumed = await client.expect("resumed")
            assert (resumed["sid"], resumed["from"]) == (welcome["sid"], 4)
            assert client.last_id == f"{welcome['epoch']}:3"
            assert [await client.hear() for _ in range(3)] == [
                {"t": "skip", "n": 4},
                {"t": "data", "n": 5, "p": "State", "d": {"a": 3}},
                {"t": "text", "n": 6, "d": "six"},
            ]
            assert client.last_id == f"{welcome['epoch']}:6"
        assert len(gateway.manager.sessions) == 1


async def test_a_position_that_is_gone_is_reset(tmp_path: Path) -> None:
    limits = Limits().but(session={"window_messages_max": 4})
    async with staged(configured(tmp_path, [WS], limits=limits)) as (gateway, stage):
        async with streamed(gateway, "GET") as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
        await stage.noted("detach", "client_left")
        await stage.count(1, 20)
        await stage.accepted()
        cookie = client.head.fields["set-cookie"].partition(";")[0]
        async with streamed(gateway, "GET", Cookie=cookie, Last_Event_ID=client.last_id) as client:
            reset = await client.expect("reset")
            assert (reset["reason"], reset["token"]) == ("trimmed", "")
            assert client.last_id == f"{welcome['epoch']}:{reset['top']}"
            assert (await client.texts("20"))[0][0] == reset["top"] + 1


async def test_who_a_client_is_stands_in_its_request(tmp_path: Path) -> None:
    config = guarded(tmp_path, cookie="jwt", property_claims=("email",))
    async with staged(config) as (gateway, stage):
        shown = {"Cookie": f"jwt={token(email='anna@example')}", "User_Agent": "Fox"}
        async with streamed(gateway, "GET", **shown) as client:
            await client.expect("welcome")
            await stage.noted("open")
            assert stage.session.user == "anna"
            request = stage.session.client.request
            assert request is not None
            assert (request.path, request.user_agent) == ("/", "Fox")
        async with requests(gateway) as at:
            answer = await at.ask(Accept=STREAM)
            assert answer.status == 401


async def test_a_client_without_a_token_is_asked_for_one(tmp_path: Path) -> None:
    async with (
        staged(guarded(tmp_path)) as (gateway, stage),
        hello(gateway) as client,
        requests(gateway) as at,
    ):
        await client.expect("auth")
        await post(at, client, {"t": "auth", "token": token()})
        await client.expect("welcome")
        await stage.noted("open")
        assert stage.session.user == "anna"


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("GET", {"Origin": "https://evil.example"}, 403),
        ("POST", {"Origin": "https://evil.example"}, 403),
        ("GET", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("GET", {"Sec_Fetch_Site": "same-origin"}, 200),
        ("GET", {"Origin": "http://gateway"}, 200),
        ("POST", {"Origin": "https://shop.example"}, 200),
        ("PUT", {}, 404),
    ],
)
async def test_whose_pages_may_connect(
    tmp_path: Path, method: str, fields: dict[str, str], status: int
) -> None:
    config = configured(tmp_path, [WS], backend="echo", origins=("self", "https://shop.example"))
    with structlog.testing.capture_logs() as logs:
        async with serving(config) as gateway, requests(gateway) as at:
            listener = str(gateway.addresses[0])
            at.send(method, Accept=STREAM, **fields)
            answer = await at.answer()
    assert answer.status == status
    allowed = answer.fields.get("access-control-allow-origin")
    assert allowed == (fields.get("Origin") if status == 200 else None)
    told = [log["listener"] for log in logs if log["event"] == SecurityEvent.ORIGIN_REFUSED.value]
    assert told == ([listener] if status == 403 else [])


async def test_messages_for_no_stream_or_the_wrong_one(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path, [WS], backend="echo")) as gateway,
        hello(gateway) as client,
        streamed(gateway, "GET") as bare,
        requests(gateway) as at,
    ):
        await client.expect("welcome")
        command = {"t": "cmd", "c": 1, "d": "x"}
        name, _, secret = client.name.partition(b".")
        for wrong in (b"", b"7", b"99." + secret, name + b".0", b"\xff." * 99, secret):
            client.name = wrong
            answer = await post(at, client, command)
            assert (answer.status, answer.body) == (
                404,
                b'{"error":"there is no such stream, or it has ended"}',
            )
        assert (await post(at, bare, command)).status == 409
        client.name = name + b"." + secret
        assert (await post(at, client, command)).status == 200
        assert (await client.expect("text"))["d"] == "x"


async def test_a_bare_event_source_says_nothing(tmp_path: Path) -> None:
    config = configured(tmp_path, [WS], backend="echo")
    async with serving(config) as gateway, requests(gateway) as at:
        body = lines({"t": "cmd", "c": 1, "d": "x"})
        answer = await at.ask("GET", "/", body, Accept=STREAM)
        expected = f"expected a GET without a body, found one of {len(body)} bytes"
        assert (answer.status, json.loads(answer.body)) == (400, {"error": expected})
        assert not gateway.manager.total


@pytest.mark.parametrize("body", [b"no json", b'{"t":"nothing"}', b"\xff", b"[]"])
async def test_malformed_messages_end_the_stream(tmp_path: Path, body: bytes) -> None:
    async with (
        serving(configured(tmp_path, [WS], backend="echo")) as gateway,
        hello(gateway) as client,
        requests(gateway) as at,
    ):
        await client.expect("welcome")
        await at.ask("POST", "/", client.name + b"\n" + body, Accept="application/json")
        bye = await client.expect("bye")
        assert (bye["code"], bye["reason"]) == (1002, "protocol_error")
        assert await client.over() == b""


async def test_a_request_that_is_too_large_is_refused(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"message_bytes_max": 4096})
    async with (
        serving(configured(tmp_path, [WS], backend="echo", limits=limits)) as gateway,
        hello(gateway) as client,
    ):
        assert (await client.expect("welcome"))["bytes_max"] == 4096
        async with requests(gateway) as at:
            answer = await post(at, client, {"t": "cmd", "c": 1, "d": "x" * 4096})
            assert answer.status == 413
        async with requests(gateway) as at:
            opening = lines({"t": "hello"}, {"t": "cmd", "c": 1, "d": "x" * 4096})
            assert (await at.ask("POST", "/", opening, Accept=STREAM)).status == 413
        async with requests(gateway) as at:
            largest = {"t": "cmd", "c": 1, "d": ""}
            largest["d"] = "x" * (4096 - len(lines(largest)))
            assert (await post(at, client, largest)).status == 200
            await client.expect("text")


async def test_a_client_that_sends_too_fast_waits_for_its_answer(tmp_path: Path) -> None:
    limits = Limits().but(session={"commands_per_second_max": 0.001, "command_burst_max": 2})
    async with (
        serving(configured(tmp_path, [WS], backend="echo", limits=limits)) as gateway,
        hello(gateway) as client,
        requests(gateway) as at,
        requests(gateway) as other,
    ):
        await client.expect("welcome")
        commands = [{"t": "cmd", "c": c, "d": "x"} for c in range(1, 6)]
        await post(at, client, *commands)
        await client.expect("text")
        at.send("POST", "/", client.name + b"\n" + lines(*commands), Accept="application/json")
        (driver,) = [
            connection.handler
            for connection in gateway.listeners.clients.connections
            if isinstance(connection.handler, StreamDriver)
        ]
        await eventually(lambda: driver.busy)
        assert (await post(other, client, commands[0])).status == 409  # one at a time
        (session,) = gateway.manager.sessions.values()
        gateway.manager.close(session, Reason.KICKED)
        assert (await client.expect("bye"))["reason"] == "kicked"
        client.drop()
        assert (await at.answer()).status == 404


async def test_a_client_that_is_silent_is_asked_and_then_given_up(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"heartbeat_seconds_max": 0.2})
    async with staged(configured(tmp_path, [WS], limits=limits)) as (gateway, stage):
        async with hello(gateway) as client, requests(gateway) as at:
            await client.expect("welcome")
            await client.commented()
            assert client.comments == ["ping"]
            await post(at, client)  # an answer without a message
            assert (await client.expect("bye"))["reason"] == "timeout"
        await stage.noted("detach", "timeout")


async def test_a_bare_event_source_is_kept_alive(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"heartbeat_seconds_max": 0.1})
    async with (
        serving(configured(tmp_path, [WS], backend="echo", limits=limits)) as gateway,
        streamed(gateway, "GET") as client,
    ):
        await client.expect("welcome")
        await client.commented(3)
        assert len(gateway.pool) == 1


async def test_a_bare_event_source_that_reads_is_not_idle(tmp_path: Path) -> None:
    limits = Limits().but(
        websocket={"heartbeat_seconds_max": 0.1}, connection={"idle_seconds_max": 2.0}
    )
    async with (
        serving(configured(tmp_path, [WS], backend="echo", limits=limits)) as gateway,
        streamed(gateway, "GET") as client,
    ):
        await client.expect("welcome")
        begun = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < begun + 3.0:
            await client.commented(len(client.comments) + 1)
        assert len(gateway.pool) == 1


async def test_a_connection_serves_pages_and_messages_and_a_stream(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>hello</h1>")
    config = configured(tmp_path, [WS], backend="echo", pages=str(site))
    async with serving(config) as gateway, hello(gateway) as client, requests(gateway) as at:
        await client.expect("welcome")
        for c in (1, 2):
            assert (await at.ask()).body == b"<h1>hello</h1>"
            assert (await post(at, client, {"t": "cmd", "c": c, "d": "x"})).status == 200
            await client.expect("text")
        assert (await at.ask("POST")).status == 405
        assert (await at.ask(Accept=STREAM)).status == 200


async def test_a_stopping_gateway_says_goodbye(tmp_path: Path) -> None:
    async with (
        serving(configured(tmp_path, [WS], backend="echo")) as gateway,
        hello(gateway) as client,
        streamed(gateway, "GET") as bare,
    ):
        await client.expect("welcome")
        await bare.expect("welcome")
        gateway.stop()
        for one in (client, bare):
            bye = await one.expect("bye")
            assert bye["reason"] == "shutdown"
            assert bye["retry_ms"] > 0
            await one.over()


async def test_streams_are_where_the_websocket_is(tmp_path: Path) -> None:
    config = configured(tmp_path, ["ws://127.0.0.1:0/live"], backend="echo")
    async with serving(config) as gateway, requests(gateway) as at:
        assert (await at.ask("POST", "/other", Accept=STREAM)).status == 404
        at.send("POST", "/live", Accept=STREAM)
        assert (await at.answer()).status == 200


async def test_a_terminal_has_no_streams(tmp_path: Path) -> None:
    options = PtyOptions(command=("cat",))
    listener = ListenerConfig(url=WS, backend=pty.Config(options), durability="memory")
    async with serving(Config(listener=(listener,))) as gateway, requests(gateway) as at:
        assert (await at.ask("POST", "/", Accept=STREAM)).status == 405
