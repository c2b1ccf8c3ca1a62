"""The page on limits holds what it says."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import structs
from tests.backends.http.endpoints import behind as away
from tests.backends.test_upstreams import bridged
from tests.gateway.admin.asking import administered
from tests.gateway.api.asking import with_api
from tests.gateway.counted.table import Meter
from tests.gateway.running import TCP, WS, configured, serving
from tests.ports import free_port

from holdfast.core.limits import Limits
from holdfast.gateway.adapters.base import TOKEN_BYTES

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| `")
]


def test_every_row_names_limits_that_there_are() -> None:
    assert len(ROWS) > 25
    limits = Limits()
    for row in ROWS:
        assert len(row) == 4, row
        for name in re.findall(r"`([a-z_.]+)`", row[0]):
            group, _, field = name.partition(".")
            assert getattr(getattr(limits, group), field) > 0


def test_every_row_is_of_a_session_a_node_or_a_connection() -> None:
    """So that it is known what several nodes make of it."""
    section = PAGE.read_text().partition("## With several nodes")[2]
    (of_session,) = re.findall(r"^- The limits by (.*?) are those of the session", section, re.M)
    (of_node,) = re.findall(r"^- The limits by (.*?) are counted at each node", section, re.M)
    named = {word for words in (of_session, of_node) for word in re.split(", | and ", words)}
    of_connection = {
        *("connection", "request", "message", "message of a client with an event stream"),
        *("request of such a client", "line", "viewer", "token", "publication", "list", "answer"),
    }
    assert not named & of_connection
    assert {by for row in ROWS for by in row[1].split("; ")} == named | of_connection


async def test_every_row_names_metrics_that_there_are(tmp_path: Path) -> None:
    behind = bridged(tmp_path, "tcp://127.0.0.1:9", urls=(TCP,))
    linked = configured(tmp_path, [WS])
    http = away(tmp_path, f"http://127.0.0.1:{free_port()}/")
    listeners = behind.listener + linked.listener + http.listener
    config = structs.replace(behind, listener=listeners, link=linked.link)
    async with serving(administered(with_api(config))) as gateway:
        exposed = set(await Meter(gateway).read())
    named = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[3])}
    assert named <= exposed


def test_the_cost_of_a_small_message_is_that_of_the_reference() -> None:
    reference = PAGE.with_name("configuration.md").read_text()
    assert f"each message, fragment and control frame counts {TOKEN_BYTES} bytes more" in reference
