"""What is typed and scripted keeps its meaning: what is
listed stays, and more may come."""

from __future__ import annotations

from tests.cli.declarations import FILE, declarations


def test_each_command_keeps_its_arguments() -> None:
    now = declarations().splitlines()
    changed = [line for line in FILE.read_text().splitlines() if line not in now]
    assert changed == [], "if the change is meant, run `python -m tests.cli.declarations`"


def test_the_list_has_a_line_for_each() -> None:
    lines = FILE.read_text().splitlines()
    assert len(set(lines)) == len(lines) > 10
