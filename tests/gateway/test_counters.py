"""Every metric against a known exchange.

A metric, or a value of a label, that no exchange changes fails the last test.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from msgspec import structs
from tests.backends.terminal import test_statistics
from tests.backends.test_upstreams import bridged
from tests.cli.process import program
from tests.gateway import (
    test_cluster_link,
    test_cluster_processes,
    test_flow,
    test_metrics,
    test_security_log,
)
from tests.gateway.admin.asking import TOKEN, administered
from tests.gateway.clients import person, v1
from tests.gateway.counted import clients, others, refused  # noqa: F401 - they fill the table
from tests.gateway.counted.table import (
    EXCHANGES,
    SECONDS_TO_SETTLE,
    Meter,
    Scene,
    found_in,
    grown,
)
from tests.gateway.running import (
    SECONDS,
    TCP,
    WS,
    Stage,
    configured,
    eventually,
    linked,
    serving,
)
from tests.ports import free_port

from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.net.log import configure_logs
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.fetching import Fetched

ONCE = frozenset(
    {
        "an_application_comes",
        "an_application_is_one_too_many",
        "comes_as_the_gateway_stops",
        "comes_too_fast_from_address",
        "comes_too_many",
        "comes_too_many_from_address",
        "comes_with_another_in_one_go",
        "finds_no_room",
        "finds_no_server",
        "says_more_than_is_kept",
        "talks_to_a_server",
        "the_store_fails",
        "what_is_kept_stands_in_the_journal",
    }
)
"""They take all the room that there is, or change what can be changed once."""


def test_what_is_done_once_is_in_the_table() -> None:
    assert EXCHANGES.keys() >= ONCE


@pytest.mark.parametrize("name", EXCHANGES)
async def test_what_has_changed_is_what_was_done(tmp_path: Path, name: str) -> None:
    """Each takes place twice: a count that is set, and not raised, shows the second time."""
    it = EXCHANGES[name]
    (tmp_path / "token").write_text(TOKEN)
    admin = AdminConfig("tcp://127.0.0.1:0", token_file=str(tmp_path / "token"))
    async with asyncio.timeout(2 * SECONDS), AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serving(administered(it.config(tmp_path), admin)))
        stage = Stage() if it.app is None else it.app()
        if it.app is not None:
            await stack.enter_async_context(linked(gateway, stage))
        meter = Meter(gateway)
        async with AsyncExitStack() as done:
            for _ in range(1 if name in ONCE else 2):
                before = await meter.read()
                measured = await done.enter_async_context(it.deed(Scene(gateway, tmp_path, stage)))
                expected = {**it.grows, **(measured or {})}
                assert expected.keys() == it.grows.keys()
                with contextlib.suppress(TimeoutError):  # the comparison tells what is wrong
                    async with asyncio.timeout(SECONDS_TO_SETTLE):
                        while grown(before, await meter.read(), expected) != expected:  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
                assert grown(before, await meter.read(), expected) == expected


async def test_who_finds_no_file_is_counted(tmp_path: Path) -> None:
    """In a process of its own, which may have few."""
    config = configured(tmp_path, [TCP], backend="echo")
    path = tmp_path / "holdfast.toml"
    path.write_text(
        f'[[listener]]\nurl = "{TCP}"\nbackend = "echo"\n'
        f'[store]\npath = "{config.store.path}"\n[admin]\nlisten = "{TCP}"\n'
    )

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    async with program("serve", path, before=few) as gateway, asyncio.timeout(2 * SECONDS):
        where = ("127.0.0.1", (await gateway.ports(1))["tcp"])
        clients = [await asyncio.open_connection(*where) for _ in range(80)]
        gone = 0
        for reader, _ in clients:
            with contextlib.suppress(ConnectionError):
                if await reader.read(1):  # the first byte of the resume code
                    continue
            gone += 1
        for _, writer in clients:
            writer.transport.abort()
        while len(list(Path(f"/proc/{gateway.pid}/fd").iterdir())) > 32:  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)
        (admin,) = await gateway.logged("listening for operators")
        found = found_in(await asyncio.to_thread(_fetched, f"{admin['at']}/metrics"))
        assert 20 < gone < 80
        assert found["connections_refused_total{out_of_files}"] == gone
        assert found["listener_refused_total{listener}"] == gone
        assert found["listener_accepted_total{listener}"] == 80 - gone


async def test_what_is_set_aside_is_counted(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [TCP]))
    async with serving(config) as gateway:
        assert (await Meter(gateway).read())["store_set_aside_total"] == 0
    with sqlite3.connect(config.store.path) as db:
        db.execute("INSERT INTO snapshot (sid, body) VALUES ('s1', x'90')")
    db.close()
    async with serving(config) as gateway:
        assert (await Meter(gateway).read())["store_set_aside_total"] == 1


async def test_lines_of_the_log_that_are_lost_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(administered(configured(tmp_path, [TCP]))) as gateway:
        meter = Meter(gateway)
        before = (await meter.read())["log_lines_lost_total"]
        _log_to_a_full_disk(monkeypatch)
        assert (await meter.read())["log_lines_lost_total"] == before + 1


def _log_to_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = structlog.get_config()
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        configure_logs("info")
        structlog.get_logger("test").bind().info("lost")
        structlog.configure(**settings)
        monkeypatch.undo()


def _fetched(url: str) -> str:
    with urllib.request.urlopen(url.replace("tcp://", "http://"), timeout=SECONDS) as answer:
        return bytes(answer.read()).decode()


async def test_windows_that_are_let_go_are_counted(tmp_path: Path) -> None:
    limits = Limits().but(session={"node_windows_bytes_max": 8_000})
    config = administered(configured(tmp_path, [TCP], limits=limits))
    async with serving(config) as gateway, linked(gateway) as stage:
        for _ in range(3):
            async with person(gateway, "tcp") as someone:
                await someone.shown_code()
                await stage.noted("open")
            await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
            stage.notes.clear()
        for session in gateway.manager.sessions.values():
            session.emit(Text("x" * 3_000), MUST, 0.0)
        found = await Meter(gateway).read()
        assert found["session_windows_forgotten_total"] == 1


async def test_durations_are_counted(tmp_path: Path) -> None:
    limits = Limits().but(link={"heartbeat_seconds_max": 0.5})
    config = administered(configured(tmp_path, [WS], limits=limits))
    async with serving(config) as gateway, linked(gateway) as stage:
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            await stage.noted("open")
            for number in range(1, 33):  # one of some is looked at
                await stage.session.text(str(number))
                await client.texts(str(number))
        await stage.until(lambda: any(note[0] == "detach" for note in stage.notes))
        async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"], last=32) as client:
            await client.expect("resumed")
        await eventually(lambda: sum(gateway._applications.round_trip_seconds.counts) > 0)
        found = await Meter(gateway).read()
        assert found["session_resume_seconds_count"] == 1
        assert 0 < found["session_output_delay_seconds_count"] < 32
        assert found["store_commit_seconds_count"] == found["store_commits_total"]
        assert found["link_round_trip_seconds_count"] > 0


ELSEWHERE: Final[dict[str, Callable[..., Any]]] = {
    "connections_refused_total{out_of_files}": test_who_finds_no_file_is_counted,
    "log_lines_lost_total": test_lines_of_the_log_that_are_lost_are_counted,
    "session_windows_forgotten_total": test_windows_that_are_let_go_are_counted,
    "store_set_aside_total": test_what_is_set_aside_is_counted,
    **dict.fromkeys(
        (
            "link_round_trip_seconds_count",
            "session_output_delay_seconds_count",
            "session_resume_seconds_count",
            "store_commit_seconds_count",
        ),
        test_durations_are_counted,
    ),
    **dict.fromkeys(
        (
            "nodes",
            *(f"sessions_fetched_total{{{result.name.lower()}}}" for result in Fetched),
            "sessions_moved_total{in}",
            "sessions_moved_total{out}",
            "store_sign_age_seconds",
        ),
        test_cluster_link.test_operators_see_all_gateways,
    ),
    **dict.fromkeys(
        ("output_connections_closed_total", "output_unsent_bytes"),
        test_flow.test_a_slow_reader_makes_room_where_all_have_too_much_unsent_output,
    ),
    **dict.fromkeys(
        ("node_adoption_seconds_count", "sessions_adopted_total"),
        test_cluster_link.test_an_application_goes_on_with_the_sessions_of_a_gateway_that_has_ended,
    ),
    "nodes_fenced_total": (
        test_cluster_processes.test_clients_of_a_killed_gateway_go_on_at_another_one
    ),
    "session_viewers": test_statistics.test_of_one_terminal,
    "build_info{version}": test_metrics.test_the_process_is_there_too,
    **{
        f"security_events_total{{{event.value}}}": test_security_log.test_every_event_is_told
        for event in SecurityEvent
    },
}
"""What cannot stand in the table, and the test that looks at it."""


PROTOCOLS: Final = frozenset(
    f"connections{{{name}}}" for name in ("websocket", "telnet", "tcp", "tls", "unix")
)
"""Of what clients are connected by, only that is exposed which there is."""


async def test_everything_that_is_exposed_is_counted_somewhere(tmp_path: Path) -> None:
    behind = bridged(tmp_path, f"tcp://127.0.0.1:{free_port()}", urls=(TCP,))
    linked = configured(tmp_path, [WS], app="stage")
    config = structs.replace(behind, listener=behind.listener + linked.listener, link=linked.link)
    async with serving(administered(config)) as gateway:
        exposed = (await Meter(gateway).read()).keys()
    counted = {name for it in EXCHANGES.values() for name in it.grows}
    assert exposed | PROTOCOLS == counted | ELSEWHERE.keys()
