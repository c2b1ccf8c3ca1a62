"""The publisher's clients, sync and async, at a real gateway that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.client.listening import listening
from tests.gateway.api.asking import API, KEY, READ_KEY, person, with_api
from tests.gateway.certificates import certificate
from tests.gateway.running import TCP, configured, serving

from holdfast.core.errors import ConfigurationError
from holdfast.core.items import Data, Notice, Text
from holdfast.core.validation import UnsendableError
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.publish import (
    AsyncClient,
    Client,
    Published,
    RefusedError,
    UnavailableError,
    Unknown,
    UnknownSessionError,
    publication,
)
from holdfast.publish.requests import (
    Call,
    Ids,
    Reply,
    attempts,
    group_call,
    results_of,
    sessions_call,
)


def config(folder: Path) -> Config:
    """A gateway with an API at a Unix socket: another one is at the same address later."""
    api = structs.replace(API, listen=f"unix:{folder / 'api'}")
    return with_api(configured(folder, [TCP], backend="echo"), api)


class AnyClient:
    """A client of either kind."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **named: Any) -> Any:
        method = getattr(self._client, name)
        if isinstance(self._client, Client):
            return await asyncio.to_thread(method, *args, **named)
        return await method(*args, **named)


@pytest.fixture(params=[Client, AsyncClient])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def gateway_and_client(
    folder: Path, kind: Callable[..., Any], key: str = KEY
) -> AsyncIterator[tuple[Gateway, AnyClient]]:
    client = kind(f"unix:{folder / 'api'}", key=key, seconds_max=20.0)
    async with serving(config(folder)) as gateway:
        yield gateway, AnyClient(client)
        await AnyClient(client).call("close")


async def test_what_is_published_and_what_is_answered(tmp_path: Path, kind: Any) -> None:
    async with (
        gateway_and_client(tmp_path, kind) as (gateway, client),
        person(gateway, "anna", "buyers") as anna,
    ):
        assert await client.call("publish", "one", user="anna") == Published(1, 1)
        told = await client.call(
            "publish", items=["two", Notice("three")], group=["buyers", "sellers"], session=anna.sid
        )
        assert told == Published(1, 1, Unknown(group=("sellers",)))
        item = {"package": "Order", "data": {"state": "sent"}}
        assert (await client.call("publish", item, user="anna")).reached == 1
        results = await client.call(
            "publish_all",
            [
                publication(Data("Order", "1"), user="anna", delivery="latest:order"),
                publication("four", session="s0"),
                publication(Text("five"), user="anna", id="5", durability="durable"),
                publication(Text("five"), user="anna", id="5"),
            ],
        )
        assert results[0] == Published(1, 1)
        assert isinstance(results[1], UnknownSessionError)
        assert results[2:] == [Published(1, 1), Published(1, 1, repeated=True)]
        (view,) = await client.call("sessions", "anna")
        assert (view.sid, view.app, view.attached) == (anna.sid, "echo", True)
        assert (await client.call("group", "buyers")).members == [anna.sid]
        await client.call("close_session", anna.sid)
        await anna.hears("one", "two", "*** three", "five")


async def test_a_refusal_raises(tmp_path: Path, kind: Any) -> None:
    async with gateway_and_client(tmp_path, kind) as (_, client):
        with pytest.raises(UnknownSessionError, match="no session s0"):
            await client.call("publish", "x", session="s0")
        with pytest.raises(RefusedError, match="delivery: expected must") as caught:
            await client.call("publish", "x", user="anna", delivery="soon")
        assert caught.value.code == "bad_request"
        with pytest.raises(UnsendableError, match="expected what JSON can hold"):
            await client.call("publish", {"package": "A", "data": object()}, user="anna")
        with pytest.raises(UnknownSessionError):
            await client.call("close_session", "s0")
    async with gateway_and_client(tmp_path, kind, READ_KEY) as (_, client):
        with pytest.raises(RefusedError, match="may not publish") as caught:
            await client.call("publish", "x", user="anna")
        assert (caught.value.code, caught.value.status) == ("forbidden", 403)


async def test_a_publication_waits_for_a_gateway_and_arrives_once(
    tmp_path: Path, kind: Any
) -> None:
    async with gateway_and_client(tmp_path, kind) as (gateway, client), person(gateway, "anna"):
        await client.call("publish", "before", user="anna")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(client.call("publish", "meanwhile", user="anna"))
        await until_refused(client)
        async with serving(config(tmp_path)) as gateway:
            await said_later(gateway, client, waiting)


async def until_refused(client: AnyClient) -> None:
    """Somebody has tried in vain meanwhile."""
    with pytest.raises(UnavailableError):
        await AnyClient(type(client._client)(client._client._url, key=KEY, seconds_max=0.05)).call(
            "publish", "never", user="anna"
        )


async def said_later(gateway: Gateway, client: AnyClient, waiting: asyncio.Task[Any]) -> None:
    assert await waiting == Published(1)
    assert await client.call("publish", "after", user="anna") == Published(1)
    (session,) = gateway.manager.sessions.values()
    said = [entry.item for entry in session.out.entries]
    assert said[-2:] == [Text("meanwhile"), Text("after")]
    await client.call("close")


async def test_an_answer_that_is_lost_is_asked_for_again_and_sent_once(
    tmp_path: Path, kind: Any
) -> None:
    """A proxy takes the first request, and cuts the answer off."""
    path = tmp_path / "cut"
    cuts = 2

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(str(tmp_path / "api"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(reader, up_writer))
            tasks.create_task(answer(up_reader, writer))

    async def ask(reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            up_writer.write(data)
        up_writer.close()

    async def answer(up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cuts
        while data := await up_reader.read(65536):
            writer.write(data[: 20 * (cuts - 1)] if cuts else data)
            if cuts:
                cuts -= 1
                break
        writer.close()

    async with serving(config(tmp_path)) as gateway, person(gateway, "anna") as anna:
        server = await asyncio.start_unix_server(forward, str(path))
        client = AnyClient(kind(f"unix:{path}", key=KEY))
        told = await client.call("publish", "x", user="anna")
        assert told == Published(1, 1, repeated=True)
        await client.call("publish", "y", user="anna")
        await anna.hears("x", "y")
        await client.call("close")
        server.close()


async def test_it_gives_up_when_its_time_is_over(tmp_path: Path, kind: Any) -> None:
    client = AnyClient(kind(f"unix:{tmp_path / 'nobody'}", key=KEY, seconds_max=0.3))
    with pytest.raises(UnavailableError, match=r"POST /v1/publish: .*No such file"):
        await client.call("publish", "x", user="anna")


async def test_it_speaks_tls_with_a_gateway_whose_certificate_is_right(
    tmp_path: Path, kind: Any
) -> None:
    pair = certificate(tmp_path)
    api = structs.replace(API, listen="tls://127.0.0.1:0", certificate=pair)
    async with serving(with_api(configured(tmp_path, [TCP], backend="echo"), api)) as gateway:
        assert gateway.api_address is not None
        url = f"https://127.0.0.1:{gateway.api_address.port}"
        trusting = ssl.create_default_context(cafile=pair.cert)
        client = AnyClient(kind(url, key=KEY, tls=trusting))
        assert (await client.call("publish", "x", user="anna")).reached == 0
        await client.call("close")
        stranger = AnyClient(kind(url, key=KEY, seconds_max=60.0))
        with pytest.raises(UnavailableError, match="certificate verify failed"):
            await stranger.call("publish", "x", user="anna")


async def test_threads_share_a_client(tmp_path: Path) -> None:
    async with serving(config(tmp_path)) as gateway, person(gateway, "anna") as anna:
        client = Client(f"unix:{tmp_path / 'api'}", key=KEY)
        barrier = threading.Barrier(4)

        def work() -> None:
            barrier.wait()
            for _ in range(25):
                assert client.publish("x", user="anna").reached == 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(asyncio.to_thread(work))
        await anna.hears(*["x"] * 100)
        client.close()


def test_a_forked_process_has_ids_and_a_connection_of_its_own() -> None:
    ids = Ids()
    first = ids.next()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, ids.next().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    child = os.read(reader, 100).decode()
    os.close(reader)
    run, number = first.split(":")
    assert child.split(":")[0] != run
    assert ids.next() == f"{run}:{int(number) + 1}"


@pytest.mark.parametrize("url", ["ftp://x", "http://", "x", "unix:", "http://x:port"])
def test_an_address_that_cannot_be_is_refused(url: str, kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="url: expected an http://"):
        kind(url, key=KEY)


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    monkeypatch.delenv("HOLDFAST_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="key: expected a key, or HOLDFAST_API_KEY"):
        kind("http://x")


def test_attempts_wait_longer_and_as_long_as_they_are_asked() -> None:
    steps = attempts(Call("POST", "/"), 60.0, iter(range(1000)), lambda: 1.0)
    pauses = [next(steps)]
    pauses += [steps.send(OSError("refused")) for _ in range(4)]
    pauses.append(steps.send(Reply(503, b"{}", 7.0)))
    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 7.0]
    with pytest.raises(StopIteration) as caught:
        steps.send(Reply(200, b"[]"))
    assert caught.value.value == b"[]"


def test_it_gives_up_before_a_pause_that_ends_too_late() -> None:
    def paused(seconds_max: float) -> float:
        tries = attempts(Call("GET", "/v1/x?y=1"), seconds_max, iter((10.0, 12.0)), lambda: 0.0)
        next(tries)
        return tries.send(Reply(503, b"{}", 3.0))

    assert paused(5.0) == 3.0
    with pytest.raises(UnavailableError, match=r"^GET /v1/x: "):
        paused(4.75)


def test_what_is_asked_names_the_application_if_there_are_several() -> None:
    assert group_call("a/b", "").target == "/v1/groups/a%2Fb"
    assert group_call("a", "shop").target == "/v1/groups/a?app=shop"
    assert sessions_call("ann", "", "").target == "/v1/sessions?user=ann"
    assert sessions_call("ann", "shop", "s1").target == "/v1/sessions?user=ann&app=shop&after=s1"


def test_the_results_of_several_stand_in_their_order() -> None:
    one, two, three = results_of(
        b'[{"reached": 2, "attached": 1},'
        b' {"reached": 0, "code": "unknown_session", "error": "none"},'
        b' {"reached": 0, "code": "too_large", "error": "large"}]'
    )
    assert one == Published(2, 1)
    assert isinstance(two, UnknownSessionError)
    assert not isinstance(three, UnknownSessionError)
    for refused, code in ((two, "unknown_session"), (three, "too_large")):
        assert isinstance(refused, RefusedError)
        assert (refused.code, refused.status) == (code, 200), "the request itself was carried out"


@pytest.mark.parametrize(
    ("field", "connections"), [("", 1), ("Connection: close\r\n", 2)], ids=["kept", "closed"]
)
async def test_a_connection_is_used_again_unless_the_gateway_closes_it(
    kind: Any, field: str, connections: int
) -> None:
    came = 0
    body = '{"group": "g", "members": [], "count": 0, "attached": 0}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                head = f"HTTP/1.1 200 OK\r\n{field}Content-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())

    async with listening(serve) as port:
        client = AnyClient(kind(f"http://127.0.0.1:{port}", key=KEY))
        for _ in range(2):
            assert (await client.call("group", "g")).group == "g"
        assert came == connections
        await client.call("close")
