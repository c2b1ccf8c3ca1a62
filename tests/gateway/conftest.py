"""Gateways are tested on the loop that they run on, and the sessions themselves on each one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

UVLOOP = {"uvloop": uvloop.new_event_loop}
EVERY = {**UVLOOP, "asyncio": asyncio.new_event_loop}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return EVERY if item.path.stem in ("test_sessions", "test_ends") else UVLOOP
