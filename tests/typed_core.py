"""Which build of the typed core the tests run: compiled, unless its sources have changed since.

A compiled module is imported in place of the `.py` file beside it, however old it is. So when a
file has changed since `./dev` has compiled it, the tests, and the programs that they start, take
the `.py` files.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Final

from holdfast.core.compiled import SourceFinder, is_wanted

ROOT: Final = Path(__file__).parents[1]
COMPILED: Final = "compiled"
SUMS: Final = ROOT / "build" / "typed-core.sha256"


def is_current(root: Path, sums: Path) -> bool:
    """Whether `sums` is of the sources of the typed core under `root`, as they are now."""
    if not sums.exists():
        return False
    listed = dict(line.split("  ", 1)[::-1] for line in sums.read_text().splitlines())
    typed = {str(file.relative_to(root)) for file in (root / "src").rglob("*.pxd")}
    if typed != {name for name in listed if name.endswith(".pxd")}:
        return False
    return all(
        (root / name).exists() and hashlib.sha256((root / name).read_bytes()).hexdigest() == found
        for name, found in listed.items()
    )


def choose() -> str:
    """Choose the build, and return its name."""
    if not is_wanted("core"):
        return "Python, as HOLDFAST_PURE asks"
    if is_current(ROOT, SUMS):
        return COMPILED
    asked = os.environ.get("HOLDFAST_PURE", "")
    os.environ["HOLDFAST_PURE"] = f"{asked},core" if asked not in ("", "0") else "core"
    sys.meta_path.insert(0, SourceFinder())
    return "Python, as it is not compiled, or was before a file has changed (./dev setup)"


IN_USE: Final = choose()
