"""Each requirement names a module and a test that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.docs.requirements import PAGE, ROOT, page, requirements

REASONS: dict[str, str] = {
    "Tens of thousands of connections in one process": (
        "measured with 19,000 connections by `./dev bench tcp --part many`: more files than a test"
        " may open"
    ),
}
"""Requirements without a test, with the reason."""


@cache
def functions(path: Path) -> frozenset[str]:
    """The names of the test functions in a file."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def fault_of(test: str) -> str:
    """What is wrong with the name of a test, or nothing."""
    found = re.fullmatch(r"([\w/.]+)(?:::(\w+)(?:\[(.+)\])?)?", test)
    if found is None:
        return "no name of a test"
    path = ROOT / "tests" / found[1]
    if not path.is_file():
        return "no such file"
    if found[2] is None:
        return ""
    if found[2] not in functions(path):
        return "no such function"
    cases = path.with_name("cases.py")
    if found[3] and f'"{found[3]}"' not in path.read_text() + cases.read_text():
        return "no such case"
    return ""


def test_the_page_is_what_the_data_say() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.docs.requirements`"


def test_every_requirement_lives_somewhere() -> None:
    lacking = [
        one.where
        for one in requirements()
        if not any((folder / one.where).exists() for folder in (ROOT / "src" / "holdfast", ROOT))
    ]
    assert lacking == []


def test_every_requirement_has_a_test_that_exists_or_a_reason() -> None:
    faults = {one.test: fault_of(one.test) for one in requirements() if one.test}
    assert {test: fault for test, fault in faults.items() if fault} == {}
    untested = {one.text: one.reason for one in requirements() if not one.test}
    assert untested == REASONS


def test_no_requirement_stands_twice() -> None:
    texts = [(one.document, one.text) for one in requirements()]
    assert len(set(texts)) == len(texts) > 200
