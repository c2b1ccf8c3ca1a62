"""What clients and operators do that the security log tells: each event by a deed of its own."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from msgspec import structs
from tests.gateway.admin.asking import administered, ask
from tests.gateway.auth import issuer
from tests.gateway.clients import person, plain, v1
from tests.gateway.conversation.test_login import doorman
from tests.gateway.running import Stage, configured, eventually, linked, port, serving, staged
from tests.gateway.test_rights import of_nobody

from holdfast.app import App
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent

E = SecurityEvent
Deed = Callable[[Gateway, Stage], Awaitable[dict[str, Any]]]
"""Does it; returns what the line must say beside where."""

LIMITS: Final = Limits().but(
    session={
        "attach_failure_burst_max": 2,
        "attach_failures_per_minute_max": 0.01,
        "command_burst_max": 2,
    }
)
HANDSHAKE: Final = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def shows_an_unknown_token(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway, token=of_nobody()) as client:
        await client.expect("refused")
    return {}


async def shows_an_older_cookie(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with plain(gateway) as page:
        await stage.noted("open")
        sid = stage.session.sid
    async with plain(gateway, page.cookie) as again:
        await again.ws.send("here")
        await stage.heard("here")
    async with plain(gateway, page.cookie) as restored:
        await restored.hear()
    return {"of": [sid]}


async def shows_a_replaced_token(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        first = await client.expect("welcome")
    async with v1(gateway, token=first["token"], epoch=first["epoch"]) as client:
        await client.expect("resumed")
        await client.say("ack", n=0)
        await client.say("cmd", c=1, d="here")
        await stage.heard("here")
        async with v1(gateway, token=first["token"]) as thief:
            await thief.expect("refused")
    return {"of": [first["sid"]]}


async def sends_what_is_no_message(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        await client.expect("welcome")
        await client.ws.send("{}")
        await client.expect("bye")
    return {}


async def types_a_wrong_code(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway, code="AAAA-AAAA") as client:
        await client.expect("refused")
    return {}


async def types_many_wrong_codes(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    for _ in range(3):
        await types_a_wrong_code(gateway, stage)
    return {}


async def goes_on_elsewhere(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        await stage.noted("open")
        sid = stage.session.sid
    async with v1(gateway, code=code) as client:
        await client.expect("resumed")
    return {"how": "code", "of": sid}


async def comes_from_another_page(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    _says(gateway, HANDSHAKE.format(host="127.0.0.1", origin="http://evil.example"))
    return {"why": "pages of http://evil.example may not connect here"}


async def comes_for_another_host(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    _says(gateway, HANDSHAKE.format(host="evil.example", origin="http://evil.example"))
    return {"why": "the host evil.example is not served here"}


async def sends_too_much(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        await client.expect("welcome")
        client.say_at_once({"t": "cmd", "c": c, "d": "x"} for c in range(1, 50))
        await client.expect("ack")
    return {"why": "too much at once; it is read later"}


async def asks_without_a_token(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    await ask(gateway, "/api/sessions", headers={"Origin": "http://evil.example"})
    return {"listener": "admin"}


async def closes_a_session(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await ask(gateway, f"/api/sessions/{sid}", "DELETE")
        await client.closed()
    return {"sid": sid, "what": "close_session", "listener": "admin"}


async def logs_in_wrongly(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        await client.expect("login")
        await client.say("login", username="ann", password="s3cret")
        await client.expect("login")
    return {"user": "ann", "why": "Wrong name or password."}


async def logs_in_wrongly_too_often(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        for _ in range(LIMITS.session.login_attempts_max):
            await client.expect("login")
            await client.say("login", username="ann", password="s3cret")
        await client.closed()
    return {}


async def is_identified(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await stage.noted("open")
        await stage.session.identify("ann")
        await client.expect("token")
    return {"sid": sid, "user": "ann"}


async def shows_a_token_that_is_none(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway, auth="x") as client:
        await client.expect("auth")
    return {"why": "expected a signed JSON Web Token, found something else"}


async def resumes_another_users_session(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway, auth=issuer.token()) as client:
        annas = await client.expect("welcome")
    async with v1(gateway, auth=issuer.token(sub="bert"), token=annas["token"]) as client:
        await client.expect("refused")
    return {"of": [annas["sid"]]}


async def makes_room(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    async with v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await stage.noted("open")
    await stage.noted("detach", "client_left")
    async with v1(gateway) as client:
        await client.expect("welcome")
    return {"sid": sid}


async def links_with_a_wrong_secret(gateway: Gateway, stage: Stage) -> dict[str, Any]:
    with pytest.raises(ConfigurationError, match="the link's secret is wrong"):
        await App("wrong").serve(str(gateway.link_address), secret="x" * 32)
    return {"app": "wrong", "listener": "link"}


def _says(gateway: Gateway, text: str) -> None:
    """Say a request, and read its answer to the end."""
    where = ("127.0.0.1", port(gateway, "ws"))
    sock = socket.create_connection(where)
    sock.sendall(text.encode())
    sock.close()


DEEDS: Final[dict[SecurityEvent, Deed]] = {
    E.TOKEN_REFUSED: shows_an_unknown_token,
    E.MALFORMED: sends_what_is_no_message,
    E.TOKEN_REPLACED: shows_an_older_cookie,
    E.TOKEN_REVOKED: shows_a_replaced_token,
    E.CODE_REFUSED: types_a_wrong_code,
    E.CODE_LIMITED: types_many_wrong_codes,
    E.TAKEN_OVER: goes_on_elsewhere,
    E.ORIGIN_REFUSED: comes_from_another_page,
    E.HOST_REFUSED: comes_for_another_host,
    E.LIMITED: sends_too_much,
    E.LOGIN_FAILED: logs_in_wrongly,
    E.LOGIN_LIMITED: logs_in_wrongly_too_often,
    E.CREDENTIAL_REFUSED: shows_a_token_that_is_none,
    E.USER_REFUSED: resumes_another_users_session,
    E.USER_CHANGED: is_identified,
    E.EVICTED: makes_room,
    E.LINK_REFUSED: links_with_a_wrong_secret,
    E.ADMIN_REFUSED: asks_without_a_token,
    E.OPERATOR_ACTED: closes_a_session,
}


GUARDED: Final = (E.LOGIN_FAILED, E.LOGIN_LIMITED)
"""What needs an application with a login."""
CROWDED: Final = LIMITS.but(session={"sessions_per_network_max": 1})


def _config(folder: Path, event: SecurityEvent | None = None) -> Config:
    limits = CROWDED if event is E.EVICTED else LIMITS
    config = administered(configured(folder, limits=limits))
    secret = folder / "secret"
    secret.write_bytes(issuer.SECRET)
    auth = AuthOptions(algorithms=("HS256",), keys_file=str(secret), anonymous=True)
    listeners = tuple(
        structs.replace(one, hosts=("127.0.0.1",), auth=auth) if one.url.startswith("ws") else one
        for one in config.listener
    )
    return structs.replace(config, listener=listeners)


@pytest.mark.parametrize("event", DEEDS, ids=lambda event: event.value)
async def test_every_event_is_told(event: SecurityEvent, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        stage = doorman(Stage()) if event in GUARDED else Stage()
        async with serving(_config(tmp_path, event)) as gateway, linked(gateway, stage):
            counts = gateway.context.security.counts
            expected = await DEEDS[event](gateway, stage)
            await eventually(lambda: counts[event] > 0)
    line = next(log for log in logs if log["event"] == event.value)
    assert line["log"] == "security"
    assert line["address"].startswith("127.0.0.1" if event is not E.LINK_REFUSED else "unix")
    assert event is E.EVICTED or line["listener"]
    assert {name: line[name] for name in expected} == expected


OF_TERMINALS = {
    SecurityEvent.TARGET_REFUSED,
    SecurityEvent.TARGET_FAILED,
    SecurityEvent.HOST_KEY_REFUSED,
    SecurityEvent.INVITED,
    SecurityEvent.INVITATION_REFUSED,
    SecurityEvent.WATCHED,
}
"""Their deeds are in `tests/backends/ssh` and `tests/backends/terminal`."""


OF_THE_API = {SecurityEvent.API_REFUSED}
"""Its deed is in `tests/gateway/api`."""


def test_every_event_has_its_deed() -> None:
    assert DEEDS.keys() == set(SecurityEvent) - OF_TERMINALS - OF_THE_API


async def test_no_line_has_a_secret(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with staged(_config(tmp_path)) as (gateway, _):
            token = of_nobody()
            async with v1(gateway, token=token) as client:
                await client.expect("refused")
            async with v1(gateway, code="SECR-ETCD") as client:
                await client.expect("refused")
            with contextlib.suppress(OSError):
                await ask(gateway, "/api/sessions", token="wrong" * 5)
    text = repr(logs)
    assert token not in text
    assert "SECR" not in text
    assert "wrongwrong" not in text
