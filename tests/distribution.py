"""Which tests run in the same process when several run side by side.

A file stays together: its fixtures of module scope are made once, and what its tests leave behind
meets its own tests. Files that use the browser are two groups, so that two processes start one.
The slow folders come first, so no process ends long after the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest

_FIRST: Final = (
    "peers",
    "chaos",
    "simulation",
    "package",
    "cli",
    "scripts",
    "vtc",
    "gateway",
    "backends",
    "net",
    "mutants",
    "app",
)
"""The folders whose tests take longest."""
_ALONE: Final = ("tests/peers/test_examples.py", "tests/examples/", "tests/conformance/")
"""Tests that listen at the ports of the documentation: one process, one after the other."""
_SPLIT: Final = "tests/simulation/"
"""Long tests that share nothing: each is a group."""
_PEERS: Final = "tests/peers/"
_BROWSERS: Final = {
    **dict.fromkeys(
        (
            "test_page",
            "test_play",
            "test_mud",
            "test_demo",
            "test_terminal_uses",
            "websocket/test_peers",
        ),
        "browser 1",
    ),
    **dict.fromkeys(
        (
            "test_chat",
            "test_restart",
            "test_resume",
            "test_takeover",
            "test_terminal_page",
            "test_event_streams",
            "test_away",
            "test_console",
            "test_origins",
        ),
        "browser 2",
    ),
}


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
    file = nodeid.partition("::")[0]
    if file.startswith(_SPLIT):
        return nodeid
    return _BROWSERS.get(file.removeprefix(_PEERS).removesuffix(".py"), file)


def make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler of pytest-xdist that gives out groups in the order of the tests."""
    config.option.loadscopereorder = False
    scheduler = import_module("xdist.scheduler").LoadFileScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler


def report_less(config: pytest.Config) -> None:
    """Send no reports of set-ups and tear-downs that have passed and have written nothing.

    They are two thirds of all reports, and the process that collects them uses none of them,
    unless it was asked how long they take or writes a file of results.
    """
    if config.getoption("durations") is not None or config.getoption("xmlpath"):
        return
    (sender,) = (one for one in config.pluginmanager.get_plugins() if hasattr(one, "sendevent"))
    send = sender.sendevent

    def send_some(name: str, **fields: Any) -> None:
        if name != "testreport" or _says_something(fields["data"]):
            send(name, **fields)

    sender.sendevent = send_some


def _says_something(report: dict[str, Any]) -> bool:
    passed = report["outcome"] == "passed" and not report["sections"]
    return report["when"] == "call" or not passed
