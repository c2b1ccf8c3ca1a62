"""What applications, the store, servers behind us and operators change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.backends.test_upstreams import bridged
from tests.gateway.admin.asking import TOKEN, ask
from tests.gateway.clients import person, v1
from tests.gateway.conversation.test_login import doorman, with_profiles
from tests.gateway.counted.table import (
    CAME_AND_WENT,
    SOME,
    Found,
    Scene,
    applied,
    came,
    echoing,
    exchange,
)
from tests.gateway.running import (
    TCP,
    Stage,
    eventually,
)
from tests.gateway.servers import mud
from tests.gateway.test_store_failures import execute, fails
from tests.ports import free_port

from holdfast.core.limits import Limits
from holdfast.link.codec import encode_request
from holdfast.link.messages import HELLO, PROTOCOL, Hello

# --- applications


@exchange(
    {
        "link_connections{listener}": 1,
        "link_accepted_total{listener}": 1,
        "link_applications{app}": 1,
        "link_received_bytes_total{listener}": SOME,
        "link_sent_bytes_total{listener}": SOME,
    },
    applied(),
)
async def an_application_comes(scene: Scene) -> AsyncIterator[Found | None]:
    async with _dialled(scene) as (reader, writer):
        received, sent = await _link(reader, writer)
        yield {
            "link_received_bytes_total{listener}": received,
            "link_sent_bytes_total{listener}": sent,
        }


async def _link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Say hello. Returns how many bytes the gateway has received and sent."""
    hello = encode_request(1, HELLO, Hello(PROTOCOL, "stage", "run1", 1024))
    writer.write(hello)
    size = await reader.readexactly(4)
    answer = await reader.readexactly(int.from_bytes(size, "big"))
    return len(hello), len(size + answer)


@exchange(
    {
        "link_connections{listener}": 2,
        "link_accepted_total{listener}": 2,
        "link_refused_total{listener}": 1,
        "link_applications{app}": 1,
        "link_received_bytes_total{listener}": SOME,
        "link_sent_bytes_total{listener}": SOME,
    },
    applied(link={"links_max": 1, "strangers_max": 1}),
)
async def an_application_is_one_too_many(scene: Scene) -> AsyncIterator[Found | None]:
    async with _dialled(scene) as (reader, writer):
        received, sent = await _link(reader, writer)
        async with _dialled(scene):
            await eventually(lambda: scene.gateway.listeners.links.accepted == 2)
            async with _dialled(scene) as (third, _):
                assert await third.read() == b""
                yield {
                    "link_received_bytes_total{listener}": received,
                    "link_sent_bytes_total{listener}": sent,
                }


@asynccontextmanager
async def _dialled(
    scene: Scene,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    assert scene.gateway.link_address is not None
    reader, writer = await asyncio.open_unix_connection(scene.gateway.link_address.path)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@exchange(came("websocket", "connecting"), applied())
async def comes_before_the_application(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        yield None


@exchange(came("websocket", "authenticating"), applied(), lambda: doorman(Stage()))
async def is_asked_for_a_name(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("login")
        yield None


async def _chooses(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("login")
        await client.say("login", username="ann", password="right")
        await client.expect("profiles")
        yield None


async def _goes_while_choosing(scene: Scene) -> AsyncIterator[Found | None]:
    async with asynccontextmanager(_chooses)(scene):
        pass
    yield None


def _choosy() -> Stage:
    return with_profiles(doorman(Stage()))


_IDENTIFIED: Final = {"security_events_total{user_changed}": 1}
exchange(came("websocket", "selecting") | _IDENTIFIED, applied(), _choosy, "chooses")(_chooses)
exchange(
    {**CAME_AND_WENT, "sessions{detached_selecting}": 1} | _IDENTIFIED,
    applied(),
    _choosy,
    "goes_while_choosing",
)(_goes_while_choosing)


@exchange(
    {
        **came("tcp"),
        "link_applications{app}": -1,
        "link_connections{listener}": -1,
        "session_commands_total": 2,
        "session_queue_bytes": 2 * 33,
    },
    applied(TCP, session={"queue_messages_max": 2}),
    Stage,
)
async def says_more_than_is_kept(scene: Scene) -> AsyncIterator[Found | None]:
    async with person(scene.gateway, "tcp") as someone:
        await scene.stage.noted("open")
        scene.stage.app.stop()  # nobody applies commands any more
        await eventually(lambda: not scene.gateway.listeners.links.connections)
        someone.types("1", "2", "3")
        await someone.sees("Too much is waiting already")
        yield None


@exchange(
    {**came("websocket"), "session_commands_total": 1, "session_commands_refused_total": 1},
    applied(session={"command_lines_max": 2}),
    Stage,
)
async def says_too_many_lines_at_once(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        await client.say("cmd", c=1, d="1\n2\n3")
        await client.expect("notice")
        yield None


# --- the store


@exchange(
    {
        **came("websocket"),
        "session_commands_total": 1,
        "session_outputs_total": 1,
        "store_commits_total": SOME,
        "store_written_bytes_total": SOME,
    }
)
async def what_is_kept_stands_in_the_journal(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        await client.say("cmd", c=1, d="look")
        await client.texts("look")
        await eventually(lambda: scene.gateway.journal.idle)
        query = "SELECT count(*), sum(length(body) + length(shared)) FROM journal"
        ((commits, size),) = await execute(scene.gateway, query)
        yield {"store_commits_total": commits, "store_written_bytes_total": size}


@exchange(
    {"store_writable": -1, "store_commit_failures_total": SOME, "admin_requests_total{5xx}": 2},
    echoing(store={"busy_seconds_max": 0.05, "retry_seconds_max": 0.05}),
)
async def the_store_fails(scene: Scene) -> AsyncIterator[Found | None]:
    await fails(scene.gateway, now=True)
    scene.gateway.journal.keep("key", b"value")
    await eventually(lambda: scene.gateway.journal.broken is not None)
    for path in ("/healthz", "/readyz"):
        assert (await ask(scene.gateway, path)).status == 503
    yield None
    await fails(scene.gateway, now=False)


# --- servers behind us


_SERVER_PORT: Final = free_port()


@exchange(
    {
        **came("tcp"),
        "session_commands_total": 1,
        "session_outputs_total": 1,
        "upstream_connections{server,upstream}": 1,
        "upstream_connects_total{server,upstream}": 1,
        "upstream_received_bytes_total{server,upstream}": len("hello\n"),
        "upstream_sent_bytes_total{server,upstream}": len("look\n"),
    },
    lambda folder: bridged(folder, f"tcp://127.0.0.1:{_SERVER_PORT}", urls=(TCP,)),
)
async def talks_to_a_server(scene: Scene) -> AsyncIterator[Found | None]:
    async with mud(_SERVER_PORT) as it, person(scene.gateway, "tcp") as someone:
        visit = await it.visit()
        visit.says("hello\n")
        await someone.sees("hello\n")
        someone.types("look")
        await visit.hears("look\n")
        yield None


@exchange(
    {
        "listener_accepted_total{listener}": 2,
        "sessions_created_total": 2,
        "sessions_closed_total{upstream_failed}": 2,
        "connections_closed_total{upstream_failed}": 2,
        "upstream_failures_total{server,upstream}": 1,
        "upstream_refused_total{upstream}": 1,
        "upstream_usable{server,upstream}": -1,
    },
    lambda folder: bridged(
        folder,
        f"tcp://127.0.0.1:{free_port()}",
        urls=(TCP,),
        limits=Limits().but(upstream={"failures_max": 1, "attempts_max": 1}),
    ),
)
async def finds_no_server(scene: Scene) -> AsyncIterator[Found | None]:
    for _ in range(2):
        async with person(scene.gateway, "tcp") as someone:
            await someone.rest()
        (target,) = scene.gateway.upstreams["mud"].pool.targets
        target.breaker.until = float("inf")
    yield None


# --- operators


@exchange(
    {
        "admin_requests_total{2xx}": 2,
        "admin_requests_total{4xx}": 2,
        "admin_wrong_tokens_total": 1,
        "security_events_total{admin_refused}": 1,
    }
)
async def an_operator_asks(scene: Scene) -> AsyncIterator[Found | None]:
    for path, token in (
        ("/healthz", ""),
        ("/api/sessions", TOKEN),
        ("/api/sessions", "wrong" * 5),
        ("/nope", TOKEN),
    ):
        await ask(scene.gateway, path, token=token)
    yield None
