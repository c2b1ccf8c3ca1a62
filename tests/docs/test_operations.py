"""The table of metrics for operators has each metric, and none that there is not."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.pages import ROOT
from website.generated import metrics

_FOR_BOTH: Final = ("listener_", "link_")
"""The prefixes of one row: its metrics are there for clients and for applications."""


def rows() -> list[str]:
    """The first cells of the table."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("| metric (`holdfast_…`)")[2].partition("\n\n")[0]
    return [line.split("|")[1] for line in table.splitlines()[2:]]


def described() -> set[str]:
    found = set()
    for cell in rows():
        names = {name.removesuffix("_total") for name in re.findall(r"`([a-z_]+)`", cell)}
        prefixes = _FOR_BOTH if _FOR_BOTH[0] + "…" in cell else ("",)
        found |= {prefix + name.removesuffix("_info") for name in names for prefix in prefixes}
    return found


def exposed() -> set[str]:
    return set(re.findall(r"^\| `holdfast_([a-z_]+)`", metrics(), re.MULTILINE))


def test_every_metric_is_in_the_table() -> None:
    assert exposed() - described() == set()


def test_every_metric_of_the_table_is_exposed() -> None:
    assert described() - exposed() == set()
