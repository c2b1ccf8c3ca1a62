"""Scripts are written for the forms of the commands: what is listed stays; more may come."""

from __future__ import annotations

from tests.vtc.commands.declarations import FILE, declarations


def test_each_command_keeps_its_form() -> None:
    now = declarations().splitlines()
    changed = [line for line in FILE.read_text().splitlines() if line not in now]
    assert changed == [], "if the change is meant, run `python -m tests.vtc.commands.declarations`"


def test_the_list_has_a_line_for_each() -> None:
    lines = FILE.read_text().splitlines()
    assert len(set(lines)) == len(lines) > 10
