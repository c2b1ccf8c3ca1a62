"""The link is tested on the event loop that it runs on; `net` is tested on each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from holdfast.net.runtime.loop import new_event_loop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"default": new_event_loop}
