"""Every metric against a known exchange, read by prometheus-client's own parsers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.gateway.admin.asking import ANYWHERE, TOKEN, administered, ask
from tests.gateway.clients import person, plain, send_at_once, v1
from tests.gateway.running import (
    TCP,
    TELNET,
    WS,
    configured,
    eventually,
    linked,
    serving,
    staged,
)
from tests.gateway.servers import free_port, mud
from tests.gateway.test_store_failures import IMPATIENT, fails
from tests.gateway.test_upstreams import at, bridged

from holdfast import __version__
from holdfast.core.limits import Limits
from holdfast.gateway.gateway import Gateway

Found = dict[str, float]
"""By the sample's name with its labels' values: `holdfast_sessions{active}`."""

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def parse_openmetrics(text: str) -> list[Metric]:
    """By prometheus-client's own parser, which has no types."""
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


async def scraped(gateway: Gateway, token: str = "") -> Found:
    """What the gateway exposes now, but for the process's own metrics."""
    answer = await ask(gateway, "/metrics", token=token)
    assert answer.status == 200
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}".removesuffix("{}"): sample.value
        for family in parse_text(answer.body.decode())
        for sample in family.samples
        if sample.name.startswith("holdfast_")
    }


async def until(gateway: Gateway, condition: Callable[[Found], bool]) -> Found:
    """Scrape until `condition` holds."""
    async with asyncio.timeout(15):
        while not condition(found := await scraped(gateway)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return found


def grown(before: Found, after: Found) -> Found:
    """What has changed, by how much. The admin listener counts the scrapes themselves."""
    return {
        name: value - before.get(name, 0.0)
        for name, value in after.items()
        if value != before.get(name, 0.0) and not name.startswith("holdfast_admin_requests")
    }


# --- the format


@pytest.fixture
async def exposed(tmp_path: Path) -> tuple[str, str]:
    """The whole text in both formats, of a gateway with everything in it."""
    async with mud() as it:
        config = administered(bridged(tmp_path, at(it)))
        async with serving(config) as gateway, v1(gateway) as client, person(gateway, "telnet"):
            await client.expect("welcome")
            text = await ask(gateway, "/metrics")
            open_ = await ask(gateway, "/metrics", headers={"Accept": OPENMETRICS})
    assert text.headers["Content-Type"].startswith("text/plain; version=")
    assert open_.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    return text.body.decode(), open_.body.decode()


async def test_both_parsers_read_it_and_find_the_same(exposed: tuple[str, str]) -> None:
    text, open_ = exposed
    names = [
        {
            sample.name
            for family in families
            for sample in family.samples
            if sample.name.startswith("holdfast_")
        }
        for families in (parse_text(text), parse_openmetrics(open_))
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 35
    assert open_.endswith("# EOF\n")


async def test_names_follow_prometheus(exposed: tuple[str, str]) -> None:
    """The naming practices of Prometheus: prefix, base units, `_total` on counters only."""
    for family in parse_openmetrics(exposed[1]):
        if not family.name.startswith("holdfast_"):
            continue
        assert re.fullmatch(r"[a-z][a-z_]*", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"(milli|micro|kilo|_ms|_kb|_mb|minutes|hours)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter"), sample
        if "bytes" in family.name:
            assert family.name.endswith("bytes")
        assert family.type in ("counter", "gauge", "info")


async def test_no_label_grows_with_clients(exposed: tuple[str, str]) -> None:
    """Labels come from the configuration or from enumerations."""
    labels = {
        name
        for family in parse_openmetrics(exposed[1])
        for sample in family.samples
        if family.name.startswith("holdfast_")
        for name in sample.labels
    }
    assert labels == {
        "listener", "reason", "protocol", "app", "state", "upstream", "server", "status", "version",
    } - {"app"}  # fmt: skip


async def test_the_process_is_there_too(exposed: tuple[str, str]) -> None:
    assert "process_resident_memory_bytes" in exposed[0]
    assert f'holdfast_build_info{{version="{__version__}"}} 1.0' in exposed[0]


# --- known exchanges


async def test_a_client_comes_talks_and_goes(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [TCP], backend="echo"))
    async with serving(config) as gateway:
        listener = str(gateway.addresses[0])
        before = await scraped(gateway)
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            someone.types("one", "two")
            await someone.sees("two\n")
            (connection,) = gateway._server.connections
            sent = connection.bytes_out
            during = grown(before, await until(gateway, lambda found: store_is_done(gateway)))
            written = during.pop("holdfast_store_written_bytes_total")
            commits = during.pop("holdfast_store_commits_total")
            assert written > 0
            assert commits > 0
            assert during == {
                f"holdfast_listener_connections{{{listener}}}": 1,
                f"holdfast_listener_accepted_total{{{listener}}}": 1,
                f"holdfast_listener_received_bytes_total{{{listener}}}": len("one\r\ntwo\r\n"),
                f"holdfast_listener_sent_bytes_total{{{listener}}}": sent,
                "holdfast_connections{tcp}": 1,
                "holdfast_sessions{active}": 1,
                "holdfast_sessions_created_total": 1,
                "holdfast_session_outputs_total": 2,
                "holdfast_session_commands_total": 2,
                "holdfast_session_window_bytes": during["holdfast_session_window_bytes"],
            }
            someone.drop()
        after = grown(
            before, await until(gateway, lambda found: found["holdfast_sessions{active}"] == 0)
        )
        assert after["holdfast_sessions{detached_active}"] == 1
        assert f"holdfast_listener_connections{{{listener}}}" not in after
        assert after[f"holdfast_listener_received_bytes_total{{{listener}}}"] == 10
        assert after[f"holdfast_listener_sent_bytes_total{{{listener}}}"] == sent
        async with person(gateway, "tcp") as again:
            again.types("resume 0000-0000", f"resume {code}")
            await again.sees("Welcome back")
            found = grown(before, await scraped(gateway))
            assert found["holdfast_session_claims_refused_total"] == 1
            assert found["holdfast_sessions_resumed_total"] == 1


def store_is_done(gateway: Gateway) -> bool:
    return gateway.journal.idle


Deed = Callable[[Gateway, Path], Awaitable[Found]]


async def quits(gateway: Gateway, folder: Path) -> Found:
    async with v1(gateway) as client:
        await client.expect("welcome")
        await client.say("quit")
        await client.closed()
    return {"holdfast_sessions_closed_total{client_left}": 1}


async def breaks_the_rules(gateway: Gateway, folder: Path) -> Found:
    async with v1(gateway) as client:
        await client.expect("welcome")
        await client.say("ack", n=99)
        await client.closed()
    return {"holdfast_connections_closed_total{protocol_error}": 1}


async def comes_from_another_epoch(gateway: Gateway, folder: Path) -> Found:
    async with v1(gateway) as client:
        token = (await client.expect("welcome"))["token"]
        client.drop()
    await eventually(lambda: all(one.state.detached for one in gateway.manager.sessions.values()))
    async with v1(gateway, token=token, epoch="of old", last=0) as client:
        await client.expect("reset")
    return {
        "holdfast_session_resets_total{epoch}": 1,
        "holdfast_sessions_resumed_total": 1,
    }


async def is_kicked(gateway: Gateway, folder: Path) -> Found:
    async with v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await ask(gateway, f"/api/sessions/{sid}", "DELETE")
        await client.closed()
    return {
        "holdfast_sessions_closed_total{kicked}": 1,
        "holdfast_connections_closed_total{kicked}": 1,
    }


async def is_refused_for_its_address(gateway: Gateway, folder: Path) -> Found:
    async with plain(gateway), plain(gateway), plain(gateway):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
        async with asyncio.timeout(15):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
    listener = str(gateway.addresses[0])
    return {
        "holdfast_connections_refused_total{too_many_from_address}": 1,
        f"holdfast_listener_refused_total{{{listener}}}": 1,
        f"holdfast_listener_accepted_total{{{listener}}}": 3,
    }


async def floods(gateway: Gateway, folder: Path) -> Found:
    async with plain(gateway) as client:
        send_at_once(client.ws, map(str, range(150)))
        await eventually(lambda: gateway.context.counts["closed_flood"] == 1)
    return {"holdfast_connections_closed_total{flood}": 1}


DEEDS = (
    quits,
    breaks_the_rules,
    comes_from_another_epoch,
    is_kicked,
    is_refused_for_its_address,
    floods,
)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
async def test_what_clients_do(tmp_path: Path, deed: Deed) -> None:
    limits = Limits().but(
        connection={"connections_per_address_max": 3},
        session={"command_burst_max": 50, "commands_per_second_max": 1.0},
    )
    config = administered(configured(tmp_path, [WS], backend="echo", limits=limits))
    async with serving(config) as gateway:
        before = await scraped(gateway)
        expected = await deed(gateway, tmp_path)
        after = grown(before, await scraped(gateway))
        assert {name: after.get(name) for name in expected} == expected


async def test_an_application_comes_and_goes(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [WS, TELNET], app="stage"))
    async with serving(config) as gateway:
        before = await scraped(gateway)
        async with linked(gateway) as stage, v1(gateway) as client:
            await stage.noted("open")
            await stage.count(1, 5)
            await client.texts("5")
            await client.say("cmd", c=1, d="look")
            await stage.heard("look")
            during = grown(before, await scraped(gateway))
            assert during["holdfast_link_applications{stage}"] == 1
            assert during["holdfast_session_outputs_total"] == 5
            assert during["holdfast_session_commands_total"] == 1
            link = str(gateway.link_address)
            assert during[f"holdfast_link_connections{{{link}}}"] == 1
            assert during[f"holdfast_link_accepted_total{{{link}}}"] == 1
            (connection,) = gateway._link_server.connections
            received = during[f"holdfast_link_received_bytes_total{{{link}}}"]
            assert 0 < received <= connection.bytes_in
        await until(gateway, lambda found: found["holdfast_link_applications{stage}"] == 0)


async def test_commands_that_find_the_queue_full(tmp_path: Path) -> None:
    limits = Limits().but(session={"queue_messages_max": 2})
    config = administered(configured(tmp_path, [TCP], app="stage", limits=limits))
    async with staged(config) as (gateway, stage), person(gateway, "tcp") as someone:
        await someone.shown_code()
        await stage.noted("open")
        stage.app.stop()  # nobody applies commands any more
        await until(gateway, lambda found: found["holdfast_link_applications{stage}"] == 0)
        someone.types("1", "2", "3")
        await someone.sees("This was not taken")
        found = await scraped(gateway)
        assert found["holdfast_session_commands_refused_total"] == 1
        assert found["holdfast_session_queue_bytes"] == 2 * 33


async def test_a_store_that_fails(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [TCP], backend="echo", limits=IMPATIENT))
    async with serving(config) as gateway:
        assert (await scraped(gateway))["holdfast_store_writable"] == 1
        await fails(gateway, now=True)
        gateway.journal.keep("x", b"y")
        found = await until(gateway, lambda found: found["holdfast_store_writable"] == 0)
        assert found["holdfast_store_commit_failures_total"] >= 1
        commits = found["holdfast_store_commits_total"]
        await fails(gateway, now=False)
        found = await until(gateway, lambda found: found["holdfast_store_writable"] == 1)
        assert found["holdfast_store_commits_total"] > commits


async def test_an_upstream(tmp_path: Path) -> None:
    gone = f"tcp://127.0.0.1:{free_port()}"
    async with mud() as it:
        config = administered(bridged(tmp_path, gone, at(it), urls=(TCP,)))
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            visit = await it.visit()
            visit.says("hello\n")
            await someone.sees("hello\n")
            someone.types("look")
            await visit.hears("look\n")
            found = await scraped(gateway)
            expected = {
                f"holdfast_upstream_connections{{{gone},mud}}": 0,
                f"holdfast_upstream_failures_total{{{gone},mud}}": 1,
                f"holdfast_upstream_connects_total{{{gone},mud}}": 0,
                f"holdfast_upstream_usable{{{gone},mud}}": 1,
                f"holdfast_upstream_connections{{{at(it)},mud}}": 1,
                f"holdfast_upstream_connects_total{{{at(it)},mud}}": 1,
                f"holdfast_upstream_failures_total{{{at(it)},mud}}": 0,
                f"holdfast_upstream_received_bytes_total{{{at(it)},mud}}": 6,
                f"holdfast_upstream_sent_bytes_total{{{at(it)},mud}}": 5,
                "holdfast_upstream_refused_total{mud}": 0,
            }
            assert {name: found[name] for name in expected} == expected
            visit.ends()
            await someone.rest()
            found = await until(
                gateway, lambda found: found[f"holdfast_upstream_connections{{{at(it)},mud}}"] == 0
            )
            assert found[f"holdfast_upstream_received_bytes_total{{{at(it)},mud}}"] == 6
            assert found["holdfast_sessions_closed_total{upstream_closed}"] == 1


async def test_an_upstream_that_is_gone(tmp_path: Path) -> None:
    gone = f"tcp://127.0.0.1:{free_port()}"
    limits = Limits().but(upstream={"failures_max": 1, "attempts_max": 1})
    config = administered(bridged(tmp_path, gone, urls=(TCP,), limits=limits))
    async with serving(config) as gateway:
        for _ in range(2):
            async with person(gateway, "tcp") as someone:
                await someone.rest()
            gateway.upstreams["mud"].pool.targets[0].breaker.until = float("inf")
        found = await scraped(gateway)
        assert found[f"holdfast_upstream_usable{{{gone},mud}}"] == 0
        assert found[f"holdfast_upstream_failures_total{{{gone},mud}}"] == 1
        assert found["holdfast_upstream_refused_total{mud}"] == 1
        assert found["holdfast_sessions_closed_total{upstream_failed}"] == 2


async def test_what_a_restart_takes_up_is_not_counted_again(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [TCP], backend="echo"))
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        someone.types("one")
        await someone.sees("one\n")
    async with serving(config) as gateway:
        found = await scraped(gateway)
        assert found["holdfast_sessions{detached_active}"] == 1
        for name in ("sessions_created", "session_outputs", "session_commands"):
            assert found[f"holdfast_{name}_total"] == 0


async def test_the_admin_listener_counts_itself(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    admin = structs.replace(ANYWHERE, token_file=str(tmp_path / "token"))
    config = administered(configured(tmp_path, [TCP], backend="echo"), admin)
    async with serving(config) as gateway:
        for path, token in (
            ("/healthz", ""),
            ("/metrics", "wrong" * 5),
            ("/metrics", ""),
            ("/nope", TOKEN),
        ):
            await ask(gateway, path, token=token)
        found = await scraped(gateway, TOKEN)
        assert found["holdfast_admin_wrong_tokens_total"] == 1
        assert found["holdfast_admin_requests_total{2xx}"] == 1
        assert found["holdfast_admin_requests_total{4xx}"] == 3
        assert found["holdfast_admin_requests_total{5xx}"] == 0


async def test_a_drain_shows(tmp_path: Path) -> None:
    config = administered(configured(tmp_path, [WS], backend="echo"))
    async with serving(config) as gateway, v1(gateway) as client:
        await client.expect("welcome")
        client.ws.transport.pause_reading()
        assert (await scraped(gateway))["holdfast_draining"] == 0
        gateway.stop()
        assert (await scraped(gateway))["holdfast_draining"] == 1
        client.ws.transport.resume_reading()
        await client.closed()
