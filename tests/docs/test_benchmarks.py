"""Each figure on the page of benchmarks has its command and its date."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
TEXT = PAGE.read_text()
MEASURED = re.compile(r"^`\./dev bench [a-z]+`(?: and `\./dev bench [a-z]+`)*, \d{4}-\d\d-\d\d:$")


def test_every_table_follows_its_command_and_date() -> None:
    paragraphs = TEXT.split("\n\n")
    tables = [number for number, text in enumerate(paragraphs) if text.startswith("|")]
    assert len(tables) >= 4
    assert [n for n in tables if not MEASURED.fullmatch(paragraphs[n - 1])] == []


def test_the_machine_is_named() -> None:
    assert re.search(r"^Machine of all figures on this page: .+", TEXT, re.MULTILINE)


def test_every_benchmark_exists() -> None:
    named = set(re.findall(r"\./dev bench ([a-z]+)", TEXT))
    there = {path.stem for path in (ROOT / "bench").iterdir()}
    assert named
    assert named <= there
