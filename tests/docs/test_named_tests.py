"""The pages that name tests as their evidence name tests that there are, on every line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TABLES = r"^\|(?:[^|\n]+\|)+ test \|\n\|[-|]+\|\n((?:\|.*\n)+)"
"""Whose last column is the test."""

pages = pytest.mark.parametrize(
    ("page", "tables", "lines"), [("security.md", 2, 30), ("howto/nodes.md", 1, 12)]
)


@pages
def test_every_test_that_is_named_is_there(page: str, tables: int, lines: int) -> None:
    text = (DOCS / page).read_text()
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`", text)
    assert len(named) > lines
    missing = [f"{file}::{test}" for file, test in named if test not in _tests(DOCS.parent / file)]
    assert missing == []


@pages
def test_every_line_names_a_test(page: str, tables: int, lines: int) -> None:
    found = re.findall(TABLES, (DOCS / page).read_text(), re.MULTILINE)
    rows = [line for table in found for line in table.splitlines()]
    assert len(found) == tables
    assert len(rows) > lines
    assert [line for line in rows if "::test_" not in line.rpartition(" | ")[2]] == []


def _tests(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
