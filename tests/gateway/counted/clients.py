"""What clients change as they come, talk, go and come back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.gateway.admin.asking import TOKEN, ask
from tests.gateway.clients import person, v1
from tests.gateway.counted.table import (
    CAME_AND_WENT,
    SOME,
    Deed,
    Found,
    Scene,
    applied,
    came,
    echoing,
    ends_by_itself,
    exchange,
    secured,
)
from tests.gateway.running import (
    TCP,
    TELNET,
    Stage,
    eventually,
    port,
)
from tests.protocols.websocket.wire import frame

from holdfast.core.clock import wall
from holdfast.core.errors import Reason
from holdfast.core.limits import Limits
from holdfast.net.runtime.room import CROWDED

# --- come and talk


@exchange(
    {
        **came("tcp"),
        "listener_received_bytes_total{listener}": len("one\r\ntwo\r\n"),
        "listener_sent_bytes_total{listener}": SOME,
        "session_commands_total": 2,
        "session_outputs_total": 2,
        "session_window_bytes": 70,
        "store_commits_total": SOME,
        "store_written_bytes_total": SOME,
    },
    echoing(TCP),
)
async def somebody_types_two_lines(scene: Scene) -> AsyncIterator[Found | None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(scene.gateway, "tcp"))
    writer.write(b"one\r\ntwo\r\n")
    heard = await reader.readuntil(b"two\n")
    yield {"listener_sent_bytes_total{listener}": len(heard)}
    writer.transport.abort()


@exchange(
    {
        **CAME_AND_WENT,
        "listener_received_bytes_total{listener}": len("one\r\n"),
        "listener_sent_bytes_total{listener}": SOME,
        "session_commands_total": 1,
        "session_outputs_total": 1,
        "sessions{detached_active}": 1,
    },
    echoing(TCP),
)
async def somebody_types_a_line_and_goes(scene: Scene) -> AsyncIterator[Found | None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(scene.gateway, "tcp"))
    writer.write(b"one\r\n")
    heard = await reader.readuntil(b"one\n")
    writer.write_eof()
    heard += await reader.read()
    yield {"listener_sent_bytes_total{listener}": len(heard)}
    writer.transport.abort()


async def comes(scene: Scene) -> AsyncIterator[Found | None]:
    address = scene.gateway.addresses[0]
    if address.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        context = None
        if address.scheme == "tls":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port, ssl=context)
    await reader.readuntil(b"\n")
    yield None
    writer.transport.abort()


exchange(came("telnet"), echoing(TELNET), name="comes_by_telnet")(comes)
exchange(came("tls"), secured, name="comes_by_tls")(comes)
exchange(came("unix"), lambda folder: echoing(f"unix:{folder}/s")(folder), name="comes_by_unix")(
    comes
)


@exchange(came("websocket"))
async def comes_by_websocket(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        yield None


@exchange(
    {
        "listener_connections{listener}": 2,
        "listener_accepted_total{listener}": 3,
        "connections{tcp}": 2,
        "sessions{active}": 2,
        "sessions_created_total": 2,
        "sessions_resumed_total": 1,
        "session_claims_refused_total": 1,
        "security_events_total{code_refused}": 1,
        "security_events_total{taken_over}": 1,
    },
    echoing(TCP),
)
async def comes_back_at_the_second_try(scene: Scene) -> AsyncIterator[Found | None]:
    async with person(scene.gateway, "tcp") as someone:
        code = await someone.shown_code()
    async with person(scene.gateway, "tcp") as mistaken:
        mistaken.types("resume 0000-0000-0000")
        await mistaken.sees("That does not resume a session")
        async with person(scene.gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back")
            yield None


# --- ends


def _closes_for(reason: Reason) -> Deed:
    async def closes(scene: Scene) -> AsyncIterator[Found | None]:
        async with v1(scene.gateway) as client:
            await scene.stage.noted("open")
            await scene.stage.session.close(reason.value)
            await client.closed()
        yield None

    return closes


for _reason in Reason:
    exchange(
        {
            **CAME_AND_WENT,
            f"sessions_closed_total{{{_reason.value}}}": 1,
            f"connections_closed_total{{{_reason.value}}}": 1,
        },
        applied(),
        Stage,
        f"application_closes_a_session_for_{_reason.value}",
    )(_closes_for(_reason))


@exchange(
    {
        **CAME_AND_WENT,
        "sessions_closed_total{client_left}": 1,
        "connections_closed_total{client_left}": 1,
    }
)
async def quits(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        await client.say("quit")
        await client.closed()
    yield None


@exchange(
    {
        **CAME_AND_WENT,
        "sessions{detached_active}": 1,
        "connections_closed_total{protocol_error}": 1,
    }
)
async def breaks_the_rules(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        await client.say("ack", n=99)
        await client.closed()
    yield None


@exchange(
    {
        **CAME_AND_WENT,
        "sessions{detached_active}": 1,
        "connections_closed_total{flood}": 1,
        "security_events_total{limited}": 1,
    },
    echoing(websocket={"message_burst_max": 50, "messages_per_second_max": 0.001}),
)
async def floods(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        client.say_at_once({"t": "cmd", "c": c, "d": str(c)} for c in range(1, 201))
        await client.closed()
    yield None


@exchange(
    {
        **CAME_AND_WENT,
        "sessions_closed_total{kicked}": 1,
        "connections_closed_total{kicked}": 1,
        "admin_requests_total{2xx}": 1,
        "security_events_total{operator_acted}": 1,
    }
)
async def is_kicked(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await ask(scene.gateway, f"/api/sessions/{sid}", "DELETE", token=TOKEN)
        await client.closed()
    yield None


@exchange(
    {
        "listener_accepted_total{listener}": 1,
        "listener_handshake_failures_total{listener}": 1,
        "connections_closed_total{timeout}": 1,
    },
    echoing(connection={"handshake_seconds_max": 1.0}),  # the scrapes have no more, either
)
async def says_nothing(scene: Scene) -> AsyncIterator[Found | None]:
    await ends_by_itself(scene.gateway)
    yield None


@exchange({**CAME_AND_WENT, "sessions_closed_total{timeout}": 1})
async def never_comes_back(scene: Scene) -> AsyncIterator[Found | None]:
    manager = scene.gateway.manager
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
    await eventually(lambda: all(one.state.detached for one in manager.sessions.values()))
    manager.expire(wall() + Limits().session.detached_seconds_max + 1)
    yield None


@exchange(
    {
        **came("websocket"),
        "listener_accepted_total{listener}": 2,
        "sessions_resumed_total": 1,
        "connections_closed_total{superseded}": 1,
    }
)
async def takes_over(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as older:
        welcome = await older.expect("welcome")
        async with v1(
            scene.gateway, token=welcome["token"], epoch=welcome["epoch"], last=0
        ) as newer:
            await newer.expect("resumed")
            await older.closed()
            yield None


@exchange(
    {
        **came("websocket"),
        "listener_accepted_total{listener}": 2,
        "connections_closed_total{crowded}": 1,
        "security_events_total{limited}": 1,
    },
    echoing(session={"sessions_max": 1}),
)
async def finds_no_room(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as one, v1(scene.gateway) as other:
        await one.expect("welcome")
        await other.closed()
        yield None


@exchange({**came("websocket"), "input_kept_bytes": SOME}, echoing())
async def says_a_part_of_something_long(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        client.ws.transport.write(frame(0x1, b"x" * 20_000)[:-1])
        yield None


@exchange(
    {
        **CAME_AND_WENT,
        "sessions{detached_active}": 1,
        "input_connections_closed_total": 1,
        "connections_closed_total{crowded}": 1,
        "security_events_total{limited}": 1,
    },
    echoing(session={"node_input_bytes_max": 10_000}),
)
async def says_more_than_all_may(scene: Scene) -> AsyncIterator[Found | None]:
    async with v1(scene.gateway) as client:
        await client.expect("welcome")
        client.ws.transport.write(frame(0x1, b"x" * 20_000)[:-1])
        bye = await client.expect("bye")
        assert (bye["code"], bye["text"]) == (4504, CROWDED)
        await client.closed()
        yield None


# --- who comes back and begins afresh


def _comes_back(**hello: Any) -> Deed:
    async def comes_back(scene: Scene) -> AsyncIterator[Found | None]:
        async with v1(scene.gateway) as client:
            welcome = await client.expect("welcome")
            client.say_at_once({"t": "cmd", "c": c, "d": str(c)} for c in range(1, 11))
            await client.texts("10")
        known = {"token": welcome["token"], "epoch": welcome["epoch"], **hello}
        async with v1(scene.gateway, **known) as client:
            await client.expect("reset")
            yield None

    return comes_back


_RETURNS: Final[dict[str, dict[str, Any]]] = {
    "fresh": {"epoch": "", "last": 0},
    "epoch": {"epoch": "of old"},
    "ahead": {"last": 11},
    "trimmed": {"last": 1},
}
for _name, _hello in _RETURNS.items():
    exchange(
        {
            **came("websocket"),
            "listener_accepted_total{listener}": 2,
            "session_commands_total": 10,
            "session_outputs_total": 10,
            "sessions_resumed_total": 1,
            f"session_resets_total{{{_name}}}": 1,
        },
        echoing(session={"window_messages_max": 5}),
        name=f"begins_afresh_{_name}",
    )(_comes_back(**_hello))
