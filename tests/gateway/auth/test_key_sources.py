"""When keys are read again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.gateway.auth.issuer import SECRET, jwk, jwks, pem

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import AuthLimits
from holdfast.gateway.auth.errors import KeysUnavailableError
from holdfast.gateway.auth.key_sources import FileKeys, JwksKeys

LIMITS = AuthLimits()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """What gives the key set."""

    def __init__(self, *keys: dict[str, object]) -> None:
        self.body = jwks(*keys)
        self.down = False
        self.asked = 0
        self.hold: asyncio.Event | None = None

    async def fetch(self, url: str, limits: AuthLimits) -> bytes:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.down:
            raise KeysUnavailableError("expected the status 200, found 500")
        return self.body


def source(server: Server, clock: Clock) -> JwksKeys:
    return JwksKeys("https://issuer.example/jwks", LIMITS, server.fetch, clock)


async def names(keys: JwksKeys, kid: str = "") -> list[str]:
    return [key.kid for key in await keys.find(kid, "RS256")]


async def test_keys_are_fetched_once_and_again_when_they_are_old() -> None:
    server, clock = Server(jwk("RS", "a")), Clock()
    keys = source(server, clock)
    assert (server.asked, await names(keys, "a"), await names(keys)) == (0, ["a"], ["a"])
    clock.now += LIMITS.keys_age_seconds_max - 1
    await names(keys, "a")
    assert server.asked == 1
    clock.now += 1
    server.body = jwks(jwk("RS", "a"), jwk("RS/2", "b"))
    assert (await names(keys, "b"), server.asked) == (["b"], 2)


async def test_a_key_that_is_taken_out_is_good_no_more() -> None:
    server, clock = Server(jwk("RS", "a"), jwk("RS/2", "b")), Clock()
    keys = source(server, clock)
    assert await names(keys, "b") == ["b"]
    server.body = jwks(jwk("RS", "a"))
    clock.now += LIMITS.keys_age_seconds_max
    assert await names(keys, "b") == []


async def test_an_unknown_key_is_looked_up_at_a_limited_rate() -> None:
    server, clock = Server(jwk("RS", "a")), Clock()
    keys = source(server, clock)
    await names(keys)
    for number in range(50):
        assert await names(keys, f"guess {number}") == []
    assert server.asked == LIMITS.key_lookup_burst_max
    server.body = jwks(jwk("RS", "a"), jwk("RS/2", "new"))
    clock.now += 60 / LIMITS.key_lookups_per_minute_max
    assert await names(keys, "new") == ["new"], "a rotation is not waited for"


async def test_many_at_once_cause_one_fetch() -> None:
    server, clock = Server(jwk("RS", "a")), Clock()
    keys = source(server, clock)
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(names(keys, "a")) for _ in range(100)]
        await asyncio.sleep(0)
        server.hold.set()
    assert [task.result() for task in found] == [["a"]] * 100
    assert server.asked == 1


async def test_while_the_issuer_does_not_answer_its_keys_are_used() -> None:
    server, clock = Server(jwk("RS", "a")), Clock()
    keys = source(server, clock)
    await names(keys)
    server.down = True
    clock.now += LIMITS.keys_age_seconds_max
    assert (await names(keys, "a"), server.asked) == (["a"], 2)
    clock.now += LIMITS.keys_stale_seconds_max
    with pytest.raises(KeysUnavailableError):
        await names(keys, "a")
    server.down = False
    clock.now += 60
    assert await names(keys, "a") == ["a"]


async def test_one_client_waits_for_an_issuer_that_hangs_and_the_others_do_not() -> None:
    server, clock = Server(jwk("RS", "a")), Clock()
    keys = source(server, clock)
    await names(keys)
    clock.now += LIMITS.keys_age_seconds_max
    server.hold = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        waits = tasks.create_task(names(keys, "a"))
        await asyncio.sleep(0)
        assert await names(keys, "a") == ["a"]
        assert not waits.done()
        server.hold.set()
    assert waits.result() == ["a"]


async def test_without_any_key_nothing_is_judged() -> None:
    server, clock = Server(), Clock()
    keys = source(server, clock)
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            await names(keys)
    assert server.asked == LIMITS.key_lookup_burst_max


def write(path: Path, data: bytes, age: int = 0) -> None:
    path.write_bytes(data)
    os.utime(path, (1e9 - age, 1e9 - age))


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.pem", Clock()
    write(path, pem("RS"), 2)
    keys = FileKeys(path, ("RS256",), LIMITS, clock)
    (before,) = await keys.find("", "RS256")
    write(path, pem("RS/2"), 1)
    clock.now += 1
    (after,) = await keys.find("", "RS256")
    assert before.material != after.material
    write(path, b"half a key")
    clock.now += 1
    assert await keys.find("", "RS256") == [after], "the last good ones stay"
    path.unlink()
    clock.now += 1
    assert await keys.find("", "RS256") == [after]


@pytest.mark.parametrize(
    ("data", "algorithms", "why"),
    [
        (b"short", ("HS256",), "32 bytes"),
        (SECRET[:32], ("HS256", "HS512"), "a key for HS512"),
        (b"nothing", ("RS256",), "PEM"),
        (SECRET * 5000, ("HS256",), "262144 bytes"),
    ],
)
def test_a_file_without_the_keys_is_refused_at_the_start(
    tmp_path: Path, data: bytes, algorithms: tuple[str, ...], why: str
) -> None:
    path = tmp_path / "keys"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=why) as raised:
        FileKeys(path, algorithms, LIMITS, Clock())
    assert "keys_file" in str(raised.value)
    assert data[:20].decode() not in str(raised.value) or data == b"nothing"
