"""The folders of the code map and the files of the table of changes exist."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
SOURCE = ROOT / "src" / "holdfast"
CHANGES = PAGE.partition("## To change X, go to Y")[2].partition("\n**A backend**")[0]
FOLDERS = re.compile(r"^\| ((?:`[a-z0-9/]+/`(?:, )?)+) \|", re.MULTILINE)


def test_every_folder_of_the_code_map_exists() -> None:
    cells = [re.findall(r"`([a-z0-9/]+)/`", cell) for cell in FOLDERS.findall(PAGE)]
    assert len(cells) > 20
    assert [names for names in cells if not all(_exists(name, names[0]) for name in names)] == []


def _exists(name: str, first: str) -> bool:
    """Later folders of a cell may leave out what they share with the first one."""
    parent = first.rpartition("/")[0]
    return any((SOURCE / folder).is_dir() for folder in (name, f"{parent}/{name}"))


def test_the_code_map_names_every_folder() -> None:
    folders = {path.parent.relative_to(SOURCE).parts[0] for path in SOURCE.glob("*/__init__.py")}
    named = {name.partition("/")[0] for name in re.findall(r"^\| `([a-z0-9/]+)/`", PAGE, re.M)}
    assert folders - named - {"demo"} == set()


def test_every_file_of_the_table_of_changes_exists() -> None:
    rows = [line for line in CHANGES.splitlines() if line.startswith("| a")]
    assert len(rows) >= 10
    named = re.findall(r"`([a-z_0-9/.-]+/[a-z_0-9.-]*)`", "\n".join(rows))
    assert len(named) > 15
    roots = (SOURCE, ROOT, SOURCE / "sessions", SOURCE / "vtc" / "commands")
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []
