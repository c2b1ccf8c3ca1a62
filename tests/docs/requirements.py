"""The page of requirements, from docs/requirements.toml: `python -m tests.docs.requirements`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "docs" / "requirements.toml"
PAGE: Final = ROOT / "docs" / "requirements.md"

_INTRODUCTION: Final = """\
# Requirements

What the five documents that the project began with ask for: where each requirement lives, and
the test that shows it. Modules are below `src/holdfast`, tests below `tests`. This page is written
from [requirements.toml](requirements.toml); tests check that each module and each test exists.
"""


class Requirement(NamedTuple):
    """One line of the table."""

    document: str
    section: str
    text: str
    where: str
    test: str
    """Empty if there is none: then `reason` says why."""
    reason: str


def requirements() -> Iterator[Requirement]:
    """All requirements, in the order of the file."""
    for document, sections in tomllib.loads(DATA.read_text()).items():
        for section, lines in sections.items():
            for line in lines:
                text, where, *shown = (part.strip() for part in line.split(" | "))
                test, reason = (shown[0], "") if len(shown) == 1 else ("", shown[1])
                yield Requirement(document, section, text, where, test, reason)


def page() -> str:
    """The page in Markdown."""
    lines = [_INTRODUCTION]
    before = ("", "")
    for one in requirements():
        if one.document != before[0]:
            lines.append(f"\n## {one.document}")
        if (one.document, one.section) != before:
            lines.append(f"\n### {one.section}\n\n| requirement | where | test |\n|---|---|---|")
        before = one.document, one.section
        shown = f"`{one.test}`" if one.test else one.reason
        lines.append(f"| {one.text} | `{one.where}` | {shown} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
