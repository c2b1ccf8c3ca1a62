"""Which tests run in the same process when several run side by side.

A file stays together: its fixtures of module scope are made once, and what its tests leave behind
meets its own tests. The slow folders come first, so no process ends long after the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest

_FIRST: Final = ("chaos", "peers", "cli", "vtc", "simulation", "scripts", "gateway", "net", "app")
"""The folders whose tests wait longest."""
_ALONE: Final = ("tests/peers/test_examples.py", "tests/examples/", "tests/conformance/")
"""Tests that listen at the ports of the documentation: one process, one after the other."""


def slow_first(items: list[pytest.Item]) -> None:
    """Sort `items` by folder, with the same result in every process."""
    ranks = {name: rank for rank, name in enumerate(_FIRST)}

    def rank(item: pytest.Item) -> int:
        parts = item.nodeid.split("/")
        return ranks.get(parts[1], len(ranks)) if len(parts) > 2 else len(ranks)

    items.sort(key=rank)


def group_of(nodeid: str) -> str:
    """The name of what is run in one process."""
    if nodeid.startswith(_ALONE):
        return "alone"
    return nodeid.partition("::")[0]


def make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler of pytest-xdist that gives out groups in the order of the tests."""
    config.option.loadscopereorder = False
    scheduler = import_module("xdist.scheduler").LoadFileScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler
