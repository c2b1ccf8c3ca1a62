"""What is installed: everything has one version, and nothing names a host."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

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


def wanted() -> list[str]:
    """What is asked for: with all extras, what developers need, and pip itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *(one for group in project["dependency-groups"].values() for one in group),
        *project["build-system"]["requires"],
        "pip",
    ]


def needed(requirement: Requirement) -> Iterator[Requirement]:
    """What this one needs here, if it is installed here."""
    try:
        lines = requires(requirement.name) or []
    except PackageNotFoundError:
        return  # for another platform
    for found in map(Requirement, lines):
        extras = requirement.extras or {""}
        if found.marker is None or any(found.marker.evaluate({"extra": e}) for e in extras):
            yield found


def test_all_that_is_asked_for_is_pinned() -> None:
    assert {normalized(one) for one in wanted()} - {"holdfast"} <= pinned()


def test_all_that_comes_with_it_is_pinned() -> None:
    seen: set[str] = set()
    left = [Requirement(one) for one in wanted()]
    while left:
        one = left.pop()
        if str(one) not in seen:
            seen.add(str(one))
            left += needed(one)
    names = {normalized(one) for one in seen} - {"holdfast"}
    assert len(names) > len({normalized(one) for one in wanted()})
    assert names <= pinned()


def test_what_is_pinned_names_no_host() -> None:
    for name in ("constraints.txt", "pyproject.toml", "dev"):
        assert not re.search(r"--(extra-)?index-url|--find-links", (ROOT / name).read_text()), name
    assert "://" not in (ROOT / "constraints.txt").read_text()


def test_pip_is_the_one_that_is_pinned() -> None:
    text = (ROOT / "dev").read_text().replace("\\\n", " ")
    upgrades = [line for line in text.splitlines() if "pip install" in line and "--upgrade" in line]
    assert len(upgrades) == 1
    assert "--constraint constraints.txt pip" in upgrades[0]
