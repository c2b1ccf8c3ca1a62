"""Gateways are tested on the loop that they run on, and the sessions themselves on each one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import uvloop
from tests.postgresql import Cluster

if TYPE_CHECKING:
    from tests.gateway.test_postgresql import Place

UVLOOP = {"uvloop": uvloop.new_event_loop}
EVERY = {**UVLOOP, "asyncio": asyncio.new_event_loop}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return EVERY if item.path.stem in ("test_sessions", "test_ends") else UVLOOP


@pytest_asyncio.fixture
async def place(postgresql: Cluster, tmp_path: Path) -> AsyncIterator[Place]:
    """A database for gateways."""
    from tests.gateway.test_postgresql import Place  # asyncpg: not in every process of the suite

    database = await postgresql.empty_database()
    yield Place(postgresql, database, tmp_path)
    await postgresql.give_back(database)
