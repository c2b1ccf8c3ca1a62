"""The configuration reference is the one that the program writes."""

from __future__ import annotations

from pathlib import Path

from holdfast.gateway.config_reference import markdown

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_program_writes() -> None:
    assert PAGE.read_text() == markdown(), "run `./dev fix`"
