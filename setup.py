"""What pyproject.toml cannot say: the README as an index page shows it."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
_NOTE = "The source distribution has the documents and examples that this page names.\n"


def for_an_index(readme: str) -> str:
    """`readme` without its pictures, and with the text of links to files and headings.

    An index page has neither the files nor the anchors.
    """
    text = _LINK.sub(r"\1", _PICTURE.sub("", readme))
    return f"{text}\n{_NOTE}"


setup(
    long_description=for_an_index(Path("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
