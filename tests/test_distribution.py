"""Which tests run in the same process, and in which order they are given out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.distribution import group_of, slow_first
from tests.programs import ROOT


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("tests/core/test_ids.py::test_a", "tests/core/test_ids.py::test_b[x]", True),
        ("tests/core/test_ids.py::test_a", "tests/core/test_text.py::test_a", False),
        ("tests/peers/test_page.py::test_a", "tests/peers/websocket/test_peers.py::test_b", True),
        ("tests/peers/test_page.py::test_a", "tests/peers/test_chat.py::test_b", False),
        ("tests/peers/test_mud.py::test_a", "tests/docs/test_mud.py::test_a", False),
        ("tests/examples/test_examples.py::a", "tests/conformance/vtc/test_falsify.py::b", True),
        ("tests/simulation/test_resume.py::a", "tests/simulation/test_resume.py::b", False),
    ],
)
def test_what_runs_in_one_process(first: str, second: str, together: bool) -> None:
    assert (group_of(first) == group_of(second)) is together


def test_each_file_with_a_browser_is_in_one_of_two_groups() -> None:
    peers = ROOT / "tests" / "peers"
    files = [
        path.relative_to(ROOT).as_posix()
        for path in peers.rglob("test_*.py")
        if "browser: Browser" in path.read_text()
    ]
    assert len(files) > 5
    assert {group_of(f"{file}::test") for file in files} == {"browser 1", "browser 2", "alone"}


def test_slow_folders_come_first() -> None:
    names = ("core/test_ids.py", "peers/test_page.py", "app/test_app.py", "test_tables.py")
    items: list[Any] = [SimpleNamespace(nodeid=f"tests/{name}::test") for name in names]
    slow_first(items)
    assert [item.nodeid.split("/")[1] for item in items][:2] == ["peers", "app"]
