"""What the packages must contain, and what must not be in them."""

from __future__ import annotations

import re
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path, PurePosixPath

from tests.programs import ROOT

_WANTED = (
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "constraints.txt",
    "docs/operations.md",
    "examples/parrot.py",
    "examples/systemd/holdfast.service",
    "frontend/package.json",
    "src/holdfast/protocols/websocket/_codec.pyx",
    "src/holdfast/sessions/session.pxd",
    "src/holdfast/web/holdfast.js",
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def check_sdist(sdist: Path) -> None:
    """The documents, the examples and every source file, and no test and nothing that is built."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert [name for name in _WANTED if name not in names] == []
    documents = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")}
    assert documents - names == set()
    folders = {name.partition("/")[0] for name in names}
    assert folders & {"tests", "bench", "build", "dist", ".ci"} == set()
    assert [name for name in names if name.endswith((".so", ".pyc", ".c"))] == []
    assert [name for name in names if "node_modules" in name] == []


def check_wheel(wheel: Path) -> None:
    """Every module, the pages, the compiled parts and their description; nothing beside them."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        description = message_from_bytes(archive.read(metadata))
    source = ROOT / "src"
    wanted = {str(file.relative_to(source)) for file in source.rglob("*.py")}
    wanted |= {str(file.relative_to(source)) for file in source.rglob("*.js")}
    assert wanted - names == set()
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"holdfast"}
    compiled = {name.partition(".")[0] for name in names if name.endswith(".so")}
    parts = (*source.rglob("*.pyx"), *source.rglob("*.pxd"))
    assert compiled == {str(part.relative_to(source).with_suffix("")) for part in parts}
    text = str(description.get_payload())
    assert text.startswith("# Holdfast\n")
    assert [link for link in _LINK.findall(text) if "://" not in link] == []
