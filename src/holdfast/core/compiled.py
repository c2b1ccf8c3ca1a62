"""Which compiled parts are to be used where they were built."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Final, Literal

Part = Literal["codec", "sockets", "core"]

_PARTS: Final = frozenset({"codec", "sockets", "core"})
_PACKAGE: Final = "holdfast."


def is_wanted(part: Part) -> bool:
    """Whether the compiled `part` is to be used, rather than what serves without a compiler.

    `HOLDFAST_PURE` in the environment asks for the latter: of all parts (`1`), or of those that it
    names, with commas between them.
    """
    asked = os.environ.get("HOLDFAST_PURE", "")
    if asked in ("", "0"):
        return True
    named = set(asked.split(","))
    return named <= _PARTS and part not in named


class SourceFinder:
    """Finds the modules of this package as `.py` files, also where compiled ones stand beside
    them: those of the typed core."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not name.startswith(_PACKAGE):
            return None
        for folder in path:
            finder = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
            spec = finder.find_spec(name)
            if spec is not None:
                return spec
        return None


def choose_core() -> None:
    """Import the typed core from its `.py` files from now on, if `HOLDFAST_PURE` asks for that."""
    if not is_wanted("core"):
        sys.meta_path.insert(0, SourceFinder())
