"""What is installed: everything has one version, and nothing names a host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"([a-z0-9-]+)==\d\S*( ; .+)?")


def normalized(requirement: str) -> str:
    """The name in a requirement (PEP 503)."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    matches = [PINNED.fullmatch(line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
    return {match[1] for match in matches if match is not None}


def test_all_that_is_installed_is_pinned() -> None:
    """With all extras, what developers need, and pip itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *(one for group in project["dependency-groups"].values() for one in group),
        *project["build-system"]["requires"],
        "pip",
    ]
    assert {normalized(one) for one in wanted} - {"holdfast"} <= pinned()


def test_what_is_pinned_names_no_host() -> None:
    for name in ("constraints.txt", "pyproject.toml", "dev"):
        assert not re.search(r"--(extra-)?index-url|--find-links", (ROOT / name).read_text()), name
    assert "://" not in (ROOT / "constraints.txt").read_text()


def test_pip_is_the_one_that_is_pinned() -> None:
    text = (ROOT / "dev").read_text().replace("\\\n", " ")
    upgrades = [line for line in text.splitlines() if "pip install" in line and "--upgrade" in line]
    assert len(upgrades) == 1
    assert "--constraint constraints.txt pip" in upgrades[0]
