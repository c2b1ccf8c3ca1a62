"""A key set is fetched from the configured server, and from no other."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateway.auth.issuer import issuing, jwk

from holdfast.core.limits import AuthLimits
from holdfast.gateway.auth.errors import KeysUnavailableError
from holdfast.gateway.auth.jwks import fetch

LIMITS = AuthLimits(keys_bytes_max=4096, keys_seconds_max=30.0)


async def refused(url: str, limits: AuthLimits = LIMITS) -> str:
    with pytest.raises(KeysUnavailableError) as raised:
        await fetch(url, limits)
    return str(raised.value)


async def test_a_key_set_is_fetched() -> None:
    async with issuing(jwk("RS", "a")) as issuer:
        assert await fetch(issuer.url, LIMITS) == issuer.body


async def test_a_redirect_is_not_followed() -> None:
    async with issuing(jwk("RS")) as other, issuing() as issuer:
        issuer.status, issuer.headers = 302, {"Location": other.url}
        assert "found 302" in await refused(issuer.url)
        assert other.asked == 0


async def test_answers_that_are_none() -> None:
    async with issuing(jwk("RS")) as issuer:
        issuer.status = 500
        assert "found 500" in await refused(issuer.url)
        issuer.status, issuer.body = 200, b"x" * 4097
        assert "at most 4096 bytes" in await refused(issuer.url)
        url = issuer.url
    assert await refused(url), "nobody listens there"


async def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        limits = AuthLimits(keys_seconds_max=0.05)
        assert "no answer" in await refused(f"http://127.0.0.1:{port}/", limits)
        await ended.wait()
