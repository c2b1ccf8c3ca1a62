"""The page on security holds what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from holdfast.net.security_log import _WARNINGS, SecurityEvent

DOCS = Path(__file__).parents[2] / "docs"


def test_every_event_of_the_security_log_is_described() -> None:
    text = (DOCS / "security.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (info|warning) \| (.+) \|$", text, re.MULTILINE)
    found = {event: level for event, level, _ in rows}
    assert found == {
        event.value: "warning" if event in _WARNINGS else "info" for event in SecurityEvent
    }


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(
        r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", (DOCS / "security.md").read_text()
    )
    assert len(named) > 30
    missing = [f"{file}::{test}" for file, test in named if test not in _tests(DOCS.parent / file)]
    assert missing == []


def test_every_recommendation_and_every_attack_names_a_test() -> None:
    text = (DOCS / "security.md").read_text()
    head = r"^\|[^|\n]+\|[^|\n]+\| test \|\n\|[-|]+\|\n"
    tables = re.findall(head + r"((?:\|.*\n)+)", text, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    assert len(tables) == 2
    assert len(lines) > 30
    assert [line for line in lines if "::test_" not in line.rpartition(" | ")[2]] == []


def _tests(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
