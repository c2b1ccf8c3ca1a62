"""What is exposed, in which form. Every metric against a known exchange: `test_counters`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.backends.test_upstreams import at, bridged
from tests.gateway.admin.asking import administered, ask
from tests.gateway.clients import person, v1
from tests.gateway.running import (
    TCP,
    configured,
    serving,
)
from tests.gateway.servers import mud

from holdfast import __version__
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
    assert len(names[0]) == 65
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
        assert family.type in ("counter", "gauge", "histogram", "info")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


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
        "event", "le", "direction", "result",
    } - {"app"}  # fmt: skip


async def test_the_process_is_there_too(exposed: tuple[str, str]) -> None:
    assert "process_resident_memory_bytes" in exposed[0]
    assert f'holdfast_build_info{{version="{__version__}"}} 1.0' in exposed[0]


# --- counting on


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
