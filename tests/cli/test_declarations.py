"""What is typed and scripted keeps its meaning: a change of an argument or a default is meant."""

from __future__ import annotations

from tests.cli.declarations import FILE, declarations


def test_each_command_keeps_its_arguments() -> None:
    shown = "if the change is meant, run `python -m tests.cli.declarations`"
    assert declarations().splitlines() == FILE.read_text().splitlines(), shown
