"""Every link between the documents leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, anchors, links
from website.generated import PAGES as GENERATED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if "://" not in link and not _exists(page, link)]
    assert broken == []


def _exists(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if target.is_relative_to(ROOT / "docs") and str(target.relative_to(ROOT / "docs")) in GENERATED:
        return True  # the site has it
    return target.exists() and (not anchor or anchor in anchors(target))


def test_every_page_is_linked_from_the_readme_or_from_a_page_that_is() -> None:
    found, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        waiting += [one for one in linked & set(PAGES) if one not in found]
    assert found == set(PAGES)
