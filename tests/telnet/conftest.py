"""The library is tested on each event loop that it may run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest

Factory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
except ImportError:
    pass


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Factory]:
    return LOOPS


@pytest.fixture
def nothing_unhandled(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The test does not let the loop be told of an error."""
    yield
    assert not [record for record in caplog.records if record.name == "asyncio"]
