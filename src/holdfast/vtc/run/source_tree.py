"""Option `-i` of VTest2: run inside a source tree of Varnish."""

from __future__ import annotations

import os
import re


class SourceTreeError(Exception):
    """There is no such tree here. The text is the reference's message."""


def enter_source_tree() -> dict[str, str]:
    """Put the tree's programs on `PATH`; its macros. Raises `SourceTreeError`."""
    try:
        with open("Makefile", encoding="latin-1") as file:
            makefile = file.read()
    except OSError:
        raise SourceTreeError("No Makefile to search for -i flag.") from None
    build = _variable(makefile, "abs_top_builddir")
    source = _variable(makefile, "abs_top_srcdir")
    programs = f"{build}/bin"
    found = [
        f"{programs}/{name}"
        for name in (os.listdir(programs) if os.path.isdir(programs) else [])
        if name.startswith("varnish") and os.path.isdir(f"{programs}/{name}")
    ]
    os.environ["PATH"] = ":".join([*found, os.environ.get("PATH", "")])
    return {"topbuild": build, "topsrc": source}


def _variable(makefile: str, name: str) -> str:
    match = re.search(rf"^{name}[^\n/]*(/[^\n]*)?$", makefile, re.MULTILINE)
    if not match:
        raise SourceTreeError(f"could not find '{name}' in Makefile")
    if not match[1]:
        raise SourceTreeError(f"No '/' after '{name}' in Makefile")
    return match[1]
