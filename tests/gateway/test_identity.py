"""Clients that prove who they are, and others that do not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec import structs
from tests.gateway.auth.issuer import SECRET, issuing, jwk, private_key, token
from tests.gateway.clients import V1, Plain, v1, v1_at
from tests.gateway.running import (
    WS,
    Stage,
    configured,
    eventually,
    linked,
    port,
    serving,
    staged,
)
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from holdfast.gateway.auth.options import AuthOptions
from holdfast.gateway.auth.request import RequestOptions
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway


def guarded(folder: Path, *, request: RequestOptions | None = None, **auth: Any) -> Config:
    """A gateway whose clients must have a token that is signed with `SECRET`."""
    keys = folder / "secret"
    keys.write_bytes(SECRET)
    if "keys_url" not in auth:
        auth = {"algorithms": ("HS256",), "keys_file": str(keys)} | auth
    config = configured(folder, [WS])
    listener = structs.replace(
        config.listener[0], auth=AuthOptions(**auth), request=request or RequestOptions()
    )
    return structs.replace(config, listener=(listener,))


@asynccontextmanager
async def client_with(
    gateway: Gateway, headers: dict[str, str], *offered: str, **hello: Any
) -> AsyncIterator[V1]:
    """A client of `holdfast.v1` with these header fields in its request."""
    async with connect(
        f"ws://127.0.0.1:{port(gateway, 'ws')}/ws?room=7",
        subprotocols=[Subprotocol(name) for name in ("holdfast.v1", *offered)],
        additional_headers=headers,
        proxy=None,
        ping_interval=None,
        close_timeout=1,
    ) as ws:
        client = V1(ws)
        await client.say("hello", **hello)
        yield client


@pytest.mark.parametrize("where", ["header", "cookie", "subprotocol", "hello"])
async def test_a_token_makes_a_user_of_a_client(tmp_path: Path, where: str) -> None:
    text = token(email="anna@example")
    config = guarded(tmp_path, cookie="jwt", subprotocol=True, property_claims=("email",))
    headers = {
        "header": {"Authorization": f"Bearer {text}"},
        "cookie": {"Cookie": f"a=b; jwt={text}"},
    }.get(where, {})
    offered = [f"holdfast.auth.{text}"] if where == "subprotocol" else []
    hello = {"auth": text} if where == "hello" else {}
    async with (
        staged(config) as (gateway, stage),
        client_with(gateway, headers, *offered, **hello) as client,
    ):
        await client.expect("welcome")
        await stage.noted("open")
        assert stage.session.user == "anna"
        assert stage.session.properties == {"email": "anna@example"}


async def test_the_application_learns_what_a_request_says_and_nothing_secret(
    tmp_path: Path,
) -> None:
    request = RequestOptions(headers=("x-tenant",), cookies=("lang",))
    config = guarded(tmp_path, request=request, cookie="jwt")
    cookie = f"jwt={token()}; lang=de; other=x"
    async with staged(config) as (gateway, stage):
        first = {"Cookie": cookie, "X-Tenant": "one", "User-Agent": "Browser/1"}
        async with client_with(gateway, first) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            facts = stage.session.client.request
            assert facts is not None
            assert (facts.path, facts.query, facts.user_agent) == ("/ws", "room=7", "Browser/1")
            assert facts.host == f"127.0.0.1:{port(gateway, 'ws')}"
            assert (facts.headers, facts.cookies) == ({"x-tenant": "one"}, {"lang": "de"})
        await stage.noted("detach", "client_left")
        again = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
        second = {"Cookie": cookie, "X-Tenant": "two"}
        async with client_with(gateway, second, **again) as client:
            await client.expect("resumed")
            await stage.noted("resume")
            facts = stage.session.client.request
            assert facts is not None
            assert facts.headers == {"x-tenant": "two"}


async def test_a_client_without_a_token_is_asked_for_one(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path)) as (gateway, stage), v1(gateway) as client:
        assert await client.expect("auth") == {"t": "auth", "error": "a token is needed"}
        assert not client.got
        await client.say("auth", token=token(lasts=-60))
        assert (await client.expect("auth"))["error"] == "the token has expired"
        await client.say("auth", token=token())
        await client.expect("welcome")
        await stage.noted("open")
        assert stage.session.user == "anna"


async def test_a_client_has_so_many_attempts(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path)) as (gateway, stage), v1(gateway, auth="x") as client:
        attempts = gateway.config.limits.session.login_attempts_max
        for _ in range(attempts - 1):
            assert (await client.expect("auth"))["error"] == "the token is not valid"
            await client.say("auth", token="x")
        bye = await client.expect("bye")
        assert (bye["code"], bye["reason"], bye["retry_ms"]) == (4006, "unauthenticated", -1)
        assert not stage.notes
        assert gateway.context.counts["credentials_refused"] == attempts


async def test_a_client_that_sends_something_else_first_is_refused(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path)) as (gateway, _), v1(gateway) as client:
        await client.expect("auth")
        await client.say("cmd", c=1, d="look")
        assert (await client.expect("bye"))["reason"] == "protocol_error"
        assert not gateway.manager.total
    async with staged(configured(tmp_path, [WS])) as (gateway, _), v1(gateway) as client:
        await client.expect("welcome")
        await client.say("auth", token=token())
        bye = await client.expect("bye")
        assert bye["text"] == "expected no token: this listener does not ask for one"


async def test_anonymous_clients_where_they_are_allowed(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path, anonymous=True)) as (gateway, stage):
        async with v1(gateway) as client:
            await client.expect("welcome")
            await stage.noted("open")
            assert stage.session.user == ""
            await client.say("auth", token=token())
            assert "anonymous" in (await client.expect("auth"))["error"]
        async with v1(gateway, auth=token(lasts=-60)) as client:
            assert (await client.expect("auth"))["error"] == "the token has expired"


async def test_a_plain_client_gets_an_answer_in_http(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path, cookie="jwt")) as (gateway, stage):
        url = f"ws://127.0.0.1:{port(gateway, 'ws')}/"
        for headers in ({}, {"Cookie": f"jwt={token(lasts=-60)}"}):
            with pytest.raises(InvalidStatus) as raised:
                async with connect(url, additional_headers=headers, proxy=None):
                    pass
            response = raised.value.response
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
        headers = {"Cookie": f"jwt={token()}"}
        async with connect(url, additional_headers=headers, proxy=None) as ws:
            await stage.noted("open")
            assert stage.session.user == "anna"
            assert Plain(ws).cookie.startswith("holdfast")


async def resumes(gateway: Gateway, welcome: dict[str, Any], auth: str) -> str:
    """What a client gets that has the token of a session, and this one."""
    hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0, "auth": auth}
    async with v1(gateway, **hello) as client:
        message = await client.hear()
        welcome.update({"token": message.get("token", welcome["token"])})
        return str(message["t"])


async def test_a_session_is_resumed_by_its_user_and_by_nobody_else(tmp_path: Path) -> None:
    config = guarded(tmp_path, anonymous=True)
    async with staged(config) as (gateway, _):
        async with v1(gateway, auth=token()) as client:
            annas = await client.expect("welcome")
        async with v1(gateway) as client:
            nobodys = await client.expect("welcome")
        assert await resumes(gateway, annas, token(sub="bert")) == "refused"
        assert await resumes(gateway, annas, "") == "refused"
        assert await resumes(gateway, nobodys, token()) == "refused"
        assert await resumes(gateway, annas, token()) == "resumed"
        assert await resumes(gateway, nobodys, "") == "resumed"
    async with serving(config) as gateway:  # the next run knows it, too
        assert await resumes(gateway, annas, token(sub="bert")) == "refused"
        assert await resumes(gateway, annas, token()) == "resumed"
    async with serving(configured(tmp_path, [WS])) as gateway:
        assert await resumes(gateway, annas, "") == "refused", "nobody is asked for a token"


async def test_a_resume_code_does_not_lead_to_another_users_session(tmp_path: Path) -> None:
    async with (
        staged(guarded(tmp_path)) as (gateway, _),
        v1(gateway, auth=token()) as client,
    ):
        await client.expect("welcome")
        await client.say("code")
        code = (await client.expect("code"))["d"]
        async with v1(gateway, code=code, auth=token(sub="bert")) as other:
            assert "another user" in (await other.expect("refused"))["reason"]
        async with v1(gateway, code=code, auth=token()) as own:
            assert (await own.hear())["t"] in ("reset", "resumed")


async def test_a_client_is_asked_for_a_newer_token_and_goes_on_with_it(tmp_path: Path) -> None:
    config = guarded(tmp_path, renew_seconds=3600, leeway_seconds=0)
    async with staged(config) as (gateway, stage):
        async with v1(gateway, auth=token(lasts=300)) as client:
            await client.expect("welcome")
            asked = await client.expect("auth")
            assert "error" not in asked
            assert 290_000 < asked["left_ms"] <= 300_000
            await client.say("auth", token=token(sub="bert"))
            assert (await client.expect("auth"))["error"] == "the token is another user's"
            await client.say("auth", token="x")
            asked = await client.expect("auth")
            assert (asked["error"], asked["left_ms"] > 0) == ("the token is not valid", True)
            await client.say("auth", token=token(lasts=10_000, name="x"))
            await client.say("cmd", c=1, d="here")
            await stage.heard("here")
        (session,) = gateway.manager.sessions.values()
        assert session.row.user == "anna"


async def test_a_session_outlives_the_token_of_its_client(tmp_path: Path) -> None:
    config = guarded(tmp_path, leeway_seconds=0)
    async with staged(config) as (gateway, stage):
        async with v1(gateway, auth=token(lasts=0.5)) as client:
            welcome = await client.expect("welcome")
            assert "error" not in await client.expect("auth")
            bye = await client.expect("bye")
            assert (bye["code"], bye["reason"]) == (4505, "expired")
            assert bye["retry_ms"] >= 0
        await stage.noted("detach", "expired")
        assert await resumes(gateway, welcome, token(lasts=-1)) == "auth"
        assert await resumes(gateway, welcome, token()) == "resumed"


async def test_login_with_a_token(tmp_path: Path) -> None:
    """The application asks anonymous clients to log in; a token is enough for that."""
    stage = Stage()
    stage.app.on_authenticate(lambda claim: claim.username)
    async with serving(guarded(tmp_path, anonymous=True)) as gateway, linked(gateway, stage):
        async with v1(gateway) as client:
            await client.expect("login")
            await client.say("login", token="x")
            assert (await client.expect("auth"))["error"] == "the token is not valid"
            await client.say("login", token=token())
            await stage.noted("open")
            assert stage.session.user == "anna"
            await client.expect("token")
        (session,) = gateway.manager.sessions.values()
        assert (session.row.user, session.row.proven) == ("anna", True)
        async with v1(gateway, auth=token(sub="bert")) as client:
            await stage.noted("open")
            users = {session.user for session in stage.app.sessions.values()}
            assert users == {"anna", "bert"}, "who has a token is not asked"


async def test_keys_of_an_issuer_that_is_down_and_comes_back(tmp_path: Path) -> None:
    async with issuing(jwk("RS", "a")) as issuer:
        issuer.status = 500
        config = guarded(tmp_path, algorithms=("RS256",), keys_url=issuer.url)
        async with staged(config) as (gateway, _):
            text = token(private_key("RS"), "RS256", headers={"kid": "a"})
            async with v1(gateway, auth=text) as client:
                bye = await client.expect("bye")
                assert (bye["code"], bye["text"]) == (
                    1011,
                    "tokens cannot be checked now; try later",
                )
                assert bye["retry_ms"] >= 0
            issuer.status = 200
            async with v1(gateway, auth=text) as client:
                await client.expect("welcome")
            assert issuer.asked == 2


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("sessions.db*"))


async def test_tokens_are_in_no_log_and_in_no_store(tmp_path: Path) -> None:
    good, bad = token(), token(SECRET[::-1])
    with structlog.testing.capture_logs() as logs:
        async with staged(guarded(tmp_path, cookie="jwt")) as (gateway, _):
            async with v1(gateway, auth=bad) as client:
                await client.expect("auth")
                await client.say("auth", token=bad)
                await client.expect("auth")
                await client.say("auth", token=good)
                await client.expect("welcome")
            async with client_with(gateway, {"Cookie": f"jwt={bad}"}) as client:
                await client.expect("auth")
    lines = json.dumps(logs, default=repr)
    assert "credential_refused" in lines
    stored = stored_in(tmp_path)
    for text in (good, bad):
        for part in text.split("."):
            assert part not in lines
            assert part.encode() not in stored


def one(gateway: Gateway) -> AbstractAsyncContextManager[V1]:
    return v1_at(port(gateway, "ws"))


async def test_a_client_that_never_gives_a_token_is_told_why_it_ends(tmp_path: Path) -> None:
    config = guarded(tmp_path)
    limits = config.limits.but(connection={"handshake_seconds_max": 0.3})
    async with serving(structs.replace(config, limits=limits)) as gateway, one(gateway) as client:
        await client.expect("auth")
        bye = await client.expect("bye")
        assert (bye["reason"], bye["retry_ms"]) == ("unauthenticated", -1)
        await eventually(lambda: not gateway.pool)


async def test_all_sessions_of_a_user_end_at_a_logout(tmp_path: Path) -> None:
    async with staged(guarded(tmp_path)) as (gateway, stage):
        async with v1(gateway, auth=token()) as away:
            sid = (await away.expect("welcome"))["sid"]
        async with (
            v1(gateway, auth=token()) as anna,
            v1(gateway, auth=token(sub="bert")) as bert,
        ):
            await anna.expect("welcome")
            await bert.expect("welcome")
            await stage.until(lambda: stage.notes.count(("open",)) == 3)
            found = await stage.app.sessions_of("anna")
            assert sid in [one.sid for one in found]
            assert {(one.user, one.client.request is not None) for one in found} == {("anna", True)}
            assert await stage.app.close_sessions_of("anna") == 2
            assert (await anna.expect("bye"))["reason"] == "kicked"
            assert await stage.app.sessions_of("anna") == []
            assert len(await stage.app.sessions_of("bert")) == 1
            with pytest.raises(ValueError, match="expected the name of a user"):
                await stage.app.close_sessions_of("")
