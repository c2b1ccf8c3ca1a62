"""Scripts are written for the forms of the commands: a change of one is meant."""

from __future__ import annotations

from tests.vtc.commands.declarations import FILE, declarations


def test_each_command_keeps_its_form() -> None:
    shown = "if the change is meant, run `python -m tests.vtc.commands.declarations`"
    assert declarations().splitlines() == FILE.read_text().splitlines(), shown
