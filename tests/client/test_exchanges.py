"""The Python and the JavaScript client have every exchange of `exchanges.json` in the same way."""

from __future__ import annotations

import json
import subprocess
from importlib import resources
from pathlib import Path

import msgspec
import pytest
from tests.client.exchanges import EXCHANGES, Exchange, Performance, bare, perform
from tests.programs import need

each_exchange = pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)


def check(exchange: Exchange, performance: Performance) -> None:
    seen = [
        msgspec.structs.replace(seen, says=[bare(said) for said in seen.says])
        for seen in performance.seen
    ]
    assert seen == exchange.expected
    if exchange.kept is not None:
        assert performance.kept == exchange.kept
    if exchange.online is not None:
        assert performance.online is exchange.online


@each_exchange
def test_python(exchange: Exchange) -> None:
    check(exchange, perform(exchange))


def in_javascript(kind: str) -> dict[str, Performance]:
    """What the JavaScript client does in each exchange on `sockets` or `streams`, in one run."""
    node = need("node")
    script = Path(__file__).with_name("exchanges.mjs")
    with resources.as_file(resources.files("holdfast.web") / "holdfast.js") as client:
        answer = subprocess.run(
            [node, str(script), str(client), kind],
            input=json.dumps(msgspec.to_builtins(list(EXCHANGES.values()))).encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert answer.returncode == 0, answer.stderr.decode()
    performances = msgspec.json.decode(answer.stdout, type=list[Performance])
    return dict(zip(EXCHANGES, performances, strict=True))


@pytest.fixture(scope="module")
def javascript() -> dict[str, Performance]:
    return in_javascript("sockets")


@pytest.fixture(scope="module")
def streams() -> dict[str, Performance]:
    return in_javascript("streams")


@each_exchange
def test_javascript(exchange: Exchange, javascript: dict[str, Performance]) -> None:
    check(exchange, javascript[exchange.name])


@each_exchange
def test_javascript_on_event_streams(exchange: Exchange, streams: dict[str, Performance]) -> None:
    check(exchange, streams[exchange.name])
